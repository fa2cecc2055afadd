"""Facts of an emoji scene, and how they are laid out and painted.

Everything stands on the 8-pixel grid of the tokenizer at one of two sizes, so that equal things
give equal tokens wherever they stand.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw

from .colours import recolour
from .objects import BY_NOUN, cutout

CELL = 8
SIDE = 128
SIZES = {"small": 7, "": 12, "big": 12}  # cells; what is alone is big, in company small
COUNTS = {1: "", 2: "two", 3: "three", 4: "four"}
RELATIONS = ("and", "left of", "above")
WORN = ("hat", "glasses")
PLAIN = {
    "blue": (214, 232, 252),
    "green": (218, 242, 220),
    "yellow": (253, 246, 208),
    "pink": (252, 222, 232),
    "grey": (222, 225, 230),
}
SCENES = ("hill", "sea", "beach", "snow", "moon", "night")
PLACES = (*PLAIN, *SCENES)
GROUND = 14  # the row of cells on which things stand in a scene


@dataclass(frozen=True)
class Thing:
    """One kind of thing in a scene; empty strings where nothing is said."""

    noun: str
    colour: str = ""
    worn: str = ""
    verb: str = ""


Corners = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Scene:
    """Facts of a picture or clip.

    Attributes:
        things: one, or two in `relation`: the first and, left of, or above the second.
        count: how many of a single thing, 1 to 4.
        size: of a single thing: "", "small", or "big", which it is anyway.
        place: what is behind: "" for white, a plain colour or a scene.
        layout: the upper left cell (x, y) of every thing's box, nothing where it is left open.
    """

    things: tuple[Thing, ...]
    count: int = 1
    size: str = ""
    relation: str = ""
    place: str = ""
    layout: Corners = ()


@dataclass(frozen=True)
class Placed:
    """A thing in its place: the upper left corner in cells, and the size in cells."""

    thing: Thing
    x: int
    y: int
    cells: int


Layout = tuple[Placed, ...]


def corners(scene: Scene) -> list[Corners]:
    """Every layout of a scene as the upper-left cells (x, y) of its boxes.

    There are few, and what is in company moves together: a model has to tell from the cells that
    it sees where each thing lies, and every further place costs it shapes that it could know.
    """
    stands = scene.place in SCENES
    if len(scene.things) == 1 and scene.count == 1:
        if SIZES[scene.size] == SIZES["small"]:
            return [((x, GROUND - 7 if stands else 4),) for x in (1, 4, 8)]
        rows = (2,) if stands else (1, 3)
        if scene.things[0].worn == "hat":
            rows = (4,)  # room for the hat
        return [((x, y),) for y in rows for x in (1, 3)]
    level = 7 if stands else 4
    hats = any(thing.worn == "hat" for thing in scene.things)
    top = 2 if hats else 0  # room for them
    bottom = 9 if hats else 7 if stands else 8
    ways = []
    for left, middle, right in ((0, 4, 8), (1, 5, 9)):
        side_by_side = [(left, level), (right, level)]
        stacked = [(middle, top), (middle, bottom)]
        aslant = [[(left, top), (right, bottom)], [(left, bottom), (right, top)]]
        if hats:
            aslant = []
        if scene.relation == "left of":
            ways += [side_by_side]
        elif scene.relation == "above":
            ways += [stacked]
        elif scene.relation:
            ways += [side_by_side, side_by_side[::-1], *aslant, *(a[::-1] for a in aslant)]
        elif scene.count == 2:
            ways += [side_by_side, *aslant]
        elif scene.count == 3:
            ways += [[(middle, top), (left, bottom), (right, bottom)]]
            ways += [[(left, top), (right, top), (middle, bottom)]]
        else:
            ways += [[(left, top), (right, top), (left, bottom), (right, bottom)]]
    return [tuple(way) for way in ways]


def placed(scene: Scene, cells: int, ways: list[Corners]) -> list[Layout]:
    """The scene's own layout where it has one, else every one of `ways`, its things in them."""
    things = scene.things if len(scene.things) == 2 else scene.things * scene.count
    return [
        tuple(Placed(thing, x, y, cells) for thing, (x, y) in zip(things, way, strict=True))
        for way in ([scene.layout] if scene.layout else ways)
    ]


def layouts(scene: Scene) -> list[Layout]:
    """The layout of a scene, or every way to lay it out."""
    alone = len(scene.things) == 1 and scene.count == 1
    return placed(scene, SIZES[scene.size] if alone else SIZES["small"], corners(scene))


@lru_cache(4096)
def sprite(thing: Thing, cells: int) -> tuple[Image.Image, int]:
    """A thing as a picture, and how many pixels of it (a hat) stand out above its box."""
    known = BY_NOUN[thing.noun]
    pixels = cutout(thing.noun)
    if thing.colour:
        pixels = recolour(pixels, thing.colour, known.takes == "whole")
    image = Image.fromarray(pixels)
    scale = cells * CELL / max(image.size)
    image = _resized(image, scale)
    if not thing.worn:
        return image, 0
    head = known.head
    assert head is not None
    worn = Image.fromarray(cutout("hat" if thing.worn == "hat" else "sunglasses"))
    wide = (head.hat if thing.worn == "hat" else head.glasses) * image.width
    worn = _resized(worn, wide / worn.width)
    x = round(head.x * image.width - worn.width / 2)
    if thing.worn == "glasses":
        image = image.copy()
        paste(image, worn, x, round(head.eyes * image.height - worn.height / 2))
        return image, 0
    y = round(head.top * image.height - worn.height)
    above = max(0, -y)
    left = max(0, -x)
    right = max(0, x + worn.width - image.width)
    whole = Image.new("RGBA", (left + image.width + right, image.height + above))
    whole.alpha_composite(image, (left, above))
    whole.alpha_composite(worn, (x + left, y + above))
    if left or right:
        whole = whole.crop((left, 0, left + image.width, whole.height))
    return whole, above


def _resized(image: Image.Image, scale: float) -> Image.Image:
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.LANCZOS)


def paste(canvas: Image.Image, image: Image.Image, x: int, y: int) -> None:
    """Composite, also where the picture reaches beyond the canvas."""
    left, top = max(0, -x), max(0, -y)
    right, bottom = min(image.width, canvas.width - x), min(image.height, canvas.height - y)
    if right > left and bottom > top:
        canvas.alpha_composite(image.crop((left, top, right, bottom)), (x + left, y + top))


def spot(placed: Placed, stands: bool) -> tuple[int, int]:
    """Where the picture of a placed thing begins, in pixels: on the grid, in its box's middle."""
    image, above = sprite(placed.thing, placed.cells)
    wide, high = -(-image.width // CELL), -(-(image.height - above) // CELL)
    x = placed.x + (placed.cells - wide) // 2
    y = placed.y + (placed.cells - high if stands else (placed.cells - high) // 2)
    return x * CELL, y * CELL - above


def random_place(rng: np.random.Generator) -> str:
    """White mostly, sometimes a scene or a plain colour."""
    if rng.random() >= 0.3:
        return ""
    places = SCENES if rng.random() < 0.6 else tuple(PLAIN)
    return places[rng.integers(len(places))]


@lru_cache(32)
def backdrop(place: str) -> Image.Image:
    """What is behind the things, [128, 128] RGBA; drawn twice as large for smooth edges."""
    if place in PLAIN or not place:
        return Image.new("RGBA", (SIDE, SIDE), (*PLAIN.get(place, (255, 255, 255)), 255))
    k = 4
    sky = {
        "hill": (206, 232, 252),
        "sea": (222, 240, 252),
        "beach": (206, 234, 252),
        "snow": (196, 216, 238),
        "moon": (24, 26, 50),
        "night": (30, 36, 76),
    }[place]
    image = Image.new("RGB", (SIDE * k, SIDE * k), sky)
    draw = ImageDraw.Draw(image)

    def box(x0: float, y0: float, x1: float, y1: float) -> tuple[float, float, float, float]:
        return x0 * k, y0 * k, x1 * k, y1 * k

    if place in ("moon", "night"):
        for x, y in ((12, 12), (44, 20), (84, 12), (116, 28), (20, 52), (108, 68), (68, 36)):
            draw.ellipse(box(x - 1.2, y - 1.2, x + 1.2, y + 1.2), (246, 240, 206))
    if place == "hill":
        draw.ellipse(box(-76, 88, 204, 300), (124, 190, 92))
    elif place == "sea":
        draw.rectangle(box(0, 72, SIDE, SIDE), (92, 170, 226))
    elif place == "beach":
        draw.rectangle(box(0, 64, SIDE, 88), (92, 176, 222))
        draw.rectangle(box(0, 88, SIDE, SIDE), (240, 214, 158))
    elif place == "snow":
        draw.ellipse(box(-76, 88, 204, 300), (248, 250, 254))
        for x, y in ((12, 20), (44, 12), (76, 28), (108, 12), (20, 60), (116, 52), (60, 60)):
            draw.ellipse(box(x - 1.8, y - 1.8, x + 1.8, y + 1.8), (248, 250, 254))
    elif place == "moon":
        draw.ellipse(box(-76, 88, 204, 300), (176, 178, 188))
        for x, y, r in ((20, 112, 7), (64, 122, 8), (108, 112, 6)):
            draw.ellipse(box(x - r, y - r / 2, x + r, y + r / 2), (150, 152, 164))
    elif place == "night":
        draw.ellipse(box(-76, 96, 204, 300), (38, 74, 62))
    return image.resize((SIDE, SIDE), Image.Resampling.BOX).convert("RGBA")


@lru_cache(4)
def waves() -> Image.Image:
    """The water in front of what stands in the sea, [16, 128] RGBA."""
    k = 4
    image = Image.new("RGBA", (SIDE * k, 2 * CELL * k), (0, 0, 0, 0))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 4 * k, SIDE * k, 2 * CELL * k), (92, 170, 226, 255))
    for x in range(-8, SIDE, 16):
        draw.ellipse((x * k, 0, (x + 16) * k, 12 * k), (92, 170, 226, 255))
    return image.resize((SIDE, 2 * CELL), Image.Resampling.BOX)


def paint(layout: Layout, place: str) -> np.ndarray:
    """A picture of a layout, uint8 [128, 128, 3]."""
    canvas = backdrop(place).copy()
    stands = place in SCENES
    for placed in layout:
        paste(canvas, sprite(placed.thing, placed.cells)[0], *spot(placed, stands))
    if place == "sea":
        canvas.alpha_composite(waves(), (0, (GROUND - 1) * CELL))
        ImageDraw.Draw(canvas).rectangle((0, (GROUND + 1) * CELL, SIDE, SIDE), (92, 170, 226, 255))
    return np.array(canvas.convert("RGB"))
