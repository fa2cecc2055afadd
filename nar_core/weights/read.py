"""Read weight files and fill modules from them: strict, memory-mapped, all or nothing."""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import pickle
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import torch
from omegaconf import OmegaConf
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from . import adapt

SUFFIXES = (".safetensors", ".pt", ".pth", ".bin")
INDEX = ".index.json"
"""How the list of the shards of a weight file ends."""
Module = TypeVar("Module", bound=nn.Module)
WRAPPERS = ("model", "module", "state_dict", "sd", "ema")
DEEPEST = 8
"""Dictionaries around the tensors of a file, at most: one may hold itself."""


@dataclass(frozen=True)
class WeightFile:
    """A file that has been read but not yet believed.

    Attributes:
        path: the file.
        tensors: its state dict under the published names, memory-mapped where the format allows.
        settings: constructor arguments found in the file or beside it.
        kind: what the keys say it is, see `adapt.TITLES`.
    """

    path: Path
    tensors: dict[str, Tensor]
    settings: dict[str, Any]
    kind: str


LARGEST_YAML = 2_000_000
"""Bytes of a configuration: reading one takes five times its size, and seconds."""


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file of names and values, parsed once for each state of the file: that takes long.

    Raises ValueError for another one, and OSError, YAMLError or the like for what is none.
    """
    told = path.stat()
    if told.st_size > LARGEST_YAML:
        raise ValueError(
            f"{path}: got {told.st_size * 1e-6:.0f} MB, expected names and values of at most "
            f"{LARGEST_YAML * 1e-6:g} MB"
        )
    state = told.st_dev, told.st_ino, told.st_size, told.st_mtime_ns, told.st_ctime_ns
    return deepcopy(_parsed(path, *state))


@lru_cache(maxsize=32)
def _parsed(path: Path, *_: int) -> dict[str, Any]:
    values = OmegaConf.to_container(OmegaConf.load(path))
    if not isinstance(values, dict):
        raise ValueError(f"{path}: got {type(values).__name__}, expected names and values")
    return {str(name): value for name, value in values.items()}


TOKENIZERS = ("vq", "larp")
"""How names of tokenizers' files begin, which may lie beside the weights of a model."""


def single_weight_file(
    names: list[str], where: str, remedy: str = "give the path of the file itself"
) -> str:
    """The one weight file among `names`, of one in shards their index.

    Of a model and its tokenizer it is the model's.

    Raises ValueError naming them, with the remedy, when there is not one.
    """
    own = [n for n in names if not n.startswith(TOKENIZERS)]
    names = own if any(n.endswith((*SUFFIXES, INDEX)) for n in own) else names
    indices = sorted(n for n in names if n.endswith(INDEX))
    # The same weights often lie beside them in the form of before.
    indices = [n for n in indices if not n.endswith(f".bin{INDEX}")] or indices
    if len(indices) == 1:
        return indices[0]
    found = sorted(n for n in names if n.endswith(SUFFIXES))
    found = [n for n in found if not n.endswith(".bin")] or found
    if len(found) == 1:
        return found[0]
    listed = ", ".join(found) if found else "none among " + (", ".join(sorted(names)) or "no files")
    raise ValueError(
        f"{where}: got {len(found) or 'no'} weight files ({listed}), expected exactly one "
        f"{' | '.join('*' + s for s in SUFFIXES)}; {remedy}"
    )


def find_weight_file(path: str | Path) -> Path:
    """The weight file at `path`, which is the file or a folder that holds just one.

    Of a file in shards that is their index. Raises ValueError where there is none, or several.
    """
    path = Path(path)
    if path.is_file():
        return path
    if not path.is_dir():
        raise ValueError(f"weights: got {path}, expected an existing file or folder")
    return path / single_weight_file([p.name for p in path.iterdir() if p.is_file()], str(path))


def read(path: str | Path) -> WeightFile:
    """Read a weight file or a folder with one, and the settings beside it.

    Known wrappers are opened: `model`, `module`, `state_dict`, a trainer's `sd`, a bare state dict,
    and the key prefixes of compiled and data-parallel modules.

    Raises:
        ValueError: the file is damaged, holds code, or is no state dict.
    """
    path = find_weight_file(path)
    payload = _payload(path)
    settings = _settings_beside(path)
    tensors, inner = _unwrap(payload, path)
    settings = {**inner, **settings}
    if not tensors:
        raise ValueError(f"{path}: got no tensors, expected a state dict")
    return WeightFile(path, tensors, settings, adapt.kind_of(tensors))


def _payload(path: Path) -> Any:
    if path.name.endswith(INDEX):
        return {k: v for part in files_of(path) for k, v in _shard(part).items()}
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with torch.serialization.safe_globals([argparse.Namespace]):
            try:
                return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
            except RuntimeError as error:
                if "mmap can only be used" not in str(error):
                    raise
                # Files of very old torch cannot be mapped.
                return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if "nsupported" in str(error) and _is_pickled(path):
            reason = str(error).split("WeightsUnpickler error:")[-1].strip().split("\n")[0]
            raise ValueError(
                f"{path}: refused, because it holds pickled code beside tensors ({reason}); "
                "expected tensors and plain values only, best as .safetensors"
            ) from error
        raise ValueError(_damaged(path)) from error
    except (SafetensorError, Exception) as error:
        raise ValueError(f"{_damaged(path)} ({error})") from error


def _shard(path: Path) -> Mapping[str, Any]:
    payload = _payload(path)
    if not isinstance(payload, Mapping):
        raise ValueError(f"{path}: got {type(payload).__name__}, expected a dictionary of tensors")
    return payload


def _is_pickled(path: Path) -> bool:
    """Whether a file begins as a pickle or an archive with one does."""
    with path.open("rb") as file:
        return file.read(2) in (b"PK", *(bytes([0x80, version]) for version in range(6)))


def shards_of(index: Path) -> list[str]:
    """The names of the shards that an index lists. Raises ValueError where it is no index."""
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        outside = [n for n in names if Path(n).name != n or n.endswith(INDEX)]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(
            f"{index}: got no JSON with a weight_map, expected a list of shards"
        ) from error
    if outside:
        raise ValueError(f"{index}: got {outside[0]!r}, expected files beside it only")
    return names


def files_of(path: Path) -> list[Path]:
    """The file itself, or, of an index, the shards that it names.

    Raises ValueError where it is no index, or a shard is missing.
    """
    if not path.name.endswith(INDEX):
        return [path]
    names = shards_of(path)
    missing = [name for name in names if not (path.parent / name).is_file()]
    if missing:
        raise ValueError(
            f"{path}: got {len(names) - len(missing)} of the {len(names)} files that it names, "
            f"expected also {', '.join(missing)} beside it"
        )
    return [path.parent / name for name in names]


def _damaged(path: Path) -> str:
    with path.open("rb") as file:
        begin = file.read(64).lstrip().lower()
    if begin.startswith(b"version https://git-lfs"):
        return (
            f"{path}: a Git-LFS pointer, which stands for weights that were not fetched; "
            "run git lfs pull, or download the file itself"
        )
    if begin.startswith((b"<!doctype html", b"<html")):
        return (
            f"{path}: a web page, perhaps one to sign in, and no weights; "
            "download the file itself, signed in where the hub asks for it"
        )
    return (
        f"{path}: damaged or not a weight file ({path.stat().st_size} bytes); "
        "delete it and fetch it again"
    )


def _settings_beside(path: Path) -> dict[str, Any]:
    """Constructor arguments from the file's own .json, or config.json."""
    own = files_of(path)
    others = [p for p in path.parent.iterdir() if p.suffix in SUFFIXES and p not in own]
    if not path.name.startswith(TOKENIZERS):  # whose settings are not written down
        others = [p for p in others if not p.name.startswith(TOKENIZERS)]
    candidates = [] if path.name.endswith(INDEX) else [path.with_suffix(".json")]
    if not others:
        beside = sorted(p for p in path.parent.glob("*.json") if not p.name.endswith(INDEX))
        candidates += [path.parent / "config.json", *beside]
    for candidate in candidates:
        if candidate.is_file():
            try:
                values = json.loads(candidate.read_text(encoding="utf-8"))
            except (ValueError, RecursionError) as error:
                raise ValueError(f"{candidate}: not valid JSON ({error})") from error
            return values if isinstance(values, dict) else {}
    return {}


def _unwrap(payload: Any, path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors of a nested payload under clean names, and the settings met on the way."""
    settings: dict[str, Any] = {}
    depth = 0
    while isinstance(payload, Mapping) and not all(isinstance(v, Tensor) for v in payload.values()):
        depth += 1
        if depth > DEEPEST:
            raise ValueError(
                f"{path}: got dictionaries more than {DEEPEST} deep, expected tensors, alone or "
                f"under {', '.join(WRAPPERS)}"
            )
        args = payload.get("args") or {}
        args = vars(args) if isinstance(args, argparse.Namespace) else args
        if not isinstance(args, Mapping):
            raise ValueError(
                f"{path}: got args of {type(args).__name__}, expected names and values"
            )
        settings |= args
        inner = next((payload[k] for k in WRAPPERS if isinstance(payload.get(k), Mapping)), None)
        if inner is None:
            raise ValueError(
                f"{path}: got a dictionary of {', '.join(map(str, payload))}, "
                f"expected tensors, alone or under {', '.join(WRAPPERS)}"
            )
        payload = inner
    if not isinstance(payload, Mapping):
        raise ValueError(f"{path}: got {type(payload).__name__}, expected a dictionary of tensors")
    clean = {}
    for key, tensor in payload.items():
        clean[str(key).replace("_orig_mod.", "").removeprefix("module.")] = tensor
    return clean, settings


def expect(file: WeightFile, kinds: tuple[str, ...], wanted: str) -> None:
    """Raise ValueError, naming what was found, unless the file is of one of `kinds`."""
    if file.kind not in kinds:
        raise ValueError(f"{file.path}: got {adapt.TITLES[file.kind]}, expected {wanted}")


class _NothingDrawn(TorchFunctionMode):
    """Modules are built without first weights, which would be filled in anyway.

    Torch draws them without memory by its compiler: 69 MB and two seconds of imports for nothing.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict | None = None
    ) -> Any:
        given = kwargs or {}
        if getattr(func, "__module__", None) == "torch.nn.init":
            return given["tensor"] if "tensor" in given else args[0]
        return func(*args, **given)


def fill(
    make: Callable[[], Module],
    tensors: dict[str, Tensor],
    *,
    where: str,
    called: Callable[[str], str] = str,
) -> Module:
    """A module made of `tensors`, which is emptied: float32, in eval mode, without gradients.

    The module is built without memory, checked against the tensors, and only then filled, tensor by
    tensor: there is never a second copy, and nothing half loaded.

    Args:
        called: our name of a tensor to that in the file, for messages.

    Raises:
        ValueError: naming every missing and unexpected key and every wrong shape.
    """
    with torch.device("meta"), _NothingDrawn():
        module = make()
    _check(module.state_dict(), tensors, where, called)
    state = {}
    for name in list(tensors):
        tensor = tensors.pop(name)
        state[name] = tensor.float() if tensor.is_floating_point() else tensor
    module.load_state_dict(state, assign=True)
    if any(buffer.is_meta for buffer in module.buffers()):
        with _NothingDrawn():
            _fixed_tables(module, make())
    return module.requires_grad_(False).eval()


def _check(
    expected: Mapping[str, Tensor],
    tensors: Mapping[str, Tensor],
    where: str,
    called: Callable[[str], str],
) -> None:
    missing = [called(name) for name in expected if name not in tensors]
    unexpected = [called(name) for name in tensors if name not in expected]
    shapes = [
        f"{called(name)} is {tuple(tensors[name].shape)}, expected {tuple(want.shape)}"
        for name, want in expected.items()
        if name in tensors and tensors[name].shape != want.shape
    ]
    kinds = [
        f"{called(name)} is {tensors[name].dtype}"
        for name, want in expected.items()
        if name in tensors and tensors[name].is_floating_point() != want.is_floating_point()
    ]
    problems = {
        "missing": missing, "unexpected": unexpected, "wrong shape": shapes, "wrong dtype": kinds
    }  # fmt: skip
    if any(problems.values()):
        told = "; ".join(f"{k} ({len(v)}): {', '.join(v)}" for k, v in problems.items() if v)
        raise ValueError(f"{where}: the weights do not fit the model. {told}")


def _fixed_tables(module: nn.Module, built: nn.Module) -> None:
    """Take over tables that no file holds because they follow from the settings."""
    owners = dict(module.named_modules())
    for name, buffer in built.named_buffers():
        owner, _, leaf = name.rpartition(".")
        if getattr(owners[owner], leaf).is_meta:
            setattr(owners[owner], leaf, buffer)


def trim_heap() -> None:
    """Give memory that has been freed back to the system, where the C library can; some 4 ms."""
    if (trim := _of_c("malloc_trim")) is not None:
        trim(0)


M_ARENA_MAX = -8  # of glibc's malloc.h


def share_heap() -> None:
    """Let threads share two heaps, where the C library can: each keeps some of what was freed.

    For a process of its own, such as a server, before its threads begin: 8 MB less. What the
    environment says of it (`MALLOC_ARENA_MAX`, `GLIBC_TUNABLES`) is left as it is.
    """
    said = {"MALLOC_ARENA_MAX", "GLIBC_TUNABLES"} & set(os.environ)
    if not said and (option := _of_c("mallopt")) is not None:
        option(M_ARENA_MAX, 2)


def _of_c(name: str) -> Callable[..., int] | None:
    """A function of the C library, or None where it has no such."""
    return getattr(ctypes.CDLL(None), name, None) if os.name == "posix" else None
