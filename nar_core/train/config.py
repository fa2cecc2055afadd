"""Training configurations, typed: an unknown key or a wrong type is refused before anything runs.

A YAML file is read into these; OmegaConf names the nearest key to a misspelt one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import MISSING as NONE
from dataclasses import asdict, dataclass, field, fields, is_dataclass, make_dataclass
from pathlib import Path
from typing import Any, Literal, get_type_hints

from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from ..info import ModelInfo
from ..models.condition import ConditionConfig
from ..models.transformer import TransformerConfig
from ..settings import SETTINGS
from ..tokenizers.mini import PATCH, MiniConfig

CONFIGS = Path(__file__).parent / "configs"

LITERAL = ("folder", "tokenizer", "init_from", "data", "title", "trained_on", "licence", "note")
"""Values that stand for themselves on the command line, whatever YAML would make of them."""

OF_THE_DATA = ("title", "trained_on", "licence", "note", "labels", "prompts")
"""What a configuration says of its model that another folder makes untrue."""

Rules = Any
"""{field: values} of records, or a list of such, see `source.select_records`."""

MOST_CODES = 2**15
"""Tokens are kept as int16."""

ANY = math.inf
SHARE = 0, 1
RANGES: dict[str, tuple[float, float]] = {
    # the loop
    **dict.fromkeys(("seed", "minutes", "save_minutes", "clip"), (0, ANY)),
    **dict.fromkeys(("muon_lr", "muon_weight_decay", "adamw_lr", "weight_decay"), (0, ANY)),
    **dict.fromkeys(("steps", "warmup", "eval_every", "batch", "epochs"), (1, ANY)),
    **dict.fromkeys(("anneal", "ema", "betas", "label_smoothing"), SHARE),
    # what is shown
    **dict.fromkeys(("cells", "repeats", "processes", "pool", "variants", "stride"), (1, ANY)),
    **dict.fromkeys(("share", "weight", "often", "window", "l1"), (0, ANY)),
    **dict.fromkeys(("alike", "alike_digits", "fps"), (0, ANY)),
    **dict.fromkeys(("hold_out", "fresh", "shift", "flip", "tinted", "plain_share"), SHARE),
    **dict.fromkeys(("known_share", "corner_share", "centre_share", "other_share"), SHARE),
    **dict.fromkeys(("wrong_share", "own_share", "own_after", "own_right"), SHARE),
    **dict.fromkeys(("null_share", "keyword_share"), SHARE),
    "scale": (0.01, ANY),
    # the model
    **dict.fromkeys(("grid", "width", "depth", "attention_heads", "ffn_width"), (1, ANY)),
    **dict.fromkeys(("taps", "slots", "buckets", "levels", "size"), (1, ANY)),
    **dict.fromkeys(("encoder_width", "decoder_width"), (1, ANY)),
    **dict.fromkeys(("encoder_depth", "decoder_depth", "fine_depth"), (0, ANY)),
    **dict.fromkeys(("rotary", "classes", "caption_width", "told", "parts"), (0, ANY)),
    "OfficialTraining.steps": (0, ANY),  # codes are kept, and nothing is trained
    "norm_eps": (0, ANY),
    "rotary_base": (1, ANY),
}
"""The least and the greatest value of every number of a configuration, also in lists, by name."""


@dataclass
class LoopConfig:
    """What the training loop reads.

    Attributes:
        seed: of everything that is drawn.
        steps: how many there are, or fewer where `minutes` are over sooner.
        warmup: steps until the learning rates are at their peak; anneal: share of the run, the last
            one, over which they fall to nothing.
        muon_lr, muon_weight_decay: of the matrices inside the network; 0 leaves them to AdamW.
        adamw_lr, betas, weight_decay: of all the rest, and of matrices whose names hold one of
            `adamw_names`.
        clip: largest norm of the gradients. ema: decay of the averaged weights.
        bf16, compile: mixed precision; a compiled graph.
        save_minutes: how often the run is saved, or less often where that would take a tenth of the
            time. eval_every: steps between measurements.
        tensorboard: these also for TensorBoard, beside `log.csv`.
    """

    seed: int = 0
    steps: int = MISSING
    minutes: float = 0.0
    warmup: int = MISSING
    anneal: float = MISSING
    muon_lr: float = 0.0
    muon_weight_decay: float = 0.0
    adamw_lr: float = MISSING
    adamw_names: list[str] = field(default_factory=list)
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 0.0
    clip: float = 1.0
    ema: float = MISSING
    bf16: bool = False
    compile: bool = False
    save_minutes: float = MISSING
    eval_every: int = MISSING
    tensorboard: bool = False


@dataclass
class Changes:
    """How pictures are changed at random, see `data.augment`."""

    shift: float = MISSING
    scale: tuple[float, float] = MISSING
    flip: float = MISSING
    tinted: float = MISSING


@dataclass
class HeldOut:
    """What is left out of training: a share of the items, by the hash of a record's field."""

    key: str = "file"
    hold_out: float = MISSING


# A tokenizer


def _open(kind: type, unsaid: Sequence[str] = (), **types: Any) -> Any:
    """A settings class as OmegaConf takes it: mutable, nothing computed.

    Args:
        unsaid: numbers that need not be said, 0 until they are known.
        types: other types for some fields.
    """
    hints = get_type_hints(kind) | types
    made = []
    for f in fields(kind):
        missing = 0 if f.name in unsaid else MISSING
        default: Any = field(default=missing if f.default is NONE else f.default)
        if f.default_factory is not NONE:
            default = field(default_factory=f.default_factory)
        elif f.name in types and f.default is NONE and isinstance(types[f.name], type):
            default = field(default_factory=types[f.name])
        made.append((f.name, hints[f.name], default))
    return make_dataclass(kind.__name__, made)


TokenizerNode = _open(MiniConfig)
"""See `MiniConfig`."""


@dataclass
class TokenizerSource(HeldOut, Changes):
    """A folder or a world, and how often it is drawn from.

    Attributes:
        size: that the pictures of a folder are read at, the tokenizer's where nothing is said.
        pool: pictures of a world at hand; fresh: new ones among them for each that is drawn.
    """

    folder: str = ""
    world: str = ""
    weight: float = 1.0
    pool: int = 1024
    fresh: float = 0.25
    size: int | None = None
    hold_out: float = 0.03
    shift: float = 0.06
    scale: tuple[float, float] = (0.8, 1.05)
    flip: float = 0.5
    tinted: float = 0.0


@dataclass
class TokenizerTraining(LoopConfig):
    """What a step sees and what is asked of it.

    Attributes:
        window: side in pixels of the part of a picture that is seen, 0 for all of it.
        l1: weight of the absolute error.
        alike: weight of how far the first `alike_digits` digits of a scene are from those of the
            same scene in other colours, see `tokenizer.unlikeness`.
        decoder_only: leaves the codes as they are.
    """

    batch: int = MISSING
    window: int = 0
    l1: float = MISSING
    alike: float = 0.0
    alike_digits: int = 0
    decoder_only: bool = False


@dataclass
class TokenizerConfig:
    """`train tokenizer`; `init_from` is an exported tokenizer to begin with."""

    sources: list[TokenizerSource] = MISSING
    train: TokenizerTraining = field(default_factory=TokenizerTraining)
    model: Any = field(default_factory=TokenizerNode)
    init_from: str | None = None


# A generator


@dataclass
class FolderSource(HeldOut, Changes):
    """The items of a data folder.

    Attributes:
        label: the record field that names the class, for class models.
        only, drop: which records are trained on.
        often: how many times as often a prompt or class is drawn as the others.
        stride: of the frames of a clip.
        variants: how many changed copies are kept, the first unchanged; plain_share: how often
            the first is shown.
    """

    folder: str = MISSING
    label: str | None = None
    only: Rules = None
    drop: Rules = None
    often: dict[str, float] | None = None
    stride: int = 1
    variants: int = MISSING
    plain_share: float = MISSING


@dataclass
class WorldSource:
    """A stream of a world's pictures, `window` at hand and gone through `repeats` times.

    Attributes:
        processes: how many draw them.
    """

    world: str = MISSING
    window: int = MISSING
    repeats: int = MISSING
    processes: int = 1


@dataclass
class Growths:
    """A share of the steps grows the first `cells` cells of `batch` samples.

    Attributes:
        one_slice: each sample grows the slice of its seed alone, as a picture would: clips show
            their shapes at the cost of one frame.
    """

    cells: int = MISSING
    batch: int = MISSING
    share: float = MISSING
    one_slice: bool = False


@dataclass
class GeneratorTraining(LoopConfig):
    """What the samples of a step are.

    Attributes:
        batch: samples a step, all grown whole; or `growths`, which may be shorter: they show many
            prompts at the cost of one picture.
        share_digits: codes that differ in one digit of the quantiser share what they learn.
        starts: "any", or "corner" for growths from the first cell with nothing known, as the paper
            trains; known_share, corner_share, centre_share: of other plans, see
            `plans.random_plan`.
        other_share: of what goes on from known slices, clips that the source leaves aside.
        wrong_share, own_share: what is shown in place of the data, see `exposure`; own_after:
            share of the run before own cells are shown; own_right: at most this share of the first
            cells are right, 0 to grow from the start.
        null_share: samples without a condition. keyword_share: keywords in place of names.
    """

    batch: int | None = None
    growths: list[Growths] | None = None
    share_digits: bool = False
    starts: Literal["any", "corner"] = "any"
    known_share: float = MISSING
    corner_share: float = 0.15
    centre_share: float = 0.15
    other_share: float = 0.0
    wrong_share: float = 0.0
    own_share: float = 0.0
    own_after: float = 0.0
    own_right: float = 0.0
    null_share: float = MISSING
    keyword_share: float = 0.0
    label_smoothing: float = 0.0


_KINDS = {"number": float, "whole": int, "choice": str}
_TOLD = get_type_hints(ModelInfo)
InfoNode = make_dataclass(
    "InfoNode",
    [
        ("task", _TOLD["task"], field(default=MISSING)),
        *(
            (name, _TOLD[name] | None, field(default=None))
            for name in (
                "title", "world", "fps", "default_seed_position", "labels", "prompts", "trained_on",
                "licence", "note",
            )
        ),
        *((s.name, _KINDS[s.kind] | None, field(default=None)) for s in SETTINGS),
    ],
)  # fmt: skip
"""What a model folder's configuration says of the model, see `ModelInfo`."""

ModelNode = _open(
    TransformerConfig,
    ("vocab_size",),
    grid=tuple[int, int, int],
    condition=_open(ConditionConfig),
)
"""See `TransformerConfig`; the vocabulary is the tokenizer's."""


@dataclass
class GeneratorConfig:
    """`train generator`; `init_from` is an exported generator to begin with."""

    info: Any = field(default_factory=InfoNode)
    model: Any = field(default_factory=ModelNode)
    tokenizer: str = MISSING
    source: Any = None
    train: GeneratorTraining = field(default_factory=GeneratorTraining)
    init_from: str | None = None


# The paper's recipe


@dataclass
class OfficialTraining(LoopConfig):
    """`steps` overrides `epochs`; `batch` is counted over all processes."""

    steps: int | None = None  # pyright: ignore[reportIncompatibleVariableOverride]
    epochs: int = MISSING
    batch: int = MISSING
    null_share: float = MISSING


@dataclass
class OfficialConfig:
    """`train generator` for an official size.

    Attributes:
        data: a folder with a sub-folder of pictures per class; of a text model one of pictures
            with captions.
        tokenizer: a local VQ-16 file; by default that of the official model.
        init_from: official name or weight file to start from.
        ten_crops: of every picture, or two.
        own_classes: classes are the folders, however many there are; what is begun from knows
            others.
        any_seed: also heads to the left and up, which begin as copies of those to the right and
            down, and growth from any cell, around what is known.
        known_share: of the samples of `any_seed` begin with a known part.
    """

    official: str = MISSING
    data: str = MISSING
    tokenizer: str | None = None
    init_from: str | None = None
    ten_crops: bool = True
    own_classes: bool = False
    any_seed: bool = False
    known_share: float = 0.3
    train: OfficialTraining = field(default_factory=OfficialTraining)


# From a file


def load_config(path: Path, changes: Sequence[str], what: str) -> Any:
    """A configuration from a YAML file with `key=value` changes. See `config_of`.

    One that names another beside it (`like: NAME`) says only how it differs from that. Where one
    that comes with the project is given another folder, what it says of its own model (licence,
    labels, ...) falls away.
    """
    try:
        changed = _changed(changes)
        said: Any = OmegaConf.load(path)
        if not isinstance(said, DictConfig):
            raise ValueError(
                f"{path.name}: got a list, expected key: value lines; leave out the dashes"
            )
        if "like" in said:
            base = path.with_name(f"{said.pop('like')}.yaml")
            if not base.is_file():
                raise ValueError(
                    f"{path.name}, like: got {base.stem}, expected a file {base.name}; put it "
                    "beside"
                )
            said = OmegaConf.merge(OmegaConf.load(base), said)
        said = OmegaConf.merge(said, changed)
        if path.parent == CONFIGS and OmegaConf.select(changed, "source.folder") and "info" in said:
            told = changed.get("info") or {}
            said.info = {k: v for k, v in said.info.items() if k not in OF_THE_DATA} | dict(told)
    except OmegaConfBaseException as error:
        raise _told(error, path.name) from error
    except (YAMLError, UnicodeDecodeError) as error:
        told = " ".join(str(error).split())
        raise ValueError(
            f"{path.name}: got no YAML ({told}), expected key: value lines; mend it there"
        ) from error
    return config_of(said, what, path.name)


def _changed(changes: Sequence[str]) -> Any:
    """`key=value` changes as OmegaConf reads them, but for what stands for itself."""
    out = OmegaConf.create({})
    for change in changes:
        key, _, value = change.partition("=")
        literal = key.split(".")[-1] in LITERAL or (key == "sources" and value[:1] != "[")
        if literal and value != "null":
            value = value.replace("${", "\\${")  # no reference to another value either
            OmegaConf.update(out, key, value)
        else:
            out = OmegaConf.merge(out, OmegaConf.from_dotlist([change]))
    return out


def config_of(values: Any, what: str, where: str = "configuration") -> Any:
    """A configuration from plain values or what OmegaConf has read.

    Args:
        what: "tokenizer" or "generator".
        where: what a message names.

    Returns:
        A `TokenizerConfig`, a `GeneratorConfig` with a source of either kind, or an
        `OfficialConfig`.

    Raises:
        ValueError: an unknown key (with the nearest known one), a wrong type, or nothing said where
            something must be.
    """
    try:
        said: Any = OmegaConf.create(values)
        for name in ("source.folder", "data", "sources"):  # which would be the current folder
            if OmegaConf.select(said, name, default=None) == "":
                raise ValueError(f"{where}, {name}: got nothing, expected a folder; say {name}=...")
        if what == "tokenizer" and isinstance(said.get("sources"), str):
            said.sources = [{"folder": said.sources.replace("${", "\\${")}]
        config = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(_form(said, what)), said))
    except OmegaConfBaseException as error:
        raise _told(error, where) from error
    if isinstance(config, GeneratorConfig):
        if config.source is None:
            raise ValueError(
                f"{where}, source: got null, expected a folder or a world; say source.folder=..."
            )
        if config.train.batch is None and not config.train.growths:
            raise ValueError(
                f"{where}, train: got neither batch nor growths, expected one; say train.batch=..."
            )
    elif isinstance(config, TokenizerConfig) and not any(s.weight for s in config.sources):
        raise ValueError(
            f"{where}, sources: got no weight above 0, expected one at least; raise one"
        )
    _check(config, f"{where}, ")
    if isinstance(config, TokenizerConfig):
        _check_sizes(config, where)
    if isinstance(config, GeneratorConfig):
        _check_together(config, where)
    return config


def _check(node: Any, where: str) -> None:
    """Raise ValueError, naming it, for a number that is out of range, see `RANGES`."""
    for f in fields(node):
        value, name = getattr(node, f.name), where + f.name
        parts = list(value.values()) if isinstance(value, dict) else value
        parts = parts if isinstance(parts, list | tuple) else [parts]
        for number, part in enumerate(parts):
            if is_dataclass(part):
                _check(part, f"{name}[{number}]." if isinstance(value, list) else f"{name}.")
            elif f.name in RANGES and isinstance(part, int | float):
                low, high = RANGES.get(f"{type(node).__name__}.{f.name}", RANGES[f.name])
                if not (low <= part <= high and math.isfinite(part)):
                    told = f"from {low:g} up" if high == ANY else f"from {low:g} to {high:g}"
                    raise ValueError(f"{name}: got {value}, expected {told}; change it")


def _check_sizes(config: TokenizerConfig, where: str) -> None:
    """Raise ValueError for pixels that fall on no whole cells, or codes that no token can hold."""
    sides = {"train.window": config.train.window, **{
        f"sources[{i}].size": source.size or 0 for i, source in enumerate(config.sources)
    }}  # fmt: skip
    for name, side in sides.items():
        if side % PATCH:
            raise ValueError(
                f"{where}, {name}: got {side}, expected a multiple of {PATCH}; round it"
            )
    levels = config.model.levels
    if math.prod(levels) > MOST_CODES:
        raise ValueError(
            f"{where}, model.levels: got {levels}, which are {math.prod(levels)} codes, expected "
            f"at most {MOST_CODES}; leave a level out"
        )


def _check_together(config: GeneratorConfig, where: str) -> None:
    """Raise ValueError for what is right alone, but not together."""
    train, source, kind = config.train, config.source, config.model.condition.kind
    if sum(growth.share for growth in train.growths or ()) <= 0 and train.growths:
        raise ValueError(
            f"{where}, train.growths: got no share above 0, expected one at least; raise one"
        )
    if train.corner_share + train.centre_share > 1:
        raise ValueError(
            f"{where}, train: got corner_share {train.corner_share} and centre_share "
            f"{train.centre_share}, expected at most 1 together; lower one"
        )
    if isinstance(source, WorldSource):
        told, kinds = f"source.world {source.world!r}", {"facts": "text"}
    else:
        told, kinds = "a source.folder", {"class": "class", "words": "text"}
        if source.scale[0] > source.scale[1]:
            raise ValueError(
                f"{where}, source.scale: got {source.scale}, expected two in order; swap them"
            )
        rules = source.only if isinstance(source.only, list) else [source.only]
        for name, rule in (*(("only", rule) for rule in rules), ("drop", source.drop)):
            if rule is not None and not (
                isinstance(rule, dict) and all(isinstance(x, list) for x in rule.values())
            ):
                raise ValueError(
                    f"{where}, source.{name}: got {rule!r}, expected the values of fields, such as "
                    "{label: [cat, dog]}; put them into brackets"
                )
    if kinds.get(kind) != config.info.task:
        pairs = " or ".join(f"{kind!r} with info.task {task!r}" for kind, task in kinds.items())
        raise ValueError(
            f"{where}, model.condition.kind: got {kind!r} with info.task {config.info.task!r} and "
            f"{told}, expected {pairs}; change one of them"
        )
    if train.known_share and config.model.known_level != "zero":
        raise ValueError(
            f"{where}, model.known_level: got {config.model.known_level!r} with train.known_share "
            f"{train.known_share}, expected 'zero', by which known cells are shown; say that, "
            "or known_share=0"
        )


def _told(error: OmegaConfBaseException, where: str) -> ValueError:
    message = (error.msg or str(error)).splitlines()[0]
    if "missing mandatory value" in message:
        return ValueError(
            f"{where}, {error.full_key}: got nothing, expected a value; say {error.full_key}=..."
        )
    return ValueError(
        f"{where}, {error.full_key or 'as a whole'}: {message}; change it there, or leave it out"
    )


def _form(said: Any, what: str) -> Any:
    if what == "tokenizer":
        return TokenizerConfig()
    if "official" in said:
        return OfficialConfig()
    source = said.get("source") or {}
    world = source.get("world")
    if "world" in source and not world:
        del source["world"]
    return GeneratorConfig(source=WorldSource() if world else FolderSource())


def architecture(model: Any) -> TransformerConfig:
    """The transformer that a configuration's `model` describes."""
    return TransformerConfig.from_dict(asdict(model))


def said(node: Any) -> dict[str, Any]:
    """A configuration, or a part of it, as plain values, without what is None."""
    return {name: value for name, value in asdict(node).items() if value is not None}


def without_places(values: Any) -> Any:
    """Plain values in which absolute paths are cut to their last name, for a record that is shared.

    Where something lay on a machine concerns nobody else.
    """
    if isinstance(values, dict):
        return {name: without_places(value) for name, value in values.items()}
    if isinstance(values, list | tuple):
        return [without_places(value) for value in values]
    path = Path(values) if isinstance(values, str) else None
    return path.name if path is not None and path.is_absolute() else values
