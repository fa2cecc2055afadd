"""Names and hashed passwords in a file: `name:scrypt:SALT:HASH`, one a line."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from pathlib import Path

WORK = {"n": 2**14, "r": 8, "p": 1}
"""Some 50 ms and 16 MB for each guess."""


def line_of(name: str, password: str) -> str:
    """A line for the file; ValueError for a name that cannot stand in one."""
    if not name or ":" in name or not name.isprintable() or not password:
        raise ValueError(
            f"login: got the name {name!r} and {len(password)} characters, expected a name without "
            "colons and a password that is not empty"
        )
    salt = secrets.token_bytes(16)
    return f"{name}:scrypt:{salt.hex()}:{_hash(password, salt).hex()}"


def checker(file: Path) -> Callable[[str, str], bool]:
    """Whether a name and a password belong together, as the file says.

    Raises:
        ValueError: the file cannot be read, or a line of it is none.
    """
    known: dict[str, tuple[bytes, bytes]] = {}
    try:
        lines = file.read_text("utf-8").splitlines()
    except (OSError, UnicodeError) as error:
        raise ValueError(
            f"--auth-file: {file} cannot be read ({type(error).__name__}); give a file that "
            "--hash-password has made"
        ) from error
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            name, kind, salt, digest = line.strip().split(":")
            known[name] = bytes.fromhex(salt), bytes.fromhex(digest)
            fits = kind == "scrypt"
        except ValueError:
            fits = False
        if not fits:
            raise ValueError(
                f"--auth-file: line {number} of {file} is not NAME:scrypt:SALT:HASH; make it with "
                "--hash-password NAME"
            )
    if not known:
        raise ValueError(
            f"--auth-file: {file} names nobody, expected a line NAME:scrypt:SALT:HASH; make one "
            "with --hash-password NAME"
        )

    def fits_together(name: str, password: str) -> bool:
        # an unknown name takes as long as a wrong password
        salt, digest = known.get(name, (b"nobody", b""))
        return hmac.compare_digest(_hash(password, salt), digest)

    return fits_together


def _hash(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode("utf-8", "replace"), salt=salt, **WORK)
