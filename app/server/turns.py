"""Who comes when: everybody who waits has one turn in every round, however much they ask for."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar


@dataclass(frozen=True)
class Client:
    """Who asks: an address on the network, and one of its sessions (a tab, a program)."""

    address: str = ""
    session: str = ""


ANYBODY = Client()
"""Who says nothing of who they are."""


class Waits(Protocol):
    """What can wait: `number` counts up in the order of coming."""

    number: int
    client: Client


T = TypeVar("T", bound=Waits)


class Turns:
    """Rounds in which each has one turn; who comes during a round has theirs in the next one.

    So nobody is overtaken more than once by somebody who comes later, however many come.
    """

    def __init__(self) -> None:
        self._now = 0
        self._next: dict[Hashable, int] = {}

    def comes(self, who: Hashable) -> None:
        """Somebody begins to wait."""
        self._next[who] = max(self._now + 1, self._next.get(who, 0))

    def had(self, who: Hashable) -> None:
        """One of those who wait had a turn."""
        self._now = max(self._now, self._next[who])
        self._next[who] += 1

    def merged(self, queues: Mapping[Any, Sequence[T]]) -> list[T]:
        """What waits of each, in its own order -> all of it in the order of turns."""
        rounds = [
            (self._next[who] + place, item.number, item)
            for who, queue in queues.items()
            for place, item in enumerate(queue)
        ]
        return [item for *_, item in sorted(rounds, key=lambda turn: turn[:2])]

    def forget(self, waiting: Collection[Hashable]) -> None:
        """Drop who does not wait, unless they had more turns than the others."""
        here = self._next.items()
        self._next = {who: n for who, n in here if who in waiting or n > self._now + 1}


class Fairness:
    """The order of everything that waits: addresses take turns, and sessions within each."""

    def __init__(self) -> None:
        self._addresses = Turns()
        self._sessions: dict[str, Turns] = {}

    def comes(self, client: Client, waiting: Iterable[Waits]) -> None:
        """A client joins those that wait already."""
        there = [item.client for item in waiting]
        if client.address not in {other.address for other in there}:
            self._addresses.comes(client.address)
            self._sessions[client.address] = Turns()
        if client not in there:
            self._sessions[client.address].comes(client.session)

    def had(self, client: Client) -> None:
        """A client whose turn it was; it still counts as waiting."""
        self._addresses.had(client.address)
        self._sessions[client.address].had(client.session)

    def order(self, waiting: Iterable[T]) -> list[T]:
        """What waits, the next one first."""
        queues: dict[str, dict[str, list[T]]] = {}
        for item in waiting:
            sessions = queues.setdefault(item.client.address, {})
            sessions.setdefault(item.client.session, []).append(item)
        self._addresses.forget(queues)
        self._sessions = {address: self._sessions[address] for address in queues}
        for address, sessions in queues.items():
            self._sessions[address].forget(sessions)
        return self._addresses.merged(
            {address: self._sessions[address].merged(queue) for address, queue in queues.items()}
        )
