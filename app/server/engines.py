"""Which models there are, and the few that are in memory."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace

from app.presets import presets
from app.server.turns import ANYBODY, Client
from nar_core import Engine, ModelInfo, Progress
from nar_core.foreign import shown

CONFIRMED_FOR = 600.0
"""Seconds for which a client that was told how much would be fetched may ask for it."""

REMEMBER = 1000
"""How many who were told so are remembered."""


class Closed(BaseException):
    """Nobody waits for a model any more. No `Exception`, so that nothing on the way keeps it."""


class Engines:
    """Loads engines on first use and keeps the last few; safe to call from several threads."""

    def __init__(
        self,
        load: Callable[..., Engine],
        models: Callable[[], Sequence[ModelInfo]],
        keep: int = 1,
        fetch: Callable[[str, Progress | None], None] = lambda name, progress: None,
    ) -> None:
        """`load(name, device=..., progress=...)` makes an engine; `models()` lists what is.

        `fetch(name, progress)` brings the files of a model to this machine.
        """
        self._load, self._models, self._keep, self._fetch = load, models, keep, fetch
        self._device, self._only, self._offline = "auto", frozenset[str](), False
        self.may_fetch = False
        self._told: OrderedDict[tuple[Client, str], float] = OrderedDict()
        self._added: dict[str, ModelInfo] = {}
        self._folders: dict[str, str] = {}
        self._engines: OrderedDict[str, Engine] = OrderedDict()
        self._loaded_as: dict[str, ModelInfo] = {}
        self._lock = threading.Lock()

    def configure(
        self,
        device: str,
        keep: int,
        only: Sequence[str] = (),
        offline: bool = False,
        may_fetch: bool = False,
    ) -> None:
        """Say how models are kept and which are offered, before any is loaded.

        Args:
            keep: how many stay in memory; only: the names offered, all where there is none.
            offline: none is fetched, so only those on this machine are offered.
            may_fetch: whether visitors may have one fetched, see `allow`.

        Raises:
            ValueError: a name that is none, or nothing is left to offer.
        """
        self._device, self._keep, self.may_fetch = device, max(1, keep), may_fetch
        self._only, self._offline = frozenset(), False
        for name in only:
            self.info(name)
        self._only, self._offline = frozenset(only), offline
        if not self.models("image"):
            raise ValueError(
                "--models: got no picture model that is on this machine, expected one at least; "
                "name another, or leave out --offline"
            )

    def loaded(self) -> list[str]:
        """Names of the models in memory."""
        return list(self._engines)

    def include(self, name: str) -> str:
        """Offer a model that is not on the list by itself (a folder or file); returns its name."""
        if all(m.name != name for m in self.models()):
            engine = self._load(name, device=self._device)
            self._added[engine.info.name] = engine.info
            self._folders[engine.info.name] = name
            self._engines[engine.info.name] = engine
            self._loaded_as[engine.info.name] = _described(engine.info)
            return engine.info.name
        return name

    def models(self, media: str | None = None) -> list[ModelInfo]:
        """All models, those on this machine before those that would be fetched."""
        # what somebody has said stands for what is listed by its name
        found = [m for m in self._models() if m.name not in self._added]
        found += self._added.values()
        if self._only:
            found = [m for m in found if m.name in self._only or m.name in self._added]
        if self._offline:
            found = [m for m in found if m.available]
        found.sort(key=lambda m: not m.available)
        return [m for m in found if media in (None, m.media)]

    def first(self, page: str, wanted: str | None = None) -> ModelInfo:
        """The picture model that a page shows first: the wanted one, its preset, or any."""
        models = self.models("image")
        wanted = wanted or presets()["first"][page]
        return next((m for m in models if m.name == wanted), models[0])

    def choices(self, media: str) -> list[tuple[str, str]]:
        """(what a picker shows, name) of every model of one medium."""
        far = "to be fetched" if self.may_fetch else "not here"
        return [
            (m.title if m.available else f"{m.title} ({far})", m.name) for m in self.models(media)
        ]

    def facts(self, info: ModelInfo) -> str:
        """One line on a model: size, kind, licence, memory, and whether it is here."""
        kind = {"text": "text", "class": "class"}[info.task]
        kind += f" to {'clip' if info.media == 'video' else 'picture'}, {info.size[1]} px"
        here = "on this machine"
        if not info.available:
            here = f"to be fetched, {info.download / 1e6:,.0f} MB"
        size, memory = info.parameters / 1e6, info.memory(self._device) / 1e6
        return (
            f"{size:.0f} M parameters · {kind} · licence {info.licence} · "
            f"about {memory:,.0f} MB of memory · {here}"
        )

    def info(self, name: str) -> ModelInfo:
        """What is known of a model without loading it; ValueError for an unknown name."""
        for model in self.models():
            if model.name == name:
                return model
        raise ValueError(
            f"model: got {shown(name)}, expected one of {', '.join(m.name for m in self.models())}"
        )

    def allow(self, name: str, client: Client = ANYBODY) -> None:
        """Whether a client may grow with a model now: one that is here, or that may be fetched.

        Raises:
            ValueError: it is not here, and visitors may not have models fetched; or this one has
                not been told yet how large it is, which asking once more confirms.
        """
        info = self.info(name)
        if info.available or self.resident(name):
            return
        size = f"{info.download / 1e6:,.0f} MB"
        if not self.may_fetch:
            raise ValueError(
                f"model: got {info.title}, which is not on this machine, expected one that is; "
                f"choose another, or ask who runs the studio: its {size} are fetched with --fetch"
            )
        now, asked = time.monotonic(), (client, name)
        if now - self._told.get(asked, -CONFIRMED_FOR) < CONFIRMED_FOR:
            return
        self._told[asked] = now
        self._told.move_to_end(asked)
        while len(self._told) > REMEMBER:
            self._told.popitem(last=False)
        raise ValueError(
            f"model: got {info.title}, which is not on this machine; {size} would be fetched "
            "first. Ask for it once more to confirm that"
        )

    def resident(self, name: str) -> bool:
        """Whether the model is in memory."""
        return name in self._engines

    def bring(self, name: str, progress: Progress | None = None) -> None:
        """Have the files of a model on this machine, fetched if need be; `progress` may raise.

        Without the lock: a transfer takes long, and others use what is here meanwhile.

        Raises:
            ValueError: an unknown name, or what to download and where to put it.
        """
        self.info(name)
        if self.resident(name):
            return
        try:
            self._fetch(self._folders.get(name, name), progress)
        except (FileNotFoundError, ImportError) as error:
            raise ValueError(str(error)) from error

    def get(self, name: str, progress: Progress | None = None) -> Engine:
        """The engine of a model, fetched and loaded if need be.

        One whose folder says something else by now is loaded anew: plans are made by what it says.

        Raises:
            ValueError: an unknown name, or what to download and where to put it.
        """
        self.bring(name, progress)
        source, described = self._folders.get(name, name), _described(self.info(name))
        try:
            with self._lock:
                if self._loaded_as.get(name) != described:
                    self._engines.pop(name, None)
                if name not in self._engines:
                    # Room is made first: two models would need the memory of both.
                    while len(self._engines) >= self._keep:
                        self._engines.popitem(last=False)
                    self._engines[name] = self._load(source, device=self._device, progress=progress)
                    self._loaded_as[name] = described
                self._engines.move_to_end(name)
                return self._engines[name]
        except (FileNotFoundError, ImportError) as error:
            raise ValueError(str(error)) from error


def _described(info: ModelInfo) -> ModelInfo:
    """What a model is, wherever its files are."""
    return replace(info, available=True, download=0)
