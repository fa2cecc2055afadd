"""`python -m nar_core evaluate`: reconstruction, likelihood, and contact sheets to look at."""

from __future__ import annotations

import argparse
import textwrap
from pathlib import Path

import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf
from PIL import Image, ImageDraw, ImageFont
from tqdm import tqdm

from . import tables
from .engine import Engine
from .models.condition import word_ids
from .request import Request
from .train.data import DataFolder, as_float, is_held_out, on_white, windows
from .train.generator import plan_losses
from .train.source import prompt_of, select_records
from .train.tokenizer import code_statistics, reconstruction_psnr
from .weights.hub import CHECKPOINTS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    parser.add_argument("--model", default="emoji", help="registry name or model folder")
    parser.add_argument("--data", help="data folder to measure on (images.zip and index.jsonl)")
    parser.add_argument(
        "--part",
        choices=("all", "training", "held-out"),
        default="all",
        help="of --data what the generator was trained on, or what was held out, by its record",
    )
    parser.add_argument("--limit", type=int, default=0, help="pictures at most, 0 for all")
    parser.add_argument("--sheet", help="write a contact sheet to this PNG")
    parser.add_argument(
        "--prompts", nargs="*", help="prompts of the sheet; without, drawn from the training names"
    )
    parser.add_argument("--count", type=int, default=16, help="prompts drawn for the sheet")
    parser.add_argument(
        "--recall",
        type=int,
        default=0,
        metavar="N",
        help="grow N training names and tell how many come out nearest to their own picture",
    )
    parser.add_argument(
        "--rng-seed", type=int, default=0, help="of the drawn prompts and the pictures"
    )
    parser.add_argument("--guidance", type=float, help="guidance scale of what is grown")
    parser.add_argument("--temperature", type=float, help="temperature of what is grown")
    parser.add_argument("--growth", help="write strips of growing pictures to this PNG")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    parser.add_argument("--dtype", default="auto", help="auto, float32, bfloat16 or float16")
    tables.add_arguments(parser)


def run(args: argparse.Namespace) -> dict:
    """Measure what was asked for: `psnr` (dB), `loss_*` (nats per token), `sheet`, `scores`."""
    engine = Engine.load(args.model, device=args.device, dtype=args.dtype)
    out: dict = {"model": engine.info.name, "digest": engine.digest}
    if args.data:
        data = part_of(DataFolder.open(args.data), args.part, engine, args.model)
        if args.limit:
            stride = max(1, len(data.records) // args.limit)
            data = DataFolder(data.root, data.records[::stride][: args.limit])
        out |= measure(engine, data)
    if args.recall:
        out |= recall(engine, args)
    if args.sheet:
        out |= contact_sheet(engine, args)
    if args.growth:
        out |= growth_strips(engine, args)
    if args.table:
        out |= tables.run(engine, args)
    if not (args.data or args.sheet or args.growth or args.table):
        raise ValueError(
            "evaluate: got nothing to do, expected --data, --sheet, --growth or --table"
        )
    return out


def source_of(engine: Engine, model: str) -> DictConfig:
    """The `source` of a model's training record: folder, selection, what was held out.

    Raises ValueError where the model has no such record.
    """
    path = Path(model) if Path(model).is_dir() else CHECKPOINTS / engine.info.name
    if not (path / "record.yaml").is_file():
        raise ValueError(f"evaluate: got {model}, expected a model with a training record")
    return OmegaConf.load(path / "record.yaml").source


def part_of(data: DataFolder, part: str, engine: Engine, model: str) -> DataFolder:
    """The items that a model was trained on (`training`), that its record holds out, or `all`.

    Held out are items of every kind, also of kinds that training leaves aside. Raises ValueError
    where nothing is left to measure.
    """
    if part == "all":
        return data
    source = source_of(engine, model)
    if part == "held-out":
        found = data.select(lambda r: is_held_out(r, source))
    else:
        found = select_records(data, source).select(lambda r: not is_held_out(r, source))
    if not found.records:
        raise ValueError(f"evaluate: got --part {part}, of which {data.root} has nothing: try all")
    return found


def condition_of(engine: Engine, records: list[dict], label: str) -> torch.Tensor:
    """Condition input of records: their prompts, or the class in the field `label`."""
    config = engine.model.config.condition
    if config.kind == "words":
        prompts = [" ".join(prompt_of(r).split()[: config.slots]) for r in records]
        return word_ids(prompts, config.slots, config.buckets).to(engine.device)
    if config.kind == "facts":
        return engine.facts([prompt_of(r) for r in records])
    names = list(engine.info.labels)
    ids = [names.index(r[label]) if r.get(label) in names else -1 for r in records]
    return torch.tensor(ids, device=engine.device)


def measure(engine: Engine, data: DataFolder) -> dict:
    """Reconstruction and likelihood on pictures or clips the model may never have seen, on white.

    Clip models also show scenes that stand still, see `still_flicker`, and continue first frames,
    see `continuation`.
    """
    tokenizer = engine.tokenizer
    pictures = rgba_of(engine, data)
    out = {"pictures": len(pictures), "psnr": round(reconstruction_psnr(tokenizer, pictures), 3)}
    statistics = code_statistics(tokenizer, pictures)
    out |= {k: round(statistics[k], 4) for k in ("used", "perplexity", "white_codes")}
    tokens = []
    for i in range(0, len(pictures), 16):
        x = on_white(as_float(pictures[i : i + 16])).to(engine.device)
        tokens.append(tokenizer.encode(x).flatten(1))
    with torch.inference_mode():
        losses = plan_losses(
            engine.model, condition_of(engine, data.records, "label"), torch.cat(tokens)
        )
    out |= {k: round(v, 4) for k, v in losses.items()}
    if engine.info.frames > 1:
        out |= {"still_flicker": still_flicker(engine, pictures)}
        out |= continuation(engine, data, pictures)
    return out


def rgba_of(engine: Engine, data: DataFolder) -> np.ndarray:
    """Items as the model sees them, RGBA uint8 [N, F, side, side, 4]; clips go round a whole loop.

    Raises ValueError where the folder holds clips that are too short, or no clips at all.
    """
    frames = engine.info.frames
    pixels = data.pixels(engine.info.size[0])
    if frames == 1 and pixels.shape[1] == 1:
        return pixels
    stride = pixels.shape[1] // max(1, frames - 1)
    if not stride or frames == 1:
        raise ValueError(
            f"data: got items of {pixels.shape[1]} frames, expected {max(1, frames - 1)} or more "
            f"for {engine.info.name}"
        )
    return windows(pixels, frames, stride, np.zeros(len(pixels), int))


def rgb_of(rgba: np.ndarray) -> np.ndarray:
    """RGBA uint8 [..., H, W, 4] on white, RGB uint8."""
    white = (on_white(as_float(rgba)) * 255).round().to(torch.uint8)
    return white.movedim(-3, -1).numpy()


def still_flicker(engine: Engine, rgba: np.ndarray, limit: int = 24) -> float:
    """Mean absolute change from frame to frame (0 to 255) where first frames stand still.

    It should be 0; what is there instead comes from coding and decoding alone.
    """
    chosen = np.linspace(0, len(rgba) - 1, min(limit, len(rgba))).astype(int)
    changes = []
    for i in chosen:
        still = rgb_of(rgba[i : i + 1, :1].repeat(engine.info.frames, 1))
        decoded = engine.decode(engine.encode(still)).astype(float)
        changes.append(np.abs(np.diff(decoded, axis=1)).mean())
    return round(float(np.mean(changes)), 3)


def continuation(engine: Engine, data: DataFolder, rgba: np.ndarray, limit: int = 24) -> dict:
    """Clips grown from their own first frame: does the rest go on from it?

    Returns:
        `first_slice_kept` (share of clips whose given tokens came out unchanged), and the mean
        absolute distance (0 to 255) of the second frame to the first: `second_frame_data` between
        decoded clips of the data, `second_frame_grown` for grown ones, and `second_frame_unrelated`
        to the second frame of another clip.
    """
    chosen = np.linspace(0, len(rgba) - 1, min(limit, len(rgba))).astype(int)
    slots = engine.model.config.condition.slots
    kept, grown, own = [], [], []
    for i in tqdm(chosen, desc="continuing first frames"):
        tokens = engine.encode(rgb_of(rgba[i : i + 1]))
        known = np.where(np.arange(engine.info.grid.t)[:, None, None] == 0, tokens[0], -1)
        told = (
            {"prompt": " ".join(prompt_of(data.records[i]).split()[:slots])}
            if engine.info.task == "text"
            else {}
        )
        _, high, wide = engine.info.grid
        frame = engine.generate_all(
            Request(**told, known=known, seed_position=(0, high // 2, wide // 2), rng_seed=int(i))
        )
        kept.append(bool((frame.tokens[0, 0] == tokens[0, 0]).all()))
        grown.append(engine.decode(frame.tokens)[0, :2].astype(float))
        own.append(engine.decode(tokens)[0, :2].astype(float))
    grown, own = np.stack(grown), np.stack(own)
    others = np.roll(grown[:, 1], 1, 0)
    return {
        "first_slice_kept": float(np.mean(kept)),
        "second_frame_data": round(float(np.abs(own[:, 1] - own[:, 0]).mean()), 3),
        "second_frame_grown": round(float(np.abs(grown[:, 1] - grown[:, 0]).mean()), 3),
        "second_frame_unrelated": round(float(np.abs(others - grown[:, 0]).mean()), 3),
    }


class TrainingPictures:
    """What a model was trained on, as its training record says, to compare grown pictures with.

    Args:
        model: registry name or model folder, as `Engine.load` takes it.
        folder: the training folder.

    Attributes:
        names: prompt or class of every picture.
        pixels: RGB uint8 [N, F, side, side, 3].
    """

    def __init__(self, engine: Engine, model: str, folder: str):
        data = part_of(DataFolder.open(folder), "training", engine, model)
        by_class = engine.info.task == "class"
        label = source_of(engine, model).label if by_class else ""
        self.names = [str(r[label]) if by_class else prompt_of(r) for r in data.records]
        self.pixels = rgb_of(rgba_of(engine, data))
        self.keys = self._small(self.pixels)

    def draw(self, count: int, rng: np.random.Generator) -> list[str]:
        """`count` different names at random, or all there are."""
        names = sorted(set(self.names))
        return [str(x) for x in rng.choice(names, min(count, len(names)), False)]

    def distances(self, picture: np.ndarray) -> np.ndarray:
        """Mean squared distance (of 0 to 1) at 32 px of RGB uint8 [F, h, w, 3] to every one."""
        return ((self.keys - self._small(picture[None])) ** 2).mean(-1)

    @staticmethod
    def _small(pictures: np.ndarray) -> np.ndarray:
        """RGB float [N, F * 32 * 32 * 3] of RGB uint8 [N, F, h, w, 3]."""
        x = torch.from_numpy(pictures).flatten(0, 1).permute(0, 3, 1, 2).float() / 255
        small = torch.nn.functional.adaptive_avg_pool2d(x, 32)
        return small.unflatten(0, pictures.shape[:2]).flatten(1).numpy()


def seeds_of(engine: Engine) -> dict[str, tuple[int, int, int]]:
    """The seed positions that sheets and figures compare."""
    t, h, w = engine.info.grid
    return {"corner": (0, 0, 0), "centre": (t // 2, h // 2, w // 2)}


def request_of(engine: Engine, names: list[str], args: argparse.Namespace, **more) -> Request:
    """One picture or clip for each of the prompts or classes."""
    told = {"label": tuple(names)} if engine.info.task == "class" else {"prompt": tuple(names)}
    return Request(
        **told,
        num_samples=len(names),
        guidance_scale=args.guidance,
        temperature=args.temperature,
        **more,
    )


def recall(engine: Engine, args: argparse.Namespace) -> dict:
    """Training names drawn at random and grown: do they come out as they were seen?

    From the corner, from the centre, and from `any` seed position, eight names from each drawn.

    Returns:
        For every kind of seed the share of names whose grown picture is nearest, among all training
        pictures, to one of its own name (`recall_*`), and its distance to that (`recall_rmse_*`,
        root of the mean squared distance at 32 px, 0 to 1). Raises ValueError without `--data`.
    """
    if not args.data:
        raise ValueError("recall: got no --data, expected the training folder")
    train = TrainingPictures(engine, args.model, args.data)
    names = train.draw(args.recall, np.random.default_rng(args.rng_seed))
    out: dict = {"recall_names": len(names)}
    rng = np.random.default_rng((args.rng_seed, 1))
    parts = range(0, len(names), 8)
    seeds = {where: [seed] * len(parts) for where, seed in seeds_of(engine).items()}
    seeds["any"] = [tuple(int(x) for x in rng.integers(0, engine.info.grid)) for _ in parts]
    for where, places in seeds.items():
        hits, gaps = [], []
        for i, seed in tqdm(list(zip(parts, places, strict=True)), desc=f"recall, {where}"):
            part = names[i : i + 8]
            request = request_of(engine, part, args, seed_position=seed, rng_seed=args.rng_seed + i)
            grown = engine.decode(engine.generate_all(request).tokens)
            for name, picture in zip(part, grown, strict=True):
                distances = train.distances(picture)
                own = np.array([n == name for n in train.names])
                hits.append(bool(own[distances.argmin()]))
                gaps.append(float(distances[own].min()))
        out[f"recall_{where}"] = round(float(np.mean(hits)), 4)
        out[f"recall_rmse_{where}"] = round(float(np.mean(gaps)) ** 0.5, 4)
    return out


def contact_sheet(engine: Engine, args: argparse.Namespace) -> dict:
    """Prompts drawn at random; per prompt the nearest training picture, and growth from two seeds.

    With `--data` (the training folder) the nearest picture is found among what the model was
    trained on, by mean squared distance at 32 px to the picture grown from the centre. Clips are
    drawn as moments side by side, and all of them moving in a GIF beside the sheet.
    """
    info, side = engine.info, engine.info.size[0]
    rng = np.random.default_rng(args.rng_seed)
    train = TrainingPictures(engine, args.model, args.data) if args.data else None
    if args.prompts:
        prompts = args.prompts
    elif info.task == "class":
        prompts = [
            str(x) for x in rng.choice(info.labels, min(args.count, len(info.labels)), False)
        ]
    else:
        if train is None:
            raise ValueError(
                "evaluate: a sheet of training names needs --data, the training folder"
            )
        prompts = train.draw(args.count, rng)
    rows, distances = [], []
    for i, prompt in enumerate(tqdm(prompts, desc="sheet")):
        grown = []
        for seed in seeds_of(engine).values():
            request = request_of(
                engine, [prompt], args, seed_position=seed, rng_seed=args.rng_seed + i
            )
            grown.append(engine.decode(engine.generate_all(request).tokens)[0])
        near = []
        if train is not None:
            gaps = train.distances(grown[1])
            distances.append(float(gaps.min()))
            near = [train.pixels[gaps.argmin()]]
        rows.append((prompt, near + grown))
    heads = (["nearest training picture"] if train is not None else []) + list(seeds_of(engine))
    out = {"sheet": str(Path(args.sheet)), "prompts": prompts}
    if info.frames == 1:
        _draw_sheet([(p, [x[0] for x in shown]) for p, shown in rows], heads, side).save(args.sheet)
    else:
        moments = np.linspace(0, info.frames - 1, 5).round().astype(int)
        strips = [(p, [np.concatenate(list(x[moments]), 1) for x in shown]) for p, shown in rows]
        _draw_sheet(strips, heads, side, columns=1).save(args.sheet)
        moving = [
            _draw_sheet([(p, [x[f] for x in shown]) for p, shown in rows], heads, side)
            for f in range(info.frames)
        ]
        out["moving"] = str(Path(args.sheet).with_suffix(".gif"))
        moving[0].save(
            out["moving"],
            save_all=True,
            append_images=moving[1:],
            duration=1000 / (info.fps or 8),
            loop=0,
        )
    if distances:
        out["nearest_rmse"] = [round(d**0.5, 4) for d in distances]
    return out


def growth_strips(engine: Engine, args: argparse.Namespace, shown: int = 7) -> dict:
    """One strip per prompt: `shown` moments of its growth, from several seeds in turn."""
    info, side, gap = engine.info, engine.info.size[0], 8
    prompts = args.prompts or list(info.prompts or info.labels)[:4]
    _, high, wide = info.grid
    seeds = [
        (0, 0, 0),
        (0, high // 2, wide // 2),
        (0, high - 1, wide // 2),
        (0, high // 3, wide - 1),
    ]
    sheet = Image.new(
        "RGB", (gap + shown * (side + gap), gap + len(prompts) * (side + gap)), "white"
    )
    for row, prompt in enumerate(prompts):
        request = request_of(
            engine,
            [prompt],
            args,
            seed_position=seeds[row % len(seeds)],
            rng_seed=args.rng_seed + row,
        )
        frames = list(engine.generate(request))
        moments = np.linspace(1, len(frames) - 1, shown).round().astype(int)
        for column, moment in enumerate(moments):
            picture = engine.preview(frames[moment].tokens, full=True)[0, 0]
            sheet.paste(
                Image.fromarray(picture), (gap + column * (side + gap), gap + row * (side + gap))
            )
    sheet.save(args.growth)
    return {"growth": str(Path(args.growth)), "growth_prompts": prompts}


def _draw_sheet(rows: list, heads: list[str], side: int, columns: int = 2) -> Image.Image:
    """Groups of pictures under their prompt, `columns` groups beside each other."""
    gap, text = 8, 34
    each = rows[0][1][0].shape[1] + gap
    wide = len(heads) * each + 2 * gap
    tall = side + text + gap
    lines = -(-len(rows) // columns)
    font = ImageFont.load_default(12)
    sheet = Image.new("RGB", (columns * wide, 24 + lines * tall), "white")
    draw = ImageDraw.Draw(sheet)
    for column in range(columns):
        for j, head in enumerate(heads):
            draw.text((column * wide + gap + j * each, 6), head, "#54575e", font)
    for i, (prompt, pictures) in enumerate(rows):
        x, y = i % columns * wide + gap, 24 + i // columns * tall
        for j, picture in enumerate(pictures):
            sheet.paste(Image.fromarray(picture), (x + j * each, y))
        line = textwrap.shorten(prompt, 60, placeholder=" ...")
        draw.text((x, y + side + 4), line, "#191a1d", font)
    return sheet
