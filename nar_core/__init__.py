"""Next-neighbour visual generation (arXiv 2503.10696) from any seed position, step by step."""

from .checks import plan_of, validate
from .engine import Engine, Frame
from .mp4 import write_mp4
from .request import Request
from .weights.info import ModelInfo
from .weights.registry import list_models

__all__ = [
    "Engine",
    "Frame",
    "ModelInfo",
    "Request",
    "list_models",
    "plan_of",
    "validate",
    "write_mp4",
]
