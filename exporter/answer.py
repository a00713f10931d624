"""What the web front serves: an answer's parts, and who can give one; knows no socket."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import NamedTuple, Protocol

from exporter.negotiation import Wanted

PLAIN_TEXT = "text/plain; charset=utf-8"


class Answer(NamedTuple):
    """A whole answer but for the headers that every answer has."""

    status: int
    content_type: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


class Later(enum.Enum):
    """Not yet: who asks waits, for as long as a scrape may take, and is then given the best that can be made."""

    LATER = enum.auto()


class Resource(Protocol):
    """What stands behind a path."""

    def kept(self, wanted: Wanted) -> Answer | Later | None:
        """The answer, if it can be had at once, for the front's one thread must not wait; None where it must be made.

        LATER where what is made now would be less than what a moment's patience brings: it is asked again soon.
        """
        ...

    def made(self, wanted: Wanted) -> Answer:
        """The answer, made; called on a worker's thread, and once for all who want the same at the same time."""
        ...


class Plain:
    """A resource whose answer costs nothing, and is the same in every form."""

    def __init__(self, answer: Callable[[], Answer]) -> None:
        self._answer = answer

    def kept(self, wanted: Wanted) -> Answer:  # noqa: ARG002 -- one form serves all
        return self._answer()

    def made(self, wanted: Wanted) -> Answer:  # noqa: ARG002 -- the same
        return self._answer()


class Fresh:
    """A resource whose answer takes too long for the front's own thread, and is of the moment it was asked at."""

    def __init__(self, answer: Callable[[], Answer]) -> None:
        self._answer = answer

    def kept(self, wanted: Wanted) -> None:
        """Nothing is."""

    def made(self, wanted: Wanted) -> Answer:  # noqa: ARG002 -- one form serves all
        return self._answer()


def text(status: int, words: str, *headers: tuple[str, str]) -> Answer:
    """A line of plain text."""
    return Answer(status, PLAIN_TEXT, f"{words}\n".encode(), headers)
