"""Reads files that hold one secret each, as Kubernetes mounts them; trusts no file further than its shape and size."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import NamedTuple

from exporter.errors import Reason, SourceError
from exporter.secret import Secret

MAX_BYTES = 64 * 1024

# What fits into a header: a line end in the middle would begin another one.
_WORD = re.compile(rb"[\x21-\x7e]+")


class Stamp(NamedTuple):
    """What tells one content of a file from the next."""

    device: int
    inode: int
    size: int
    modified_ns: int
    changed_ns: int


def stamp(file: Path) -> Stamp:
    """The stamp of what the file holds now; raises SourceError."""
    try:
        return _stamp(os.stat(file))  # noqa: PTH116 -- beside fstat, one reads as the other
    except OSError as error:
        raise SourceError(Reason.UNREADABLE, f"{file}: {error.strerror}") from error


def read(file: Path) -> tuple[Secret, Stamp]:
    """The file's one word, without the spaces and line ends around it, and its stamp; raises SourceError, which shows neither.

    Symbolic links are followed: Kubernetes swaps a mounted Secret by one.
    """
    try:
        # Without O_NONBLOCK a named pipe of that name would hold us for ever.
        with open(file, "rb", opener=lambda path, flags: os.open(path, flags | os.O_NONBLOCK)) as opened:
            found = os.fstat(opened.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise SourceError(Reason.UNREADABLE, f"{file}: not a regular file")
            content = opened.read(MAX_BYTES + 1)
    except OSError as error:
        raise SourceError(Reason.UNREADABLE, f"{file}: {error.strerror}") from error
    if len(content) > MAX_BYTES:
        raise SourceError(Reason.UNREADABLE, f"{file}: larger than {MAX_BYTES} bytes")
    word = content.strip()
    if not word:
        raise SourceError(Reason.UNREADABLE, f"{file}: empty")
    if not _WORD.fullmatch(word):
        raise SourceError(Reason.UNREADABLE, f"{file}: more than one word of ASCII")
    return Secret(word.decode()), _stamp(found)


def _stamp(found: os.stat_result) -> Stamp:
    return Stamp(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
