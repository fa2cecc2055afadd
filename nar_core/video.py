"""Clips as files: MP4 that browsers and phones play, GIF and WebP."""

from __future__ import annotations

import errno
import os
import subprocess
import threading
from collections.abc import Iterable
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
from PIL import Image


def write_mp4(path: Path, frames: Iterable[np.ndarray], fps: float, seconds: float = 600.0) -> None:
    """Write frames uint8 [height, width, 3] as H.264 in yuv420p, its index in front.

    Raises:
        ValueError: no frame, one of another form or size, sides that are odd, which yuv420p cannot
            hold, or no frame rate.
        RuntimeError: what the encoder said, or that it took longer than `seconds`.
        OSError: the disk is full.
    """
    import imageio_ffmpeg  # only clips need it

    frames = iter(frames)
    first = next(frames, None)
    if first is None:
        raise ValueError("clip: got no frame, expected one or more")
    if not 0 < fps < float("inf"):
        raise ValueError(f"fps: got {fps}, expected a number above 0")
    height, width = first.shape[:2]
    if height % 2 or width % 2:
        raise ValueError(f"clip: got frames of {width} x {height} pixels, expected even sides")
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-v", "error", "-nostdin"]
    command += ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", f"{fps:g}"]
    command += ["-i", "-", "-c:v", "libx264", "-pix_fmt", "yuv420p", "-crf", "16"]
    command += ["-movflags", "+faststart", str(Path(path).absolute())]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stderr=pipe, stdout=subprocess.DEVNULL) as encoder:
        assert encoder.stdin is not None
        assert encoder.stderr is not None
        limit = threading.Timer(seconds, encoder.kill)
        limit.start()
        try:
            for frame in chain([first], frames):
                if frame.dtype != np.uint8 or frame.shape != (height, width, 3):
                    raise ValueError(
                        f"clip: got a frame {frame.dtype} {frame.shape}, expected uint8 "
                        f"{(height, width, 3)}"
                    )
                encoder.stdin.write(frame.tobytes())
            encoder.stdin.close()
        except BrokenPipeError:  # it ended early; what it says comes below
            pass
        except BaseException:
            encoder.kill()
            with suppress(OSError):  # what it has not read yet
                encoder.stdin.close()
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
