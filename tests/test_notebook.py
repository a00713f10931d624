"""`attach` follows a live session and serves its page until it is closed."""

from __future__ import annotations

import socket
import types
import urllib.error
import urllib.request

import pytest

import exporter
from exporter import daemon
from exporter.config import load
from exporter.errors import SourceError
from exporter.streaming.observation import Observation
from tests.e2e.waiting import eventually
from tests.streaming.rings import Ring


def session(ring: Ring) -> types.SimpleNamespace:
    """A classic session whose driver has our jar."""
    listener = types.SimpleNamespace(poll=lambda epoch, after, _: ring.text(after if epoch == ring.epoch else 0))
    package = types.SimpleNamespace(StreamListener=lambda: listener)
    return types.SimpleNamespace(_jvm=types.SimpleNamespace(lakehouse=types.SimpleNamespace(listener=package)))


def page(port: int) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError:
        return ""


def test_attached() -> None:
    """The session's streams are on the page; after the block nobody listens."""
    ring = Ring()
    ring.started_query("orders")

    with exporter.attach(session(ring), "127.0.0.1:0") as attached:
        eventually(
            lambda: 'spark_streaming_query_active{app="etl",query="orders"} 1' in page(attached.port),
            "the query is shown",
            within=20,
        )
        port = attached.port

    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5)


def test_not_attached() -> None:
    """A session that can't be followed is refused before anything is opened."""

    def missing() -> None:
        raise TypeError("'JavaPackage' object is not callable")

    package = types.SimpleNamespace(StreamListener=missing)
    spark = types.SimpleNamespace(_jvm=types.SimpleNamespace(lakehouse=types.SimpleNamespace(listener=package)))

    with pytest.raises(SourceError, match="the listener's jar is not on the driver's class path"):
        exporter.attach(spark, "127.0.0.1:0")


class Closed:
    """A source that notes whether it was let go."""

    closed = False

    def observe(self, _positions: object, _ended: object, _patience: float) -> Observation:
        return Observation((), frozenset(), 0.0)

    def close(self) -> None:
        self.closed = True


def test_source_is_let_go_where_nothing_can_be_served() -> None:
    """A port that is taken leaves nothing of ours behind in the session."""
    source = Closed()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = load({"web.listen_address": f"127.0.0.1:{taken.getsockname()[1]}"}, {})
        with pytest.raises(OSError, match="can't listen"), daemon.running(source, None, settings):
            pass

    assert source.closed
