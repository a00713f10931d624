"""An exporter inside a Spark session's own Python process: for notebooks, and where nothing can run beside the driver."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from exporter import daemon, log
from exporter.config import Config, Web, load
from exporter.sources import session

if TYPE_CHECKING:
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
    settings: Config = load({}, {})
    if not structlog.is_configured():
        log.configure("warning", settings.log.format)
    if listen_address is not None:
        settings = msgspec.structs.replace(settings, web=Web(listen_address=(listen_address,)))
    source = session.of(spark, time.time)
    with contextlib.ExitStack() as stack:
        front = stack.enter_context(daemon.running(source, None, settings))
        return Attached(stack.pop_all(), front.port)
