"""Under which names the studio is reached, and what other sites may do with it: by default nothing.

A page of another site can make a visitor's browser call a server on their own machine or network.
Such calls carry the site's origin, or, where a name was made to point here, that name as the host.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

HUB = ("https://huggingface.co", "https://*.hf.space")
"""Sites that show a Space within their own page."""


@dataclass(frozen=True)
class Doors:
    """What is let in.

    Attributes:
        hosts: names besides addresses and localhost; one that begins with a dot is an ending.
        origins: other sites whose scripts may call.
        frames: sites that may show the page within theirs; who may call may do that too.
        any_host: another server in front sees to the names; who is behind it is not known, so that
            all have one address.
    """

    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    frames: tuple[str, ...] = ()
    any_host: bool = False

    @classmethod
    def of(cls, hosts: Sequence[str], origins: Sequence[str], share: bool) -> Doors:
        """From options; a Space is behind the hub's own proxy.

        Raises:
            ValueError: an origin that is none.
        """
        for origin in origins:
            parts = urlsplit(origin)
            if parts.scheme not in ("http", "https") or not parts.netloc or parts.path:
                raise ValueError(
                    f"--allow-origin: got {origin!r}, expected a site such as https://example.org"
                )
        names = [host.lower() for host in hosts]
        names += [".gradio.live"] if share else []
        if os.environ.get("SPACE_ID"):
            own = f"https://{os.environ.get('SPACE_HOST', '')}"
            return cls(tuple(names), (*origins, own), (*HUB, *origins), any_host=True)
        return cls(tuple(names), tuple(origins), tuple(origins))

    def refusal(self, method: str, host: str, origin: str | None, site: str) -> str:
        """Why a request is not let in, or ""."""
        if host and not self.any_host and not self._knows(_name(host)):
            return (
                f"request: got the host {host[:60]!r}, expected an address, localhost or a name "
                "that the operator allows (--allow-host)"
            )
        if origin is not None:
            foreign = not self._own(host, origin)
        else:  # a link from elsewhere leads here, but nothing is sent from there
            foreign = site == "cross-site" and method not in ("GET", "HEAD")
        if foreign:
            return (
                f"request: got a call from another site ({(origin or site)[:60]!r}), expected one "
                "of this page, of a program or of a site that the operator allows (--allow-origin)"
            )
        return ""

    def _own(self, host: str, origin: str) -> bool:
        """Whether a script of this origin may call."""
        parts = urlsplit(origin)
        default = {"http": "80", "https": "443"}.get(parts.scheme, "")
        same = parts.netloc and parts.netloc.removesuffix(f":{default}") == host.removesuffix(
            f":{default}"
        )
        return bool(same) or origin in self.origins

    def headers(self) -> list[tuple[bytes, bytes]]:
        """What every answer says to browsers."""
        frames = " ".join(("'self'", *self.frames))
        policy = f"object-src 'none'; frame-ancestors {frames}"
        told = {
            "x-content-type-options": "nosniff",
            "referrer-policy": "same-origin",
            "content-security-policy": policy,
        }
        if not self.frames:
            told["x-frame-options"] = "SAMEORIGIN"
        return [(name.encode(), value.encode()) for name, value in told.items()]

    def _knows(self, name: str) -> bool:
        try:
            ip_address(name.strip("[]"))
        except ValueError:
            return name == "localhost" or any(
                name.endswith(host) if host.startswith(".") else name == host for host in self.hosts
            )
        return True


def _name(host: str) -> str:
    """A Host header without its port."""
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdigit() else host).lower()
