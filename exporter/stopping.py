"""From a signal to a queue: the only place where signals are heard."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from queue import SimpleQueue


@contextlib.contextmanager
def signals(*numbers: signal.Signals, for_good: bool = False) -> Iterator[SimpleQueue[int]]:
    """A queue that gets the number of each of these signals while the block runs.

    After it they do what they did before. `for_good` is for a process that ends after the block: where a signal came, they do
    nothing then; told again on its last steps, it would die of the signal, and its exit code would say so.
    """
    told: SimpleQueue[int] = SimpleQueue()
    heard, said = os.pipe()
    heard_one = threading.Event()

    def pass_on() -> None:
        while number := os.read(heard, 1):
            if number[0] in numbers:
                heard_one.set()
                told.put(number[0])

    # Python runs handlers on its main thread alone, between two steps of it. Where the main thread is about to wait, or another
    # one was interrupted, that is never: what interrupts writes to the pipe at once, whoever it interrupts.
    os.set_blocking(said, False)
    wakeup = signal.set_wakeup_fd(said, warn_on_full_buffer=False)
    before = {number: signal.signal(number, lambda *_: None) for number in numbers}
    thread = threading.Thread(target=pass_on, name="signals", daemon=True)
    thread.start()
    try:
        yield told
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_IGN if for_good and heard_one.is_set() else handler)
        signal.set_wakeup_fd(wakeup)
        os.close(said)
        thread.join()
        os.close(heard)
