"""exporter/stopping.py"""

import os
import signal

from exporter.stopping import signals


def test_signals() -> None:
    """Each of the named signals in the block is one word in the queue; after it the handlers are as before."""
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    with signals(signal.SIGTERM, signal.SIGINT) as told:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
            os.kill(os.getpid(), number)

    assert [told.get(timeout=1) for _ in range(3)] == [signal.SIGTERM, signal.SIGINT, signal.SIGTERM]
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before
