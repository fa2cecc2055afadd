"""Clips as MP4 files that browsers and phones play."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def write_mp4(path: Path, frames: np.ndarray, fps: float) -> None:
    """Write uint8 [F, height, width, 3] as H.264 in yuv420p, its index in front.

    Raises ValueError for sides that are odd, which yuv420p cannot hold.
    """
    import imageio_ffmpeg  # only clips need it

    height, width = frames.shape[1:3]
    if height % 2 or width % 2:
        raise ValueError(f"clip: got frames of {width} x {height} pixels, expected even sides")
    writer = imageio_ffmpeg.write_frames(
        str(path),
        (width, height),
        fps=fps,  # pyright: ignore[reportArgumentType] -- any number is taken
        codec="libx264",
        pix_fmt_out="yuv420p",
        quality=None,  # pyright: ignore[reportArgumentType] -- the rate is set below
        macro_block_size=2,
        output_params=["-crf", "16", "-movflags", "+faststart"],
    )
    writer.send(None)
    for frame in frames:
        writer.send(np.ascontiguousarray(frame))
    writer.close()
