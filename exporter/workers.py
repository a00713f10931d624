"""A few threads that take work from one bounded queue; work that hangs holds up neither the front nor the process's end."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import Full, Queue
from typing import TypeVar

T = TypeVar("T")


class Workers:
    """`count` threads called `name`; they are daemons, unlike concurrent.futures' own, which the interpreter waits for.

    `niceness` is how far they stand back from the process's other threads where the system can do that.
    """

    def __init__(self, name: str, count: int, waiting: int, niceness: int = 0) -> None:
        self._niceness = niceness
        self._work: Queue[Callable[[], None] | None] = Queue(waiting)
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run, name=name, daemon=True) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def submit(self, function: Callable[[], T]) -> Future[T] | None:
        """The result to come; None where too much is waiting already."""
        future: Future[T] = Future()

        def work() -> None:
            try:
                result = function()
            except Exception as error:  # noqa: BLE001 -- whoever waits for the result is told
                future.set_exception(error)
            else:
                future.set_result(result)

        try:
            self._work.put_nowait(work)
        except Full:
            return None
        return future

    def close(self) -> None:
        """Ends the threads, each after what it is at; what still waits is never done."""
        self._over.set()
        for _ in self._threads:
            try:
                self._work.put_nowait(None)
            except Full:  # then none of them is asleep, and each looks at the event
                return

    def _run(self) -> None:
        if self._niceness and sys.platform == "linux":  # elsewhere it would be the whole process that stands back
            own = threading.get_native_id()
            with contextlib.suppress(OSError):  # a sandbox may forbid it, and the work goes on
                os.setpriority(os.PRIO_PROCESS, own, os.getpriority(os.PRIO_PROCESS, own) + self._niceness)
        while (work := self._work.get()) is not None and not self._over.is_set():
            work()
