"""Reads the folder in which listeners leave their files; trusts no file further than its shape and size."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import NamedTuple

import msgspec

from exporter.errors import Reason, SourceError
from exporter.secret import Secret

CONNECTION_VERSION = 1
MAX_CONNECTION_BYTES = 64 * 1024
MAX_FINAL_BYTES = 64 * 1024 * 1024

FINAL_SUFFIX = ".final.json"
SUFFIX = ".json"


class Connection(msgspec.Struct, frozen=True):
    """A driver's connection file: where its bridge listens and with which token (docs/bridge.md)."""

    app_id: str
    epoch: str
    port: int
    token: Secret


class Stamp(NamedTuple):
    """What tells one content of a file, or one set of its permissions, from the next."""

    inode: int
    size: int
    changed_ns: int


class Listing(NamedTuple):
    """The folder's files by name; a final file takes the place of an older connection file of the same application."""

    connections: dict[str, Stamp]
    finals: dict[str, Stamp]


class _ConnectionFile(msgspec.Struct, rename="camel"):
    version: int
    port: int
    token: str
    app_id: str
    epoch: str


def listing(folder: Path) -> Listing:
    """What the folder holds now; empty where it does not exist yet. Raises SourceError where it can't be read."""
    connections: dict[str, Stamp] = {}
    finals: dict[str, Stamp] = {}
    try:
        with os.scandir(folder) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if entry.name.startswith(".") or not entry.name.endswith(SUFFIX):
                    continue
                try:
                    found = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                stamp = Stamp(found.st_ino, found.st_size, found.st_ctime_ns)
                (finals if entry.name.endswith(FINAL_SUFFIX) else connections)[entry.name] = stamp
    except FileNotFoundError:
        pass
    except OSError as error:
        raise SourceError(Reason.UNREADABLE, f"{folder}: {error.strerror}") from error
    # The next attempt of an application on YARN has the same id, and finds the last words of the one before in the folder.
    ended = {name.removesuffix(FINAL_SUFFIX) + SUFFIX: stamp.changed_ns for name, stamp in finals.items()}
    return Listing({name: stamp for name, stamp in connections.items() if stamp.changed_ns > ended.get(name, 0)}, finals)


def connection(file: Path) -> Connection:
    """The content of a connection file; raises SourceError, which never shows the token."""
    try:
        content = msgspec.json.decode(_content(file, MAX_CONNECTION_BYTES), type=_ConnectionFile)
    except (ValueError, RecursionError):  # which show the content, and so the token
        raise SourceError(Reason.BAD_ANSWER, f"{file}: no connection file of a listener") from None
    if content.version != CONNECTION_VERSION:
        raise SourceError(Reason.BAD_ANSWER, f"{file}: version {content.version}, {CONNECTION_VERSION} is understood")
    if content.port not in range(1, 65536):
        raise SourceError(Reason.BAD_ANSWER, f"{file}: port {content.port}")
    return Connection(content.app_id, content.epoch, content.port, Secret(content.token))


def final(file: Path) -> bytes:
    """The text of a final file: an answer of the bridge; raises SourceError."""
    return _content(file, MAX_FINAL_BYTES)


def _content(file: Path, limit: int) -> bytes:
    try:
        with open(file, "rb", opener=_cautious) as opened:
            if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
                raise SourceError(Reason.UNREADABLE, f"{file}: not a regular file")
            content = opened.read(limit + 1)
    except OSError as error:
        raise SourceError(Reason.UNREADABLE, f"{file}: {error.strerror}") from error
    if len(content) > limit:
        raise SourceError(Reason.BAD_ANSWER, f"{file}: larger than {limit} bytes")
    return content


def _cautious(path: str, flags: int) -> int:
    # Without O_NONBLOCK a named pipe of that name would hold us for ever.
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOFOLLOW)
