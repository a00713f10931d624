"""An exporter inside somebody's Python process: for notebooks, and for applications with a page of their own."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from exporter import config, daemon, log
from exporter.config import Config, Web, load
from exporter.current import Current
from exporter.snapshot import Store
from exporter.sources import session
from exporter.sources.drivers import Drivers

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from typing_extensions import Self


class Attached:
    """A running exporter; `close()`, or the end of a `with` block, ends it."""

    def __init__(self, stack: contextlib.ExitStack, port: int) -> None:
        self._stack = stack
        self.port = port

    def close(self) -> None:
        """Ends serving and following; a second call does nothing."""
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def attach(spark: Any, listen_address: str | None = None) -> Attached:
    """Follows the streams of `spark`, a SparkSession, and serves them on `listen_address` (`:10071` if none is named).

    Works on a classic session, whose driver has the listener's jar, and on Spark Connect from 4.0 on, without a jar.
    Raises SourceError where the session can't be followed, OSError where the address can't be listened on.
    """
    settings = _settings({})
    if listen_address is not None:
        settings = msgspec.structs.replace(settings, web=Web(listen_address=(listen_address,)))
    source = session.of(spark, time.time)
    with contextlib.ExitStack() as stack:
        front = stack.enter_context(daemon.running(source, None, Current(lambda: settings, time.time)))
        return Attached(stack.pop_all(), front.port)


def register(registry: CollectorRegistry, spark: Any = None) -> contextlib.ExitStack:
    """Shows our metrics in `registry`, of the streams of `spark`, else of the drivers on this machine.

    What it returns ends that, by `close()` or at the end of a `with` block.
    Which drivers those are the environment says, as for `lakehouse-exporter serve`. Raises ConfigError where it says what can't
    be used, SourceError where the session can't be followed, ValueError where the registry has one of our names already.
    """
    from exporter.registry import CustomCollector

    settings = _settings(os.environ)
    source = Drivers(Path(settings.drivers.dir), time.time, time.monotonic) if spark is None else session.of(spark, time.time)
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.closing(source))
        store = Store()
        shown = CustomCollector(store.view, time.time)
        registry.register(shown)
        stack.callback(_unregister, registry, shown)
        stack.enter_context(daemon.following(source, store, None, Current(lambda: settings, time.time)))
        return stack.pop_all()


def _unregister(registry: CollectorRegistry, shown: Any) -> None:
    with contextlib.suppress(KeyError):  # the application has done it itself
        registry.unregister(shown)


def _settings(environ: Mapping[str, str]) -> Config:
    settings = load({}, environ, config.file_of(environ))
    if not structlog.is_configured():
        log.configure("warning", settings.log.format)
    return settings
