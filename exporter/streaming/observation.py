"""What one look at the drivers found: answers and failures, as values; the only thing that sources hand to the fold."""

from __future__ import annotations

from typing import NamedTuple

from exporter.errors import Reason
from exporter.streaming.events import Answer


class Answered(NamedTuple):
    """A driver, or its final file, answered; `at` is the reader's clock, seconds since 1970."""

    answer: Answer
    at: float


class Failed(NamedTuple):
    """A driver did not answer; `message` holds no secret."""

    epoch: str
    app_id: str
    reason: Reason
    message: str
    at: float


class Observation(NamedTuple):
    """One look: outcomes in the order in which they are to be folded, and the epochs that still have a file or a line."""

    outcomes: tuple[Answered | Failed, ...]
    present: frozenset[str]
    at: float
