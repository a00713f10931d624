"""`attach` follows a live session and serves its page until it is closed."""

from __future__ import annotations

import json
import socket
import threading
import time
import types
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Gauge, generate_latest

import exporter
from exporter import daemon
from exporter.config import load
from exporter.current import Current
from exporter.errors import ConfigError, SourceError
from exporter.streaming.observation import Observation
from tests.e2e.waiting import eventually
from tests.sources.answers import answer, started
from tests.sources.bridge import TOKEN, Bridge, says
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
        with pytest.raises(OSError, match="can't listen"), daemon.running(source, None, Current(lambda: settings, time.time)):
            pass

    assert source.closed


def test_registered() -> None:
    """The session's streams are in the application's own registry, beside its metrics; after the block they are gone."""
    ring, registry = Ring(), CollectorRegistry()
    ring.started_query("orders")
    Gauge("of_the_application", "Its own.", registry=registry).set(5)

    def shown() -> str:
        return generate_latest(registry).decode()

    with exporter.register(registry, session(ring)):
        eventually(lambda: 'spark_streaming_query_active{app="etl",query="orders"} 1' in shown(), "it is shown", within=20)
        during = shown()

    assert ("of_the_application 5.0" in during, "process_cpu" in during) == (True, False)
    assert shown() == "# HELP of_the_application Its own.\n# TYPE of_the_application gauge\nof_the_application 5.0\n"


def test_registered_drivers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a session, the drivers of the folder that the environment names are shown."""
    registry = CollectorRegistry()
    with Bridge(says(answer([started(1)]))) as bridge:
        content = {"version": 1, "port": bridge.port, "token": TOKEN, "appId": "shop-id", "epoch": "e1"}
        (tmp_path / "shop-id.json").write_text(json.dumps(content))
        monkeypatch.setenv("LAKEHOUSE_EXPORTER_DRIVERS_DIR", str(tmp_path))
        with exporter.register(registry):
            labels = {"app": "shop", "query": "orders"}
            eventually(lambda: registry.get_sample_value("spark_streaming_query_active", labels), "it is shown", within=20)


def test_not_registered() -> None:
    """A registry that has one of our names already refuses, and nothing is followed; nor where the environment is wrong."""
    ring, registry = Ring(), CollectorRegistry()
    Gauge("spark_driver_reachable", "Another's.", registry=registry)
    before = set(threading.enumerate())

    with pytest.raises(ValueError, match="Duplicated timeseries"):
        exporter.register(registry, session(ring))
    assert set(threading.enumerate()) == before


def test_registered_with_bad_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the environment says wrongly is told before anything is followed."""
    monkeypatch.setenv("LAKEHOUSE_EXPORTER_DRIVERS_EVERY", "never")

    with pytest.raises(ConfigError, match="LAKEHOUSE_EXPORTER_DRIVERS_EVERY: 'never' is no duration"):
        exporter.register(CollectorRegistry())


def test_registered_by_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment may name a file of settings, as it may for the command; what the application unregistered is let be."""
    registry = CollectorRegistry()
    file = tmp_path / "settings.yaml"
    file.write_text(f"drivers: {{dir: {tmp_path}}}\nexpected: [{{app: shop, query: orders}}]\n")
    monkeypatch.setenv("LAKEHOUSE_EXPORTER_CONFIG_FILE", str(file))
    with exporter.register(registry):
        labels = {"app": "shop", "query": "orders"}
        eventually(lambda: registry.get_sample_value("spark_streaming_query_expected", labels), "it is shown", within=20)
        for ours in list(registry._collector_to_names):
            registry.unregister(ours)
