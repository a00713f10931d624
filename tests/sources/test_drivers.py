"""exporter/sources/drivers.py, over a real folder, with lines that the test answers."""

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import structlog

from exporter.errors import Reason, SourceError
from exporter.sources import drivers
from exporter.sources.driver import Line
from exporter.sources.driver_folder import Connection
from exporter.sources.drivers import Drivers
from exporter.streaming.observation import Answered, Failed, Observation
from tests.sources.answers import answer, started
from tests.sources.bridge import TOKEN, Bridge, says

NOW = 1_800_000_000.0
NOBODY: frozenset[str] = frozenset()


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Driver(Line):
    """A line to a driver of the test's own: answers or raises what it is told to, once it is let."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self.epoch = connection.epoch
        self.error: Exception | None = None
        self.asked: list[int] = []
        self.answers = threading.Event()
        self.answers.set()
        self.closed = 0

    def poll(self, epoch: str, after: int, max_bytes: int) -> str:  # noqa: ARG002 -- a Line's
        self.asked.append(after)
        assert self.answers.wait(10)
        if self.error is not None:
            raise self.error
        return answer(epoch=self.epoch, app=f"app-{self.epoch}", last_seq=after + 1)

    def close(self) -> None:
        self.closed += 1


class Stage:
    """A folder of drivers, the looker at it, and its clock."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = Clock()
        self.lines: dict[str, Driver] = {}
        self.drivers = Drivers(folder, lambda: NOW, self.clock, self._line)

    def _line(self, connection: Connection) -> Driver:
        self.lines[connection.epoch] = Driver(connection)
        return self.lines[connection.epoch]

    def invite(self, epoch: str, name: str | None = None) -> None:
        """Puts a driver's connection file into the folder, as the listener does."""
        port = sum(epoch.encode())  # of its own, as long as no test gives it another's
        content = {"version": 1, "port": port, "token": TOKEN, "appId": f"app-{epoch}-id", "epoch": epoch}
        self.write(f"{name or epoch}.json", json.dumps(content))

    def write(self, name: str, text: str) -> None:
        (self.folder / ".aside").write_text(text)
        os.replace(self.folder / ".aside", self.folder / name)

    def end(self, epoch: str, *, app: str = "ended", seq: int = 1) -> None:
        """Ends a driver, as the listener does: its last words first, then its connection file goes."""
        self.write(f"{epoch}.final.json", answer([started(seq)], epoch=epoch, app=app, final=True))
        (self.folder / f"{epoch}.json").unlink(missing_ok=True)

    def look(
        self, positions: dict[str, int] | None = None, ended: frozenset[str] = NOBODY, patience: float = 5.0
    ) -> Observation:
        return self.drivers.observe(positions or {}, ended, patience)

    def failing(self, epoch: str, reason: Reason) -> None:
        self.lines[epoch].error = SourceError(reason, f"{epoch} fails")


@contextmanager
def opened(folder: Path) -> Iterator[Stage]:
    stage = Stage(folder)
    try:
        yield stage
    finally:
        for line in stage.lines.values():
            line.answers.set()
        for thread in threading.enumerate():
            if thread.name.startswith("driver-"):
                thread.join(10)
        stage.drivers.close()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with opened(tmp_path) as one:
        yield one


def short(observation: Observation) -> list[str]:
    """An observation's outcomes, each in a few words."""
    return [
        f"{outcome.answer.epoch} {'final' if outcome.answer.final else 'answers'} through {outcome.answer.last_seq}"
        if isinstance(outcome, Answered)
        else f"{outcome.epoch or '-'} {outcome.app_id} {outcome.reason.value}"
        for outcome in observation.outcomes
    ]


def test_nobody(stage: Stage) -> None:
    """An empty folder, and one that is not there, tell of nobody."""
    assert stage.look() == Observation((), NOBODY, NOW)
    stage.folder.rmdir()
    assert stage.look() == Observation((), NOBODY, NOW)


def test_several(stage: Stage) -> None:
    """Every driver of the folder is asked for what comes after its own position, at every look, on one line each."""
    for epoch in ("e1", "e2", "e3"):
        stage.invite(epoch)
    first = stage.look({"e2": 7})
    second = stage.look({"e1": 1, "e2": 8, "e3": 1})

    assert sorted(short(first)) == ["e1 answers through 1", "e2 answers through 8", "e3 answers through 1"]
    assert sorted(short(second)) == ["e1 answers through 2", "e2 answers through 9", "e3 answers through 2"]
    assert first.present == {"e1", "e2", "e3"}
    assert {epoch: line.asked for epoch, line in stage.lines.items()} == {"e1": [0, 1], "e2": [7, 8], "e3": [0, 1]}


def test_one_hangs(stage: Stage) -> None:
    """A driver that hangs delays no other, is not asked twice, and its late answer is told by a later look."""
    stage.invite("e1")
    stage.invite("e2")
    stage.look()
    stage.lines["e1"].answers.clear()
    hanging = [short(stage.look({"e1": 1, "e2": 1}, patience=0.05)) for _ in range(3)]
    stage.lines["e1"].answers.set()
    late = short(stage.look({"e1": 1, "e2": 2}))

    assert hanging == [["e2 answers through 2"]] * 3
    assert sorted(late) == ["e1 answers through 2", "e2 answers through 3"]
    assert stage.lines["e1"].asked == [0, 1]


def test_back_off(stage: Stage) -> None:
    """A driver that never answered is asked again at once, then after pauses that double up to 30 s; an answer ends them."""
    stage.invite("e1")
    stage.look()
    stage.failing("e1", Reason.TIMEOUT)
    asked = []
    for second in range(130):
        stage.clock.now = 1000.0 + second
        if short(stage.look()):
            asked.append(second)
    stage.lines["e1"].error = None
    stage.clock.now += 30
    after = [short(stage.look({"e1": 1})) for _ in range(2)]

    assert asked == [0, 1, 2, 4, 8, 16, 32, 62, 92, 122]
    assert after == [["e1 answers through 2"]] * 2


def test_the_living_are_asked_every_second(stage: Stage) -> None:
    """A driver that is known to run is asked again within a second, however long it fails: its death must be seen at once."""
    stage.invite("e1")
    stage.look()
    stage.failing("e1", Reason.TIMEOUT)
    asked = []
    for half in range(120):
        stage.clock.now = 1000.0 + half / 2
        if short(stage.look({"e1": 1})):
            asked.append(half / 2)

    assert asked == [0.0, *(0.5 + second for second in range(60))]


def test_port_of_another(stage: Stage) -> None:
    """Of two drivers with one port the older is dead: who answers there is the younger, and would only refuse its token."""
    stage.invite("e1")
    stage.look()
    stage.write("e2.json", (stage.folder / "e1.json").read_text().replace("e1", "e2"))

    assert short(stage.look({"e1": 1})) == ["e1 app-e1-id refused", "e2 answers through 1"]
    assert short(stage.look({"e1": 1, "e2": 1}, frozenset({"e1"}))) == ["e2 answers through 2"]


def test_unreadable_file_kills_nobody(stage: Stage) -> None:
    """While a file can't be read nobody is believed dead for the want of one."""
    os.mkfifo(stage.folder / "e1.json")

    assert short(stage.look({"e1": 1})) == ["- e1 unreadable"]
    assert short(stage.look({"e1": 1})) == []


def test_missing_folder_at_the_start(stage: Stage) -> None:
    """A folder that is no folder, before anything was read of it, kills nobody."""
    stage.folder.rmdir()
    stage.folder.touch()

    assert short(stage.look({"e1": 1})) == ["-  unreadable"]


def test_failure(stage: Stage) -> None:
    """A failure carries its driver's epoch and application, its reason and text, and when it was."""
    stage.invite("e1")
    stage.look()
    stage.failing("e1", Reason.UNAUTHORIZED)

    assert stage.look().outcomes == (Failed("e1", "app-e1-id", Reason.UNAUTHORIZED, "e1 fails", NOW),)


def test_fault_of_ours(stage: Stage) -> None:
    """A fault of ours in one call is that driver's failure with reason internal; others are not touched."""
    stage.invite("e1")
    stage.invite("e2")
    stage.look()
    stage.lines["e1"].error = KeyError(TOKEN)
    with structlog.testing.capture_logs() as logged:
        found = stage.look({"e1": 1, "e2": 1})

    assert sorted(short(found)) == ["e1 app-e1-id internal", "e2 answers through 2"]
    assert TOKEN not in repr(found)
    assert [line["event"] for line in logged] == ["driver not read"]


def test_pages_before_a_failure(stage: Stage, tmp_path: Path) -> None:
    """Pages that came before a failure are told before it."""
    first = answer([started(1)], more=True, last_seq=9)
    with Bridge(says(first), says("no answer")) as bridge, opened(tmp_path / ".") as real:
        real.drivers = Drivers(tmp_path, lambda: NOW, real.clock)
        content = {"version": 1, "port": bridge.port, "token": TOKEN, "appId": "shop-id", "epoch": "e1"}
        real.write("shop-id.json", json.dumps(content))

        assert short(real.look()) == ["e1 answers through 9", "e1 shop-id bad_answer"]


def test_ended(stage: Stage) -> None:
    """Last words take the place of the connection: told once, line closed, present until their file is gone."""
    stage.invite("e1")
    stage.look()
    stage.end("e1")
    first, second = stage.look({"e1": 1}), stage.look({"e1": 1}, frozenset({"e1"}))
    (stage.folder / "e1.final.json").unlink()
    third = stage.look({"e1": 1}, frozenset({"e1"}))

    assert [short(first), short(second), short(third)] == [["e1 final through 1"], [], []]
    assert [first.present, second.present, third.present] == [{"e1"}, {"e1"}, NOBODY]
    assert stage.lines["e1"].closed == 1


def test_no_answer_after_last_words(stage: Stage) -> None:
    """A bridge that still answers while its last words are in the folder is not asked, and what it said late is not told."""
    stage.invite("e1")
    stage.look()
    stage.lines["e1"].answers.clear()
    stage.look({"e1": 1}, patience=0.01)
    stage.write("e1.final.json", answer([started(1)], epoch="e1", final=True))
    stage.lines["e1"].answers.set()
    for thread in threading.enumerate():
        if thread.name == "driver-app-e1-id":
            thread.join(10)

    assert short(stage.look({"e1": 1})) == ["e1 final through 1"]
    assert short(stage.look({"e1": 1}, frozenset({"e1"}))) == []
    assert stage.lines["e1"].asked == [0, 1]


def test_close_under_way(stage: Stage) -> None:
    """A line whose call is under way when it is let go is closed by that call's end, and not before."""
    stage.invite("e1")
    stage.look()
    line = stage.lines["e1"]
    line.answers.clear()
    stage.look({"e1": 1}, patience=0.01)
    stage.drivers.close()
    before = line.closed
    line.answers.set()
    for thread in threading.enumerate():
        if thread.name == "driver-app-e1-id":
            thread.join(10)

    assert (before, line.closed) == (0, 1)


def test_final_is_read_again(stage: Stage) -> None:
    """Last words are read until their driver is known to have ended, and again where it had more to say."""
    known = frozenset({"e1"})
    stage.end("e1", seq=1)
    found = [short(stage.look()), short(stage.look()), short(stage.look({"e1": 1}, known))]
    stage.end("e1", seq=2)
    stage.clock.now += 1000
    found += [short(stage.look({"e1": 1}, known)), short(stage.look({"e1": 2}, known))]

    assert found == [["e1 final through 1"], ["e1 final through 1"], [], ["e1 final through 2"], []]


def test_connection_file_vanished(stage: Stage) -> None:
    """A known driver whose file is gone is asked on, until it is known to have ended; one that never answered is forgotten."""
    stage.invite("e1")
    stage.invite("e2")
    stage.look()
    for epoch in ("e1", "e2"):
        stage.failing(epoch, Reason.REFUSED)
        (stage.folder / f"{epoch}.json").unlink()
    first = stage.look({"e1": 1})
    second = stage.look({"e1": 1}, frozenset({"e1"}))

    assert sorted(short(first)) == ["e1 app-e1-id refused", "e2 app-e2-id refused"]
    assert [first.present, second.present] == [{"e1"}, NOBODY]
    assert short(stage.look({"e1": 1}, frozenset({"e1"}))) == []
    assert (stage.lines["e1"].closed, stage.lines["e2"].closed) == (1, 1)


def test_known_without_a_file(stage: Stage) -> None:
    """A driver known from storage that has neither file nor line is refused at every look, until it is known to have ended."""
    assert [short(stage.look({"e1": 4})) for _ in range(2)] == [["e1  refused"]] * 2
    assert short(stage.look({"e1": 4}, frozenset({"e1"}))) == []


def test_restarted(stage: Stage) -> None:
    """A connection file with another epoch is another driver; the one before is asked until it is known to have ended."""
    stage.invite("e1", name="app")
    stage.look()
    stage.failing("e1", Reason.REFUSED)
    stage.invite("e2", name="app")
    found = stage.look({"e1": 1})

    assert sorted(short(found)) == ["e1 app-e1-id refused", "e2 answers through 1"]
    assert stage.look({"e1": 1, "e2": 1}, frozenset({"e1"})).present == {"e2"}


def test_same_epoch_again(stage: Stage) -> None:
    """A file that is written again for the same ring, as with other permissions, gets a new line, and the old is closed."""
    stage.invite("e1")
    stage.look()
    old = stage.lines["e1"]
    stage.invite("e1")

    assert short(stage.look({"e1": 1})) == ["e1 answers through 2"]
    assert (old.closed, stage.lines["e1"] is old) == (1, False)


@pytest.mark.parametrize("name", ["shop.json", "shop.final.json"])
def test_bad_file(name: str, stage: Stage) -> None:
    """A file with a content that can't be used is told once, and again when it has changed; others are not touched."""
    stage.invite("e1")
    stage.write(name, "no JSON")
    found = []
    for _ in range(3):
        found.append(sorted(short(stage.look())))
        stage.clock.now += 1000
    stage.write(name, "no JSON either")
    found.append(sorted(short(stage.look())))

    good, bad = "e1 answers through 1", "- shop bad_answer"
    assert found == [[bad, good], [good], [good], [bad, good]]


@pytest.mark.parametrize("name", ["shop.json", "shop.final.json"])
def test_unreadable_file(name: str, stage: Stage) -> None:
    """A file that can't be read is tried again after 30 s: the reason may have been ours."""
    os.mkfifo(stage.folder / name)
    told = []
    for second in range(62):
        stage.clock.now = 1000.0 + second
        if short(stage.look()):
            told.append(second)

    assert told == [0, 30, 60]


def test_unreadable_folder(stage: Stage) -> None:
    """A folder that can't be read is told at every look; until it can, drivers are asked on and last words stay present."""
    stage.invite("e1")
    stage.end("e2")
    stage.look()
    away = stage.folder.with_name("away")
    stage.folder.rename(away)
    stage.folder.touch()
    ended = frozenset({"e2"})
    first, second = stage.look({"e1": 1, "e2": 1}, ended), stage.look({"e1": 2, "e2": 1}, ended)
    stage.folder.unlink()
    away.rename(stage.folder)
    third = stage.look({"e1": 3, "e2": 1}, ended)

    assert [short(first), short(second), short(third)] == [
        ["-  unreadable", "e1 answers through 2"],
        ["-  unreadable", "e1 answers through 3"],
        ["e1 answers through 4"],
    ]
    assert first.outcomes[0] == Failed("", "", Reason.UNREADABLE, f"{stage.folder}: Not a directory", NOW)
    assert [first.present, second.present, third.present] == [{"e1", "e2"}] * 3


def test_cap(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over the cap the newest files are the ones that are looked at: those of killed drivers stay for ever."""
    monkeypatch.setattr(drivers, "MAX_DRIVERS", 3)
    for number in range(5):
        before = max((file.stat().st_ctime_ns for file in stage.folder.iterdir()), default=0)
        stage.invite(f"e{number}")
        while (stage.folder / f"e{number}.json").stat().st_ctime_ns <= before:  # within one tick of the kernel's clock
            stage.invite(f"e{number}")

    assert stage.look().present == {"e2", "e3", "e4"}


def test_token(stage: Stage, capfd: pytest.CaptureFixture[str]) -> None:
    """Whatever happens, the token is in no outcome and on no standard stream."""
    stage.invite("e1")
    stage.write("bad.json", f'{{"token": "{TOKEN}"')
    stage.look()
    stage.failing("e1", Reason.UNAUTHORIZED)

    assert TOKEN not in repr(stage.look({"e1": 1}))
    assert TOKEN not in "".join(capfd.readouterr())


def test_real_bridge(tmp_path: Path) -> None:
    """Without a line of one's own, a driver is asked over py4j, and closing ends its connection."""
    with Bridge(says(answer([started(1)]))) as bridge:
        content = {"version": 1, "port": bridge.port, "token": TOKEN, "appId": "shop-id", "epoch": "e1"}
        (tmp_path / "shop-id.json").write_text(json.dumps(content))
        real = Drivers(tmp_path, lambda: NOW, Clock())
        found = real.observe({}, NOBODY, 5.0)
        real.close()

    assert short(found) == ["e1 answers through 1"]
