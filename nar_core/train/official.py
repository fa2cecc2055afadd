"""The paper's recipe for the official class-to-image sizes (section 4.1): codes first, then plain
next-neighbour training from the upper-left corner.

`python -m nar_core train generator nar-b data=FOLDER`, where FOLDER has one sub-folder per class.
With `init_from`, `own_classes` and `any_seed` it fine-tunes a published model to other classes, and
to directions that it lacks.
"""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from omegaconf import OmegaConf
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn
from tqdm import tqdm

from ..card import model_card
from ..models.transformer import NARTransformer, TransformerConfig
from ..picture import on_white, open_picture, reading_picture, upright
from ..plan import make_plan
from ..tokenizers.base import Tokenizer
from ..tokenizers.larp_video import LarpTokenizer
from ..tokenizers.vq_image import VQTokenizer
from ..weights.adapt import published
from ..weights.embedded import EXPORT, read_info, write_config
from ..weights.fetch import fetch
from ..weights.list import Official, official_models
from ..weights.load import digest_of, load_generator, load_tokenizer
from ..weights.read import find_weight_file
from .begin import continued
from .config import OfficialConfig, said
from .data import PICTURES
from .graph import compiled
from .identity import FREE, claim, digest
from .loop import Run, rank_and_world
from .plans import PlanBatch, random_plan

log = logging.getLogger(__name__)

RIBBON = 8  # times as long as it is wide, and no longer


def labelled_files(root: str | Path) -> tuple[list[Path], np.ndarray]:
    """Pictures of a folder with a sub-folder per class, and class numbers in order of their names.

    Raises:
        ValueError: there are no such pictures.
    """
    folders = sorted(p for p in Path(root).iterdir() if p.is_dir()) if Path(root).is_dir() else []
    files, labels = [], []
    for label, folder in enumerate(folders):
        found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in PICTURES)
        files += found
        labels += [label] * len(found)
    if not files:
        raise ValueError(
            f"data: got {root}, expected a folder with a sub-folder of pictures per class"
        )
    return files, np.array(labels)


def resized(image: Image.Image, short: int) -> Image.Image:
    """RGB, upright, with its short side at `short` pixels: halved by averaging, then bicubic.

    Of a ribbon only the middle is taken, since all of it would be too large.
    """
    image = on_white(upright(image))
    width, height = (min(side, RIBBON * min(image.size)) for side in image.size)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    image = image.crop((left, top, left + width, top + height))
    while min(image.size) >= 2 * short:
        image = image.resize((image.width // 2, image.height // 2), Image.Resampling.BOX)
    scale = short / min(image.size)
    size = (round(image.width * scale), round(image.height * scale))
    return image.resize(size, Image.Resampling.BICUBIC)


def crops(image: Image.Image, size: int, ten: bool) -> np.ndarray:
    """The centre and its mirror image, or with `ten` also the corners of a picture a tenth larger.

    Returns:
        uint8 [2 or 10, size, size, 3].
    """
    pixels = np.asarray(resized(image, round(size * 1.1) if ten else size))
    bottom, right = pixels.shape[0] - size, pixels.shape[1] - size
    places = [(bottom // 2, right // 2)]
    if ten:
        places += [(0, 0), (0, right), (bottom, 0), (bottom, right)]
    cut = np.stack([pixels[y : y + size, x : x + size] for y, x in places])
    return np.concatenate([cut, cut[:, :, ::-1]])


@torch.inference_mode()
def extract_codes(
    files: list[Path], tokenizer: Tokenizer, path: Path, ten: bool, device: torch.device
) -> np.ndarray:
    """Codes of every crop of every picture, uint16 [N, crops, cells], kept in `path`.

    Extraction that was cut short goes on where it stopped.
    """
    shape = (len(files), 10 if ten else 2, tokenizer.grid.cells)
    progress = path.with_suffix(".json")
    state = {"files": [str(f) for f in files], "shape": list(shape), "done": 0}
    if path.is_file() and progress.is_file():
        before = json.loads(progress.read_text())
        if (before["files"], before["shape"]) != (state["files"], state["shape"]):
            raise ValueError(
                f"{path}: holds the codes of other pictures; remove it, or use another --out"
            )
        state = before
        codes = np.lib.format.open_memmap(path, "r+")
    else:
        codes = np.lib.format.open_memmap(path, "w+", np.uint16, shape)
    if state["done"] < len(files) and rank_and_world()[1] > 1:
        raise ValueError("codes: extract them first, by one process with train.steps=0")
    bar = tqdm(
        range(state["done"], len(files)), initial=state["done"], total=len(files), desc="codes"
    )
    for i in bar:
        name = str(files[i])
        with open_picture(files[i], name) as image, reading_picture(files[i], name):
            pixels = torch.from_numpy(crops(image, tokenizer.size[0], ten)).to(device)
        video = pixels.permute(0, 3, 1, 2)[:, None].float() / 255
        codes[i] = tokenizer.encode(video).flatten(1).cpu().numpy()
        if i + 1 == len(files) or (i + 1) % 1000 == 0:
            codes.flush()
            progress.write_text(json.dumps(state | {"done": i + 1}))
    return np.load(path, mmap_mode="r")


def fresh(official: Official) -> NARTransformer:
    """A model of the size with the published initialisation: normal 0.02, silent heads."""
    model = NARTransformer(official.config)
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=0.02)
    for _, head in model.heads.each():
        nn.init.zeros_(model.heads.matrix_of(head).weight)
    return model


def train(config: OfficialConfig, folder: Path, device: torch.device) -> None:
    """Train by the paper's recipe in a run folder, then export."""
    official = official_models()[config.official]
    info, settings = official.info, config.train
    folder.mkdir(parents=True, exist_ok=True)
    files, labels = labelled_files(config.data)
    names = tuple(sorted(p.name for p in Path(config.data).iterdir() if p.is_dir()))
    if not config.own_classes and labels.max() >= len(info.labels):
        raise ValueError(
            f"data: got {labels.max() + 1} class folders, expected at most {len(info.labels)}; "
            "say own_classes=true to train on other classes"
        )
    torch.manual_seed(settings.seed)
    place = Path(config.tokenizer) if config.tokenizer else fetch(official.tokenizer)
    tokenizer = load_tokenizer(place, size=info.size).to(device)
    told = {k: v for k, v in said(settings).items() if k not in FREE}
    data = [(str(f.relative_to(config.data)), f.stat().st_size) for f in files]
    if not claim(folder, {
        "pictures": digest(data),
        "tokenizer": digest_of(find_weight_file(place)),
        "train": digest([told, config.official, config.ten_crops, *_changes(config)]),
    }):  # fmt: skip
        (folder / "codes.npy").unlink(missing_ok=True)
    codes = extract_codes(files, tokenizer, folder / "codes.npy", config.ten_crops, device)
    if config.own_classes or config.any_seed:
        keep_tokenizer(tokenizer, folder / "tokenizer")
    del tokenizer

    form = form_of(config, official, len(names))
    if config.init_from:
        path, known = Path(config.init_from), official_models()
        if not path.exists():
            if config.init_from not in known:
                raise ValueError(
                    f"init_from: got {config.init_from}, expected a weight file or one of "
                    f"{', '.join(known)}"
                )
            path = fetch(known[config.init_from].weights)
        model = load_generator(path, grid=info.grid).requires_grad_(True)
        before = replace(official.config, condition=model.config.condition)
        if model.config != (before if _changes(config) else official.config):
            raise ValueError(f"init_from: got {path}, expected weights of {info.name}")
    else:
        model = fresh(official)
    if form != model.config:
        model = continued(model, form).requires_grad_(True)
    model.to(device).train()
    model.rotations(0)
    if settings.steps is None:
        settings.steps = settings.epochs * len(files) // settings.batch
    forward = compiled(model, device) if settings.compile else model
    plan = make_plan(info.grid, (0, 0, 0), None, info.directions, info.known_level)
    levels, fan_in = (torch.from_numpy(x).to(device) for x in (plan.levels, plan.fan_in))
    run = Run(model, settings, folder, device)
    share, rest = divmod(settings.batch, run.world)
    if rest:
        raise ValueError(
            f"batch: got {settings.batch}, expected a multiple of {run.world} processes"
        )

    @lru_cache(maxsize=2)
    def order(epoch: int) -> np.ndarray:
        return np.random.default_rng((settings.seed, 1, epoch)).permutation(len(files))

    def batch_of(index: int) -> tuple[Tensor, Tensor]:
        """Labels [share] and tokens [share, N]; every epoch has an order of its own."""
        at = index * share + np.arange(share)
        rng = np.random.default_rng((settings.seed, index))
        rows = np.array([order(i // len(files))[i % len(files)] for i in at.tolist()])
        tokens = codes[rows, rng.integers(0, codes.shape[1], share)].astype(np.int64)
        kept = np.where(rng.random(share) < settings.null_share, -1, labels[rows])
        return torch.from_numpy(kept).to(device), torch.from_numpy(tokens).to(device)

    def loss_of(index: int) -> Tensor:
        values, tokens = batch_of(index)
        if not config.any_seed:
            logits = forward(values, tokens, levels, fan_in)
            return F.cross_entropy(logits.float().flatten(0, 1), tokens.flatten())
        rng = np.random.default_rng((settings.seed, index, 2))
        plans = [random_plan(info.grid, rng, config.known_share) for _ in range(share)]
        shown = PlanBatch.of(plans, form.directions)
        around, senders, known, seeds = (
            x.to(device) for x in (shown.levels, shown.fan_in, shown.known, shown.seeds)
        )
        logits = forward(values, tokens, around, senders, seeds).float().flatten(0, 1)
        losses = F.cross_entropy(logits, tokens.flatten(), reduction="none")
        weights = (~known).flatten().float()
        return (losses * weights).sum() / weights.sum()

    run.fit(loss_of)
    if run.rank == 0:
        with run.averaged():
            if not _changes(config):
                export(model, official, run)
            else:
                export_own(model, official, run, config, names if config.own_classes else ())


def _changes(config: OfficialConfig) -> list[bool | float]:
    """What makes another model of an official one; empty where nothing does."""
    changes = [config.own_classes, config.any_seed, config.known_share]
    return changes if config.own_classes or config.any_seed else []


def form_of(config: OfficialConfig, official: Official, classes: int) -> TransformerConfig:
    """The form of what is trained: the official one, or with other classes and directions."""
    form = official.config
    if config.own_classes:
        form = replace(form, condition=replace(form.condition, classes=classes))
    if config.any_seed:
        taps = form.taps
        form = replace(
            form,
            taps={"+w": taps["+w"], "-w": taps["+w"], "+h": taps["+h"], "-h": taps["+h"]},
            condition=replace(form.condition, seed_query=True),
            known_level="zero",
        )
    return form


def keep_tokenizer(tokenizer: VQTokenizer | LarpTokenizer, folder: Path) -> None:
    """Write the tokenizer as a folder of its own, for the export."""
    if not isinstance(tokenizer, VQTokenizer):
        raise ValueError("tokenizer: got one of clips, expected a VQ tokenizer of pictures")
    folder.mkdir(parents=True, exist_ok=True)
    state = {k: v.half().cpu().contiguous() for k, v in tokenizer.state_dict().items()}
    save_file(state, folder / "tokenizer.safetensors")
    told = {"kind": "vq", "model": asdict(tokenizer.config)}
    OmegaConf.save(OmegaConf.create(told), folder / "config.yaml")


def export_own(
    model: NARTransformer,
    official: Official,
    run: Run,
    config: OfficialConfig,
    labels: tuple[str, ...],
) -> None:
    """Write a model folder of this project's form: the published one has no place for it."""
    folder, info = run.folder / EXPORT, official.info
    folder.mkdir(exist_ok=True)
    state = {k: v.half().contiguous().cpu() for k, v in model.state_dict().items()}
    save_file(state, folder / "generator.safetensors")
    grid, anywhere = info.grid, config.any_seed
    told = {
        "title": run.folder.resolve().name,
        "task": "class",
        "seed_positions": "any" if anywhere else "corner",
        "default_seed_position": [0, grid.h // 2, grid.w // 2] if anywhere else [0, 0, 0],
        "guidance_scale": info.guidance_scale,
        "labels": list(labels or info.labels),
        "parameters": sum(v.numel() for v in state.values()),
        "trained_on": f"the folder {Path(config.data).resolve().name}",
        "note": f"Begun from {info.name}, whose licence holds too: {info.licence}."
        if config.init_from
        else "",
    }
    form = {**asdict(model.config), "grid": list(grid)}
    write_config(folder, {"info": told, "model": form}, run.folder / "tokenizer")
    record: dict[str, Any] = {
        "steps": run.step,
        "samples": run.step * config.train.batch,
        "hours": round(run.seconds / 3600, 3),
        "train": said(config.train),
    }
    if config.init_from:
        record["begun_from"] = {"name": Path(config.init_from).name}
    OmegaConf.save(OmegaConf.create(record), folder / "record.yaml")
    card = model_card(read_info(folder), record)
    (folder / "README.md").write_text(card, encoding="utf-8")
    log.info("exported %s", folder)


def export(model: NARTransformer, official: Official, run: Run) -> None:
    """Write the averaged weights in the published form, loadable under the official name."""
    folder = run.folder / "export" / official.info.name
    folder.mkdir(parents=True, exist_ok=True)
    state = {k: v.cpu().contiguous() for k, v in published(model.state_dict()).items()}
    torch.save({"model": state, "steps": run.step}, folder / "last_version.pt")
    config = official.config
    settings = {
        "model_type": "c2i",
        "n_layer": config.taps["+w"],
        "n_head": config.attention_heads,
        "block_size": config.grid.cells,
    }
    (folder / "config.json").write_text(json.dumps(settings))
    log.info("exported %s", folder)
