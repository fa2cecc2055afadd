"""The objects of the emoji world: cut-outs of Fluent Emoji 3D, their words and colours."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
from PIL.WebPImagePlugin import WebPImageFile

CUTOUTS = Path(__file__).with_name("cutouts.zip")  # <noun>.webp, cropped to what is not transparent


@dataclass(frozen=True)
class Head:
    """Where a hat and glasses go, as shares of the cut-out's width and height.

    Attributes:
        x: the middle of the face.
        top: where the hat's brim sits.
        eyes: the height of the eyes.
        hat, glasses: how wide each is worn.
    """

    x: float = 0.5
    top: float = 0.12
    eyes: float = 0.45
    hat: float = 0.48
    glasses: float = 0.72


@dataclass(frozen=True)
class Object:
    """One object.

    Attributes:
        noun: what it is called in facts and captions.
        also: other words for it.
        plural: where adding s or es is not enough.
        takes: how it takes a colour: the "body" of its commonest hue changes, or the "whole" of
            what is grey or white, or it takes "none".
        head: where it may wear something.
    """

    noun: str
    also: tuple[str, ...] = ()
    plural: str = ""
    takes: Literal["body", "whole", "none"] = "body"
    head: Head | None = None


@cache
def cutout(noun: str) -> np.ndarray:
    """The cut-out of an object, or of what is worn, uint8 [H, W, 4], at most 128 pixels a side."""
    with zipfile.ZipFile(CUTOUTS) as archive:
        data = archive.read(f"{noun.replace(' ', '-')}.webp")
    # `Image.open` would import what reads fifty other kinds of pictures first.
    return np.asarray(WebPImageFile(io.BytesIO(data)).convert("RGBA"))


OBJECTS = (
    Object("apple"),
    Object("lemon"),
    Object("banana"),
    Object("pear"),
    Object("peach"),
    Object("cherry"),
    Object("grapes", ("grape",), plural="grapes"),
    Object("watermelon", ("melon",), takes="none"),
    Object("strawberry", ("berry",)),
    Object("tomato"),
    Object("carrot"),
    Object("corn", ("maize",), takes="none"),
    Object("mushroom", ("toadstool",)),
    Object("burger", ("hamburger", "cheeseburger"), takes="none"),
    Object("pizza", takes="none"),
    Object("hotdog", ("hot dog", "sausage"), takes="none"),
    Object("fries", ("chips", "french fries"), plural="fries", takes="none"),
    Object("sandwich", ("toast",), takes="none"),
    Object("cheese"),
    Object("egg"),
    Object("cake", ("birthday cake",)),
    Object("donut", ("doughnut",)),
    Object("cookie", ("biscuit",), takes="none"),
    Object("cupcake", ("muffin",)),
    Object("ice cream", ("icecream", "gelato")),
    Object("coffee", ("tea", "mug", "cup", "coffee cup", "cup of coffee", "cup of tea")),
    Object("tree", ("oak",)),
    Object("pine", ("fir", "pine tree", "spruce", "christmas tree")),
    Object("palm", ("palm tree",)),
    Object("cactus", plural="cacti"),
    Object("tulip"),
    Object("rose"),
    Object("sunflower", takes="none"),
    Object("flower", ("daisy", "blossom")),
    Object("cat", ("kitten", "kitty"), head=Head(top=0.24)),
    Object("dog", ("puppy", "hound"), head=Head(eyes=0.4)),
    Object("fox", head=Head(top=0.32, eyes=0.48)),
    Object("lion", head=Head(top=0.16, eyes=0.42)),
    Object("tiger", head=Head(eyes=0.42)),
    Object("bear", ("grizzly",), head=Head()),
    Object("panda", takes="whole", head=Head()),
    Object("koala", head=Head(top=0.16, eyes=0.48)),
    Object("frog", ("toad",), head=Head(eyes=0.2, glasses=0.86)),
    Object("pig", ("piglet",), head=Head(eyes=0.42)),
    Object("cow", ("bull",), takes="whole", head=Head(eyes=0.42, glasses=0.6)),
    Object("horse", ("pony",)),
    Object("mouse", ("rat",), plural="mice"),
    Object("rabbit", ("bunny", "hare"), head=Head(top=0.46, eyes=0.58, hat=0.4, glasses=0.64)),
    Object("monkey", ("ape", "chimp"), head=Head(eyes=0.42)),
    Object("elephant"),
    Object("giraffe"),
    Object("zebra", takes="none"),
    Object("sheep", ("lamb",), plural="sheep", takes="whole"),
    Object("wolf", plural="wolves"),
    Object("penguin", takes="whole", head=Head(top=0.06, eyes=0.26, hat=0.42, glasses=0.52)),
    Object("owl", head=Head(eyes=0.27, hat=0.44, glasses=0.9)),
    Object("duck"),
    Object("chick", ("baby chick",), head=Head(top=0.06, eyes=0.2, hat=0.36, glasses=0.44)),
    Object("chicken", ("rooster", "hen")),
    Object("bird"),
    Object("parrot"),
    Object("turtle", ("tortoise",)),
    Object("snake", ("serpent",)),
    Object("dinosaur", ("dino", "trex")),
    Object("dragon"),
    Object("unicorn"),
    Object("fish", plural="fish"),
    Object("whale"),
    Object("dolphin"),
    Object("shark"),
    Object("octopus"),
    Object("crab"),
    Object("snail"),
    Object("butterfly"),
    Object("bee", ("honeybee", "bumblebee"), takes="none"),
    Object("ladybug", ("ladybird", "beetle")),
    Object("spider"),
    Object("car", ("automobile", "auto")),
    Object("bus", takes="whole"),
    Object("taxi", ("cab",)),
    Object("truck", ("lorry", "van")),
    Object("tractor"),
    Object("train", ("locomotive",)),
    Object("bike", ("bicycle", "cycle"), takes="none"),
    Object("motorcycle", ("motorbike",)),
    Object("rocket", ("spaceship", "spacecraft"), takes="whole"),
    Object("plane", ("airplane", "aeroplane", "jet"), takes="whole"),
    Object("helicopter", ("chopper",), takes="whole"),
    Object("ufo", ("flying saucer", "saucer"), takes="whole"),
    Object("boat", ("sailboat", "sailing boat", "yacht", "ship")),
    Object("house", ("home", "cottage")),
    Object("castle", ("palace",), takes="whole"),
    Object("tent"),
    Object("volcano", takes="none"),
    Object("sun", head=Head(top=0.1)),
    Object("moon", head=Head(eyes=0.42)),
    Object("star"),
    Object("cloud"),
    Object("rainbow", takes="none"),
    Object("snowflake"),
    Object("snowman", plural="snowmen", takes="whole"),
    Object("fire", ("flame",)),
    Object("earth", ("globe", "world"), takes="none"),
    Object("planet", ("saturn",)),
    Object("umbrella", ("parasol",)),
    Object("balloon"),
    Object("gift", ("present",)),
    Object("teddy", ("teddy bear",), head=Head(top=0.07, eyes=0.2, hat=0.36, glasses=0.44)),
    Object("crown"),
    Object("hat", ("top hat",)),
    Object("sunglasses", plural="sunglasses"),
    Object("shirt", ("t-shirt", "tshirt", "tee")),
    Object("dress", ("gown",)),
    Object("shoe", ("sneaker", "trainer"), takes="whole"),
    Object("backpack", ("rucksack",)),
    Object("bag", ("handbag", "purse")),
    Object("ring"),
    Object("guitar"),
    Object("drum"),
    Object("key"),
    Object("lock", ("padlock",)),
    Object("bulb", ("light bulb", "lightbulb", "lamp")),
    Object("camera", takes="whole"),
    Object("phone", ("mobile phone", "smartphone", "telephone")),
    Object("computer", ("monitor", "screen", "pc", "laptop")),
    Object("television", ("tv", "telly")),
    Object("book"),
    Object("pencil", ("crayon",)),
    Object("scissors", plural="scissors"),
    Object("hammer", takes="whole"),
    Object("bomb"),
    Object("clock", ("alarm clock", "alarm")),
    Object("chair"),
    Object("bucket", ("pail",)),
    Object("ball", ("soccer ball",)),
    Object("football", ("rugby ball",)),
    Object("basketball"),
    Object("trophy"),
    Object("kite"),
    Object("letter", ("envelope", "mail")),
    Object("heart"),
    Object("robot", ("android", "bot"), takes="whole", head=Head(top=0.18, eyes=0.5, hat=0.44)),
    Object("ghost", head=Head(top=0.08, eyes=0.28, glasses=0.6)),
    Object("alien", ("martian",), head=Head(eyes=0.54, glasses=0.88)),
    Object("skull", head=Head(eyes=0.45, glasses=0.86)),
    Object("pumpkin", ("jack-o-lantern",), head=Head(top=0.16, eyes=0.4)),
    Object("smiley", ("smiley face", "smile", "emoji face", "face"), head=Head(eyes=0.42)),
    Object("santa", ("santa claus",), takes="none"),
    Object("baby", takes="none", head=Head(top=0.16, eyes=0.54, glasses=0.66)),
    Object("poop", ("poo",), head=Head(top=0.16, eyes=0.54, hat=0.38)),
)

BY_NOUN = {o.noun: o for o in OBJECTS}
