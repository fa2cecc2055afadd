"""The sampling settings, one row each: what they may be, what they mean, and what a page offers.

Adding one is a row here and its use in `sampling` or `decode`. Requests, models' defaults, the
command line, and whatever a page, a link or a recipe says of a setting derive from its row.
"""

# ruff: noqa: RUF009 -- a row is a dataclass field
# annotations are no texts here: requests and models' facts, in other modules, inherit them

from collections.abc import Collection, Hashable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Generic, Literal, NoReturn, TypeVar, get_args

import numpy as np

Heads = Literal[
    "mixed",
    "horizontal",
    "vertical",
    "temporal",
    "horizontal+vertical",
    "horizontal+temporal",
    "vertical+temporal",
]
"""The axes whose heads are heard where predictions meet (paper, Table 5)."""

Fusion = Literal["logits", "probabilities", "confident", "freshest"]
"""How predictions that meet become one; "logits" is the paper's mean."""

AXES = {"horizontal": "w", "vertical": "h", "temporal": "t"}

Value = float | int | str
NUMBERS = (int, float, np.integer, np.floating)


def shortened(value: Any) -> str:
    """A value as a message shows it, however long it is."""
    told = " ".join(repr(value)[:1000].split())
    return told if len(told) <= 80 else f"{told[:79]}…"


@dataclass(frozen=True)
class Setting:
    """One sampling setting.

    Attributes:
        title: as a page calls it.
        kind: "number", "whole" (number) or "choice".
        help: one line: what it does, with no full stop.
        off: the value that changes nothing; what a model has that says nothing of this setting.
        low, high: the least and the greatest value; `high` None is no end.
        above: `low` itself is not allowed.
        marks: values that mean something of their own, and what.
        choices: of a choice, and what each is called.
        slider: least, greatest and step that a page offers of a number.
        aliases: names it had in links and commands of before.
        name: the field of `Request` and of `ModelInfo`.
    """

    title: str
    kind: Literal["number", "whole", "choice"]
    help: str
    off: Value
    low: float = 0
    high: float | None = None
    above: bool = False
    marks: Mapping[float, str] = field(default_factory=dict)
    choices: Mapping[str, str] = field(default_factory=dict)
    slider: tuple[float, float, float] | None = None
    aliases: tuple[str, ...] = ()
    name: str = ""

    @property
    def expected(self) -> str:
        """What may be given, in words."""
        if self.kind == "choice":
            return f"one of {', '.join(self.choices)}"

        def told(value: float) -> str:
            return f"{value} ({self.marks[value]})" if value in self.marks else f"{value}"

        words = "a whole number" if self.kind == "whole" else "a number"
        words += f" above {told(self.low)}," if self.above else f" from {told(self.low)}"
        if self.high is None:
            return f"{words} up"
        return f"{words} {'at most' if self.above else 'to'} {told(self.high)}"

    @property
    def told(self) -> str:
        """`help`, and what single values mean."""
        return "; ".join([self.help, *(f"{value} is {word}" for value, word in self.marks.items())])

    def check(self, value: Any) -> Value:
        """The value in its own type. Raises ValueError naming it and what is expected.

        It may be a number of NumPy or torch, too.
        """
        if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
            value = value.item()
        if self.kind == "choice":
            for choice in self.choices:
                # the parts of a joined choice may stand in any order
                if sorted(str(value).split("+")) == sorted(choice.split("+")):
                    return choice
        elif isinstance(value, NUMBERS) and not isinstance(value, bool):
            inside = self.low < value if self.above else self.low <= value
            inside = inside and (self.high is None or value <= self.high)
            if inside and self.kind == "number":
                return float(value)
            if inside and (isinstance(value, int) or float(value).is_integer()):
                return int(value)
        raise ValueError(f"{self.name}: got {shortened(value)}, expected {self.expected}")

    def parse(self, text: str) -> Value:
        """A value from text, as it stands in a link. Raises ValueError as `check` does."""
        try:
            value = text if self.kind == "choice" else float(text)
        except ValueError:
            value = text
        return self.check(value)


def _titled(choices: Any, *titles: str) -> dict[str, str]:
    """Each choice of a Literal with its title."""
    return dict(zip(get_args(choices), titles, strict=True))


def _row(*args: Any, **kwargs: Any) -> Any:
    """A `Setting` as a field of `Sampling`, unsaid unless given."""
    return field(default=None, metadata={"setting": Setting(*args, **kwargs)})


Unsaid = TypeVar("Unsaid")


@dataclass(frozen=True, eq=False, kw_only=True)
class Sampling(Generic[Unsaid]):
    """How fronts are predicted and drawn. A request may leave a setting unsaid (None)."""

    guidance_scale: float | Unsaid = _row(
        "Guidance",
        "number",
        "how strongly the prompt or class pulls: what it changes is taken further",
        off=1.0,
        low=1,
        high=30,
        marks={1: "no guidance"},
        slider=(1, 8, 0.1),
        aliases=("guidance",),
    )
    guidance_interval: int | Unsaid = _row(
        "Guidance interval",
        "whole",
        "guide until so many tokens are generated",
        off=-1,
        low=-1,
        marks={-1: "guiding to the end"},
    )
    heads: Heads | Unsaid = _row(
        "Heads",
        "choice",
        "which directions are heard where predictions meet",
        off="mixed",
        choices=_titled(Heads, *(h.replace("+", " + ").capitalize() for h in get_args(Heads))),
    )
    fusion: Fusion | Unsaid = _row(
        "Where senders meet",
        "choice",
        "how predictions that meet become one",
        off="logits",
        choices=_titled(
            Fusion, "Mean of logits", "Mean of probabilities", "Most confident", "Freshest"
        ),
    )
    temperature: float | Unsaid = _row(
        "Temperature",
        "number",
        "below 1 likely tokens are drawn more often, above 1 less often",
        off=1.0,
        low=0,
        high=10,
        marks={0: "greedy"},
        slider=(0, 2, 0.05),
    )
    top_k: int | Unsaid = _row(
        "Top-k",
        "whole",
        "draw among so many of the likeliest tokens",
        off=0,
        marks={0: "off"},
        slider=(0, 1000, 1),
    )
    top_p: float | Unsaid = _row(
        "Top-p",
        "number",
        "draw among the likeliest tokens that together reach this probability",
        off=1.0,
        low=0,
        high=1,
        above=True,
        marks={1: "off"},
        slider=(0.05, 1, 0.05),
    )
    min_p: float | Unsaid = _row(
        "Min-p",
        "number",
        "leave out tokens less than so many times as likely as the likeliest one, before guidance",
        off=0.0,
        low=0,
        high=1,
        marks={0: "off"},
        slider=(0, 1, 0.05),
    )

    @property
    def axes(self) -> frozenset[str]:
        """The axes ("w", "h", "t") whose heads are heard where predictions meet."""
        return axes_of("mixed" if self.heads is None else str(self.heads))


NUM_SAMPLES = Setting(
    "Pictures",
    "whole",
    "how many pictures or clips grow together",
    off=1,
    low=1,
    high=1_000_000,
    name="num_samples",
)
RNG_SEED = Setting(
    "Variation",
    "whole",
    "the random seed: another number is another picture, several count up from it",
    off=0,
    low=0,
    high=2**63 - 17,
    name="rng_seed",
)

SETTINGS: tuple[Setting, ...] = tuple(
    replace(f.metadata["setting"], name=f.name) for f in fields(Sampling)
)
"""Every sampling setting, in the order of their rows."""

NAMED: Mapping[str, Setting] = {setting.name: setting for setting in SETTINGS}


@dataclass(frozen=True, kw_only=True)
class SamplingSettings(Sampling[NoReturn]):
    """Settings of which none is unsaid: what is not given is off."""

    def __post_init__(self) -> None:
        for setting in SETTINGS:
            if getattr(self, setting.name) is None:
                object.__setattr__(self, setting.name, setting.off)

    @property
    def guided(self) -> bool:
        """Whether guidance needs a second prediction, without the condition."""
        return self.guidance_scale > 1

    @property
    def kin(self) -> tuple[Hashable, ...]:
        """What rows of a batch must agree in: how fronts are predicted, not how drawn from."""
        interval = self.guidance_interval if self.guided else -1
        return self.axes, self.fusion, self.guided, interval


def whole(name: str, value: Any, low: int, high: int | None = None) -> int:
    """A whole number within bounds, as `Setting.check` takes it. Raises ValueError, naming it."""
    return int(Setting(name, "whole", "", low, low, high, name=name).check(value))


def array_of(given: Any, name: str) -> np.ndarray:
    """An array of whatever is one, also of torch; ValueError, naming it, of what is none."""
    try:
        return np.asarray(given.detach().cpu() if hasattr(given, "detach") else given)
    except (ValueError, TypeError, RuntimeError) as error:
        raise ValueError(f"{name}: got {shortened(given)}, expected an array") from error


def axes_of(heads: str) -> frozenset[str]:
    """The axes ("w", "h", "t") of a head configuration."""
    return frozenset(AXES.values() if heads == "mixed" else (AXES[n] for n in heads.split("+")))


def heads_for(axes: Collection[str]) -> tuple[str, ...]:
    """Head configurations that mean something for a model with heads along these axes."""
    single = [h for h in get_args(Heads) if axes_of(h) < frozenset(axes)]
    return ("mixed", *single)
