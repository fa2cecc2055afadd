"""The words of emoji scenes by what they say, the plain one first; and what goes beside them."""

from __future__ import annotations

import re

from ..world import ASKING
from .scene import PLAIN


def parted(phrases: str) -> tuple[str, ...]:
    """Phrases between strokes."""
    return tuple(phrases.split("|"))


NUMBERS = {1: ("one", "1", "single"), 2: ("two", "2"), 3: ("three", "3"), 4: ("four", "4")}
MORE_NUMBERS = {2: ("pair of", "couple of", "both"), 3: ("trio of",), 4: ()}
ROUGH_NUMBERS = {
    3: ("few",),
    4: (
        *("five", "six", "seven", "eight", "nine", "ten", "dozen", "dozens of", "hundred"),
        *map(str, range(5, 101)),
        *("eleven", "twelve", "twenty", "hundreds of", "thousands of", "thousand", "million"),
        *("many", "several", "lots of", "lot of", "dozens", "bouquet of"),
        *("bunch of", "group of", "pack of", "herd of", "flock of", "swarm of", "crowd of"),
        *("pile of", "basket of", "school of"),
    ),
}  # none of more than four can be drawn
SIZES = {
    "small": ("small", "little", "tiny", "mini", "wee", "short", "miniature"),
    "big": ("big", "large", "huge", "giant", "enormous", "tall", "fat", "massive", "gigantic"),
}
COLOUR_WORDS = {
    "red": ("scarlet", "crimson", "ruby", "maroon", "burgundy", "vermilion", "reddish"),
    "orange": ("amber", "tangerine"),
    "yellow": ("golden", "gold", "blond", "blonde", "mustard", "yellowish"),
    "green": ("lime", "emerald", "olive", "mint", "jade", "greenish"),
    "blue": ("navy", "azure", "cyan", "turquoise", "teal", "aqua", "cobalt", "sapphire", "bluish"),
    "purple": ("violet", "lilac", "indigo", "lavender", "mauve"),
    "pink": ("magenta", "rosy", "fuchsia", "pinkish"),
    "white": ("ivory", "cream", "whitish"),
    "black": ("dark", "ebony"),
}
TONES = (
    *("dark", "light", "pale", "bright", "deep", "pastel", "neon", "hot", "sky", "baby", "royal"),
    *("vivid", "soft", "forest", "blood", "jet", "snow", "off", "electric", "midnight"),
)  # "dark green" is a green, not black
OTHER_COLOURS = (
    "brown",
    "tan",
    "beige",
    "bronze",
    "grey",
    "gray",
    "silver",
)  # things keep their own
WEARS = {
    "hat": parted(
        "hat|top hat|cap|baseball cap|beanie|beret|fedora|sombrero|helmet|bowler hat|cowboy hat"
        "|party hat|straw hat|santa hat|witch hat|wizard hat"
    ),
    "glasses": parted("glasses|sunglasses|shades|spectacles|goggles|eyeglasses"),
}
BEFORE_WORN = (
    *("wearing", "with", "in", "has", "wears", "that wears", "who wears", "that has"),
    *("have", "having", "who has"),
)


_MOVES = parted(
    "slides|sliding|moves|moving|goes|going|runs|running|walks|walking|drives|driving|flies|flying"
    "|floats|floating|sails|sailing|swims|swimming|rushes|rushing|races|racing|gallops|galloping"
    "|crawls|crawling|slithers|slithering|glides|gliding|soars|soaring|strolls|strolling|skates"
    "|skating|jogs|jogging|speeds|speeding|travels|travelling|traveling|marches|marching"
)


_FLOATS = parted(
    "goes|going|moves|moving|flies|flying|floats|floating|glides|gliding|soars|soaring|swims"
    "|swimming"
)  # of these up and down are not along a road
_JUMPS = parted(
    "jumps|jumping|jump|hops|hopping|bounces|bouncing|leaps|leaping|skips|skipping|rises|rising"
)
_FALLS = parted(
    "falls|falling|fall|drops|dropping|sinks|sinking|crashes|crashing|tumbles|tumbling|lands"
    "|landing"
)


def _led(moves: tuple[str, ...], *ways: str) -> tuple[str, ...]:
    return tuple(f"{move} {way}" for way in ways for move in moves)


# The world's own word first, then its participle and what comes near.
VERBS = {
    "jumps": (
        *_JUMPS,
        *parted("takes off|taking off|launches|launching"),
        *_led((*_FLOATS, *_JUMPS), "up", "upwards", "upward", "up and down"),
    ),
    "falls": (
        *_FALLS,
        *parted("comes down|coming down|dives|diving"),
        *_led((*_FLOATS, *_FALLS), "down", "downwards", "downward"),
    ),
    "slides left": _led(_MOVES, "left", "to the left"),
    # which way is not said: to the right
    "slides right": (
        *_led(_MOVES, "right", "to the right"),
        *_MOVES,
        *("goes by", "going by", "passes by"),
    ),
    "spins": parted(
        "spins|spinning|spin|rotates|rotating|turns|turning|rolls|rolling|twirls|twirling|whirls"
        "|whirling|flips|flipping"
    ),
    "grows": parted(
        "grows|growing|grow|gets bigger|getting bigger|swells|swelling|expands|expanding|inflates"
        "|inflating|blooms|blooming|explodes|exploding|beats|beating|pulses|pulsing"
    ),
    "shrinks": parted(
        "shrinks|shrinking|shrink|gets smaller|getting smaller|melts|melting|vanishes|vanishing"
        "|disappears|disappearing|deflates|deflating"
    ),
    "shakes": parted(
        "shakes|shaking|shake|trembles|trembling|wobbles|wobbling|shivers|shivering|dances|dancing"
        "|wiggles|wiggling|vibrates|vibrating|flutters|fluttering|flaps|flapping|waving"
        "|swings|swinging|ringing|ticks|ticking|wags|wagging|flickers|flickering|rocking"
        "|burns|burning"
    ),
    "circles": (
        *parted("circles|circling|goes round|orbits|orbiting"),
        *parted("flies around|flying around|runs around|running around"),
        *_led(_MOVES, "in circles", "in a circle"),
    ),
}
# "and" and "with" are given last, so that the plain wording is the first.
RELATION_WORDS = {
    "and": ("and", "next to", "beside", "near", "by", "with", "alongside", "close to"),
    "left of": ("left of", "to the left of", "on the left of", "at the left of"),
    "right of": ("right of", "to the right of", "on the right of", "at the right of"),
    "above": ("above", "over", "on top of", "on", "upon", "atop", "standing on", "sitting on"),
    "below": ("below", "under", "beneath", "underneath"),
}
SIDES = {
    side: (
        *(f"{lead} {side}" for lead in ("on the", "at the", "to the", "on", "at")),
        *(f"{lead} {side} side" for lead in ("on the", "at the", "on")),
        f"from {other} to {side}",
        f"towards the {side}",
    )
    for side, other in (("left", "right"), ("right", "left"))
}  # of two things: "a cat on the left and a dog on the right"
NEAR_RELATIONS = {
    "and": (
        "wearing",
        "wears",
        "between",
        "among",
        "around",
        "inside",
        "against",
        "into",
        "through",
        "from",
        "towards",
        "catching",
        "in front of",
        "behind",
        "holding",
        "holds",
        "carrying",
        "carries",
        "playing with",
        "plays with",
        "playing",
        "plays",
        "eating",
        "eats",
        "chasing",
        "chases",
        "watching",
        "looking at",
        "hugging",
        "kissing",
        "plus",
        "or",
        "meets",
    ),
    "above": ("riding", "rides", "riding on", "flying over", "standing on top of"),
}  # the nearest that there is
# The plain background that is nearest to one of another colour.
NEAR_PLAIN = {
    "blue": ("light blue", "dark blue", "sky blue", "cyan", "turquoise", "teal", "purple"),
    "green": ("light green", "dark green", "lime"),
    "yellow": ("light yellow", "orange", "golden", "cream", "beige"),
    "pink": ("light pink", "hot pink", "red"),
    "grey": ("gray", "light grey", "light gray", "dark grey", "dark gray", "silver", "brown"),
}


def _on(colour: str) -> tuple[str, ...]:
    return (
        f"on a {colour} background",
        f"on {colour} background",
        f"on {colour}",
        f"with a {colour} background",
        f"{colour} background",
        f"in front of a {colour} background",
    )


PLACE_WORDS = {
    "hill": (
        "on a hill",
        "on the hill",
        "on a green hill",
        "on the grass",
        "on grass",
        "in the grass",
        "in a meadow",
        "in a field",
        "in the park",
        "in a garden",
        "in the garden",
        "on a mountain",
        "on the mountain",
        "in the mountains",
        "on a meadow",
        "on the meadow",
        "in the meadow",
        "in the field",
        "in a park",
        "on a lawn",
        "on the lawn",
        "in the forest",
        "in a forest",
        "in the woods",
        "in the jungle",
        "in the countryside",
        "on a farm",
        "on the farm",
        "in nature",
        "outdoors",
    ),
    "sea": (
        "in the sea",
        "in the ocean",
        "in the water",
        "in water",
        "at sea",
        "on the sea",
        "on the ocean",
        "on the water",
        "on water",
        "over the sea",
        "over the ocean",
        "on a lake",
        "on the lake",
        "in a lake",
        "on a river",
        "in a river",
        "in the river",
        "on the river",
        "in the lake",
        "in a pond",
        "on a pond",
        "in the pond",
        "in a pool",
        "in the pool",
        "on the waves",
        "over the waves",
        "underwater",
        "under water",
    ),
    "beach": (
        "on the beach",
        "at the beach",
        "on a beach",
        "on the sand",
        "on sand",
        "in the sand",
        "by the sea",
        "by the ocean",
        "at the seaside",
        "at the sea",
        "on the shore",
        "on the coast",
        "on an island",
        "on a desert island",
        "in the desert",
        "in a desert",
    ),
    "snow": (
        "in the snow",
        "in snow",
        "on the snow",
        "on snow",
        "in winter",
        "on ice",
        "on the ice",
        "in the arctic",
        "in the antarctic",
        "in antarctica",
        "at the north pole",
        "at the south pole",
        "in a snowstorm",
        "in the cold",
    ),
    "moon": (
        "on the moon",
        "on the surface of the moon",
        "in space",
        "in outer space",
        "on mars",
        "on another planet",
    ),
    "night": (
        "at night",
        "in the night",
        "by night",
        "in the dark",
        "under the stars",
        "at midnight",
        "at night time",
        "in the night sky",
        "night sky",
        "starry night",
        "on a starry night",
        "under a starry sky",
        "under the night sky",
        "in the dark sky",
        "in the dark night",
        "on a black background",
        "on black background",
        "with a black background",
        "black background",
    ),
    **{
        c: (
            *_on(c),
            *(("in the sky", "in the blue sky", "in the air") if c == "blue" else ()),
            *(p for near in NEAR_PLAIN.get(c, ()) for p in _on(near)),
        )
        for c in PLAIN
    },
    "": ("on white", "on a white background", "on white background", "white background"),
}
# The same without a word that says where: "in a dark forest", "the moon over the sea".
GROUND_WORDS = {
    "hill": parted(
        "hill|hills|grass|mountain|mountains|meadow|field|fields|park|garden|forest|woods|jungle"
        "|countryside|farm|lawn|valley|savanna"
    ),
    "sea": parted("sea|ocean|water|lake|river|pond|pool|waves"),
    "beach": parted("beach|shore|coast|seaside|island|sand|desert"),
    "snow": parted("snow|ice|winter|snowstorm|arctic|antarctica|north pole|south pole"),
    "moon": parted("space|outer space|mars"),
    "night": parted("night|midnight|starry sky|night time|nighttime"),
    "blue": parted("sky|blue sky|skies"),
}
# Things of their own, though a word in their name is known: no part of them is drawn.
OTHER_THINGS = parted(
    "sea lion|sea horse|star fish|jelly fish|dragon fly|fire fly|egg plant|guinea pig"
    "|prairie dog|computer mouse|baseball bat|star wars|van gogh|hot air|sky scraper|key board"
    "|chicken nugget|egg roll|apple juice|apple pie|spider man|iron man|rubber band|fire place"
    "|fish tank|horse fly|tooth brush|paper plane"
)
FILLERS = ASKING.union(
    re.findall(
        r"\w+",
        """a an the of it its is are was be that this these those there which who some in at to for
        my your his her their our emoji emojis 3d picture image photo drawing icon illustration
        cute nice pretty beautiful lovely cool happy smiling please draw show make me very
        really just coloured colored color colour style fluent standing sitting stands sits has
        have""",
    )
)

# Who says one of these speaks of something else from there on.
DETERMINERS = frozenset(
    ("a", "an", "the", "my", "your", "his", "her", "their", "our", "this", "these", "those", "some")
)
# What is said next is said of the thing before: "a cat that is black".
PREDICATES = frozenset(("is", "are", "was", "be", "looks", "coloured", "colored", "painted"))
COATS = frozenset(("fur", "feathers", "scales", "skin", "wool", "colour", "color"))
PLURALS = {"goose": "geese", "calf": "calves"}
WORN_NOUNS = {"hat": "hat", "sunglasses": "glasses"}
