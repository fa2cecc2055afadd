"""Every message between the browser and Python.

A growth is told in small dicts, the values of the player's component. `run` names one growth and is
chosen by the browser, so that a message of an earlier run can be told from the present one. Those
of a run come by number, each with the last ones before it (`lately`): a value that is set twice
before the browser looks is seen once.

| kind | when |
|---|---|
| `model` | another model is chosen, or a link is opened: what to plan and draw with |
| `begun` | the growth has been taken up by the server |
| `progress` | a model is being fetched or loaded |
| `likeness` | what the model makes of an uploaded picture |
| `steps` | one or more decoding steps |
| `done` | the finished pictures, with everything that is needed to save, branch and replay |
| `failed` | the growth ended without a picture; a toast says why |
| `lately` | the last of these messages of a run |
| `rejected` | a start was refused; a toast says why |
| `read` | the tokens of a chosen picture, and how well the model knows such pictures |
| `unread` | it was not read; a toast says why |
| `explained` | why a cell became what it is, see `explaining.explanation_of` |
| `disagreement` | how much the heads disagreed in every cell of what is seen |
| `unexplained` | that was not told; a toast says why |
| `replay` | a dropped file, as `done` and with what it was planned by |

Grids travel as base64 of little-endian values in raster order: tokens uint16, 65535 where unknown;
confidence uint8, 254 times the probability, 255 where unknown or given; `order` uint16, the step
that writes each cell, 0 where given. Pictures travel as `data:` addresses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypedDict

import numpy as np

from nar_core.files import Verdict, bytes_of, confidence_of, text_of, tokens_of
from nar_core.foreign import Fields, is_text, shown

RELOAD = "reload the page"
"""The remedy where the page itself has sent something odd."""

LONGEST_RUN = 64
LONGEST_NAME = 80
LONGEST_TEXT = 2000
LONGEST_GRID = 65536
"""Most cells of a grid."""

MOST_VALUES = 16
"""Most values that the lab compares."""


# ---- to the browser --------------------------------------------------------------------------


class Spec(TypedDict, total=False):
    """What the player must know of a model to plan and draw; see `spec.spec_of`."""

    model: str
    grid: list[int]
    size: list[int]
    frames: int
    fps: float
    slice_of_frame: list[int]
    directions: list[str]
    known_level: str
    order: str
    seed_positions: str
    mirrors: bool
    accepts_known: bool
    composes: bool
    longest_prompt: int
    framed: bool
    settings: dict[str, Any]
    note: str
    seed_position: list[int]
    upload_note: str


class DrawnElsewhere(TypedDict):
    """What another model would draw, in plain words; `title`: the model's."""

    model: str
    title: str
    drawn: str


class WordsAnswer(TypedDict):
    """What a model makes of a prompt, see `nar_core.understand`; `drawn` in plain words.

    `stands`: column, row and cells of the box of a thing alone, None where there is no such.
    `elsewhere`: what other models would draw, where this one can draw nothing of it.
    """

    drawn: str
    words: list[dict[str, str]]
    remarks: list[str]
    wanting: list[str]
    stands: list[int] | None
    elsewhere: list[DrawnElsewhere]


class WordGroup(TypedDict):
    """Words that say the same kind of thing; `pictures`: their tiles in the sheet, -1 for none."""

    name: str
    words: list[str]
    pictures: list[int]


class VocabularyAnswer(TypedDict):
    """The words of a model; `sheet`: tiles of `tile` pixels, `across` in a row, or None."""

    groups: list[WordGroup]
    sheet: str | None
    tile: int
    across: int


class ModelMessage(TypedDict, total=False):
    """`sets`: what the lab can compare, see `spec.comparisons`."""

    kind: Literal["model"]
    spec: Spec
    seed_position: list[int]
    sets: list[dict[str, Any]]


class BegunMessage(TypedDict):
    kind: Literal["begun"]
    run: str


class ProgressMessage(TypedDict):
    """`share` is 0 to 1, or None where it is not known."""

    kind: Literal["progress"]
    run: str
    text: str
    share: float | None


class LikenessMessage(TypedDict):
    kind: Literal["likeness"]
    run: str
    text: str


class StepFrame(TypedDict, total=False):
    """One decoding step of all samples: tokens and confidence [samples, n] of its cells.

    `sheet` is a quick picture, the samples below each other, None where tokens are no places;
    `guess` is now and then a full decode of an unfinished clip.
    """

    step: int
    tokens: str
    confidence: str
    sheet: str | None
    guess: str
    elapsed: float


class StepsMessage(TypedDict):
    kind: Literal["steps"]
    run: str
    total: int
    order: str
    frames: list[StepFrame]


class DoneMessage(TypedDict):
    """`pictures` are PNG files with their recipe; `sheets` the frames of clips side by side."""

    kind: Literal["done"]
    run: str
    total: int
    order: str
    tokens: str
    confidence: str
    pictures: list[str]
    sheets: list[str] | None
    elapsed: float
    passes: int
    request: dict[str, Any]
    digest: str
    verdict: Verdict | None


class FailedMessage(TypedDict):
    kind: Literal["failed"]
    run: str


class LatelyMessage(TypedDict):
    """The last messages of a run, by their number."""

    kind: Literal["lately"]
    run: str
    messages: dict[str, Any]


LATELY = 8
"""How many messages of a run are told at once; of those that nothing says again, all."""

SAID_AGAIN = {"steps", "progress"}
"""Kinds of message whose content a later one has, too: the end of a growth has all its steps."""


class RejectedMessage(TypedDict):
    """`at` tells one from the next: a page does not see a value that stays the same."""

    kind: Literal["rejected"]
    at: float


class CandidateAnswer(TypedDict):
    """A token, its probability and the picture that stands for it."""

    token: int
    probability: float
    picture: str


class HeadAnswer(TypedDict):
    """What one head said; `sender` is [t, h, w], None where the condition alone spoke."""

    direction: str
    sender: list[int] | None
    candidates: list[CandidateAnswer]


class Explanation(TypedDict):
    """See `nar_core.Explanation`; `attention` is [T][H][W]."""

    model: str
    cell: list[int]
    step: int
    token: int
    picture: str
    heads: list[HeadAnswer]
    fused: list[CandidateAnswer]
    guided: list[CandidateAnswer]
    drawn_from: list[CandidateAnswer]
    number: float
    disagreement: float
    attention: list[list[list[float]]]
    attention_to_condition: float


class Reading(TypedDict):
    """What a model makes of a picture; `foreign` where it is none of its kind, as `text` says."""

    tokens: str
    text: str
    foreign: bool


class ReadMessage(Reading):
    kind: Literal["read"]
    run: str


class UnreadMessage(TypedDict):
    kind: Literal["unread"]
    run: str


class ExampleAnswer(TypedDict):
    """A picture that a model's world draws, with its prompt; both "" where it has no world."""

    picture: str
    prompt: str


class ExplainedMessage(Explanation):
    kind: Literal["explained"]
    run: str


class DisagreementMessage(TypedDict):
    """How much the heads disagreed in every cell, nats [T][H][W]; 0 where one was given."""

    kind: Literal["disagreement"]
    run: str
    values: list[list[list[float]]]


class UnexplainedMessage(TypedDict):
    kind: Literal["unexplained"]
    run: str


class ReplayMessage(TypedDict):
    """`again`: whether the model that made it is here; `part`: whether its file shows more.

    `sample`: which of the pictures that grew together its file shows.
    """

    kind: Literal["replay"]
    run: str
    total: int
    spec: Spec
    order: str
    tokens: str
    confidence: str
    pictures: list[str]
    sheets: list[str] | None
    request: dict[str, Any]
    digest: str
    again: bool
    title: str
    sample: int
    part: bool


Message = (
    ModelMessage
    | BegunMessage
    | ProgressMessage
    | LikenessMessage
    | StepsMessage
    | DoneMessage
    | FailedMessage
    | RejectedMessage
    | ReadMessage
    | UnreadMessage
    | ExplainedMessage
    | DisagreementMessage
    | UnexplainedMessage
    | ReplayMessage
)


class Lately:
    """What is told of a run: each message with the last ones before it.

    A page that is busy may see one value of many: what only one message says is never dropped.
    """

    def __init__(self, run: str) -> None:
        self.run, self._next = run, 0
        self._messages: dict[str, Any] = {}

    def and_now(self, message: Mapping[str, Any]) -> LatelyMessage:
        """One more message, and those before it that may not have been seen."""
        self._messages[str(self._next)] = message
        old = self._messages.get(number := str(self._next - LATELY))
        if old is not None and old["kind"] in SAID_AGAIN:
            del self._messages[number]
        self._next += 1
        return {"kind": "lately", "run": self.run, "messages": {**self._messages}}


# ---- from the browser ------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Kept:
    """A picture or clip of which some cells are kept, as the player sends it.

    Attributes:
        cells: bool [N], True where kept.
        picture: its file, or None where `before` stands for it.
        tokens: int64 [N] if it was grown here, else None.
        before: int64 [N], the clip whose last frames are the first of this one, or None.
    """

    cells: np.ndarray
    picture: bytes | None
    tokens: np.ndarray | None
    before: np.ndarray | None


@dataclass(frozen=True, eq=False)
class Branch:
    """Where a growth leaves an earlier one.

    Attributes:
        step: the last step that stays; pictures: how many samples the earlier one had.
        tokens: int64 [pictures, N], -1 where unknown; confidence: float32, nan where unknown.
    """

    step: int
    pictures: int
    tokens: np.ndarray
    confidence: np.ndarray


@dataclass(frozen=True, eq=False)
class Start:
    """The player's part of a start; the form says the rest.

    Attributes:
        run: the growth's name; seed_position: where it starts, None for the model's own.
        prompt, rng_seed: in place of those of the form, None for what stands there.
        query: what a link says, likewise; as unchecked as it came.
        file: a file to be made again; compare: the lab's set; values: of its setting, as typed.
    """

    run: str
    seed_position: tuple[int, ...] | None = None
    file: bytes | None = None
    compare: str = ""
    values: tuple[str, ...] = ()
    kept: Kept | None = None
    branch: Branch | None = None
    prompt: str | None = None
    rng_seed: int | None = None
    query: dict[str, Any] | None = None


@dataclass(frozen=True, eq=False)
class Explain:
    """The cell (t, h, w) of a file of which it is asked why it became what it is.

    None asks of all cells where the heads disagreed.
    """

    file: bytes
    cell: tuple[int, ...] | None


def explain_of(data: Any, largest: int) -> Explain:
    """What the player asks of a cell; files of at most `largest` bytes."""
    given = Fields(data, "explain", RELOAD)
    cell = given.wholes("cell", range(3, 4), LONGEST_GRID) if given.has("cell") else None
    return Explain(bytes_of_uri(given.any("file"), largest), cell)


def picture_of(data: Any, largest: int) -> bytes:
    """The picture that the player wants to be read, of at most `largest` bytes."""
    return bytes_of_uri(Fields(data, "read", RELOAD).any("picture"), largest)


def name_of(data: Any) -> str:
    """What a file is called that the player sends, for messages; "picture" where it does not say.

    Of no consequence, so that an odd name is no reason to refuse the file.
    """
    name = data.get("name") if isinstance(data, dict) else ""
    if not isinstance(name, str) or not is_text(name) or not name.strip():
        return "picture"
    return name[:LONGEST_NAME]


def run_of(value: Any) -> str:
    """The name of a growth; ValueError for anything that is none."""
    if not is_text(value) or not 1 <= len(value) <= LONGEST_RUN:
        raise ValueError(
            f"run: got {shown(value)}, expected a name of 1 to {LONGEST_RUN} characters; {RELOAD}"
        )
    return value


def start_of(data: Any, largest: int) -> Start:
    """What the player sends with a start; files of at most `largest` bytes."""
    given = Fields(data, "start", RELOAD)
    seed_position = None
    if given.has("seed_position"):
        seed_position = given.wholes("seed_position", range(1, 5), 2**31)
    return Start(
        run_of(given.any("run")),
        seed_position,
        bytes_of_uri(given.any("file"), largest) if given.has("file") else None,
        given.text("compare", 40, ""),
        tuple(given.texts("values", MOST_VALUES, 40)) if given.has("values") else (),
        _kept(given.part("canvas"), largest) if given.has("canvas") else None,
        _branch(given.part("resume")) if given.has("resume") else None,
        given.text("prompt", LONGEST_TEXT) if given.has("prompt") else None,
        given.whole("rng_seed", 0, 2**53) if given.has("rng_seed") else None,
        _query(given.any("query")) if given.has("query") else None,
    )


def _query(given: Any) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise ValueError(f"query: got {shown(given)}, expected names and texts; {RELOAD}")
    return given


def _kept(given: Fields, largest: int) -> Kept:
    cells = values_of(given.any("keep"), "uint8", "kept cells") != 0
    tokens, before = (
        values_of(given.any(name), "uint16", name).astype(np.int64) if given.has(name) else None
        for name in ("tokens", "before")
    )
    picture = None if before is not None else bytes_of_uri(given.any("picture"), largest)
    return Kept(cells, picture, tokens, before)


def _branch(given: Fields) -> Branch:
    pictures = given.whole("pictures", 1, 16)
    words = values_of(given.any("tokens"), "uint16", "branch: tokens")
    sure = values_of(given.any("confidence"), "uint8", "branch: confidence")
    if len(words) != len(sure) or not len(words) or len(words) % pictures:
        raise ValueError(
            f"branch: got {len(words)} tokens and {len(sure)} confidences for {pictures} "
            f"pictures, expected as many of each, and as many of every picture; {RELOAD}"
        )
    return Branch(
        given.whole("step", 1, LONGEST_GRID),
        pictures,
        tokens_of(words).reshape(pictures, -1),
        confidence_of(sure).reshape(pictures, -1),
    )


# ---- values as text --------------------------------------------------------------------------


def values_of(text: Any, dtype: str, what: str) -> np.ndarray:
    """Base64 -> values [n]; ValueError if it is none or ends within a value."""
    data = bytes_of(text, what, RELOAD, 16 * LONGEST_GRID)
    size = np.dtype(dtype).itemsize
    if len(data) % size:
        raise ValueError(
            f"{what}: got {len(data)} bytes, expected whole values of {size}; {RELOAD}"
        )
    return np.frombuffer(data, np.dtype(dtype).newbyteorder("<")).astype(dtype)


def data_uri(data: bytes, kind: str) -> str:
    """Bytes -> `data:` address that a page can show or save without another request."""
    return f"data:{kind};base64,{text_of(data)}"


def bytes_of_uri(uri: Any, largest: int) -> bytes:
    """Inverse of `data_uri`; ValueError for anything else or anything too large."""
    head, found, body = uri.partition(";base64,") if isinstance(uri, str) else ("", "", "")
    if not found or not head.lower().startswith("data:"):
        raise ValueError(
            f"picture: got {shown(uri)}, expected data:image/png;base64,... text; "
            "send the file itself as such a text"
        )
    if len(body) * 3 > (largest + 3) * 4:
        raise ValueError(
            f"picture: got {len(body) * 3 // 4:,} bytes, expected at most {largest:,}; "
            "make it smaller first"
        )
    return bytes_of(body, "picture", "send the whole file", largest)
