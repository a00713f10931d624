"""From a signal to a queue: the only thing a signal handler of ours does."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from queue import SimpleQueue


@contextlib.contextmanager
def signals(*numbers: signal.Signals) -> Iterator[SimpleQueue[int]]:
    """A queue that gets the number of each of these signals while the block runs; after it they do what they did before.

    An Event would be told by a lock that the interrupted main thread may hold; this queue's `put` is made for handlers.
    """
    told: SimpleQueue[int] = SimpleQueue()
    before = {number: signal.signal(number, lambda number, _: told.put(number)) for number in numbers}
    try:
        yield told
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
