"""Self-describing model folders, the form in which embedded and newly trained models come.

`config.yaml` (title, task, model, tokenizer, labels, defaults), `generator.safetensors`,
`record.yaml` (how it was trained), `names.txt` (the prompts it was trained on, one a line, where
there are prompts) and `LICENSE.md`. `config.yaml` says where, seen from there, the tokenizer lies.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from omegaconf import OmegaConf
from torch import Tensor

from ..info import ModelInfo
from ..models.condition import ConditionConfig, cut
from ..models.transformer import NARTransformer, TransformerConfig
from ..plan import GridShape, legal_seed_positions
from ..settings import NAMED, shortened
from ..tokenizers.mini import MiniConfig, MiniTokenizer
from ..tokenizers.vq_image import VQConfig, VQTokenizer
from ..worlds import WORLDS
from .read import expect, fill, read, read_yaml

MOST_WORDS = 32  # that a prompt of a world may have
EXPORT = "export"
TOKENIZER = "tokenizer"


@dataclass
class Loaded:
    """Everything an engine needs.

    Attributes:
        patches: of codes, for previews, uint8 [V, p, p, 3], or None to make one.
        text_encoder: prompts to `Caption`, or None.
        folder: the model folder that it came from, None of official weights.
    """

    info: ModelInfo
    model: NARTransformer
    tokenizer: Any
    digest: str
    patches: Tensor | None = None
    text_encoder: Any = None
    folder: Path | None = None


def name_of(folder: Path) -> str:
    """A model's name is its folder's; a folder that is called export is named by its run."""
    folder = folder.resolve()
    return folder.parent.name if folder.name == EXPORT else folder.name


def is_model_folder(folder: Path) -> bool:
    """Whether the folder holds a model of this form."""
    return (folder / "config.yaml").is_file() and (folder / "generator.safetensors").is_file()


def _config(folder: Path) -> dict:
    return read_yaml(folder / "config.yaml")


def tokenizer_folder(folder: Path) -> Path:
    """Where the tokenizer of a model folder lies."""
    return (folder / _config(folder)["tokenizer"]).resolve()


@contextmanager
def believing(folder: Path) -> Iterator[None]:
    """A folder may say anything: what does not hold together is one ValueError with its path."""
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:
        if isinstance(error, ValueError) and str(folder.parent) in str(error):
            raise  # it says so itself
        told = " ".join(str(error).split())[:300] or "nothing more is known"
        raise ValueError(
            f"{folder}: got no whole model ({type(error).__name__}: {told}), expected one as it "
            "was exported; export or copy it again, or take the folder away"
        ) from error


def read_info(folder: Path, embedded: bool = False) -> ModelInfo:
    """What the folder says of its model, without reading weights; ValueError where it is wrong."""
    with believing(folder):
        return _read_info(folder, embedded)


def _read_info(folder: Path, embedded: bool) -> ModelInfo:
    config = _config(folder)
    model = TransformerConfig.from_dict(config["model"])
    tokens = _tokenizer_config(tokenizer_folder(folder), model.grid)
    frames = tokens.frames if isinstance(tokens, MiniConfig) else 1
    files = [folder / "generator.safetensors", tokenizer_folder(folder) / "tokenizer.safetensors"]
    if empty := [str(f) for f in files if not f.stat().st_size]:
        raise ValueError(f"{empty[0]}: got an empty file")
    told = {
        name: _believed(name, value, _HINTS[name])
        for name, value in config["info"].items()
        if name in _HINTS and value is not None
    }
    seed = told.get("default_seed_position", (0, 0, 0))
    if any(at not in range(n) for at, n in zip(seed, model.grid, strict=True)):
        raise ValueError(
            f"default_seed_position: got {seed}, expected a cell of the grid {tuple(model.grid)}"
        )
    return ModelInfo(
        name=name_of(folder),
        grid=model.grid,
        size=(tokens.size[0], tokens.size[1]),
        frames=frames,
        media="video" if frames > 1 else "image",
        directions=model.directions,
        known_level=model.known_level,
        order=model.order,
        prompt_words=_prompt_words(model.condition),
        parted=model.condition.parted,
        vocab_size=model.vocab_size,
        # Weights are kept in half precision.
        tokenizer_parameters=files[1].stat().st_size // 2,
        cache_values=model.cache_values,
        bytes=sum(f.stat().st_size for f in files),
        embedded=embedded,
        available=True,
        names=_names(folder, model.condition),
        held_out_loss=_held_out_loss(folder),
        **{"seed_positions": _seed_positions(model), **told},
    )


_HINTS = get_type_hints(ModelInfo)


def _believed(name: str, value: Any, hint: Any) -> Any:
    """What a folder says of its model as `ModelInfo` has it; ValueError for another kind."""
    if name in NAMED:
        return NAMED[name].check(value)
    kinds = get_args(hint)
    if name == "world":
        right, expected = value in ("", *WORLDS), f"none or one of {', '.join(WORLDS)}"
    elif get_origin(hint) is tuple:
        many = len(kinds) == 2 and kinds[1] is ...
        right = isinstance(value, list) and (many or len(value) == len(kinds))
        expected = "a list" if many else f"{len(kinds)} values"
        if right:
            return tuple(_believed(f"{name}[{i}]", v, kinds[0]) for i, v in enumerate(value))
    elif get_origin(hint) is Literal:
        right, expected = value in kinds, f"one of {', '.join(kinds)}"
    elif hint is int:
        right, expected = type(value) is int and value >= 0, "a whole number from 0"
    else:
        right, expected = (
            type(value) is hint,
            {str: "text", bool: "true or false"}.get(hint, hint.__name__),
        )
    if not right:
        raise ValueError(f"{name}: got {shortened(value)}, expected {expected}")
    return value


def _seed_positions(model: TransformerConfig) -> Literal["any", "corner"]:
    legal = legal_seed_positions(model.grid, model.directions, order=model.order)
    return "any" if legal.all() else "corner"


def _prompt_words(condition: ConditionConfig) -> int:
    return {"words": condition.slots, "facts": MOST_WORDS}.get(condition.kind, 0)


def _names(folder: Path, condition: ConditionConfig) -> tuple[str, ...]:
    file = folder / "names.txt"
    lines = file.read_text("utf-8-sig").splitlines() if file.is_file() else []
    # a name that is too long for the model was cut in training, too
    if most := _prompt_words(condition):
        lines = [cut(line, most, condition.parted) for line in lines]
    return tuple(dict.fromkeys(name for line in lines if (name := line.strip())))


def _held_out_loss(folder: Path) -> float:
    """Nats per token on pictures that training left out, as its record tells; 0 if it does not."""
    record = folder / "record.yaml"
    losses = read_yaml(record).get("losses", {}) if record.is_file() else {}
    names = "loss_held_out_any", "loss_any", "loss_held_out_corner", "loss_corner"
    return float(next((losses[name] for name in names if name in losses), 0.0))


def _tokenizer_config(folder: Path, grid: GridShape) -> MiniConfig | VQConfig:
    """Settings of a tokenizer folder for clips or pictures of a grid.

    It says `kind: vq` where it holds that of the official picture models.
    """
    told = _config(folder)
    if told.get("kind") != "vq":
        return MiniConfig(**told["model"]).on(grid)
    model: dict[str, Any] = {
        k: tuple(v) if isinstance(v, list) else v for k, v in told["model"].items()
    }
    config = VQConfig(**model)
    if config.grid != grid:
        raise ValueError(f"tokenizer: got one of another grid than {tuple(grid)}")
    return config


def load_tokenizer_folder(folder: Path, grid: GridShape) -> tuple[MiniTokenizer, Tensor | None]:
    """A tokenizer in float32 for clips or pictures of a grid, and the patches of its codes.

    Raises ValueError where it cannot make that grid, see `MiniConfig.on`.
    """
    path = folder / "tokenizer.safetensors"
    file = read(path)
    expect(file, ("mini",), "a tokenizer of this project")
    patches = file.tensors.pop("patches", None)
    config = MiniConfig(**_config(folder)["model"]).on(grid)
    return fill(lambda: MiniTokenizer(config), file.tensors, where=str(path)), patches


def _load_tokenizer(
    folder: Path, grid: GridShape
) -> tuple[MiniTokenizer | VQTokenizer, Tensor | None]:
    """As `load_tokenizer_folder`, also of a model that was begun from an official one."""
    config = _tokenizer_config(folder, grid)
    if isinstance(config, MiniConfig):
        return load_tokenizer_folder(folder, grid)
    path = folder / "tokenizer.safetensors"
    file = read(path)
    expect(file, ("vq",), "a VQ tokenizer, as its config.yaml says")
    return fill(lambda: VQTokenizer(config), file.tensors, where=str(path)), None


def load_folder(folder: Path, embedded: bool = False) -> Loaded:
    """Load a model folder; weights are kept in half precision on disk and float32 in memory.

    Raises ValueError, with its path, where it does not hold together.
    """
    with believing(folder):
        return _load_folder(folder, embedded)


def _load_folder(folder: Path, embedded: bool) -> Loaded:
    path = folder / "generator.safetensors"
    file = read(path)
    expect(file, ("nar",), "a generator of this project")
    config = TransformerConfig.from_dict(_config(folder)["model"])
    model = fill(lambda: NARTransformer(config), file.tensors, where=str(path))
    tokenizer, patches = _load_tokenizer(tokenizer_folder(folder), config.grid)
    digest = hashlib.sha256()
    for weights in (path, tokenizer_folder(folder) / "tokenizer.safetensors"):
        data = weights.read_bytes()
        _must_be(weights, data)
        digest.update(data)
    info = read_info(folder, embedded)
    return Loaded(info, model, tokenizer, digest.hexdigest()[:16], patches, folder=folder)


def _must_be(weights: Path, data: bytes) -> None:
    """Raise ValueError for other weights than those whose sha256 the folder's config tells."""
    said, found = _config(weights.parent).get("sha256"), hashlib.sha256(data).hexdigest()
    if said not in (None, found):
        raise ValueError(
            f"{weights}: got bytes of sha256 {found[:12]}, expected {said[:12]} as its config.yaml "
            "tells; fetch the folder again, or take the line out if the weights are your own"
        )


def write_config(folder: Path, config: dict[str, Any], tokenizer: Path) -> None:
    """Write `config.yaml` into a model folder, and copy the folder of its tokenizer into it.

    It tells the sha256 of the weights, which are there already, unless it does so.
    """
    shutil.copytree(tokenizer, folder / TOKENIZER, dirs_exist_ok=True)
    told = {"sha256": sha256_of(folder / "generator.safetensors")} | config
    OmegaConf.save(OmegaConf.create({**told, "tokenizer": TOKENIZER}), folder / "config.yaml")


def sha256_of(weights: Path) -> str:
    """What `config.yaml` tells of a folder's weights, so that others are noticed."""
    return hashlib.sha256(weights.read_bytes()).hexdigest()


def copy_model(source: Path, folder: Path) -> None:
    """Copy a model folder, with its tokenizer inside it."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in source.iterdir():
        if path.is_file() and path.name not in ("config.yaml", "README.md"):
            shutil.copy(path, folder)
    write_config(folder, _config(source), tokenizer_folder(source))
