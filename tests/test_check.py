"""exporter/check.py, by the commands `check` and `expected`, against a bridge on loopback."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from exporter.cli import main
from exporter.storage import opened
from exporter.streaming import state as states
from exporter.streaming.state import State
from tests.sources.answers import answer, progress, started, terminated
from tests.sources.bridge import TOKEN, Bridge
from tests.sources.bridge import says as answers
from tests.sources.http_server import Server, says

HASH = "$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where connection files are."""
    (tmp_path / "drivers").mkdir(mode=0o700)
    return tmp_path / "drivers"


@pytest.fixture
def shop(folder: Path) -> Iterator[Bridge]:
    """A driver with a query that runs, one that ended, and one that ends by itself."""
    nightly = started(4, "nightly", "r3") | {"trigger": "AvailableNowTrigger"}
    events = [started(1), progress(2, 0), started(3, "old", "r2"), nightly, terminated(5, "old", "r2")]
    with Bridge(answers(answer(events))) as bridge:
        connect(folder, "shop-id", bridge.port)
        yield bridge


def connect(folder: Path, app_id: str, port: int) -> None:
    content = {"version": 1, "port": port, "token": TOKEN, "appId": app_id, "epoch": "e1"}
    (folder / f"{app_id}.json").write_text(json.dumps(content))


def ran(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(words, {})
    return code, *capsys.readouterr()


def test_no_driver_yet(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder without drivers is as it should be before the first one starts."""
    assert ran(capsys, "check", f"--drivers.dir={folder}") == (
        0,
        f"CHECKED  NAME{' ' * (len(str(folder)) - 4)}  RESULT  DETAIL\ndrivers  {folder}  ok      none yet\n",
        "",
    )


def test_all_is_well(folder: Path, shop: Bridge, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Everything that the settings name has a line, and exit code 0 says that all is well; nothing is made or locked."""
    web = tmp_path / "web.yml"
    web.write_text(f"basic_auth_users: {{anna: {HASH}}}\n")
    code, out, err = ran(
        capsys, "check", f"--drivers.dir={folder}", f"--web.config.file={web}", f"--storage.path={tmp_path}/state"
    )

    assert (code, err) == (0, "")
    assert [line.split(maxsplit=3) for line in out.splitlines()[1:]] == [
        ["web", str(web), "ok", "no TLS, 1 users"],
        ["storage", f"{tmp_path}/state", "ok", "nothing stored yet"],
        ["drivers", str(folder), "ok", "1 running"],
        ["driver", "shop", "ok", "2 queries run"],
    ]
    assert not (tmp_path / "state").exists()
    assert TOKEN not in out
    assert HASH not in out
    assert len(shop.calls) == 1


def test_storage_in_use(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The storage of an exporter that runs can be looked into."""
    with opened(tmp_path / "state") as storage:
        storage.save(states.encoded(State(since=1.0)))
        code, out, _ = ran(capsys, "check", f"--drivers.dir={folder}", f"--storage.path={tmp_path}/state")

    assert code == 0
    assert "0 queries are remembered" in out


def test_storage_that_fails(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A state that can't be used, a path through a file, and a place where nothing may be written, are exit code 1."""
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "streams.state").write_bytes(b"\xc1")
    (tmp_path / "file").touch()
    unusable = ran(capsys, "check", f"--drivers.dir={folder}", f"--storage.path={tmp_path}/state")
    nowhere = ran(capsys, "check", f"--drivers.dir={folder}", f"--storage.path={tmp_path}/file/state")
    monkeypatch.setattr("os.access", lambda *_: False)  # for root everything may be written
    forbidden = ran(capsys, "check", f"--drivers.dir={folder}", f"--storage.path={tmp_path}/new/state")

    assert (unusable[0], nowhere[0], forbidden[0]) == (1, 1, 1)
    assert "failed  no state: " in unusable[1]
    assert f"failed  {tmp_path}/file/state/streams.state: Not a directory\n" in nowhere[1]
    assert f"failed  {tmp_path} can't be written\n" in forbidden[1]


def test_driver_that_fails(folder: Path, shop: Bridge, capsys: pytest.CaptureFixture[str]) -> None:
    """A driver that refuses has left its file behind, and that is no failure; one whose file can't be read is."""
    with Bridge() as dead:
        port = dead.port
    content = {"version": 1, "port": port, "token": TOKEN, "appId": "dead-id", "epoch": "e2"}
    (folder / "dead-id.json").write_text(json.dumps(content))
    alone = ran(capsys, "check", f"--drivers.dir={folder}")[0]
    (folder / "odd\x1b[31m.json").write_text("{")
    code, out, err = ran(capsys, "check", f"--drivers.dir={folder}")

    assert (code, err) == (1, "")
    lines = [line.split(maxsplit=3) for line in out.splitlines()[1:]]
    assert [line[:3] for line in lines] == [
        ["drivers", str(folder), "ok"],
        ["driver", "shop", "ok"],
        ["driver", "odd\N{REPLACEMENT CHARACTER}[31m", "failed"],
        ["driver", "dead-id", "gone"],
    ]
    assert lines[3][3].startswith("refused: ")
    assert alone == 0
    assert shop.calls


def test_no_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder that can't be listed is told as itself; exit code 1."""
    (tmp_path / "file").touch()
    code, out, _ = ran(capsys, "check", f"--drivers.dir={tmp_path}/file")

    assert code == 1
    assert [line.split(maxsplit=3)[:3] for line in out.splitlines()[1:]] == [["drivers", f"{tmp_path}/file", "failed"]]


def test_bad_settings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Settings, and a web configuration, that can't be used are exit code 2 and a line for every problem, before any try."""
    web = tmp_path / "web.yml"
    web.write_text("x: 1\n")

    assert ran(capsys, "check", "--drivers.every=never") == (
        *(2, "", "--drivers.every: 'never' is no duration; write 90s, 10m or 1h30m\n"),
    )
    assert ran(capsys, "check", f"--web.config.file={web}") == (2, "", f"{web}: unknown key 'x'\n")


def test_learn(folder: Path, shop: Bridge, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What runs now is printed as a block that the configuration takes, and by which all that runs is as expected."""
    code, out, err = ran(capsys, "expected", "--learn", f"--drivers.dir={folder}")
    file = tmp_path / "settings.yaml"
    file.write_text(out)
    shop._answers[:] = [answers(answer([started(1), started(2, "nightly", "r3")]))]

    assert (code, err) == (0, "")
    assert out == (
        "expected:\n"
        "  - app: shop\n"
        "    query: nightly\n"
        "    schedule: 24h  # it ends by itself: the longest time between two of its runs\n"
        "  - app: shop\n"
        "    query: orders\n"
    )
    assert ran(capsys, "expected", f"--drivers.dir={folder}", f"--config.file={file}") == (
        0,
        "APP   QUERY    RESULT  DETAIL\nshop  nightly  ok      it runs\nshop  orders   ok      it runs\n",
        "",
    )


def test_learn_odd_names(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Names that YAML would take for something else come back as they are."""
    odd = ["x\u2028y", " ", "null", "5", "a: b", "# x", "yes", "é", "'"]
    events = [started(number + 1, name, f"r{number}") for number, name in enumerate(odd)]
    with Bridge(answers(answer(events))) as bridge:
        connect(folder, "shop-id", bridge.port)
        _, out, _ = ran(capsys, "expected", "--learn", f"--drivers.dir={folder}")

    assert sorted(entry["query"] for entry in yaml.safe_load(out)["expected"]) == sorted(odd)


def test_learn_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where nothing runs, nothing is expected."""
    assert ran(capsys, "expected", "--learn", f"--drivers.dir={folder}") == (0, "expected: []\n", "")


def test_missing(folder: Path, shop: Bridge, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A stream that has ended, or was never seen, is missing, and that is exit code 1; one with a schedule may rest."""
    file = tmp_path / "settings.yaml"
    entries = [("shop", "old", ""), ("shop", "none", ""), ("other", "weekly", ", schedule: 7d"), ("shop", "orders", "")]
    file.write_text("expected:\n" + "".join(f"- {{app: {app}, query: {query}{rest}}}\n" for app, query, rest in entries))

    assert ran(capsys, "expected", f"--drivers.dir={folder}", f"--config.file={file}") == (
        1,
        (
            "APP    QUERY   RESULT   DETAIL\n"
            "shop   old     missing  it has ended\n"
            "shop   none    missing  nothing of it is seen\n"
            "other  weekly  ok       it does not run; it may rest for 604800 seconds\n"
            "shop   orders  ok       it runs\n"
        ),
        "",
    )
    assert shop.calls


def test_nothing_expected(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a list there is nothing to tell but how to get one."""
    assert ran(capsys, "expected", f"--drivers.dir={folder}") == (
        *(0, "", "no stream is expected; --learn prints what runs now, for the configuration file\n"),
    )


def test_expected_of_a_driver_that_fails(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A driver that can't be read is told, for what it runs is not known; exit code 1. One that is gone runs nothing."""
    with Bridge() as dead:
        connect(folder, "dead-id", dead.port)
    gone = ran(capsys, "expected", "--learn", f"--drivers.dir={folder}")
    (folder / "odd.json").write_text("{")
    code, out, err = ran(capsys, "expected", "--learn", f"--drivers.dir={folder}")

    assert gone == (0, "expected: []\n", "")
    assert (code, out) == (1, "expected: []\n")
    assert err.startswith("not read: odd: ")


def test_slow_driver(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver that has not answered in time is told, and not left out."""
    over = threading.Event()
    monkeypatch.setattr("exporter.check.FIRST_PATIENCE", 0.2)

    def late(*_: object) -> None:
        over.wait(10)

    with Bridge(late) as slow:
        connect(folder, "slow-id", slow.port)
        code, out, _ = ran(capsys, "check", f"--drivers.dir={folder}")
        over.set()

    assert code == 1
    assert out.splitlines()[-1].split(maxsplit=3) == ["driver", "e1", "failed", "timeout: no whole answer within 0 seconds"]


def test_expected_is_checked(folder: Path, shop: Bridge, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Streams that are expected are among what `check` tries."""
    file = tmp_path / "settings.yaml"
    file.write_text("expected: [{app: shop, query: none}]\n")
    code, out, _ = ran(capsys, "check", f"--drivers.dir={folder}", f"--config.file={file}")

    assert code == 1
    assert out.splitlines()[-1].split(maxsplit=4) == ["stream", "shop", "none", "missing", "nothing of it is seen"]
    assert shop.calls


def test_interrupted(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGINT ends the command as a shell expects it, without a traceback."""

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("exporter.sources.drivers.Drivers.observe", interrupted)

    assert ran(capsys, "check", f"--drivers.dir={folder}") == (130, "", "")


def test_workspaces(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each workspace is asked once; one that refuses the token is told, without the token, and is exit code 1."""
    (tmp_path / "token").write_text("dapi-of-this-test")
    with Server(says({"userName": "me"})) as good, Server(says({}, status="401 Unauthorized")) as bad:
        entries = [
            {"name": name, "host": one.url, "token_file": f"{tmp_path}/token"} for name, one in (("a", good), ("b", bad))
        ]
        (tmp_path / "settings.yaml").write_text(json.dumps({"workspaces": entries}))
        code, out, err = ran(capsys, "check", f"--drivers.dir={folder}", f"--config.file={tmp_path}/settings.yaml")

    lines = [line.split(maxsplit=3) for line in out.splitlines()[2:]]
    assert (code, err) == (1, "")
    assert lines[0] == ["workspace", "a", "ok", "it answers"]
    assert lines[1][:3] == ["workspace", "b", "failed"]
    assert lines[1][3].startswith("unauthorized: workspace b: ")
    assert "dapi-of-this-test" not in out
