"""The words of landscapes, both ways: facts to a prompt, and a prompt to facts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

import numpy as np

from ...splitter import split
from ..world import ASKING, NEGATIONS, OR, Understood, Word, misspelt, nearest
from .facts import Landscape

# What captions say, the plain wording first. {} stands for what comes before.
_NOUNS: dict[str | None, tuple[str, ...]] = {
    "mountains": ("mountains", "a mountain range", "mountain peaks", "a mountain"),
    "hills": ("hills", "rolling hills", "grassy hills", "a hill"),
    "islands": ("islands", "islands in the sea", "an island", "an island in the ocean"),
    "desert": ("a desert", "the desert", "sand dunes", "desert dunes"),
    "canyon": ("a canyon", "the canyon", "a rocky canyon", "canyon walls"),
    "forest": ("a forest", "the forest", "the woods", "a wood"),
    None: ("a landscape", "the landscape", "a view", "scenery"),
}
_SEASONS = {
    "spring": ("in spring", "in springtime"),
    "summer": ("in summer", "in summertime"),
    "autumn": ("in autumn", "in the fall"),
    "winter": ("in winter", "covered in snow"),
}
_SEASON_ADJECTIVES = {
    "spring": ("spring", "blooming"),
    "summer": ("summer",),
    "autumn": ("autumn", "autumnal"),
    "winter": ("winter", "snowy", "snow covered"),
}
_TIMES = {
    "morning": ("in the morning", "at sunrise", "at dawn"),
    "noon": ("at noon", "at midday", "in daylight"),
    "sunset": ("at sunset", "in the evening", "in the setting sun"),
    "dusk": ("at dusk", "at twilight"),
    "night": ("at night", "by moonlight", "under the moon"),
}
_CLOUDS = {
    "clear sky": ("clear sky", "under a clear sky", "no clouds", "cloudless"),
    "some clouds": ("some clouds", "a few clouds", "partly cloudy"),
    "many clouds": ("cloudy", "many clouds", "overcast"),
}
_HAZES = {
    "clear air": ("clear air", "no haze", "without fog"),
    "haze": ("haze", "hazy", "misty", "in the fog", "foggy"),
}
_WATERS = {
    "lake": ("by a lake", "with a lake", "beside the lake"),
    "no lake": ("without a lake", "no lake"),
}

# The words of the world by what they say, the plain one of each.
VOCABULARY = {
    "land": tuple(words[0] for noun, words in _NOUNS.items() if noun),
    **{
        what: tuple(words[0] for words in said.values())
        for what, said in (
            ("season", _SEASONS),
            ("time of day", _TIMES),
            ("sky", _CLOUDS),
            ("air", _HAZES),
            ("water", _WATERS),
        )
    },
}

# What a prompt may say: slot -> value -> words and phrases. These are the captions' own words;
_KNOWN = {
    "terrain": {
        "mountains": "mountains|mountain|peaks|peak|mountain peaks|mountain range|mountain ranges",
        "hills": "hills|hill|rolling hills|grassy hills",
        "islands": "islands|island|islands in the sea|island in the ocean",
        "desert": "desert|deserts|dunes|dune|sand dunes|sand dune|desert dunes",
        "canyon": "canyon|canyons|canyon walls|rocky canyon|rocky canyons",
        "forest": "forest|forests|woods|wood",
    },
    "season": {
        "spring": "spring|springtime|blooming",
        "summer": "summer|summertime",
        "autumn": "autumn|autumnal|fall",
        "winter": "winter|snowy|snow covered|covered in snow",
    },
    "time": {
        "morning": "morning|sunrise|dawn",
        "noon": "noon|midday|daylight",
        "sunset": "sunset|sunsets|evening|setting sun",
        "dusk": "dusk|twilight",
        "night": "night|moonlight|moon",
    },
    "clouds": {
        "clear sky": "clear sky|clear skies|cloudless|clear",
        "some clouds": "clouds|some clouds|few clouds|a few clouds|partly cloudy",
        "many clouds": "many clouds|cloudy|overcast",
    },
    "haze": {"clear air": "clear air", "haze": "haze|hazy|mist|misty|fog|foggy"},
    "water": {"lake": "lake|lakes"},
}
# these mean the same;
_TAKEN = {
    "terrain": {
        "mountains": "alps|alpine|summit|summits|mount|mountain tops|mountain top|mountaintops"
        "|ridge|ridges|massif|highlands|mountain lake|mountain lakes|mountainside|volcano|volcanoes"
        "|himalayas|everest|matterhorn|dolomites|andes|rockies|mount fuji|fuji|glacier|glaciers",
        "hills": "meadow|meadows|field|fields|grassland|grasslands|pasture|pastures|valley|valleys"
        "|countryside|prairie|plain|plains|steppe|hilly|hillside|hillsides|knoll|moor|farmland"
        "|vineyard|vineyards|wheat field|wheat fields|terraces|rice terraces|tuscany|tuscan|savanna"
        "|savannah|tundra|moors|moorland|heath|glen|orchard|orchards|park|highland|farm",
        "islands": "isle|isles|archipelago|atoll|atolls|lagoon|desert island|desert islands"
        "|sandy beach|sandy beaches|rocky coast|rocky shore|rocky beach|sea coast|hawaii|maldives"
        "|seychelles|polynesia",
        "desert": "sahara|cactus|cacti|gobi|mojave|namib|kalahari|atacama|outback",
        "canyon": "gorge|gorges|ravine|ravines|cliff|cliffs|mesa|mesas|butte|buttes|badlands"
        "|red rocks|grand canyon|monument valley|chasm|sandstone",
        "forest": "woodland|woodlands|jungle|jungles|grove|groves"
        "|pines|pine|birches|rainforest|taiga|rain forest|pine trees|birch|birch trees|redwood"
        "|redwoods|oak|oaks|oak trees|maple|maples|maple trees|fir|firs|fir trees|spruce|spruces"
        "|evergreens|sequoias|thicket|black forest|cherry trees",
    },
    "season": {
        "spring": "blossom|blossoms|blossoming|flowers|flowering|flowery|april|bloom",
        "summer": "summery|july|august|june",
        "autumn": "october|november|september|golden leaves|falling leaves|red leaves|autumny",
        "winter": "snow|snowing|wintry|frozen|icy|ice|frosty|frost|snowfall|december|january"
        "|february|snow capped|snowcapped|wintertime",
    },
    "time": {
        "morning": "mornings|daybreak|rising sun|sun rising|early morning",
        "noon": "day|daytime|afternoon|mid day|noontime|noonday",
        "sunset": "sundown|evenings|golden hour|late afternoon|sun setting|sun going down",
        "dusk": "nightfall|gloaming|blue hour|late evening",
        "night": "midnight|nights|nighttime|moonlit|starry|stars|starlit|nocturnal|full moon"
        "|northern lights|aurora|aurora borealis|milky way",
    },
    "clouds": {
        "clear sky": "sunny|sunlit|sunshine|clear weather",
        "some clouds": "cloud|little clouds|scattered clouds|slightly cloudy|white clouds"
        "|fluffy clouds|fluffy white clouds|puffy clouds",
        "many clouds": "rainy|rain|stormy|storm|grey sky|gray sky|grey clouds|gray clouds"
        "|very cloudy|heavy clouds|gloomy|clouded|lots of clouds|storm clouds|dark clouds"
        "|thunderstorm|thunder|lightning|drizzle|dreary",
    },
    "haze": {
        "clear air": "crisp|good visibility",
        "haze": "smog|smoky|smoke|steamy|dusty|murky",
    },
    "water": {
        "lake": "water|river|rivers|pond|ponds|waters|lakeside|riverside|stream|oasis|fjord"
        "|reflection|reflections|reflecting|lakeshore|shore|mountain lake|mountain lakes|waterfall"
        "|waterfalls|niagara falls|niagara|victoria falls"
        "|swamp|marsh|wetland|wetlands|creek|brook|loch|reservoir"
    },
}
# and these say it only where nothing else does.
_HINTS = {
    "terrain": {
        "mountains": "rocky|rock|rocks|stone|fjord|ski|mountainous|swiss|switzerland|norway"
        "|norwegian|iceland|patagonia|yosemite|alaska|nepal|tibet",
        "hills": "grassy|grass|rolling|sheep|garden|gardens|cows|scotland|scottish|ireland|irish"
        "|provence|new zealand|england|english|african",
        "islands": "sea|seas|ocean|oceans|coast|coasts|beach|beaches|seaside|palm|palms|bay"
        "|palm tree|palm trees|coconut trees|tropical|tropics|seascape|coastline|coastal"
        "|seashore|shoreline|waves|surf|caribbean|bali|fiji|tahiti|bora bora|santorini|iceberg"
        "|icebergs",
        "desert": "sand|sands|sandy|arid|oasis|wasteland|egypt|morocco|arabian",
        "canyon": "arizona|utah|petra",
        "forest": "trees|tree|wooded|forested|leaves|leafy|golden leaves|falling leaves|red leaves"
        "|amazon|sherwood|treetops",
    },
    "season": {
        "spring": "cherry",
        "summer": "green|hot|warm|lush",
        "winter": "cold|white|ski|arctic|glacier|glaciers|antarctica|antarctic|iceberg|icebergs"
        "|blizzard|snowstorm|christmas",
    },
    "time": {
        "morning": "early|rising",
        "noon": "bright|sunny|sunshine|blue sky|blue skies",
        "sunset": "orange|golden|romantic|setting|red sky|pink sky|orange sky|purple sky",
        "night": "dark",
    },
    "clouds": {
        "clear sky": "sun|starry|stars|blue sky|blue skies",
        "many clouds": "blizzard|snowstorm",
    },
    "water": {"lake": "sea|seas|ocean|oceans|coast|beach|seaside|bay"},
}
_FILLERS = ASKING.union(
    re.findall(
        r"\w+",
        """a an the of in on at by with and or over under during near beside behind above below from
        into to is are was there it its this that some very my me please show draw paint make
        picture photo photograph image painting drawing illustration wallpaper beautiful lovely
        pretty nice calm peaceful quiet scenic sky skies air light lights weather season time full
        covered nature natural wide big large small great high low distant far across through
        between around surrounded empty barren vast majestic dramatic wonderland serene tranquil
        breathtaking stunning gorgeous magical dreamy
        slightly little bit colours colors colourful colorful during next front middle""",
    )
)
_NAMES = frozenset(
    ("landscape", "landscapes", "view", "views", "scenery", "scene", "panorama", "vista")
)
_OPPOSITE = {
    "some clouds": "clear sky",
    "many clouds": "clear sky",
    "haze": "clear air",
    "lake": "no lake",
}
# What is drawn instead of what is denied, where nothing else is said.
_INSTEAD = {
    **dict.fromkeys(("mountains", "islands", "desert", "canyon", "forest"), "hills"),
    "hills": "mountains",
    **dict.fromkeys(("spring", "autumn", "winter"), "summer"),
    "summer": "winter",
    **dict.fromkeys(("morning", "sunset", "dusk", "night"), "noon"),
    "noon": "night",
    "clear sky": "many clouds",
    "clear air": "haze",
    **_OPPOSITE,
}
_LONGEST = 4  # words of a phrase


def _table(groups: dict[str, dict[str, str]]) -> dict[str, list[tuple[str, str]]]:
    """Phrase -> the (slot, value) pairs that it says."""
    table: dict[str, list[tuple[str, str]]] = {}
    for slot, values in groups.items():
        for value, phrases in values.items():
            for phrase in phrases.split("|"):
                table.setdefault(phrase, []).append((slot, value))
    return table


_SAID = {"known": _table(_KNOWN), "taken as": _table(_TAKEN)}
_HINTED = _table(_HINTS)
_PARTS = frozenset(
    w for table in (*_SAID.values(), _HINTED) for phrase in table for w in phrase.split()
)
_SINGLE = sorted(
    {p for table in (*_SAID.values(), _HINTED) for p in table if " " not in p} | _NAMES
)


@dataclass
class _Span:
    """Words `start` to `stop` of a prompt, and what they say, hint at or deny."""

    start: int
    stop: int
    kind: str
    says: list[tuple[str, str]] = field(default_factory=list)
    hints: list[tuple[str, str]] = field(default_factory=list)
    denies: list[tuple[str, str]] = field(default_factory=list)


def say(facts: Landscape, rng: np.random.Generator | None = None) -> str:
    """A prompt for the facts: the plain wording, or one that the rng chooses."""

    def pick(options: tuple[str, ...]) -> str:
        return options[0] if rng is None else options[rng.integers(len(options))]

    noun = pick(_NOUNS[facts.terrain])
    phrases = []
    if facts.season:
        if rng is None or rng.random() < 0.5:
            noun = _with_adjective(pick(_SEASON_ADJECTIVES[facts.season]), noun)
        else:
            phrases.append(pick(_SEASONS[facts.season]))
    if facts.water:
        phrases.append(pick(_WATERS[facts.water]))
    if facts.time:
        phrases.append(pick(_TIMES[facts.time]))
    if rng is not None:
        phrases = [phrases[i] for i in rng.permutation(len(phrases))]
    weather = []
    if facts.clouds:
        weather.append(pick(_CLOUDS[facts.clouds]))
    if facts.haze:
        weather.append(pick(_HAZES[facts.haze]))
    if rng is not None and rng.random() < 0.5:
        weather.reverse()
    return ", ".join([" ".join([noun, *phrases]), *weather])


def _with_adjective(adjective: str, noun: str) -> str:
    """The adjective before the noun, after its article."""
    article, _, rest = noun.partition(" ")
    if article not in ("a", "an", "the"):
        return f"{adjective} {noun}"
    if article != "the":
        article = "an" if adjective[0] in "aeiou" else "a"
    return f"{article} {adjective} {rest}"


def understand(prompt: str) -> Understood:
    """The facts that a prompt asks for, in any order of words, and what became of each word.

    Where words say different things of one slot, the first is followed and others are left out.
    """
    typed = [part for word in split(prompt) for part in _parts(word)]
    words = [_meant(w.lower().removesuffix("'s")) for w in typed]
    spans = list(_spans(words))
    facts: dict[str, Any] = {}
    for span, after in zip_longest(spans, spans[1:]):
        # Of "mountain forest" the second is what it is.
        heads = {slot for slot, _ in after.says} & {"terrain"} if after else set()
        for slot, value in span.says:
            if slot not in heads:
                facts.setdefault(slot, value)
    for slot, value in (m for span in spans for m in span.hints):
        facts.setdefault(slot, value)
    if facts.get("terrain") == "islands":
        facts.pop("water", None)  # the sea is there anyway
    said = []
    for span in spans:
        kind, meaning = _became(span, facts)
        text = " ".join(typed[span.start : span.stop])
        plain = " ".join(words[span.start : span.stop])
        if kind == "unknown":
            meaning = nearest(text.lower(), _SINGLE)
        elif kind == "known" and plain != text.lower().replace("'s", ""):
            kind, meaning = "taken as", plain
        said.append(Word(text, kind, meaning))
    named = any(span.kind == "name" for span in spans)
    return Understood(Landscape(**facts) if facts or named else None, tuple(said))


def _meant(word: str) -> str:
    """The word, or the one that it is a misspelling of."""
    return word if word in _PARTS or word in _FILLERS else misspelt(word, _SINGLE) or word


def _parts(word: str) -> list[str]:
    """A compound is parted where its last part says something: "snow-covered", not "T-shirt"."""
    parts = [p for p in word.split("-") if p.strip("'")]
    last, whole = parts[-1].lower(), " ".join(parts).lower()
    known = last in _SINGLE or last in _FILLERS or any(whole in said for said in _SAID.values())
    return parts if known else [word]


def _became(span: _Span, facts: dict[str, str]) -> tuple[Any, str]:
    """Kind and meaning of the words of a span, once all facts are settled."""
    meanings = span.says + span.hints
    if not meanings:
        return ("known" if span.kind == "name" else span.kind), ""
    told = [value for slot, value in meanings if facts.get(slot) == value]
    if not told:
        denied = span.denies and not any(facts.get(slot) == value for slot, value in span.denies)
        return ("known" if denied else "left out"), ""
    return (span.kind, told[0]) if span.kind == "taken as" else ("known", "")


def _spans(words: list[str]) -> Iterator[_Span]:
    """The prompt cut into the longest phrases that are known, negated ones first."""
    i, denied = 0, False
    while i < len(words):
        denied = words[i] in NEGATIONS or (denied and words[i] in OR)
        span = (denied and _negated(words, i)) or _longest(words, i)
        yield span
        i = span.stop


def _longest(words: list[str], start: int) -> _Span:
    for stop in range(min(start + _LONGEST, len(words)), start, -1):
        phrase = " ".join(words[start:stop])
        says = [(kind, table[phrase]) for kind, table in _SAID.items() if phrase in table]
        if says or phrase in _HINTED:
            kind = says[0][0] if says else "taken as"
            return _Span(
                start, stop, kind, [m for _, s in says for m in s], _HINTED.get(phrase, [])
            )
    word = words[start]
    kind = "name" if word in _NAMES else "filler" if word in _FILLERS else "unknown"
    return _Span(start, start + 1, kind)


def _negated(words: list[str], start: int) -> _Span | None:
    """ "no clouds", "without a lake": a negation, fillers, and something that is not to be seen."""
    inner = start + 1
    while inner < len(words) and words[inner] in (*_FILLERS - OR, "any", "much", "many"):
        inner += 1
    if inner == len(words) or words[inner] in (*NEGATIONS, *OR):
        return None
    span = _longest(words, inner)
    says = [(slot, _OPPOSITE[value]) for slot, value in span.says if value in _OPPOSITE]
    if says or span.kind in ("unknown", "name"):
        return _Span(start, span.stop, span.kind if says else "unknown", says)
    denies = span.says + span.hints
    hints = [(slot, _INSTEAD[value]) for slot, value in denies]
    return _Span(start, span.stop, "taken as", hints=hints, denies=denies)
