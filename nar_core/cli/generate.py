"""`generate`: grow pictures or clips and write them to a folder, each with its recipe."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from ..checks import prepare
from ..engine import Engine
from ..files import (
    Recipe,
    Wide,
    alone,
    clip_bytes,
    confidence_of,
    growth_gif,
    label_of,
    need_told,
    png_bytes,
    read_file,
    read_recipe,
    read_wide,
    recipe_of,
    request_of,
    steps_of,
    verdict,
    wide_bytes,
)
from ..info import ModelInfo
from ..original import Original
from ..panorama import panorama
from ..picture import open_picture, reading_picture, upright
from ..request import Frame, Prepared, Request, growth_strip
from ..settings import NUM_SAMPLES, RNG_SEED, SETTINGS, whole
from ..writing import free_path, need_folder, whole_file
from .arguments import (
    DEFAULT_MODEL,
    add_device,
    add_model,
    add_sampling,
    add_setting,
    check_counts,
    lines_of,
    option,
    said,
)

log = logging.getLogger(__name__)
HELP = "grow pictures or clips and write them to a folder"
ENDINGS = (".png", ".mp4", "-growth.gif", "-growth.png")
PNG, NPY = b"\x89PNG", b"\x93NUMPY"
TOKENS = (
    "a PNG, GIF or MP4 made here, a recipe as JSON, or an .npy of whole numbers; name one of these"
)
"""What `--known` takes."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What is left out takes the model's default, or is as in the file that is gone on from."""
    add_model(parser, default=None)
    for name, what in (("prompt", "texts (text models)"), ("label", "class names or numbers")):
        parser.add_argument(
            f"--{name}", nargs="+", help=f"{what}: one for all samples, or several in turn"
        )
    parser.add_argument(
        "--prompt-file", metavar="FILE", help="file with a prompt, or a class, on each line"
    )
    parser.add_argument(
        "--seed-position",
        type=numbers,
        metavar="[T,]H,W",
        help="where to start, by default the model's own, or amid what is known",
    )
    add_setting(parser, RNG_SEED)
    add_setting(parser, NUM_SAMPLES)
    add_sampling(parser)
    known = parser.add_mutually_exclusive_group()
    known.add_argument(
        "--image",
        metavar="FILE",
        help="a picture to grow around; --keep says what of it is known, of a clip the whole first "
        "frame unless said: then a thing alone on plain ground becomes as large as the model's own",
    )
    known.add_argument(
        "--known",
        metavar="FILE",
        help="tokens to grow around: those of a file made here, or an .npy of whole numbers "
        "[T, H, W] with -1 where unknown; --keep chooses among them",
    )
    known.add_argument(
        "--resume",
        metavar="FILE",
        help="a file made here, or its recipe as JSON: grow it again, with what else is said here "
        "in place of what it was made with",
    )
    parser.add_argument(
        "--after",
        type=int,
        metavar="STEP",
        help="with --resume: keep what it had grown up to this step",
    )
    parser.add_argument(
        "--keep",
        nargs="+",
        type=box,
        metavar="BOX",
        help="boxes of cells that are known, each TOP,LEFT,HEIGHT,WIDTH or, of a clip, "
        "FIRST,TOP,LEFT,DURATION,HEIGHT,WIDTH",
    )
    parser.add_argument(
        "--columns",
        type=int,
        metavar="CELLS",
        help="grow wider pictures: a window of the model's width, then further ones to both sides",
    )
    parser.add_argument(
        "--around", metavar="FILE", help="a picture that stands in the middle of these columns"
    )
    parser.add_argument(
        "--growth",
        action="store_true",
        help="also write how it grew: a GIF, or of a clip a picture in which it grows to the right "
        "and time goes down",
    )
    parser.add_argument("--batch", type=int, default=8, help="samples at once")
    parser.add_argument(
        "--out", default="outputs", help="folder to write to; no file in it is overwritten"
    )
    add_device(parser)


def numbers(text: str) -> tuple[int, ...]:
    """ "8,8" to (8, 8)."""
    try:
        return tuple(int(x) for x in text.split(","))
    except ValueError:
        message = f"got {text!r}, expected whole numbers between commas; say such as 8,8"
        raise argparse.ArgumentTypeError(message) from None


def box(text: str) -> tuple[int, ...]:
    """Four or six numbers."""
    found = numbers(text)
    if len(found) not in (4, 6) or min(found) < 0:
        raise argparse.ArgumentTypeError(
            f"got {text!r}, expected four or six numbers from 0 up; say such as 4,4,8,8"
        )
    return found


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Grow, decode and write; `files` are the paths."""
    _check(args)
    need_folder(Path(args.out), "--out")
    words = args.prompt or args.label or lines_of(args.prompt_file, "--prompt-file")
    wide = recipe = None
    if args.resume is not None:
        earlier = _bytes(args.resume, "--resume")
        with _told_of(args.resume, "--resume"):
            wide = read_wide(earlier) if earlier.startswith(PNG) else None
            recipe = read_recipe(earlier) if wide is None else None
    _check_width(args, wide)
    made = wide or recipe
    name = args.model or (made.model if made else DEFAULT_MODEL)
    engine = Engine.load(name, args.device, args.dtype)
    base = _base(engine.info, args, recipe, wide)
    original = _original(engine.info, args, base)
    jobs = _jobs(engine.info, args, base, words, recipe)
    understood = [engine.understand(p) for p in _prompts(jobs)]
    for found in understood:
        for remark in found.remarks:
            log.warning("%s; drawing %r", remark, found.caption)
    told = {
        "model": engine.info.name,
        "digest": engine.digest,
        "drawn": [u.caption for u in understood if u.caption],
        "words": [asdict(w) for u in understood for w in u.words],
    }
    if args.columns or wide:
        return told | _wide(engine, jobs, args, wide)
    return told | _grown(engine, jobs, args, recipe, original)


def _check(args: argparse.Namespace) -> None:
    """Raise ValueError for what does not go together."""
    if args.after is not None and args.resume is None:
        raise ValueError(
            "--after: got no --resume, expected the file to go on from; say --resume FILE"
        )
    if args.keep and not (args.image or args.known):
        raise ValueError(
            "--keep: got neither --image nor --known, expected what it is kept of; say one of them"
        )
    if sum(x is not None for x in (args.prompt, args.label, args.prompt_file)) > 1:
        raise ValueError(
            "--prompt: got more than one of it, --label and --prompt-file, expected one; leave "
            "out the rest"
        )
    check_counts(args, ("batch", "num_samples"))
    for name in ("model", "prompt_file", "image", "known", "resume", "around", "out", "columns"):
        if getattr(args, name) in ("", 0):
            raise ValueError(
                f"{option(name)}: got {getattr(args, name)!r}, expected something; or leave it out"
            )


def _check_width(args: argparse.Namespace, wide: Wide | None) -> None:
    """Raise ValueError for what does not go together with a wide picture, or only with one."""
    if args.around is not None and not (args.columns or wide):
        raise ValueError(
            "--around: got no --columns, expected how wide the picture becomes; say --columns"
        )
    for name in ("growth", "image", "known") if args.columns or wide else ():
        if getattr(args, name):
            remedy = "a picture of the model's width; leave one out, or say --around"
            raise ValueError(f"--{name}: got a wide picture too, expected {remedy}")
    if args.columns and args.resume and not wide:
        raise ValueError(
            f"--columns: got {args.columns} beside --resume of what is no wide picture, expected "
            "none; leave it out, or have the picture stand in the middle by --around"
        )
    if args.after is not None and wide:
        raise ValueError(
            f"--after: got {args.after} beside --resume of a wide picture, expected none: it does "
            "not tell its steps; leave it out"
        )


# ---- what is asked for -----------------------------------------------------------------------


def _base(
    info: ModelInfo, args: argparse.Namespace, recipe: Recipe | None, wide: Wide | None
) -> Request:
    """What all samples share: the settings, and what is known."""
    told = said(args, (RNG_SEED, *SETTINGS))
    if wide is not None:
        place = {"seed_position": args.seed_position} if args.seed_position else {}
        return Request(**wide.request | told | place)
    if recipe is not None:
        _check_model(info, args, recipe)
        own = request_of(recipe, info)
        by_class = info.task == "class"
        seed = (own.rng_seed or 0) + recipe.sample
        own = replace(own, num_samples=None, rng_seed=seed, prompt=None, label=None)
        own = replace(own, **{"label" if by_class else "prompt": label_of(recipe) or None})
        if args.seed_position:
            told["seed_position"] = args.seed_position
            if recipe.resumed_from if args.after is None else args.after:
                raise ValueError(
                    f"--seed-position: got {args.seed_position} beside --resume after a step, "
                    "expected none: growth goes on from where it began; leave it out, or say "
                    "--after 0"
                )
        return replace(own, **told)
    request = Request(seed_position=args.seed_position, **told)
    if args.image:
        if args.keep:
            kept = _cells(info, args.keep)
        elif info.grid.t == 1:
            raise ValueError(
                "--image: got no --keep, expected which cells of it are known, such as --keep "
                f"{info.grid.h // 4},{info.grid.w // 4},{info.grid.h // 2},{info.grid.w // 2}; "
                "say that"
            )
        else:
            kept = np.broadcast_to(np.arange(info.grid.t)[:, None, None] == 0, info.grid)
        request = replace(request, known=_picture(args.image, "--image"), keep=kept)
    elif args.known:
        tokens = _tokens(args.known, info)
        if args.keep:
            tokens = np.where(_cells(info, args.keep), tokens, -1)
        request = replace(request, known=tokens)
    return request


def _check_model(info: ModelInfo, args: argparse.Namespace, recipe: Recipe) -> None:
    """Raise ValueError where another model is to go on with a file's tokens, or on its grid."""
    if recipe.model == info.name:
        return
    remedy = ""
    if tuple(info.grid) != recipe.grid:
        remedy = "grid is a model's own; leave it out"
    elif (recipe.steps == 0).any():
        remedy = "known tokens are a model's own; leave it out, or give a picture by --image"
    elif recipe.resumed_from if args.after is None else args.after:
        remedy = "tokens are a model's own; leave it out, or begin anew with --after 0"
    if remedy:
        raise ValueError(
            f"--model: got {info.name} beside --resume of a file of {recipe.model}, expected "
            f"that one, since its {remedy}"
        )


def _original(info: ModelInfo, args: argparse.Namespace, base: Request) -> Original | None:
    """The picture whose kept pixels come back; None where there are only its tokens."""
    if base.known is None or info.grid.t > 1:
        return None
    if isinstance(base.known, Image.Image):
        assert base.keep is not None
        return Original(base.known, base.keep)
    data = Path(args.known or args.resume).read_bytes()
    # a growth as GIF has few colours, a recipe or an array none
    pixels = read_file(data)[1][0] if data.startswith(PNG) else None
    if pixels is None or pixels.shape[:2] != tuple(info.size):
        return None
    return Original(pixels, np.asarray(base.known).reshape(info.grid) >= 0)


def _jobs(
    info: ModelInfo,
    args: argparse.Namespace,
    base: Request,
    words: Sequence[str] | None,
    recipe: Recipe | None,
) -> list[Prepared]:
    """All that is to be grown, a batch each, checked before the first is."""
    samples = args.num_samples or len(words or [""])
    by_class = args.label or (info.task == "class" and not args.prompt)
    field = "label" if by_class else "prompt"
    if words and samples % len(words):
        raise ValueError(
            f"--num-samples: got {samples}, expected a multiple of the {len(words)} that are "
            "asked for; leave it out for one of each"
        )
    first, most = base.rng_seed or 0, int(RNG_SEED.high or 0)
    if samples > 1 and first + samples - 1 > most:  # each file tells its own
        raise ValueError(
            f"--rng-seed: got {first}, expected 0 to {most - samples + 1} for {samples} samples, "
            "which count up from it; say another"
        )
    out = []
    for start in range(0, samples, args.batch):
        numbers = range(start, min(start + args.batch, samples))
        request = replace(base, rng_seed=first + start, num_samples=len(numbers))
        if words:
            several = tuple(words[i % len(words)] for i in numbers)
            request = replace(request, **{"prompt": None, "label": None, field: several})
        out.append(_prepared(info, request, args, recipe))
    return out


def _prepared(
    info: ModelInfo, request: Request, args: argparse.Namespace, recipe: Recipe | None
) -> Prepared:
    """The request checked and planned, from a step of an earlier growth on where there is one."""
    prepared = prepare(info, request)
    need_told(prepared.request)
    after = 0 if recipe is None else recipe.resumed_from
    if args.after is not None:  # 0 begins anew
        after = whole("--after", args.after, 0, prepared.plan.total - 1)
    if recipe is None or not after:
        return prepared
    rows = (prepared.num_samples, 1, 1, 1)
    sure = confidence_of(recipe.confidence)
    return prepared.resumed(
        after, np.tile(recipe.tokens.astype(np.int64), rows), np.tile(sure, rows)
    )


def _prompts(jobs: Sequence[Prepared]) -> list[str]:
    """Every prompt once."""
    return list(dict.fromkeys(str(p) for job in jobs for p in job.request.prompt or () if p))


def _bytes(path: str, option: str) -> bytes:
    if not Path(path).is_file():
        raise ValueError(f"{option}: got {path}, expected a file; name one that is there")
    return Path(path).read_bytes()


@contextmanager
def _told_of(path: str, option: str) -> Iterator[None]:
    """What is wrong with a file is told with its path."""
    try:
        yield
    except ValueError as error:
        told = str(error).removeprefix("picture: ").removeprefix("clip: ")
        raise ValueError(f"{option} {path}: {told}") from error


def _picture(path: str, option: str) -> Image.Image:
    """A picture as it is, turned as its camera says."""
    with (
        open_picture(Path(path), f"{option} {path}") as picture,
        reading_picture(Path(path), f"{option} {path}"),
    ):
        return upright(picture)


def _tokens(path: str, info: ModelInfo) -> np.ndarray:
    """Tokens of a file, int64 [T, H, W], -1 where unknown."""
    data = _bytes(path, "--known")
    if not data.startswith(NPY):
        with _told_of(path, "--known"):
            recipe = read_recipe(data, wanted=TOKENS)
        if recipe.model != info.name:
            raise ValueError(
                f"--known: got a file of {recipe.model}, expected one of {info.name}, since tokens "
                f"are a model's own; say --model {recipe.model}, or --image to take what it shows"
            )
        return recipe.tokens.astype(np.int64)
    try:
        found = np.lib.format.read_array(BytesIO(data))
    except (ValueError, OSError, EOFError) as error:
        raise ValueError(
            f"--known: got {path}, expected an .npy of whole numbers; write it by numpy.save"
        ) from error
    if found.size != info.grid.cells:
        raise ValueError(
            f"--known: got {found.shape} in {path}, expected {tuple(info.grid)} for {info.name}; "
            "say the --model whose tokens they are"
        )
    return found.reshape(info.grid)


def _cells(info: ModelInfo, boxes: Sequence[tuple[int, ...]]) -> np.ndarray:
    """Which cells lie in any of the boxes, bool [T, H, W]."""
    cells = np.zeros(info.grid, bool)
    for numbers in boxes:
        if len(numbers) == 4:
            numbers = (0, *numbers[:2], info.grid.t, *numbers[2:])
        begin, size = np.array(numbers[:3]), np.array(numbers[3:])
        if (size < 1).any() or (begin + size > np.array(info.grid)).any():
            raise ValueError(
                f"--keep: got {','.join(map(str, numbers))}, expected a box inside the grid of "
                f"{' x '.join(map(str, info.grid))} cells of {info.name}; make it smaller"
            )
        cells[tuple(slice(a, a + n) for a, n in zip(begin, size, strict=True))] = True
    return cells


# ---- what comes out --------------------------------------------------------------------------


def _grown(
    engine: Engine,
    jobs: Sequence[Prepared],
    args: argparse.Namespace,
    recipe: Recipe | None,
    original: Original | None,
) -> dict[str, Any]:
    """Grow every batch and write its files as soon as it is done."""
    folder, files, frames = Path(args.out), [], []
    first: Recipe | None = None
    steps = passes = 0
    seconds = 0.0
    begun = [job.request.resume.step if job.request.resume else 0 for job in jobs]
    total = sum(job.plan.total - step for job, step in zip(jobs, begun, strict=True))
    with tqdm(total=total, desc="growing") as bar:
        for job in jobs:
            frames = []
            for frame in engine.generate(job):
                frames.append(frame)
                bar.update()
            steps, passes = frames[-1].total, passes + frames[-1].passes
            seconds += frames[-1].elapsed
            folder.mkdir(parents=True, exist_ok=True)
            video = engine.decode(frames[-1].tokens)
            if original is not None:
                video = original.blended(video)
            for sample, clip in enumerate(video):
                own = alone(recipe_of(engine, frames[-1], steps_of(job.plan), sample))
                first = first or own
                files += _write(folder, own, clip, frames if args.growth else (), sample)
    out: dict[str, Any] = {
        "steps": steps,
        "passes": passes,
        "seconds": round(seconds, 4),
        "seed_position": list(jobs[0].plan.seed_position),
        "files": [str(f) for f in files],
    }
    if recipe is not None and first is not None and first.request == alone(recipe).request:
        out |= verdict(alone(recipe), [first])
    return out


def _write(
    folder: Path, recipe: Recipe, clip: np.ndarray, frames: Sequence[Frame], sample: int
) -> list[Path]:
    """The files of a sample uint8 [F, height, width, 3] under a free name, each with its recipe."""
    if len(clip) > 1:
        contents = {".mp4": clip_bytes([(recipe, clip)], "mp4", recipe.fps or 8)}
    else:
        contents = {".png": png_bytes(clip[0], recipe)}
    if frames and len(clip) > 1:
        strip = growth_strip(frames, sample=sample)
        contents["-growth.png"] = png_bytes(np.asarray(strip), recipe)
    elif frames:
        contents["-growth.gif"] = growth_gif(clip[0], recipe)
    stem = f"{recipe.model}-{recipe.request['rng_seed']}"
    with free_path(folder, stem, (*contents, *ENDINGS)) as path:
        return [_put(path, ending, data) for ending, data in contents.items()]


def _put(path: Path, ending: str, data: bytes) -> Path:
    path = path.with_name(path.name + ending)
    with whole_file(path) as part:
        part.write_bytes(data)
    return path


def _wide(
    engine: Engine, jobs: Sequence[Prepared], args: argparse.Namespace, earlier: Wide | None
) -> dict[str, Any]:
    """Pictures wider than the grid; each tells the request, the columns and what is around."""
    folder, files, around, picture = Path(args.out), [], "", None
    if args.around:
        around = Path(args.around).name
        picture = _picture(args.around, "--around")
    elif earlier and earlier.around:
        around = earlier.around
        picture = Image.fromarray(earlier.middle(engine.info.size[1]))
    columns = args.columns or (earlier.columns if earlier else 0)
    for job in jobs:
        wide = panorama(engine, job.request, columns, picture)
        folder.mkdir(parents=True, exist_ok=True)
        for sample, pixels in enumerate(wide):
            seed = job.rng_seed + sample
            told = {"rng_seed": seed, "seed_position": list(job.plan.seed_position)}
            told |= {s.name: getattr(job.request, s.name) for s in SETTINGS}
            for name in ("prompt", "label"):
                if several := getattr(job.request, name):
                    told[name] = several[sample]
            made = Wide(engine.info.name, engine.digest, columns, around, told, pixels)
            data = wide_bytes(made)
            with free_path(folder, f"{engine.info.name}-{seed}-wide", (".png",)) as path:
                files.append(_put(path, ".png", data))
    return {"files": [str(f) for f in files]}
