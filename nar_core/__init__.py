"""Next-neighbour visual generation (arXiv 2503.10696) from any seed position, step by step."""

from .checks import plan_of, validate
from .engine import Engine, Frame
from .mp4 import write_mp4
from .request import Request
from .settings import NUM_SAMPLES, RNG_SEED, SETTINGS, Fusion, Heads, Setting, heads_for
from .weights.info import ModelInfo
from .weights.registry import list_models

__all__ = [
    "NUM_SAMPLES",
    "RNG_SEED",
    "SETTINGS",
    "Engine",
    "Frame",
    "Fusion",
    "Heads",
    "ModelInfo",
    "Request",
    "Setting",
    "heads_for",
    "list_models",
    "plan_of",
    "validate",
    "write_mp4",
]
