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
        also: other words for it, parted by |.
        plural: where adding s or es is not enough.
        takes: how it takes a colour: the "body" of its commonest hue changes, or the "whole" of
            what is grey or white, or it takes "none".
        head: where it may wear something.
    """

    noun: str
    also: str = ""
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
    Object("lemon", "citrus"),
    Object("banana"),
    Object("pear"),
    Object("peach"),
    Object("cherry"),
    Object("grapes", "grape|bunch of grapes", plural="grapes"),
    Object("watermelon", "melon|slice of watermelon|watermelon slice", takes="none"),
    Object("strawberry", "berry"),
    Object("tomato", "cherry tomato"),
    Object("carrot"),
    Object("corn", "maize", takes="none"),
    Object("mushroom", "toadstool"),
    Object("burger", "hamburger|cheeseburger|veggie burger", takes="none"),
    Object("pizza", "slice of pizza|pizza slice", takes="none"),
    Object("hotdog", "hot dog|sausage|frankfurter|bratwurst", takes="none"),
    Object("fries", "chips|french fries", plural="fries", takes="none"),
    Object("sandwich", "toast|sub", takes="none"),
    Object("cheese"),
    Object("egg", "easter egg"),
    Object("cake", "birthday cake|slice of cake|piece of cake|cheesecake|chocolate cake"),
    Object("donut", "doughnut|bagel"),
    Object("cookie", "biscuit|chocolate chip cookie|cracker", takes="none"),
    Object("cupcake", "muffin"),
    Object("ice cream", "icecream|gelato|ice cream cone|ice cream sundae|sundae|soft serve"),
    Object(
        "coffee",
        "tea|mug|cup|coffee cup|cup of coffee|cup of tea|latte|cappuccino|espresso|cocoa"
        "|hot chocolate|teacup|mug of coffee|mug of tea",
    ),
    Object("tree", "oak|maple|willow|apple tree|oak tree|bush"),
    Object("pine", "fir|pine tree|spruce|christmas tree|fir tree|xmas tree|conifer"),
    Object("palm", "palm tree|coconut tree"),
    Object("cactus", "succulent", plural="cacti"),
    Object("tulip"),
    Object("rose"),
    Object("sunflower", takes="none"),
    Object("flower", "daisy|blossom|cherry blossom|orchid|poppy|bouquet|bouquet of flowers"),
    Object("cat", "kitten|kitty|tabby|tomcat", head=Head(top=0.24)),
    Object(
        "dog",
        "puppy|hound|pup|doggy|corgi|poodle|pug|dachshund|bulldog|beagle|labrador"
        "|golden retriever|retriever|husky|terrier|chihuahua|german shepherd",
        head=Head(eyes=0.4),
    ),
    Object("fox", head=Head(top=0.32, eyes=0.48)),
    Object("lion", "lioness|lion king", head=Head(top=0.16, eyes=0.42)),
    Object("tiger", head=Head(eyes=0.42)),
    Object("bear", "grizzly|grizzly bear|polar bear|bear cub", head=Head()),
    Object("panda", "panda bear", takes="whole", head=Head()),
    Object("koala", "koala bear", head=Head(top=0.16, eyes=0.48)),
    Object("frog", "toad", head=Head(eyes=0.2, glasses=0.86)),
    Object("pig", "piglet|hog|piggy", head=Head(eyes=0.42)),
    Object(
        "cow",
        "bull|calf|cattle|buffalo|bison",
        takes="whole",
        head=Head(eyes=0.42, glasses=0.6),
    ),
    Object("horse", "pony|stallion|mare|foal|donkey|mule"),
    Object("mouse", "rat|hamster", plural="mice"),
    Object("rabbit", "bunny|hare", head=Head(top=0.46, eyes=0.58, hat=0.4, glasses=0.64)),
    Object("monkey", "ape|chimp|chimpanzee|gorilla|orangutan", head=Head(eyes=0.42)),
    Object("elephant"),
    Object("giraffe"),
    Object("zebra", takes="none"),
    Object("sheep", "lamb|ram|goat", plural="sheep", takes="whole"),
    Object("wolf", "coyote", plural="wolves"),
    Object("penguin", takes="whole", head=Head(top=0.06, eyes=0.26, hat=0.42, glasses=0.52)),
    Object("owl", "snowy owl|barn owl", head=Head(eyes=0.27, hat=0.44, glasses=0.9)),
    Object("duck", "duckling|rubber duck|goose|mallard"),
    Object("chick", "baby chick", head=Head(top=0.06, eyes=0.2, hat=0.36, glasses=0.44)),
    Object("chicken", "rooster|hen"),
    Object("bird", "robin|sparrow|pigeon|dove|seagull|crow|raven|eagle|hawk|falcon|songbird"),
    Object("parrot", "macaw|parakeet|cockatoo"),
    Object("turtle", "tortoise|sea turtle"),
    Object("snake", "serpent|cobra|python|viper|rattlesnake"),
    Object("dinosaur", "dino|trex|t-rex|tyrannosaurus|tyrannosaurus rex|triceratops|brontosaurus"),
    Object("dragon"),
    Object("unicorn", "pegasus"),
    Object("fish", "goldfish|salmon|trout|tuna|tropical fish|clownfish", plural="fish"),
    Object("whale", "orca|humpback whale|humpback|killer whale"),
    Object("dolphin"),
    Object("shark"),
    Object("octopus", "squid"),
    Object("crab", "lobster"),
    Object("snail"),
    Object("butterfly", "moth"),
    Object("bee", "honeybee|bumblebee|wasp|hornet", takes="none"),
    Object("ladybug", "ladybird|beetle"),
    Object("spider", "tarantula"),
    Object(
        "car",
        "automobile|auto|sports car|race car|racing car|police car|sedan|convertible"
        "|limousine|limo",
    ),
    Object("bus", "school bus|minibus", takes="whole"),
    Object("taxi", "cab"),
    Object("truck", "lorry|van|pickup|pickup truck|fire truck|fire engine|ambulance|dump truck"),
    Object("tractor"),
    Object("train", "locomotive|steam train|steam engine|tram|subway"),
    Object("bike", "bicycle|cycle", takes="none"),
    Object("motorcycle", "motorbike|scooter|moped|vespa"),
    Object(
        "rocket",
        "spaceship|spacecraft|rocket ship|space rocket|space ship|space shuttle",
        takes="whole",
    ),
    Object("plane", "airplane|aeroplane|jet|airliner|jet plane|fighter jet|biplane", takes="whole"),
    Object("helicopter", "chopper", takes="whole"),
    Object("ufo", "flying saucer|saucer|alien ship", takes="whole"),
    Object(
        "boat",
        "sailboat|sailing boat|yacht|ship|sail boat|ferry|canoe|pirate ship|rowboat|vessel",
    ),
    Object("house", "home|cottage|hut|cabin|mansion|villa|barn|building"),
    Object("castle", "palace|fortress|chateau", takes="whole"),
    Object("tent", "teepee|tipi|wigwam"),
    Object("volcano", takes="none"),
    Object("sun", "sunshine", head=Head(top=0.1)),
    Object("moon", "crescent|crescent moon|full moon|half moon", head=Head(eyes=0.42)),
    Object("star"),
    Object("cloud"),
    Object("rainbow", takes="none"),
    Object("snowflake"),
    Object("snowman", plural="snowmen", takes="whole"),
    Object("fire", "flame|campfire|bonfire"),
    Object("earth", "globe|world|planet earth", takes="none"),
    Object("planet", "saturn"),
    Object("umbrella", "parasol|beach umbrella"),
    Object("balloon", "party balloon"),
    Object("gift", "present|birthday present|birthday gift|gift box|christmas present"),
    Object("teddy", "teddy bear", head=Head(top=0.07, eyes=0.2, hat=0.36, glasses=0.44)),
    Object("crown", "tiara"),
    Object("hat", "top hat"),
    Object("sunglasses", plural="sunglasses"),
    Object("shirt", "t-shirt|tshirt|tee|blouse|sweater|jumper|hoodie|jacket|coat"),
    Object("dress", "gown"),
    Object("shoe", "sneaker|trainer|boot|running shoe|sandal|high heel", takes="whole"),
    Object("backpack", "rucksack|school bag|schoolbag"),
    Object("bag", "handbag|purse|suitcase|briefcase|luggage"),
    Object("ring", "diamond ring|wedding ring|engagement ring"),
    Object("guitar", "electric guitar|ukulele|banjo"),
    Object("drum", "snare drum|bongo"),
    Object("key"),
    Object("lock", "padlock"),
    Object("bulb", "light bulb|lightbulb|lamp"),
    Object("camera", takes="whole"),
    Object("phone", "mobile phone|smartphone|telephone|cell phone|cellphone|iphone|mobile"),
    Object("computer", "monitor|screen|pc|laptop|pc monitor|desktop computer|notebook computer"),
    Object("television", "tv|telly"),
    Object("book", "notebook|novel|open book|diary"),
    Object("pencil", "crayon|pen|coloured pencil|colored pencil"),
    Object("scissors", plural="scissors"),
    Object("hammer", takes="whole"),
    Object("bomb", "grenade|dynamite"),
    Object("clock", "alarm clock|alarm|stopwatch|timer|wristwatch"),
    Object("chair", "stool|armchair|seat|throne"),
    Object("bucket", "pail"),
    Object("ball", "soccer ball|soccer|beach ball|tennis ball|baseball|volleyball"),
    Object("football", "rugby ball|american football"),
    Object("basketball"),
    Object("trophy", "medal|prize"),
    Object("kite"),
    Object("letter", "envelope|mail|post card|postcard|email|e-mail"),
    Object("heart", "love heart"),
    Object(
        "robot",
        "android|bot|cyborg|droid",
        takes="whole",
        head=Head(top=0.18, eyes=0.5, hat=0.44),
    ),
    Object("ghost", "phantom|spirit", head=Head(top=0.08, eyes=0.28, glasses=0.6)),
    Object("alien", "martian|extraterrestrial", head=Head(eyes=0.54, glasses=0.88)),
    Object("skull", "skeleton", head=Head(eyes=0.45, glasses=0.86)),
    Object(
        "pumpkin",
        "jack-o-lantern|halloween pumpkin|jack o lantern",
        head=Head(top=0.16, eyes=0.4),
    ),
    Object(
        "smiley",
        "smiley face|smile|emoji face|face|emoticon|smiling face|happy face",
        head=Head(eyes=0.42),
    ),
    Object("santa", "santa claus|father christmas|saint nicholas|saint nick", takes="none"),
    Object(
        "baby",
        "infant|newborn|toddler",
        takes="none",
        head=Head(top=0.16, eyes=0.54, glasses=0.66),
    ),
    Object("poop", "poo", head=Head(top=0.16, eyes=0.54, hat=0.38)),
)

BY_NOUN = {o.noun: o for o in OBJECTS}
