"""exporter/stopping.py"""

import os
import signal
import threading

from exporter.stopping import signals

NUMBERS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def test_signals(handlers: list[object]) -> None:
    """Each of the named signals in the block is one word in the queue; after it they do what they did before."""
    with signals(*NUMBERS) as told:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
            os.kill(os.getpid(), number)

        assert [told.get(timeout=5) for _ in range(3)] == [signal.SIGTERM, signal.SIGINT, signal.SIGTERM]
    assert [signal.getsignal(number) for number in NUMBERS] == handlers


def test_signals_for_good(handlers: list[object]) -> None:
    """A process that is ending is not ended by another signal after the block, of whichever kind."""
    with signals(*NUMBERS, for_good=True) as told:
        os.kill(os.getpid(), signal.SIGTERM)
        assert told.get(timeout=5) == signal.SIGTERM
    for number in NUMBERS:
        os.kill(os.getpid(), number)

    assert told.empty()


def test_signal_to_another_thread(handlers: list[object]) -> None:
    """A signal by which the kernel interrupts another thread is heard, though the main thread only waits."""

    def interrupt() -> None:
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)

    with signals(*NUMBERS) as told:
        threading.Timer(0.2, interrupt).start()

        assert told.get(timeout=5) == signal.SIGTERM


def test_no_signal(handlers: list[object]) -> None:
    """After a block in which none came they do what they did before, for good or not."""
    with signals(*NUMBERS, for_good=True):
        assert [signal.getsignal(number) for number in NUMBERS] != handlers

    assert [signal.getsignal(number) for number in NUMBERS] == handlers
