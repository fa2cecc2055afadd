"""Clips as files: MP4 that browsers and phones play, GIF and WebP."""

from __future__ import annotations

import errno
import os
import subprocess
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
from PIL import Image


def write_mp4(path: Path, frames: Iterable[np.ndarray], fps: float, seconds: float = 600.0) -> None:
    """Write frames uint8 [height, width, 3] as H.264 in yuv420p, its index in front.

    Raises:
        ValueError: sides that are odd, which yuv420p cannot hold.
        RuntimeError: what the encoder said, or that it took longer than `seconds`.
        OSError: the disk is full.
    """
    import imageio_ffmpeg  # only clips need it

    frames = iter(frames)
    first = next(frames)
    height, width = first.shape[:2]
    if height % 2 or width % 2:
        raise ValueError(f"clip: got frames of {width} x {height} pixels, expected even sides")
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-v", "error", "-nostdin"]
    command += ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", f"{fps:g}"]
    command += ["-i", "-", "-c:v", "libx264", "-pix_fmt", "yuv420p", "-crf", "16"]
    command += ["-movflags", "+faststart", str(path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stderr=pipe, stdout=subprocess.DEVNULL) as encoder:
        assert encoder.stdin is not None
        assert encoder.stderr is not None
        limit = threading.Timer(seconds, encoder.kill)
        limit.start()
        try:
            encoder.stdin.write(first.tobytes())
            for frame in frames:
                encoder.stdin.write(frame.tobytes())
            encoder.stdin.close()
        except BrokenPipeError:  # it ended early; what it says comes below
            pass
        except BaseException:
            encoder.kill()
            raise
        finally:
            said = encoder.stderr.read().decode(errors="replace").strip()
            encoder.wait()
            limit.cancel()
    if encoder.returncode and os.strerror(errno.ENOSPC) in said:
        raise OSError(errno.ENOSPC, said, str(path))
    if encoder.returncode:
        raise RuntimeError(f"clip: not written ({said or f'not done after {seconds:g} s'})")


def write_animated(
    out: Path | IO[bytes],
    kind: Literal["GIF", "WEBP"],
    frames: Iterable[Image.Image],
    pace: float | list[int],
    **more: Any,
) -> None:
    """Write frames, one by one, as an endless GIF or WebP; `pace` in ms, of all or of each."""
    rest = iter(frames)
    first = next(rest)
    first.save(out, kind, save_all=True, append_images=rest, duration=pace, loop=0, **more)
