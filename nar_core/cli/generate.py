"""`generate`: grow pictures or clips and write them to a folder."""

from __future__ import annotations

import argparse
import logging
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from ..engine import Engine
from ..panorama import decode_wide, panorama
from ..picture import open_picture, reading_picture
from ..request import Request
from ..settings import NUM_SAMPLES, RNG_SEED, SETTINGS
from ..video import write_gif, write_mp4
from ..writing import whole_file
from .arguments import add_device, add_model, add_sampling, add_setting, said

log = logging.getLogger(__name__)
HELP = "grow pictures or clips and write them to a folder"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What is left out takes the model's default."""
    add_model(parser)
    parser.add_argument("--prompt", nargs="+", help="text, or one per sample (text models)")
    parser.add_argument("--label", nargs="+", help="class name or number, or one per sample")
    parser.add_argument("--seed-position", type=numbers, metavar="[T,]H,W", help="where to start")
    for setting in (RNG_SEED, NUM_SAMPLES):
        add_setting(parser, setting, setting.off)
    add_sampling(parser)
    parser.add_argument(
        "--columns",
        type=int,
        metavar="CELLS",
        help="grow wider pictures: a window of the model's width, then further ones to both sides",
    )
    parser.add_argument(
        "--around", metavar="FILE", help="a picture that stands in the middle of these columns"
    )
    parser.add_argument("--growth", action="store_true", help="also write a GIF of the growth")
    parser.add_argument("--out", default="outputs", help="folder to write to")
    add_device(parser)


def numbers(text: str) -> tuple[int, ...]:
    """ "8,8" to (8, 8)."""
    return tuple(int(x) for x in text.split(","))


def one_or_all(given: list | None) -> Any:
    """One value for all samples, or one for each; None if there is none."""
    return given[0] if given and len(given) == 1 else given and tuple(given)


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Grow, decode and write; `files` are the paths."""
    engine = Engine.load(args.model, args.device, args.dtype)
    request = Request(
        prompt=one_or_all(args.prompt),
        label=one_or_all(args.label),
        seed_position=args.seed_position,
        **said(args, (RNG_SEED, NUM_SAMPLES, *SETTINGS)),
    )
    if args.around and not args.columns:
        raise ValueError("--around: got no --columns, expected how wide the picture becomes")
    if args.columns and args.growth:
        raise ValueError("--growth: got --columns too, expected a picture of the model's width")
    prepared = engine.prepare(request)
    understood = [engine.understand(p) for p in dict.fromkeys(args.prompt or ())]
    for found in understood:
        for remark in found.remarks:
            log.warning("%s; drawing %r", remark, found.caption)
    folder = Path(args.out)
    drawn = {
        "drawn": [u.caption for u in understood if u.caption],
        "words": [asdict(w) for u in understood for w in u.words],
    }
    if args.columns:
        middle = None
        if args.around:
            around, name = Path(args.around), f"--around {args.around}"
            with open_picture(around, name) as picture, reading_picture(around, name):
                middle = np.repeat(engine.encode(picture), prepared.num_samples, 0)
        tokens = panorama(engine, request, args.columns, middle)
        folder.mkdir(parents=True, exist_ok=True)
        files = []
        for i, pixels in enumerate(decode_wide(engine, tokens)):
            path = folder / f"{engine.info.name}-{prepared.rng_seed + i}-wide"
            files.append(write(path, pixels[None], engine.info.fps))
        named = {"model": engine.info.name, "digest": engine.digest}
        return named | drawn | {"files": [str(f) for f in files]}
    frames = list(tqdm(engine.generate(prepared), total=prepared.plan.total, desc="growing"))
    frame = frames[-1]
    video = engine.decode(frame.tokens)
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for i, pixels in enumerate(video):
        path = folder / f"{engine.info.name}-{prepared.rng_seed + i}"
        files.append(write(path, pixels, engine.info.fps))
        if args.growth:
            previews = [engine.preview(f.tokens[i : i + 1])[0, 0] for f in frames]
            growth = path.with_name(f"{path.name}-growth.gif")
            with whole_file(growth) as part:
                write_gif(part, [*previews, pixels[0]], [80] * len(previews) + [1500])
            files.append(growth)
    return {
        "model": engine.info.name,
        "digest": engine.digest,
        "steps": frame.total,
        "passes": frame.passes,
        "seconds": round(frame.elapsed, 4),
        "seed_position": list(prepared.plan.seed_position),
        **drawn,
        "files": [str(f) for f in files],
    }


def write(path: Path, pixels: np.ndarray, fps: int) -> Path:
    """Write uint8 [F, height, width, 3] as a PNG, or as an MP4 where there are several frames."""
    if len(pixels) == 1:
        path = path.with_name(f"{path.name}.png")
        with whole_file(path) as part:
            Image.fromarray(pixels[0]).save(part)
        return path
    path = path.with_name(f"{path.name}.mp4")
    with whole_file(path) as part:
        write_mp4(part, pixels, fps or 8)
    return path
