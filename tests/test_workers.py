"""exporter/workers.py; what hangs and what is too much is shown through the front, in tests/test_web_hostile.py."""

from __future__ import annotations

import os
import sys
import threading

import pytest

from exporter.workers import Workers


def niceness() -> int:
    """How far this thread stands back."""
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


@pytest.mark.skipif(sys.platform != "linux", reason="a thread has a niceness of its own on Linux alone")
def test_niceness() -> None:
    """Workers that stand back do so alone: the others and whoever asked them stay where they were."""
    before = niceness()
    nice, plain = Workers("nice", 1, 1, niceness=3), Workers("plain", 1, 1)
    found = [future.result(10) for future in (nice.submit(niceness), plain.submit(niceness)) if future]
    nice.close()
    plain.close()

    assert found == [before + 3, before]
    assert niceness() == before


@pytest.mark.skipif(sys.platform != "linux", reason="nowhere else is it tried")
def test_niceness_forbidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where standing back is forbidden, the work is done all the same."""

    def forbidden(*_: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "setpriority", forbidden)
    workers = Workers("nice", 1, 1, niceness=3)
    future = workers.submit(lambda: 5)

    assert future is not None
    assert future.result(10) == 5
    workers.close()
