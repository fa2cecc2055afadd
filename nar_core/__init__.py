"""Next-neighbour visual generation (arXiv 2503.10696) from any seed position, step by step."""

from . import environment as environment  # first, since torch reads it once
from .checks import prepare
from .device import is_out_of_memory
from .engine import Engine
from .explain import Candidate, Explanation, Said
from .info import ModelInfo
from .original import Original
from .picture import fit, open_picture, reading_picture
from .pipeline import NARPipeline
from .request import Frame, Prepared, Request, growth_strip
from .settings import NUM_SAMPLES, RNG_SEED, SETTINGS, Fusion, Heads, Setting, heads_for
from .subject import framed
from .version import __version__
from .video import write_mp4
from .weights.fetch import Progress
from .weights.list import list_models
from .weights.load import fetch_model
from .weights.read import share_heap, trim_heap
from .words import (
    box_alone,
    ideas,
    illustrate,
    samples,
    understand,
    vocabulary,
)
from .worlds import Understood, Word

__all__ = [
    "NUM_SAMPLES",
    "RNG_SEED",
    "SETTINGS",
    "Candidate",
    "Engine",
    "Explanation",
    "Frame",
    "Fusion",
    "Heads",
    "ModelInfo",
    "NARPipeline",
    "Original",
    "Prepared",
    "Progress",
    "Request",
    "Said",
    "Setting",
    "Understood",
    "Word",
    "__version__",
    "box_alone",
    "fetch_model",
    "fit",
    "framed",
    "growth_strip",
    "heads_for",
    "ideas",
    "illustrate",
    "is_out_of_memory",
    "list_models",
    "open_picture",
    "prepare",
    "reading_picture",
    "samples",
    "share_heap",
    "trim_heap",
    "understand",
    "vocabulary",
    "write_mp4",
]
