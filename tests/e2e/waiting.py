"""Waits for a condition with a deadline; the only place of these tests that sleeps."""

import time
from collections.abc import Callable
from typing import TypeVar

Answer = TypeVar("Answer")


def eventually(question: Callable[[], Answer | None], what: str, *, within: float) -> Answer:
    """The first answer that is true; where none comes in time, fails with `what` and the last answer."""
    deadline = time.monotonic() + within
    while not (answer := question()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within:g} s: {what}; last answer: {answer!r}")
        time.sleep(0.05)
    return answer


def let_run(seconds: float) -> None:
    """Leaves what runs alone for a drawn time: a moment of a schedule, never a guess that something is done by then."""
    time.sleep(seconds)
