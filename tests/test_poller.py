"""exporter/poller.py: the Follower over a source of the test's own, with the real fold, storage and page."""

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import structlog
from prometheus_client.parser import text_string_to_metric_families

from exporter.config import Collectors, Config, Drivers, Streaming
from exporter.config import Expected as Named
from exporter.errors import Reason, StorageError
from exporter.page import page
from exporter.poller import FIRST_PATIENCE, PATIENCE, Follower, follow
from exporter.snapshot import Outcome, Store
from exporter.storage import Storage, opened
from exporter.streaming import metrics
from exporter.streaming.events import read_answer
from exporter.streaming.observation import Answered, Failed, Observation
from exporter.streaming.view import STALE_SECONDS
from tests.e2e.waiting import eventually
from tests.sources.answers import answer, progress, started, terminated

NOW = 1_800_000_100.0
ROWS, BATCH_ID = metrics.INPUT_ROWS.name, metrics.BATCH_ID.name


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Script:
    """A source that shows what it was given, one look after the other; the last one again and again."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.looks: list[Callable[[], Observation]] = []
        self.asked: list[tuple[dict[str, int], frozenset[str], float]] = []

    def observe(self, positions: Mapping[str, int], ended: frozenset[str], patience: float) -> Observation:
        self.asked.append((dict(positions), ended, patience))
        return (self.looks.pop(0) if len(self.looks) > 1 else self.looks[0])()

    def close(self) -> None:
        """Nothing is open."""

    def shows(self, *texts: str, failed: tuple[Failed, ...] = ()) -> None:
        """The next look finds these answers and failures."""
        answers = [read_answer(text) for text in texts]
        present = frozenset(found.epoch for found in answers)
        outcomes: tuple[Answered | Failed, ...] = (*failed, *(Answered(found, self.clock.now) for found in answers))
        self.looks = [lambda: Observation(outcomes, present, self.clock.now)]

    def raises(self, error: Exception) -> None:
        def look() -> Observation:
            raise error

        self.looks = [look]


class Stage:
    """A follower over a script, and the page that it leaves."""

    def __init__(self, storage: Storage | None = None, source: Script | None = None) -> None:
        self.clock = Clock(NOW) if source is None else source.clock
        self.source = source or Script(self.clock)
        self.store = Store()
        self.config = Config()
        self.follower = Follower(self.source, self.store, storage, lambda: self.config, self.clock, Clock(5.0))

    def step(self, *texts: str, failed: tuple[Failed, ...] = ()) -> None:
        self.source.shows(*texts, failed=failed)
        self.follower.step()

    def values(self, name: str) -> dict[tuple[str, ...], float]:
        """The series of one metric on the page of now, by label values."""
        document = page(self.store.view(), self.clock.now).decode()
        return {
            tuple(sample.labels.values()): sample.value
            for family in text_string_to_metric_families(document)
            for sample in family.samples
            if sample.name == name
        }

    @property
    def outcomes(self) -> Mapping[tuple[str, str], Outcome]:
        return self.store.view().outcomes


class Watched(Storage):
    """A storage that notes what the Store shows at the moment of each save, and fails while it is told to."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.at_save: Callable[[], object] = lambda: None
        self.seen: list[object] = []
        self.full = False

    def save(self, state: bytes) -> None:
        if self.full:
            raise StorageError(f"{self._file}: No space left on device")
        self.seen.append(self.at_save())
        super().save(state)


def batches(*numbers: int, epoch: str = "e1") -> str:
    """An answer with the query's start and these batches of 10 rows each, numbered from 2 on."""
    return answer([started(1), *(progress(number + 2, number) for number in numbers)], epoch=epoch)


def fresh(stage: Stage) -> None:
    """A first look at nobody, so that rings that begin later are counted from their first event."""
    stage.step()


@pytest.fixture
def stage() -> Stage:
    # Before any ring of these tests begins: they are counted from their first event.
    clock = Clock(NOW - 1000)
    one = Stage(source=Script(clock))
    one.clock.now = NOW
    return one


def stage_before(storage: Storage | None) -> Stage:
    """A stage whose exporter began before every ring of these tests."""
    one = Stage(storage, Script(Clock(NOW - 1000)))
    one.clock.now = NOW
    return one


def test_not_ready(stage: Stage) -> None:
    """Before the first step nothing is ready; after it all is, also where there is nobody."""
    assert not stage.store.view().ready
    stage.step()
    assert stage.store.view().ready


def test_counts(stage: Stage) -> None:
    """What a look brings is on the page after its step, and the next look is asked for what comes after it."""
    stage.step(batches(0, 1, 2))
    stage.step(batches(0, 1, 2))

    assert stage.values(ROWS) == {("shop", "orders", "0"): 30}
    assert [positions for positions, _, _ in stage.source.asked] == [{}, {"e1": 4}]


def test_patience(stage: Stage) -> None:
    """The first look waits long for slow drivers, later ones do not, and a failed one waits long again."""
    stage.source.raises(RuntimeError("once"))
    stage.follower.step()
    stage.step()
    stage.step()

    assert [patience for _, _, patience in stage.source.asked] == [FIRST_PATIENCE, FIRST_PATIENCE, PATIENCE]


def test_outcome(stage: Stage) -> None:
    """A step that went well is told with its time; the source's own target has no name."""
    stage.step()

    assert stage.outcomes == {("drivers", ""): Outcome(succeeded=True, duration=0.0, last_success=NOW)}


def test_stored_before_published(tmp_path: Path) -> None:
    """A count is stored before it is published: at each save the Store still shows the count before."""
    storage = Watched(tmp_path)
    stage = stage_before(storage)
    storage.at_save = lambda: stage.values(ROWS)
    stage.step(batches(0))
    stage.step(batches(0, 1))

    assert storage.seen == [{}, {("shop", "orders", "0"): 10}]
    assert stage.values(ROWS) == {("shop", "orders", "0"): 20}


def test_nothing_new_is_not_stored(tmp_path: Path) -> None:
    """A look that changes nothing writes nothing."""
    storage = Watched(tmp_path)
    stage = stage_before(storage)
    stage.step()
    stage.step()

    assert storage.seen == []


def test_storage_failure(tmp_path: Path) -> None:
    """While the state can't be stored counters stand still and gauges move on; then all that was missed is counted."""
    storage = Watched(tmp_path)
    stage = stage_before(storage)
    stage.step(batches(0))
    storage.full = True
    with structlog.testing.capture_logs() as logged:
        stage.step(batches(0, 1))
        stage.step(batches(0, 1, 2))
    meanwhile = (stage.values(ROWS), stage.values(BATCH_ID), stage.outcomes["drivers", ""])
    storage.full = False
    stage.step(batches(0, 1, 2))

    assert meanwhile == (
        {("shop", "orders", "0"): 10},
        {("shop", "orders"): 2},
        Outcome(succeeded=False, duration=0.0, last_success=NOW, failures={"storage": 2}),
    )
    assert logged == [
        {
            "event": "state not stored; counters stand still until it is",
            "log_level": "error",
            "detail": f"{tmp_path}/streams.state: No space left on device",
        }
    ]
    assert stage.values(ROWS) == {("shop", "orders", "0"): 30}
    assert stage.outcomes["drivers", ""] == Outcome(True, 0.0, NOW, {"storage": 2})


def test_storage_fails_from_the_start(tmp_path: Path) -> None:
    """A query that could never be stored shows gauges and no counter."""
    storage = Watched(tmp_path)
    storage.full = True
    stage = stage_before(storage)
    stage.step(batches(0))

    assert (stage.values(ROWS), stage.values(BATCH_ID)) == ({}, {("shop", "orders"): 0})


def test_fault(stage: Stage) -> None:
    """A fault in the source is told as internal and logged; what was shown stands until it expires, and then vanishes."""
    stage.step(batches(0))
    stage.source.raises(RuntimeError("a fault of ours"))
    shown = []
    with structlog.testing.capture_logs() as logged:
        for seconds in (1.0, STALE_SECONDS - 1, STALE_SECONDS):
            stage.clock.now = NOW + seconds
            stage.follower.step()
            shown.append(stage.values(ROWS))

    assert shown == [{("shop", "orders", "0"): 10}, {("shop", "orders", "0"): 10}, {}]
    assert stage.outcomes["drivers", ""] == Outcome(False, 0.0, NOW, {"internal": 3})
    assert logged == [{"event": "look failed", "log_level": "error", "source": "drivers", "exc_info": True}] * 3


def test_fault_is_over(stage: Stage) -> None:
    """After a fault the next look counts what was missed."""
    stage.step(batches(0))
    stage.source.raises(RuntimeError("a fault of ours"))
    stage.follower.step()
    stage.step(batches(0, 1))

    assert stage.values(ROWS) == {("shop", "orders", "0"): 20}
    assert stage.outcomes["drivers", ""].failures == {"internal": 1}


def test_fault_in_the_first_look(stage: Stage) -> None:
    """A fault in the first look makes the page ready, so that it tells of it."""
    stage.source.raises(RuntimeError("a fault of ours"))
    stage.follower.step()

    failures = stage.values("lakehouse_exporter_collector_failures_total")
    assert failures == {("drivers", "", reason.value): int(reason is Reason.INTERNAL) for reason in Reason}


def test_fault_while_shown(stage: Stage) -> None:
    """A fault in what is made of the state does not end the step either."""
    stage.step(batches(0))
    stage.clock.now = float("nan")  # what no clock says: to compare with it shows nothing, and raises nothing
    stage.config = Config(streaming=Streaming(None))  # type: ignore[arg-type] # a fault of ours, deep inside
    stage.step(answer([started(1), progress(2, 0), terminated(3)]))

    assert stage.outcomes["drivers", ""].failures == {"internal": 1}


def test_restart(tmp_path: Path) -> None:
    """A new exporter on the same storage goes on where the old one was: nothing twice, nothing lost."""
    with opened(tmp_path) as storage:
        stage_before(storage).step(batches(0, 1))
    with opened(tmp_path) as storage:
        again = Stage(storage)
        again.step(batches(0, 1, 2))

    assert again.values(ROWS) == {("shop", "orders", "0"): 30}
    assert again.source.asked[0][0] == {"e1": 3}


def test_restart_without_storage() -> None:
    """A new exporter without storage adds nothing of a ring that is older than itself, and counts from there on."""
    stage_before(None).step(batches(0, 1))
    again = Stage()
    again.clock.now += 1000
    again.step(batches(0, 1))
    first = again.values(ROWS)
    again.step(batches(0, 1, 2))

    assert (first, again.values(ROWS)) == ({("shop", "orders", "0"): 0}, {("shop", "orders", "0"): 10})


@pytest.mark.parametrize("stored", [b"", b"no state", b"\x81\xa7version\x63", b"\x81\xa7version\x01"])
def test_unusable_state(stored: bytes, tmp_path: Path) -> None:
    """A stored state that is none, or of another version, is set aside and told; the exporter begins anew."""
    with opened(tmp_path) as storage:
        storage.save(stored)
        with structlog.testing.capture_logs() as logged:
            again = Stage(storage)
        again.step(batches(0))

        assert storage.load() is not None

    assert (tmp_path / "streams.unusable").read_bytes() == stored
    assert [line["event"] for line in logged] == ["stored state not used; counters begin anew"]
    assert logged[0]["kept_as"] == str(tmp_path / "streams.unusable")


def test_failed_driver(stage: Stage) -> None:
    """A driver that fails is told by its application's name: how often, for what reason, and when it last answered."""
    stage.step(batches(0))
    stage.clock.now = NOW + 1
    failed = Failed("e1", "shop-id", Reason.TIMEOUT, "driver shop-id at 127.0.0.1:1: timeout", NOW)
    with structlog.testing.capture_logs() as logged:
        stage.step(failed=(failed,))
    one = stage.outcomes["drivers", "shop"]
    stage.step(failed=(failed._replace(reason=Reason.DISCONNECTED),))
    two = stage.outcomes["drivers", "shop"]
    stage.step(batches(0))

    assert one == Outcome(succeeded=False, last_success=NOW, failures={"timeout": 1})
    assert two == Outcome(succeeded=False, last_success=NOW, failures={"timeout": 1, "disconnected": 1})
    assert stage.outcomes["drivers", "shop"] == Outcome(True, None, NOW + 1, {"timeout": 1, "disconnected": 1})
    assert logged == [
        {
            "event": "driver not read",
            "log_level": "warning",
            "driver": "shop-id",
            "reason": "timeout",
            "detail": "driver shop-id at 127.0.0.1:1: timeout",
        }
    ]


def test_failed_stranger(stage: Stage) -> None:
    """A file that can't be used counts for the source, which goes on well: an application's id is no target."""
    stage.step(failed=(Failed("", "local-1", Reason.BAD_ANSWER, "local-1.json: no", NOW),))

    assert stage.outcomes == {("drivers", ""): Outcome(True, 0.0, NOW, {"bad_answer": 1})}


def test_ended_driver_is_no_target(stage: Stage) -> None:
    """What failed of a driver that has ended since is no longer told: an alert on it would never end."""
    stage.step(batches(0))
    stage.step(failed=(Failed("e1", "shop-id", Reason.TIMEOUT, "timeout", NOW),))
    stage.step(answer([started(1)], final=True))

    assert list(stage.outcomes) == [("drivers", "")]


def test_failed_folder(stage: Stage) -> None:
    """A folder that can't be read is the source's own failure, counted at every look and logged once."""
    failed = Failed("", "", Reason.UNREADABLE, "/drivers: Permission denied", NOW)
    with structlog.testing.capture_logs() as logged:
        for _ in range(3):
            stage.step(failed=(failed,))

    assert stage.outcomes == {("drivers", ""): Outcome(False, 0.0, None, {"unreadable": 3})}
    assert [line["detail"] for line in logged] == ["/drivers: Permission denied"]


def events(logged: list[structlog.typing.EventDict]) -> list[str]:
    return [f"{line['event']} {line['app']} {line.get('query', '')} {line.get('outcome', '')}".strip() for line in logged]


def test_log(stage: Stage) -> None:
    """Drivers and queries that come and go are logged once each; a failure of a driver that has ended is not."""
    with structlog.testing.capture_logs() as logged:
        stage.step(batches(0))
        stage.step(batches(0, 1))
        ending = [started(1), progress(2, 0), progress(3, 1), terminated(4)]
        stage.step(answer(ending))
        stage.step(answer(ending, final=True))
        stage.step(failed=(Failed("e1", "shop-id", Reason.REFUSED, "refused", NOW),))
        stage.step(answer([started(1, run="r2")], epoch="e2", started_ms=1_800_000_050_000))

    assert events(logged) == [
        "driver found shop",
        "query started shop orders",
        "query ended shop orders stopped",
        "driver ended shop",
        "driver found shop",
        "query started shop orders",
    ]


def test_log_of_a_short_run(stage: Stage) -> None:
    """A query that started and ended between two looks is told as ended."""
    with structlog.testing.capture_logs() as logged:
        stage.step(answer([started(1), terminated(2)]))

    assert events(logged) == ["driver found shop", "query ended shop orders stopped"]


def test_history(stage: Stage) -> None:
    """What failed is told as long as the exporter lives, when its application is long gone from the page."""
    fresh(stage)
    end = terminated(2)
    failed = {**end, "event": {**end["event"], "exception": "java.lang.OutOfMemoryError"}}
    stage.step(answer([started(1), failed], final=True))
    stage.clock.now += 100_000
    stage.step()
    snapshots = stage.store.view().snapshots

    assert list(snapshots) == ["drivers/"]
    assert [(one.app, one.query, one.name) for one in snapshots["drivers/"].record.failures] == [("shop", "orders", "oom")]


@pytest.mark.parametrize(("every", "steps"), [(0.0, 3), (1000.0, 1)])
def test_follow(every: float, steps: int, stage: Stage) -> None:
    """follow() steps again and again until it is told to stop, and then ends at once, however long its pause is."""
    stage.source.shows(batches(0))
    config, over = Config(drivers=Drivers(every=every)), threading.Event()
    thread = threading.Thread(target=follow, args=(stage.follower, lambda: config, over, time.monotonic))
    thread.start()
    try:
        eventually(lambda: len(stage.source.asked) >= steps, "its steps", within=10)
    finally:
        over.set()
        thread.join(10)

    assert not thread.is_alive()


def test_settings_change(stage: Stage) -> None:
    """Each step goes by the settings that hold then: collectors, expected streams, how long an end is shown."""
    stage.step(answer([started(1), started(2, "old", "r2"), terminated(3, "old", "r2")]))
    before = page(stage.store.view(), NOW)
    stage.config = Config(
        collector=Collectors(driver=False),
        streaming=Streaming(0.0),
        expected=(Named("shop", "orders", 60.0), Named("shop", "x" * 300)),
    )
    stage.step(answer([started(1)]))
    after = page(stage.store.view(), NOW)

    assert (b"spark_driver_info" in before, b"spark_driver_info" in after) == (True, False)
    assert (b'query_active{app="shop",query="old"} 0' in before, b'query="old"' in after) == (True, False)
    assert b'spark_streaming_query_expected{app="shop",query="orders"} 1\n' in after
    assert b'spark_streaming_query_expected_interval_seconds{app="shop",query="orders"} 60\n' in after
    assert after.count(b"\nspark_streaming_query_expected{") == 2


def test_follow_new_settings(stage: Stage) -> None:
    """Settings that are read anew are looked at soon, however long the old ones say to wait."""
    stage.source.shows(batches(0))
    config, over = [Config(drivers=Drivers(every=1e6))], threading.Event()
    thread = threading.Thread(target=follow, args=(stage.follower, lambda: config[0], over, time.monotonic))
    thread.start()
    try:
        eventually(lambda: stage.source.asked, "its first step", within=10)
        config[0] = Config(drivers=Drivers(every=1e5))
        eventually(lambda: len(stage.source.asked) == 2, "its second step", within=10)
    finally:
        over.set()
        thread.join(10)

    assert not thread.is_alive()


def test_watched_over_restarts(tmp_path: Path) -> None:
    """Since when a stream is watched outlives the exporter, so that one that is never seen is overdue at last."""
    expected = (Named("shop", "nightly", 86_400.0),)
    with opened(tmp_path) as storage:
        first = Stage(storage)
        first.config = Config(expected=expected)
        first.step(answer([started(1)]))
        again = Stage(storage)
        again.config = Config(expected=expected)
        again.clock.now = NOW + 80_000
        again.step(answer([started(1)]))

    inventory = again.store.view().snapshots["expected/"].record
    assert [(one.query, one.since) for one in inventory.queries] == [("nightly", NOW)]


def test_fault_in_what_is_expected(stage: Stage) -> None:
    """A fault in the list of expected streams is told, and ends nothing."""
    stage.config = Config(expected=(5,))  # type: ignore[arg-type] # a fault of ours
    stage.step(batches(0))

    assert stage.outcomes["drivers", ""].failures == {"internal": 1}
