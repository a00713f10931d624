"""What outlives a restart: one file of state, renamed into place under a lock; knows nothing of what the state means."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from exporter.errors import StorageError

MAX_BYTES = 256 * 1024 * 1024


class Storage:
    """A state by its name, in a folder that `opened` holds the lock of."""

    def __init__(self, folder: Path, name: str = "streams") -> None:
        self._file = folder / f"{name}.state"
        self._aside = folder / f".{name}.state.new"

    def beside(self, name: str) -> Storage:
        """The state of another name in the same folder."""
        return Storage(self._file.parent, name)

    def load(self) -> bytes | None:
        """The stored bytes, or None where nothing was stored yet; raises StorageError where they can't be read."""
        try:
            if self._file.stat().st_size > MAX_BYTES:
                raise StorageError(f"{self._file}: larger than {MAX_BYTES} bytes")
            return self._file.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageError(f"{self._file}: {error.strerror}") from error

    def save(self, state: bytes) -> None:
        """`state` in place of the old one, whole or not at all; raises StorageError and leaves the old one.

        Not synced to the disk: a rename outlives the death of this process, which is what a page may rely on.
        A machine that loses power may fall back to an older state, and Prometheus sees a counter's reset.
        """
        try:
            with open(os.open(self._aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(state)
            os.replace(self._aside, self._file)
        except OSError as error:
            raise StorageError(f"{self._file}: {error.strerror}") from error

    def set_aside(self) -> Path:
        """Renames a state that can't be used, so that it is neither lost nor met again; raises StorageError."""
        kept = self._file.with_suffix(".unusable")
        try:
            return self._file.replace(kept)
        except OSError as error:
            raise StorageError(f"{self._file}: {error.strerror}") from error


@contextmanager
def opened(folder: Path) -> Iterator[Storage]:
    """The storage in `folder`, made where it is missing, locked for this process alone.

    Raises StorageError where the folder can't be made or another exporter holds it.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StorageError(f"{folder}: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        held = isinstance(error, BlockingIOError)
        raise StorageError(f"{folder}: {'another exporter holds it' if held else error.strerror}") from error
    try:
        yield Storage(folder)
    finally:
        os.close(lock)
