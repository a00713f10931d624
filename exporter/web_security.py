"""The web configuration in force: re-read when a file of it changes, and closed to everybody while it is broken."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog

from exporter.errors import ConfigError
from exporter.passwords import Passwords
from exporter.web_config import Rate, WebConfig, read

log = structlog.get_logger()

LOOKED_AT_EVERY_SECONDS = 1.0
ROTATION_SECONDS = 5.0
MAX_PEERS = 1024

Stamp = tuple[int, int, int, int, int] | None


class Security:
    """Decides who connects and who is answered; used by the front's one thread. Raises ConfigError where it can't start."""

    def __init__(self, file: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._file, self._clock = file, clock
        self._config, self._stamps = _read(file, (file,))
        self._passwords = Passwords(self._config.users)
        # As in Prometheus' exporters this and TLS itself are fixed at the start.
        self._buckets = _Buckets(self._config.rate) if self._config.rate else None
        self._whole = True
        self._broken: tuple[float, tuple[str, ...]] | None = None
        self._looked = clock()
        self.failed = 0

    def whole(self) -> bool:
        """Whether the configuration is usable as the files are now; looked at once a second at most."""
        now = self._clock()
        if now - self._looked >= LOOKED_AT_EVERY_SECONDS:
            self._looked = now
            self._look(now)
        return self._whole

    def context(self) -> ssl.SSLContext | None:
        """The TLS of a new connection, the last good one while the files are broken; None without TLS."""
        self.whole()
        return self._config.context

    def headers(self) -> tuple[tuple[str, str], ...]:
        """What every answer carries."""
        return self._config.headers

    def admits(self, transport: asyncio.Transport | None) -> bool:
        """Whether the client's certificate bears an allowed name, where names are asked for."""
        allowed = self._config.allowed_names
        if not allowed or transport is None:
            return True
        shown: dict[str, Any] = transport.get_extra_info("peercert") or {}
        return any(value in allowed for _, value in shown.get("subjectAltName", ()))

    def lets(self, peer: str) -> bool:
        """Whether the address may ask once more now: each has a bucket, so that no one client can use up another's."""
        return self._buckets is None or self._buckets.take(peer, self._clock())

    def known(self, authorization: str) -> bool | None:
        """Whether the header admits, where that can be told at once."""
        return self._passwords.known(authorization)

    def examiner(self, authorization: str) -> tuple[bytes, Callable[[], bool]]:
        """What stands for the header, and how to find out whether it admits: slow, for a worker's thread."""
        passwords = self._passwords
        return passwords.key(authorization), lambda: passwords.examined(authorization)

    def _look(self, now: float) -> None:
        # While broken it is read each time: what mends it may be a file that no readable configuration has named yet.
        if self._broken is None and _stamps(self._config.files) == self._stamps:
            return
        try:
            found, stamps = _read(self._file, self._config.files)
            if (found.context is None) != (self._config.context is None):
                raise ConfigError((f"{self._file}: tls_server_config: TLS can't be switched on or off without a restart",))
        except ConfigError as error:
            self._bear(error.problems, now)
            return
        if not self._whole:
            log.info("web configuration mended", file=str(self._file))
        if found.users != self._config.users:
            self._passwords = Passwords(found.users)
        self._config, self._stamps = found, stamps
        self._broken, self._whole = None, True

    def _bear(self, problems: tuple[str, ...], now: float) -> None:
        since, told = self._broken or (now, ())
        self._broken = since, told
        # A certificate and its key are two files: between their swaps the old pair stays in force.
        if _stamp(self._file) == self._stamps[0] and now - since < ROTATION_SECONDS:
            return
        self._whole = False
        if problems != told:
            self._broken = since, problems
            self.failed += 1
            for problem in problems:
                log.error("web configuration broken", problem=problem)


class _Buckets:
    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._filled: dict[str, tuple[float, float]] = {}

    def take(self, peer: str, now: float) -> bool:
        tokens, when = self._filled.pop(peer, (float(self._rate.burst), now))
        tokens = min(float(self._rate.burst), tokens + (now - when) / self._rate.interval)
        taken = tokens >= 1
        self._filled[peer] = (tokens - 1 if taken else tokens, now)
        if len(self._filled) > MAX_PEERS:
            del self._filled[next(iter(self._filled))]
        return taken


def _read(file: Path, files: tuple[Path, ...]) -> tuple[WebConfig, tuple[Stamp, ...]]:
    """The configuration, and the stamps that its files had before they were read: what changes meanwhile is seen next time."""
    while True:
        stamps = _stamps(files)
        found = read(file)
        if found.files == files:
            return found, stamps
        files = found.files


def _stamps(files: tuple[Path, ...]) -> tuple[Stamp, ...]:
    return tuple(map(_stamp, files))


def _stamp(file: Path) -> Stamp:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
