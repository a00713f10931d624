"""exporter/sources/driver_folder.py"""

import json
import os
import threading
import traceback
from pathlib import Path

import pytest

from exporter.errors import Reason, SourceError
from exporter.secret import Secret
from exporter.sources.driver_folder import MAX_CONNECTION_BYTES, MAX_FINAL_BYTES, Connection, connection, final, listing

TOKEN = "tOkEn-of-43-characters-that-nobody-may-print"
FILE = {
    "version": 1,
    "port": 41233,
    "token": TOKEN,
    "pid": 4711,
    "appId": "local-1",
    "epoch": "e1",
    "startedMs": 1795326775735,
}


def written(folder: Path, name: str = "local-1.json", **other: object) -> Path:
    file = folder / name
    file.write_text(json.dumps({**FILE, **other}))
    return file


def refusal(file: Path) -> tuple[Reason, str]:
    """Why a connection file is refused; fails where the token is anywhere in what is raised."""
    with pytest.raises(SourceError) as raised:
        connection(file)
    assert TOKEN not in "".join(traceback.format_exception(raised.value))
    return raised.value.reason, str(raised.value)


def test_connection(tmp_path: Path) -> None:
    """A connection file says where the bridge is and with which token, and keys of a later listener are passed over."""
    file = written(tmp_path, later="key")

    assert connection(file) == Connection("local-1", "e1", 41233, Secret(TOKEN))
    assert repr(connection(file)) == "Connection(app_id='local-1', epoch='e1', port=41233, token=Secret('***'))"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{",
        b'{"version": 1}',
        json.dumps(FILE).encode()[:-1],
        json.dumps({**FILE, "port": "41233"}).encode(),
        json.dumps({**FILE, "epoch": None}).encode(),
        json.dumps({**FILE, "token": [TOKEN]}).encode(),
        json.dumps({**FILE, "appId": 7}).encode(),
        json.dumps({**FILE, "appId": "\ud800"}).encode(),
        json.dumps(FILE).encode().replace(b"local-1", b"\xff"),
        json.dumps(FILE).encode()[:-1] + b', "deep": ' + b"[" * 20_000,
        b"\0" * 100,
    ],
)
def test_unreadable_content(content: bytes, tmp_path: Path) -> None:
    """Whatever is no JSON object of the agreed shape is one refusal, which shows nothing of it."""
    file = tmp_path / "a.json"
    file.write_bytes(content)

    assert refusal(file) == (Reason.BAD_ANSWER, f"{file}: no connection file of a listener")


def test_version(tmp_path: Path) -> None:
    """A file of another version is refused with both versions."""
    file = written(tmp_path, version=2)

    assert refusal(file) == (Reason.BAD_ANSWER, f"{file}: version 2, 1 is understood")


@pytest.mark.parametrize("port", [0, -1, 65536, 10**12])
def test_port(port: int, tmp_path: Path) -> None:
    """A port that no socket has is refused."""
    file = written(tmp_path, port=port)

    assert refusal(file) == (Reason.BAD_ANSWER, f"{file}: port {port}")


def test_too_large(tmp_path: Path) -> None:
    """A connection file of more than 64 KiB is refused, and is not read to its end."""
    file = written(tmp_path)
    os.truncate(file, MAX_CONNECTION_BYTES + 1)

    assert refusal(file) == (Reason.BAD_ANSWER, f"{file}: larger than 65536 bytes")


def test_pipe(tmp_path: Path) -> None:
    """A named pipe holds nobody: it is refused at once."""
    file = tmp_path / "a.json"
    os.mkfifo(file)

    assert refusal(file) == (Reason.UNREADABLE, f"{file}: not a regular file")


def test_link(tmp_path: Path) -> None:
    """A link is refused, whatever it leads to."""
    file = tmp_path / "a.json"
    file.symlink_to(written(tmp_path, "b.json"))

    assert refusal(file) == (Reason.UNREADABLE, f"{file}: Too many levels of symbolic links")


def test_folder(tmp_path: Path) -> None:
    """A folder named like a file is refused, and no descriptor stays open."""
    file = tmp_path / "a.json"
    file.mkdir()
    before = os.listdir("/proc/self/fd")

    assert refusal(file) == (Reason.UNREADABLE, f"{file}: Is a directory")
    assert os.listdir("/proc/self/fd") == before


def test_missing(tmp_path: Path) -> None:
    """A file that has vanished since the folder was listed is refused."""
    assert refusal(tmp_path / "a.json") == (Reason.UNREADABLE, f"{tmp_path}/a.json: No such file or directory")


def test_final(tmp_path: Path) -> None:
    """A final file's bytes are handed on as they are."""
    file = tmp_path / "a.final.json"
    file.write_bytes(b'{"version": 1}\xff')

    assert final(file) == b'{"version": 1}\xff'


def test_final_too_large(tmp_path: Path) -> None:
    """A final file of more than 64 MiB is refused."""
    file = tmp_path / "a.final.json"
    file.touch()
    os.truncate(file, MAX_FINAL_BYTES + 1)
    with pytest.raises(SourceError) as raised:
        final(file)

    assert (raised.value.reason, str(raised.value)) == (Reason.BAD_ANSWER, f"{file}: larger than 67108864 bytes")


def test_listing(tmp_path: Path) -> None:
    """Connection files and final files are told apart by name; files written aside, and others, are passed over."""
    for name in ("b.json", "a.json", "c.final.json", ".a.json.0f", ".hidden.json", "notes.txt", "json"):
        (tmp_path / name).touch()
    found = listing(tmp_path)

    assert (list(found.connections), list(found.finals)) == (["a.json", "b.json"], ["c.final.json"])


def test_final_takes_the_place(tmp_path: Path) -> None:
    """Where both are there, as while the driver ends, the final file stands for the application."""
    written(tmp_path, "a.json")
    (tmp_path / "a.final.json").touch()
    found = listing(tmp_path)

    assert (list(found.connections), list(found.finals)) == ([], ["a.final.json"])


def test_next_attempt(tmp_path: Path) -> None:
    """A connection file that is newer than a final one of its name is the application's next attempt: both are told."""
    (tmp_path / "a.final.json").touch()
    ended = (tmp_path / "a.final.json").stat().st_ctime_ns
    file = written(tmp_path, "a.json")
    while file.stat().st_ctime_ns <= ended:  # within one tick of the kernel's clock
        written(tmp_path, "a.json")
    found = listing(tmp_path)

    assert (list(found.connections), list(found.finals)) == (["a.json"], ["a.final.json"])


def test_stamp(tmp_path: Path) -> None:
    """A file's stamp is the same until it is replaced or its permissions change."""
    written(tmp_path)
    first = listing(tmp_path)
    again = listing(tmp_path)
    written(tmp_path, ".new")
    os.replace(tmp_path / ".new", tmp_path / "local-1.json")

    assert again == first
    assert listing(tmp_path) != first


def test_no_folder(tmp_path: Path) -> None:
    """A folder that is not there yet holds nothing."""
    assert listing(tmp_path / "no") == ({}, {})


def test_no_folder_but_a_file(tmp_path: Path) -> None:
    """A folder that can't be listed is refused with its name and why."""
    (tmp_path / "file").touch()
    with pytest.raises(SourceError) as raised:
        listing(tmp_path / "file")

    assert (raised.value.reason, str(raised.value)) == (Reason.UNREADABLE, f"{tmp_path}/file: Not a directory")


def test_vanishing(tmp_path: Path) -> None:
    """Files that vanish while the folder is listed are passed over, and the others are told."""
    for _ in range(20):
        names = [tmp_path / f"{number}.json" for number in range(100)]
        for name in [*names, tmp_path / "stays.json"]:
            name.touch()
        deleting = threading.Thread(target=lambda doomed=names: [name.unlink() for name in doomed])
        deleting.start()
        found = listing(tmp_path).connections
        deleting.join(10)

        assert "stays.json" in found
