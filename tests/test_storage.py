"""exporter/storage.py"""

import contextlib
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from exporter import storage
from exporter.errors import StorageError
from exporter.storage import Storage, opened
from tests.e2e.waiting import eventually

WRITER = """
import sys
from pathlib import Path
from exporter.storage import opened

with opened(Path(sys.argv[1])) as storage:
    for number in range(10**9):
        storage.save(bytes([number % 256]) * (200_000 + number % 256))
        if number == 20:
            print("under way", flush=True)
"""


def problem(action: Callable[[], object]) -> str:
    with pytest.raises(StorageError) as raised:
        action()
    return str(raised.value)


def held(folder: Path) -> None:
    with opened(folder):
        pass


def test_nothing_stored(tmp_path: Path) -> None:
    """A new folder, made with its parents for its owner alone, holds None."""
    folder = tmp_path / "a" / "b"
    with opened(folder) as kept:
        assert kept.load() is None
    assert folder.stat().st_mode & 0o777 == 0o700


def test_load(tmp_path: Path) -> None:
    """What was saved last is what is loaded, also by the next holder; its file is the owner's alone."""
    with opened(tmp_path) as kept:
        kept.save(b"long first state")
        kept.save(b"second")
    with opened(tmp_path) as kept:
        assert kept.load() == b"second"
    assert (tmp_path / "streams.state").stat().st_mode & 0o777 == 0o600


def test_renamed_into_place(tmp_path: Path) -> None:
    """A state is a new file under the old name: who opened the old one goes on reading it whole."""
    with opened(tmp_path) as kept:
        kept.save(b"first")
        with (tmp_path / "streams.state").open("rb") as old:
            kept.save(b"second")

            assert old.read() == b"first"
        assert sorted(path.name for path in tmp_path.iterdir()) == ["lock", "streams.state"]


def test_second_holder(tmp_path: Path) -> None:
    """While one holds the folder another is refused; after it there is room again."""
    with opened(tmp_path):
        assert problem(lambda: held(tmp_path)) == f"{tmp_path}: another exporter holds it"
    held(tmp_path)


def test_lock_after_an_error(tmp_path: Path) -> None:
    """A block that raises gives the lock back."""
    with contextlib.suppress(KeyError), opened(tmp_path):
        raise KeyError
    held(tmp_path)


def test_no_leak(tmp_path: Path) -> None:
    """A refused holder leaves no file open."""
    with opened(tmp_path):
        before = os.listdir("/proc/self/fd")
        problem(lambda: held(tmp_path))

        assert os.listdir("/proc/self/fd") == before


def test_folder_under_a_file(tmp_path: Path) -> None:
    """A folder that can't be made is refused with its name and why."""
    (tmp_path / "file").write_text("")

    assert problem(lambda: held(tmp_path / "file" / "state")) == f"{tmp_path}/file/state: Not a directory"


def test_read_only_folder() -> None:
    """A folder that lets no lock file be made, as /proc even for root, is refused with its name and why."""
    assert problem(lambda: held(Path("/proc/self"))).startswith("/proc/self: ")


def test_unreadable(tmp_path: Path) -> None:
    """A state that can't be read, here a folder, is refused with its name and why."""
    (tmp_path / "streams.state").mkdir()

    assert problem(Storage(tmp_path).load) == f"{tmp_path}/streams.state: Is a directory"


def test_too_large(tmp_path: Path) -> None:
    """A state of more than 256 MiB is not read."""
    with (tmp_path / "streams.state").open("wb") as file:
        file.truncate(storage.MAX_BYTES + 1)

    assert problem(Storage(tmp_path).load) == f"{tmp_path}/streams.state: larger than 268435456 bytes"


def test_full_disk(tmp_path: Path) -> None:
    """A state that does not fit the disk, here the process' limit of a file's size, is refused and the old one stands."""
    with opened(tmp_path) as kept:
        kept.save(b"old")
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
        try:
            told = problem(lambda: kept.save(b"x" * 100_000))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            signal.signal(signal.SIGXFSZ, before)

        assert told == f"{tmp_path}/streams.state: File too large"
        assert kept.load() == b"old"
        kept.save(b"new")
        assert kept.load() == b"new"


def test_folder_is_gone(tmp_path: Path) -> None:
    """A folder that was removed under a holder is a refusal to save, not a crash."""
    assert problem(lambda: Storage(tmp_path / "gone").save(b"x")) == f"{tmp_path}/gone/streams.state: No such file or directory"


@pytest.mark.parametrize("kills", [5])
def test_kill(tmp_path: Path, kills: int) -> None:
    """A process killed by SIGKILL while it saves in a loop leaves one whole state, and the lock to the next."""
    for _ in range(kills):
        with subprocess.Popen([sys.executable, "-c", WRITER, tmp_path], stdout=subprocess.PIPE) as writer:
            assert writer.stdout
            writer.stdout.readline()
            first = (tmp_path / "streams.state").stat().st_ino
            eventually(lambda seen=first: (tmp_path / "streams.state").stat().st_ino != seen, "it saves on", within=5)  # type: ignore[misc] # a lambda's default
            assert problem(lambda: held(tmp_path)) == f"{tmp_path}: another exporter holds it"
            writer.kill()
        with opened(tmp_path) as kept:
            state = kept.load()

            assert state is not None
            assert state == state[:1] * (200_000 + state[0])


def test_set_aside(tmp_path: Path) -> None:
    """A state that is set aside is kept under another name, and the next one takes its place."""
    with opened(tmp_path) as storage:
        storage.save(b"old")

        assert storage.set_aside() == tmp_path / "streams.unusable"
        assert storage.load() is None

        with pytest.raises(StorageError, match=r"streams\.state: No such file or directory$"):
            storage.set_aside()

    assert (tmp_path / "streams.unusable").read_bytes() == b"old"
