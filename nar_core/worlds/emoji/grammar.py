"""Words for emoji scenes, both ways: facts to a wording, a prompt to facts.

A prompt is read from left to right. Phrases are known by their longest match; what is said before a
noun (number, size, colour) belongs to it, and so does what follows it ("wearing a hat").
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from ... import splitter
from ..world import NEGATIONS, OR, Understood, Word, misspelt, nearest
from .colours import COLOURS
from .objects import BY_NOUN, OBJECTS
from .scene import WORN, Scene, Thing
from .words import (
    BEFORE_WORN,
    COATS,
    COLOUR_WORDS,
    DETERMINERS,
    FILLERS,
    GROUND_WORDS,
    MORE_NUMBERS,
    NEAR_RELATIONS,
    NUMBERS,
    OTHER_COLOURS,
    OTHER_THINGS,
    PLACE_WORDS,
    PLURALS,
    PREDICATES,
    RELATION_WORDS,
    ROUGH_NUMBERS,
    SIDES,
    SIZES,
    TONES,
    VERBS,
    WEARS,
    WORN_NOUNS,
    parted,
)


def vocabulary(moving: bool) -> dict[str, tuple[str, ...]]:
    """The words of the world by what they say, the plain one of each."""
    out = {
        "things": tuple(o.noun for o in OBJECTS),
        "colours": tuple(COLOURS),
        "how many": tuple(NUMBERS[n][0] for n in (2, 3, 4)),
        "how big": tuple(SIZES),
        "worn": tuple(f"wearing {'a hat' if w == 'hat' else w}" for w in WORN),
        "where to each other": ("and", "to the left of", "to the right of", "above", "below"),
        "where": tuple(phrases[0] for value, phrases in PLACE_WORDS.items() if value),
    }
    return out | ({"verbs": tuple(VERBS)} if moving else {})


def plural(noun: str) -> str:
    """The plural of an object's noun."""
    known = BY_NOUN.get(noun)
    if noun in PLURALS:
        return PLURALS[noun]
    return known.plural if known and known.plural else _regular(noun)


def _regular(word: str) -> str:
    if " of " in word:  # "cups of tea"
        what, _, rest = word.partition(" of ")
        return f"{_regular(what)} of {rest}"
    if re.search(r"[^aeiou]y$", word):
        return word[:-1] + "ies"
    if re.search(r"(s|x|ch|sh|ato|ango)$", word):
        return word + "es"
    return word + "s"


@dataclass(frozen=True)
class _Entry:
    """What a phrase says: a kind of fact, its value, and whether it is the world's own word."""

    kind: str
    value: str | int
    own: bool = True


WITH = _Entry("with", "")  # something is worn, as the next words say
DENIED = _Entry("denied", "")  # what shall not be drawn, and is not


@cache
def _phrases() -> dict[tuple[str, ...], _Entry]:
    """Every phrase that is understood, by its words."""
    out: dict[tuple[str, ...], _Entry] = {}

    def add(phrase: str, kind: str, value: str | int, own: bool = True) -> None:
        out.setdefault(sum(map(_parts, splitter.split(phrase)), ()), _Entry(kind, value, own))

    for value, phrases in PLACE_WORDS.items():
        for i, phrase in enumerate(phrases):
            add(phrase, "place", value, i < 2)
    for value, phrases in GROUND_WORDS.items():
        for phrase in phrases:
            add(phrase, "ground", value, phrase == value)
    for worn in WORN:
        for i, name in enumerate(WEARS[worn]):
            for lead in BEFORE_WORN:
                for article in ("", "a ", "the ", "a pair of "):
                    add(f"{lead} {article}{name}", "worn", worn, i == 0)
                add(f"{lead} {_regular(name)}", "worn", worn, i == 0)
    for value, phrases in VERBS.items():
        for i, phrase in enumerate(phrases):
            add(phrase, "verb", value, i < 2)
            add(of_several(phrase), "verb", value, i < 2)
    for value, phrases in RELATION_WORDS.items():
        for phrase in phrases:
            add(phrase, "relation", value)
            for lead in ("is", "that is", "which is", "are", "standing", "sitting"):
                add(f"{lead} {phrase}", "relation", value)
    for value, phrases in SIDES.items():
        for phrase in phrases:
            add(phrase, "side", value)
    for value, phrases in NEAR_RELATIONS.items():
        for phrase in phrases:
            add(phrase, "relation", value, False)
    for value, phrases in NUMBERS.items():
        for phrase in (*phrases, *MORE_NUMBERS.get(value, ())):
            add(phrase, "count", value)
            add(f"a {phrase}", "count", value)
    for value, phrases in ROUGH_NUMBERS.items():
        for phrase in phrases:
            add(phrase, "count", value, False)
            add(f"a {phrase}", "count", value, False)
    for value, phrases in SIZES.items():
        for i, phrase in enumerate(phrases):
            add(phrase, "size", value, i == 0)
    for thing in OBJECTS:
        for i, name in enumerate((thing.noun, *filter(None, parted(thing.also)))):
            add(name, "noun", thing.noun, i == 0)
            add(plural(name), "nouns", thing.noun, i == 0)
            add(_regular(name), "nouns", thing.noun, i == 0)
    for noun, worn in WORN_NOUNS.items():
        for name in WEARS[worn]:
            add(name, "noun", noun, False)
            add(_regular(name), "nouns", noun, False)
    for colour in COLOURS:
        add(colour, "colour", colour)
        for other in COLOUR_WORDS.get(colour, ()):
            add(other, "colour", colour, False)
        names = (colour, *COLOUR_WORDS.get(colour, ()))
        for name in names:
            for tone in (*TONES, *names):
                if tone != name:
                    add(f"{tone} {name}", "colour", colour, False)
    for other in OTHER_THINGS:
        add(other, "other", "", False)
        add(_regular(other), "other", "", False)
    for other in OTHER_COLOURS:
        add(other, "colour", "", False)
        for tone in TONES:
            add(f"{tone} {other}", "colour", "", False)
    return out


def _parts(word: str) -> tuple[str, ...]:
    """What a compound is put together from, in lower case; a possessive says nothing."""
    parts = (p.strip("'") for p in word.lower().removesuffix("'s").split("-"))
    return tuple(p for p in parts if p)


def split(prompt: str) -> list[str]:
    """Lower-case words of a prompt; compounds are parted where their last part is known."""
    out = []
    for word in splitter.split(prompt):
        parts = _parts(word)
        # what a compound is stands last: "light-blue", not "blue-eyed"
        known = parts in _phrases() or parts[-1:] in _phrases() or parts[-1] in FILLERS
        out += parts if known else ["-".join(parts)]
    return out


@cache
def _singles() -> tuple[str, ...]:
    """Words that say something by themselves, which others may be misspellings of."""
    return tuple(p[0] for p in _phrases() if len(p) == 1 and len(p[0]) > 2)


def _near(word: str) -> str:
    """The word that an unknown one may be a misspelling of, "" where there is none."""
    near = nearest(word, (w for w in _singles() if _phrases()[w,].kind != "ground"))
    return near if near != word else ""


@cache
def _parts_of_phrases() -> frozenset[str]:
    return FILLERS.union(*_phrases())


def _meant(word: str) -> str:
    """The word, or the one that it is a misspelling of."""
    return word if word in _parts_of_phrases() else misspelt(word, _singles()) or word


LONGEST = 6


def _match(words: list[str], at: int) -> tuple[int, _Entry | None]:
    """The longest phrase that begins at a word: how many words it has, and what it says.

    It takes no word that a phrase within it needs: "on a hill" of "standing on a hill".
    """
    for n in range(_longest(words, at), 0, -1):
        found = _phrases().get(tuple(words[at : at + n]))
        if found and all(i + _longest(words, i) <= at + n for i in range(at + 1, at + n)):
            return _joined(words, at) or (n, found)
    return _joined(words, at) or (1, None)


def _joined(words: list[str], at: int) -> tuple[int, _Entry] | None:
    """Two words that are one, and name a thing, where they are no phrase: "sun flower"."""
    pair = words[at : at + 2]
    found = _phrases().get(("".join(pair),)) if len(pair) == 2 else None
    if not found or found.kind not in ("noun", "nouns") or tuple(pair) in _phrases():
        return None
    return (2, replace(found, own=False)) if min(map(len, pair)) > 2 else None


def _longest(words: list[str], at: int) -> int:
    """How many words the longest phrase has that begins at one, 0 where none does."""
    most = min(LONGEST, len(words) - at)
    return next((n for n in range(most, 0, -1) if tuple(words[at : at + n]) in _phrases()), 0)


def _clauses(prompt: str) -> tuple[list[str], set[int]]:
    """The words of a prompt, and how many there are at the end of each of its clauses."""
    words, ends = [], set()
    for clause in re.split(r"[,;:.!?()\n]+", splitter.normal(prompt)):
        words += split(clause)
        ends.add(len(words))
    return words, ends


def _dressed(words: list[str], at: int) -> tuple[int, str] | None:
    """How many words come before a hat or glasses of which a colour or size is said, and which.

    "wearing a red hat": what is worn has its own colour. "With a red hat" says a hat beside it.
    """
    leads = (b for b in BEFORE_WORN if b != "with")
    lead = next((b for b in leads if words[at : at + len(b.split())] == b.split()), "")
    start = at + len(lead.split())
    while start < len(words) and words[start] in ("a", "the", "some", "pair", "of"):
        start += 1
    inner, entry = start, None
    while lead and inner < len(words):
        n, entry = _match(words, inner)
        if not entry or entry.kind not in ("colour", "size"):
            break
        inner += n
    if inner == start or not entry or entry.kind not in ("noun", "nouns"):
        return None
    worn = WORN_NOUNS.get(str(entry.value), "")
    return (start - at, worn) if worn else None


def _names_next(words: list[str], at: int, ends: set[int]) -> bool:
    """Whether a word is a thing or unknown, so that the one before only says what kind."""
    if at == len(words) or at in ends or words[at] in NEGATIONS:
        return False
    _, entry = _match(words, at)
    return entry.kind in ("noun", "nouns") if entry else words[at] not in FILLERS


def _denied(words: list[str], at: int, ends: set[int]) -> tuple[int, bool]:
    """How many words a negation takes, 0 where there is none, and whether all of them are known.

    It goes on to the thing, verb or place that is denied, and to the next after "or".
    """
    start, known = at, True
    while at < len(words) and (words[at] in NEGATIONS or (at > start and words[at] in OR)):
        at, plain, more = _denial(words, at + 1, ends)
        known = known and plain
        if not more:
            break
    return at - start, known and at - start > 1


def _denial(words: list[str], at: int, ends: set[int]) -> tuple[int, bool, bool]:
    """Where what follows a negation ends, whether it is known, and whether more may be denied."""
    known = True
    said = False  # whether it can end before a filler
    while at < len(words) and at not in ends and words[at] not in (*NEGATIONS, *OR, "but"):
        n, entry = _match(words, at)
        if entry is None and words[at] in FILLERS:
            if said:
                break
        elif entry is None:
            known, said = False, True
        elif entry.kind in ("colour", "size", "count"):
            said = True
        elif entry.kind != "relation":
            return (at, known, True) if said and entry.kind == "place" else (at + n, known, True)
        elif said:
            break
        at += n
    return at, known, at < len(words) and at not in ends


def understand(prompt: str, verbs: bool) -> Understood:
    """The scene that a prompt asks for, and what became of each of its words.

    At most two things can be drawn; words of a third are said to be left out, and so are verbs
    where nothing moves.
    """
    typed, ends = _clauses(prompt)
    words = [_meant(word) for word in typed]
    reading = _Reading()
    said: list[tuple[Word, _Entry | None]] = []
    at, dressing = 0, ""  # what is worn, of which something is said first
    while at < len(words):
        n, known = _denied(words, at, ends)
        if n:
            text = " ".join(typed[at : at + n])
            said.append((Word(text, "known" if known else "unknown"), DENIED if known else None))
            at += n
            continue
        n, entry = _match(words, at)
        if reading.things and (found := _dressed(words, at)):
            n, dressing, entry = *found, WITH
        elif dressing and entry and entry.kind in ("noun", "nouns"):
            entry, dressing = _Entry("worn", dressing, entry.value == words[at]), ""
        elif entry and entry.kind == "ground" and _names_next(words, at + n, ends):
            entry = None  # "a space suit"
        if words[at] in ("one", "ones") and (noun := reading.meant()):
            n, entry = 1, _Entry("noun" if words[at] == "one" else "nouns", noun, False)
        if entry and entry.kind == "verb" and words[at : at + n] == ["swimming"]:
            reading.swims = True
            entry = entry if verbs else _Entry("place", "sea", False)
        text = " ".join(typed[at : at + n])
        own = typed[at : at + n] == words[at : at + n]
        if at in ends:
            reading.pause()
        at += n
        if entry is None and text in COATS and reading.coat():
            said.append((Word(text, "filler"), None))
        elif entry and entry.kind == "other":
            reading.pass_over()
            said.append((Word(text, "unknown"), None))
        elif entry is None and text in FILLERS:
            reading.hear(text)
            said.append((Word(text, "filler"), None))
        elif entry is None:
            reading.pass_over()
            said.append((Word(text, "unknown", _near(text)), None))
        elif reading.take(entry, len(said)):
            own = own and entry.own
            word = Word(text, "known") if own else Word(text, "taken as", _plain(entry))
            said.append((word, entry))
        else:
            said.append((Word(text, "left out"), None))
    scene = reading.scene()
    left_out = _without_effect(scene, verbs)
    pair = scene is not None and len(scene.things) == 2
    return Understood(
        scene if verbs or scene is None else still(scene),
        tuple(
            Word(word.text, "left out")
            if i in reading.spare
            or (entry and scene is None)
            or (entry and entry.kind in left_out)
            or (entry and entry.kind == "relation" and not entry.own and not pair)
            else replace(word, meaning=reading.turned.get(i, word.meaning))
            for i, (word, entry) in enumerate(said)
        ),
    )


def _without_effect(scene: Scene | None, verbs: bool) -> set[str]:
    """Kinds of words that were read but say nothing of this scene."""
    out = set() if verbs else {"verb"}
    if scene is not None and len(scene.things) == 2:
        out |= {"count"}
    if scene is not None and not scene.size:
        out |= {"size"}
    return out


def still(scene: Scene) -> Scene:
    """The scene without its verbs."""
    return replace(scene, things=tuple(replace(t, verb="") for t in scene.things))


def _plain(entry: _Entry) -> str:
    """The world's own word for what a phrase says."""
    if entry.kind == "count":
        return NUMBERS[int(entry.value)][0]
    return str(entry.value) or "white"  # a place with nothing in it


class _Reading:
    """What has been read so far.

    Attributes:
        before: what was said before a noun that is yet to come: its value, and by which word.
        lent: kinds of these that a word that is not known may own: "a red scarf and a cat".
        bound: whether their colour cannot be said of the thing before: "an apple, an orange".
        close: whether the thing read last is still spoken of; told: that something is said of it.
        spare: which words say nothing after all.
    """

    def __init__(self):
        self.things: list[Thing] = []
        self.counts: list[int] = []
        self.sizes: list[str] = []
        self.relation = ""
        self.place: str | None = None
        self.before: dict[str, tuple[str | int, int]] = {}
        self.lent: set[str] = set()
        self.heard = ""  # the filler before
        self.bound = self.close = self.told = False
        self.side: tuple[int, str] | None = None  # which word, which side
        self.swims = False  # and so is in the sea, unless another place is said
        self.went = 0  # the word that said the last verb
        self.turned: dict[int, str] = {}  # what it says after all, as the side is said later
        self.spare: set[int] = set()

    def hear(self, filler: str) -> None:
        """A word that says nothing by itself."""
        if filler in DETERMINERS:
            self.pause()
            if filler in ("a", "an"):
                self._drop({"count"})
        self.told = filler in PREDICATES or (self.told and filler not in DETERMINERS)
        self.heard = filler

    def pass_over(self) -> None:
        """A word that is not known: what was said before it may be said of it."""
        self.lent |= self.before.keys() - {"verb"}
        self.close = self.told = False
        self.heard = ""

    def pause(self) -> None:
        """Something else begins: what a word that is not known may own is not said of it."""
        self._drop(self.lent)
        self.lent = set()

    def _drop(self, kinds: set[str]) -> None:
        self.spare |= {self.before.pop(kind)[1] for kind in kinds & self.before.keys()}

    def meant(self) -> str:
        """The noun that "one" stands for, "" for none: "a red car and a blue one"."""
        alike = self.before.keys() & {"colour", "size"}
        return self.things[0].noun if alike and len(self.things) == 1 else ""

    def coat(self) -> bool:
        """Whether the colour before is that of the last thing: "a cat with black fur"."""
        return "colour" in self.before and bool(self.things) and self._coloured()

    def _coloured(self) -> bool:
        """Whether the last thing takes the colour that was said."""
        last = self.things[-1]
        if last.colour or BY_NOUN[last.noun].takes == "none":
            return False
        self.things[-1] = replace(last, colour=str(self.before.pop("colour")[0]))
        self.lent.discard("colour")
        return True

    def take(self, entry: _Entry, word: int) -> bool:
        """Whether a fact could be used; of two that contradict each other the first counts."""
        kind, value = entry.kind, entry.value
        heard, told = self.heard, self.told
        self.heard, self.told = "", False
        if (kind, value) == ("colour", ""):
            return False
        if kind == "ground":
            self.pass_over()  # a dark forest: nothing else is dark
            if len(self.things) == 1:
                self.relation = ""
        if kind in ("place", "relation", "ground"):
            self.pause()
        if kind in ("place", "ground"):
            if self.place is None:
                self.place = str(value)
            return self.place == value
        if kind == "relation":
            self._back()
            self.pass_over()
            if len(self.things) != 1 or (self.relation and (value != "and" or self.side)):
                return len(self.things) < 2
            self.relation = str(value)
            return True
        if kind == "with":
            return True
        if kind == "side":
            return self._beside(str(value), word)
        if kind in ("noun", "nouns"):
            self.lent, self.close = set(), True
            return self._noun(str(value), 2 if kind == "nouns" else 1)
        if kind == "colour" and told and self.close:
            self.before["colour"] = value, word
            taken = self._coloured()
            self.before.pop("colour", None)
            return taken
        if kind == "verb":
            self.went = word
        if kind in ("worn", "verb") and self.things and not self._of_next(kind):
            return self._after(kind, str(value))
        if kind == "worn" or len(self.things) >= 2 or kind in self.before:
            return kind == "count" and value == 1
        self.before[kind] = value, word
        if kind == "colour":
            self.bound = heard in DETERMINERS
        return True

    def _back(self) -> None:
        """A colour that is said after a thing, of which nothing else is said: "a car, red"."""
        if self.close and not self.bound and "colour" in self.before:
            self._coloured()

    def _beside(self, side: str, word: int) -> bool:
        """A thing on the left or right, or one that goes there."""
        if self.things and self.things[-1].verb.startswith("slides"):
            self.things[-1] = replace(self.things[-1], verb=f"slides {side}")
            self.turned[self.went] = f"slides {side}"
            return True
        if len(self.things) == 1 and not self.relation:
            self.relation, self.side = f"{side} of", (word, side)
            return True
        return len(self.things) == 2 and self.side is not None and self.side[1] != side

    def _of_next(self, kind: str) -> bool:
        """Whether a verb says something of a thing yet to come: "a cat and a jumping frog"."""
        if kind != "verb" or len(self.things) != 1:
            return False
        beside = bool(self.side) and self.close  # "a cat on the left jumping"
        return bool((self.relation and not beside) or self.things[0].verb)

    def _noun(self, noun: str, usual: int) -> bool:
        if len(self.things) == 2:
            return False
        said = {kind: value for kind, (value, _) in self.before.items()}
        if "colour" in said and BY_NOUN[noun].takes == "none":
            self.spare.add(self.before["colour"][1])
            said["colour"] = ""
        self.things.append(Thing(noun, str(said.get("colour", "")), verb=str(said.get("verb", ""))))
        self.counts.append(int(said.get("count", usual)))
        self.sizes.append(str(said.get("size", "")))
        self.before = {}
        return True

    def _after(self, kind: str, value: str) -> bool:
        last = self.things[-1]
        if kind == "worn" and BY_NOUN[last.noun].head is None:  # "a lemon with a hat"
            return self._noun("hat" if value == "hat" else "sunglasses", 1)
        if getattr(last, kind):
            return False
        if kind == "worn":
            self._drop({"colour", "size"})
        self.things[-1] = replace(last, **{kind: value})
        return True

    def scene(self) -> Scene | None:
        """The facts once all is read, None where no thing was named."""
        self.pause()
        self._back()
        if self.things and "verb" in self.before and not self.things[-1].verb:  # nothing came
            self.things[-1] = replace(self.things[-1], verb=str(self.before.pop("verb")[0]))
        self.spare |= {word for _, word in self.before.values()}
        if not self.things:
            return None
        things, place = tuple(self.things), self.place or ""
        if self.swims and self.place is None:
            place = "sea"
        if len(things) == 1:
            if self.side:
                self.spare.add(self.side[0])
            alone = self.counts[0] == 1 and things[0].worn != "hat"
            return Scene(things, self.counts[0], self.sizes[0] if alone else "", place=place)
        relation = self.relation or "and"
        if relation in ("right of", "below"):
            things = things[::-1]
            relation = {"right of": "left of", "below": "above"}[relation]
        return Scene(things, relation=relation, place=place)


def say(scene: Scene, rng: np.random.Generator | None = None) -> str:
    """A prompt for a scene: the plain wording, or one of many."""

    def pick(*choices: str) -> str:
        return choices[0] if rng is None else choices[rng.integers(len(choices))]

    parts = [_name(t, scene.count, scene.size, pick) for t in scene.things]
    text = parts[0]
    if len(parts) == 2:
        first, second = parts
        if scene.relation == "left of":
            text = pick(
                f"{first} to the left of {second}",
                f"{first} left of {second}",
                f"{second} to the right of {first}",
            )
        elif scene.relation == "above":
            text = pick(
                f"{first} above {second}",
                f"{second} below {first}",
                f"{first} over {second}",
                f"{second} under {first}",
            )
        else:
            text = pick(
                f"{first} and {second}", f"{first} next to {second}", f"{first} with {second}"
            )
    if scene.place:
        phrases = PLACE_WORDS[scene.place]
        text += " " + (phrases[0] if rng is None else phrases[rng.integers(min(2, len(phrases)))])
    return text


def _article(word: str) -> str:
    """A word's indefinite article, by its sound: "a unicorn"."""
    return "an" if word[0] in "aeiou" and word not in ("ufo", "unicorn") else "a"


def _name(thing: Thing, count: int, size: str, pick) -> str:
    words = [w for w in (size and pick(*SIZES[size][:3]), thing.colour) if w]
    invariant = thing.noun in ("grapes", "fries", "scissors", "sunglasses")
    if count > 1:
        words = [pick(*NUMBERS[count]), *words, plural(thing.noun)]
    else:
        words.append(thing.noun)
        article = "some" if invariant else _article(words[0])
        words = [pick(article, ""), *words]
    text = " ".join(w for w in words if w)
    if thing.worn:
        worn = "a hat" if thing.worn == "hat" else "glasses"
        text += " " + pick(f"wearing {worn}", f"with {worn}")
    if thing.verb:
        does, doing = VERBS[thing.verb][:2]
        text += " " + pick(of_several(does) if count > 1 or invariant else does, doing)
    return text


def of_several(verb: str) -> str:
    """What several things do: "slide left"."""
    first, *rest = verb.split()
    one = first.removesuffix("es" if re.search("(sh|ch|o)es$", first) else "s")
    return " ".join(["fly" if first == "flies" else one, *rest])
