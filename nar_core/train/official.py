"""The paper's recipe for the official picture sizes (section 4.1): codes first, then plain
next-neighbour training from the upper-left corner.

`python -m nar_core train generator nar-b data=FOLDER`, where FOLDER has one sub-folder per class;
of a text model it is a data folder with captions.
With `init_from`, `own_classes` and `any_seed` it fine-tunes a published model to other classes or
captions, and to directions that it lacks.
"""

from __future__ import annotations

import json
import logging
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from os import SEEK_END
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from omegaconf import OmegaConf
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn

from ..card import model_card
from ..info import ModelInfo
from ..models.condition import Caption
from ..models.transformer import NARTransformer, TransformerConfig
from ..picture import evenly, on_white, open_picture, reading_picture, upright
from ..plan import make_plan
from ..tokenizers.base import Tokenizer
from ..tokenizers.larp_video import LarpTokenizer
from ..tokenizers.vq_image import VQTokenizer
from ..weights.adapt import published
from ..weights.embedded import EXPORT, name_of, read_info, write_config
from ..weights.fetch import fetch
from ..weights.list import Official, official_models
from ..weights.load import digest_of, load_generator, load_text_encoder, load_tokenizer
from ..weights.read import find_weight_file
from ..writing import whole_folder
from .begin import continued
from .captions import Captions, captioned_files
from .config import OfficialConfig, said
from .data import by_folder
from .filling import fill, filled
from .graph import compiled
from .identity import FREE, claim, digest
from .loop import Run, rank_and_world
from .plans import PlanBatch, random_plan

log = logging.getLogger(__name__)

RIBBON = 8  # times as long as it is wide, and no longer
EXAMPLES = 6  # prompts to begin with


@dataclass(frozen=True, eq=False)
class Pictures:
    """What is trained on.

    Attributes:
        root: the data folder; files: of every picture.
        told: int [N], the number of the class or caption that each is told.
        classes: the names of own classes; captions: each once, of a text model.
    """

    root: Path
    files: list[Path]
    told: np.ndarray
    classes: tuple[str, ...] = ()
    captions: tuple[str, ...] = ()

    @classmethod
    def of(cls, config: OfficialConfig, official: Official) -> Pictures:
        """What the data folder of a configuration holds.

        Raises:
            ValueError: there is nothing, or it is of no class of the model's.
        """
        root, info = Path(config.data), official.info
        if official.config.condition.kind == "caption":
            if config.own_classes:
                raise ValueError(
                    f"own_classes: got true, expected false: {info.name} is told captions; put "
                    "them into the metadata.jsonl of data"
                )
            files, said = captioned_files(root)
            captions = tuple(sorted(set(said)))
            number_of = {text: number for number, text in enumerate(captions)}
            told = np.array([number_of[text] for text in said])
            return cls(root, files, told, captions=captions)
        files, folders, names = labelled_files(root)
        if config.own_classes:
            return cls(root, files, folders, classes=names)
        return cls(root, files, np.array(numbers_of(names, info))[folders])

    @property
    def digest(self) -> str:
        """Short hash of their names, sizes and ends; there are too many to read all of them."""
        return digest([(str(f.relative_to(self.root)), *_end_of(f)) for f in self.files])


END = 4096  # bytes; of packed pictures they are others wherever the pictures are


def _end_of(file: Path) -> tuple[int, int]:
    """The size of a file and the checksum of its end."""
    with file.open("rb") as opened:
        size = opened.seek(0, SEEK_END)
        opened.seek(max(0, size - END))
        return size, zlib.crc32(opened.read())


def labelled_files(root: Path) -> tuple[list[Path], np.ndarray, tuple[str, ...]]:
    """Pictures of a folder with a sub-folder per class, the folder's number of each, their names.

    Raises:
        ValueError: there are no such pictures.
    """
    records = by_folder(root)
    folders = sorted(p.name for p in root.iterdir() if p.is_dir() and p.name[0] != ".")
    if "/" not in records[0]["file"]:
        raise ValueError(
            f"data: got {root}, expected a folder with a sub-folder of pictures per class; sort "
            "them so"
        )
    number_of = {name: number for number, name in enumerate(folders)}
    numbers = np.array([number_of[record["label"]] for record in records])
    return [root / record["file"] for record in records], numbers, tuple(folders)


def numbers_of(folders: Sequence[str], info: ModelInfo) -> list[int]:
    """The class of each folder: by its place where there is one for every class, else by its name.

    Raises:
        ValueError: one is of no class of the model's, or of two that are called the same.
    """
    if len(folders) == len(info.labels):
        return list(range(len(folders)))
    unknown = [name for name in folders if info.labels.count(name) != 1]
    if unknown:
        raise ValueError(
            f"data: got {len(folders)} class folders, among them {unknown[0]!r} "
            f"({len(unknown)} are not the name of one class of {info.name}), expected one for each "
            f"of its {len(info.labels)} classes in their order, or their names; "
            "say own_classes=true to train on other classes"
        )
    return [info.labels.index(name) for name in folders]


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


def extract_codes(
    files: Sequence[Path],
    tokenizer: Tokenizer,
    path: Path,
    ten: bool,
    device: torch.device,
    of: str,
) -> np.ndarray:
    """Codes of every crop of every picture, uint16 [N, crops, cells], kept in `path`.

    Extraction that was cut short goes on where it stopped, where pictures and tokenizer are the
    same, which `of` (a short hash) says.
    """
    if filled(path, of) < len(files) and rank_and_world()[1] > 1:
        raise ValueError(
            "codes: got none extracted, expected all; extract them by one process with "
            "train.steps=0"
        )

    @torch.inference_mode()
    def codes(first: int, last: int) -> np.ndarray:
        name = str(files[first])
        with open_picture(files[first], name) as image, reading_picture(files[first], name):
            pixels = torch.from_numpy(crops(image, tokenizer.size[0], ten)).to(device)
        video = pixels.permute(0, 3, 1, 2)[:, None].float() / 255
        return tokenizer.encode(video).flatten(1).cpu().numpy().astype(np.uint16)[None]

    return fill(path, of, len(files), 1, codes, "codes")


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
    trainer = Trainer(config, folder, device)
    trainer.run.fit(trainer.loss_of)
    if trainer.run.rank == 0:
        with trainer.run.averaged():
            trainer.export()


class Trainer:
    """A model of a published size, the codes that it learns from, and its run.

    Raises ValueError where the configuration and what it names do not go together.
    """

    def __init__(self, config: OfficialConfig, folder: Path, device: torch.device):
        self.config, self.device = config, device
        self.official = official_models()[config.official]
        self.pictures = Pictures.of(config, self.official)
        torch.manual_seed(config.train.seed)
        place = Path(config.tokenizer) if config.tokenizer else fetch(self.official.tokenizer)
        tokenizer = load_tokenizer(place, size=self.official.info.size).to(device)
        self.is_own = bool(self.pictures.captions or _changes(config))
        if self.is_own and not isinstance(tokenizer, VQTokenizer):
            raise ValueError(
                "tokenizer: got one of clips, expected a VQ tokenizer of pictures; name one"
            )
        self.form = form_of(config, self.official, len(self.pictures.classes))
        self.model = self._begun().to(device).train()
        self.model.rotations(0)
        train, count = config.train, len(self.pictures.files)
        world = rank_and_world()[1]
        self.share, rest = divmod(train.batch, world)
        if rest:
            raise ValueError(
                f"batch: got {train.batch}, expected a multiple of {world} processes; change one"
            )
        if train.steps is None:
            train.steps = train.epochs * count // train.batch
            if not train.steps:
                raise ValueError(
                    f"train.epochs: got {train.epochs} of {count} pictures, fewer than one batch "
                    f"of {train.batch}, expected a step at least; say more epochs, a smaller "
                    "train.batch, or train.steps"
                )
        info = self.official.info
        plan = make_plan(info.grid, (0, 0, 0), None, info.directions, info.known_level)
        self.corner = [torch.from_numpy(x).to(device) for x in (plan.levels, plan.fan_in)]
        identity = self._claim(folder, digest_of(find_weight_file(place)))
        self.run = Run(self.model, train, folder, device)
        self._read(folder, tokenizer, identity)
        self.forward = compiled(self.model, device) if train.compile else self.model
        self.order = lru_cache(maxsize=2)(
            lambda epoch: np.random.default_rng((train.seed, 1, epoch)).permutation(count)
        )

    def _claim(self, folder: Path, tokenizer: str) -> dict[str, str]:
        """Raise ValueError where the run in the folder is of others; what this one is of."""
        config, pictures = self.config, self.pictures
        told = {k: v for k, v in said(config.train).items() if k not in FREE}
        identity = {
            "pictures": pictures.digest,
            "tokenizer": tokenizer,
            "train": digest([told, config.official, config.ten_crops, *_changes(config)]),
        }
        if pictures.captions:
            identity["captions"] = digest([pictures.told.tolist(), pictures.captions])
        folder.mkdir(parents=True, exist_ok=True)
        claim(folder, identity)
        return identity

    def _read(
        self, folder: Path, tokenizer: VQTokenizer | LarpTokenizer, identity: dict[str, str]
    ) -> None:
        """Codes and captions, from what is kept in the run folder, or made now."""
        config, pictures = self.config, self.pictures
        of = digest([identity["pictures"], identity["tokenizer"], config.ten_crops])
        path, ten = folder / "codes.npy", config.ten_crops
        self.codes = extract_codes(pictures.files, tokenizer, path, ten, self.device, of)
        if self.is_own and isinstance(tokenizer, VQTokenizer):
            keep_tokenizer(tokenizer, folder / "tokenizer")
        self.captions = None
        if pictures.captions:
            path, load = folder / "captions.npy", load_text_encoder
            self.captions = Captions(pictures.captions, path, load, self.device)

    def _begun(self) -> NARTransformer:
        """The model before its first step: fresh, or with the weights that it begins from."""
        config, official = self.config, self.official
        if config.init_from:
            path, known = Path(config.init_from), official_models()
            if not path.exists():
                if config.init_from not in known:
                    raise ValueError(
                        f"init_from: got {config.init_from}, expected a weight file or one of "
                        f"{', '.join(known)}; name one"
                    )
                path = fetch(known[config.init_from].weights)
            model = load_generator(path, grid=official.info.grid).requires_grad_(True)
            before = replace(official.config, condition=model.config.condition)
            if model.config != (before if _changes(config) else official.config):
                raise ValueError(
                    f"init_from: got {path}, expected weights of {official.info.name}; name those"
                )
        else:
            model = fresh(official)
        if self.form != model.config:
            model = continued(model, self.form).requires_grad_(True)
        return model

    def _batch(self, index: int) -> tuple[Tensor | Caption, Tensor]:
        """What so many rows are told, and tokens [share, N]; every epoch has its own order."""
        share, count = self.share, len(self.pictures.files)
        at = index * share + np.arange(share)
        rng = np.random.default_rng((self.config.train.seed, index))
        rows = np.array([self.order(i // count)[i % count] for i in at.tolist()])
        codes = self.codes[rows, rng.integers(0, self.codes.shape[1], share)]
        tokens = torch.from_numpy(codes.astype(np.int64)).to(self.device)
        nothing, told = rng.random(share) < self.config.train.null_share, self.pictures.told[rows]
        if self.captions is not None:
            return self.captions.rows(told, nothing, self.model.condition.null), tokens
        return torch.from_numpy(np.where(nothing, -1, told)).to(self.device), tokens

    def loss_of(self, index: int) -> Tensor:
        """The loss of one process's share of a step."""
        values, tokens = self._batch(index)
        if not self.config.any_seed:
            logits = self.forward(values, tokens, *self.corner)
            return F.cross_entropy(logits.float().flatten(0, 1), tokens.flatten())
        rng = np.random.default_rng((self.config.train.seed, index, 2))
        grid, known_share = self.official.info.grid, self.config.known_share
        plans = [random_plan(grid, rng, known_share) for _ in range(self.share)]
        shown = PlanBatch.of(plans, self.form.directions)
        levels, fan_in, known, seeds = (
            x.to(self.device) for x in (shown.levels, shown.fan_in, shown.known, shown.seeds)
        )
        logits = self.forward(values, tokens, levels, fan_in, seeds).float().flatten(0, 1)
        losses = F.cross_entropy(logits, tokens.flatten(), reduction="none")
        weights = (~known).flatten().float()
        return (losses * weights).sum() / weights.sum()

    def export(self) -> None:
        """Write the averaged weights: in the published form, or of another model as a folder."""
        if not self.is_own:
            export(self.model, self.official, self.run)
            return
        pictures, official = self.pictures, self.official
        labels = pictures.classes if self.config.own_classes else official.info.labels
        export_own(self.model, official, self.run, self.config, labels, pictures.captions)


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


def keep_tokenizer(tokenizer: VQTokenizer, folder: Path) -> None:
    """Write the tokenizer as a folder of its own, for the export."""
    state = {k: v.half().cpu().contiguous() for k, v in tokenizer.state_dict().items()}
    told = {"kind": "vq", "model": asdict(tokenizer.config)}
    with whole_folder(folder) as part:
        save_file(state, part / "tokenizer.safetensors")
        OmegaConf.save(OmegaConf.create(told), part / "config.yaml")


def export_own(
    model: NARTransformer,
    official: Official,
    run: Run,
    config: OfficialConfig,
    labels: tuple[str, ...],
    captions: tuple[str, ...],
) -> None:
    """Write a model folder of this project's form: the published one has no place for it."""
    info = official.info
    state = {k: v.half().contiguous().cpu() for k, v in model.state_dict().items()}
    grid, anywhere = info.grid, config.any_seed
    told = {
        "title": run.folder.resolve().name,
        "task": info.task,
        "seed_positions": "any" if anywhere else "corner",
        "default_seed_position": [0, grid.h // 2, grid.w // 2] if anywhere else [0, 0, 0],
        "guidance_scale": info.guidance_scale,
        "labels": list(labels),
        "prompts": [captions[i] for i in evenly(len(captions), EXAMPLES)],
        "text_parameters": info.text_parameters,
        "parameters": sum(v.numel() for v in state.values()),
        "trained_on": f"the folder {Path(config.data).resolve().name}",
        "note": f"Begun from {info.name}, whose licence holds too: {info.licence}."
        if config.init_from
        else "",
    }
    form = {**asdict(model.config), "grid": list(grid)}
    record: dict[str, Any] = {
        "steps": run.step,
        "samples": run.step * config.train.batch,
        "hours": round(run.seconds / 3600, 3),
        "train": said(config.train),
    }
    if config.init_from:
        record["begun_from"] = {"name": Path(config.init_from).name}
    with whole_folder(run.folder / EXPORT) as folder:
        save_file(state, folder / "generator.safetensors")
        write_config(folder, {"info": told, "model": form}, run.folder / "tokenizer")
        OmegaConf.save(OmegaConf.create(record), folder / "record.yaml")
        named = replace(read_info(folder), name=name_of(run.folder / EXPORT))
        (folder / "README.md").write_text(model_card(named, record), encoding="utf-8")
    log.info("exported %s", run.folder / EXPORT)


def export(model: NARTransformer, official: Official, run: Run) -> None:
    """Write the averaged weights in the published form, loadable under the official name."""
    folder = run.folder / EXPORT / official.info.name
    state = {k: v.cpu().contiguous() for k, v in published(model.state_dict()).items()}
    config = official.config
    settings = {
        "model_type": "c2i",
        "n_layer": config.taps["+w"],
        "n_head": config.attention_heads,
        "block_size": config.grid.cells,
    }
    with whole_folder(folder) as part:
        torch.save({"model": state, "steps": run.step}, part / "last_version.pt")
        (part / "config.json").write_text(json.dumps(settings))
    log.info("exported %s", folder)
