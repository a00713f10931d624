"""Looks at every driver of a folder, each on a thread of its own, so that one that hangs delays no other."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path

import structlog

from exporter.errors import Reason, SourceError
from exporter.sources import driver_folder
from exporter.sources.driver import Line, pages
from exporter.sources.driver_folder import Connection, Listing, Stamp
from exporter.streaming.events import BadAnswer, read_answer
from exporter.streaming.observation import Answered, Failed, Observation

MAX_DRIVERS = 256
MAX_FINALS = 512
LONGEST_PAUSE = 30.0
# A driver that is known to run must be known dead within seconds of its death, whatever it did before.
LONGEST_PAUSE_OF_THE_LIVING = 1.0

Clock = Callable[[], float]
log = structlog.get_logger()


class Drivers:
    """The drivers whose listeners share one folder; used by one thread."""

    def __init__(self, folder: Path, clock: Clock, monotonic: Clock, line: Callable[[Connection], Line] = Line) -> None:
        self._folder = folder
        self._clock = clock
        self._monotonic = monotonic
        self._line = line
        self._calls: dict[str, _Call] = {}
        self._listing = Listing({}, {})
        self._finals: dict[str, tuple[Stamp, str]] = {}
        self._refused: dict[str, tuple[Stamp, float, Reason]] = {}

    def observe(self, positions: Mapping[str, int], ended: frozenset[str], patience: float) -> Observation:
        """One look at all drivers; `positions` are the numbers read so far, by epoch, and `ended` those of them that ended.

        Waits for answers at most `patience` seconds; one that comes later is told by a later look. A driver that failed is
        asked again after a pause, which doubles up to 30 s where it never answered or has ended; one that is still busy is
        not asked twice.
        """
        outcomes: list[Answered | Failed] = []
        listed = self._list(outcomes)
        self._read_finals(ended, outcomes)
        self._find_connections(positions.keys() - ended, outcomes)
        # Last words hold all that a driver could still answer; an answer folded after them would bring it back to life.
        final = {epoch for _, epoch in self._finals.values()}
        self._let_go([epoch for epoch in self._calls if epoch in final])
        succeeded = self._succeeded(positions.keys() - ended)
        outcomes += succeeded
        for epoch, call in self._calls.items():
            living = epoch in positions and epoch not in ended
            longest = LONGEST_PAUSE_OF_THE_LIVING if living else LONGEST_PAUSE
            call.begin(positions.get(epoch, 0), self._monotonic(), longest)
        limit = self._monotonic() + patience
        for call in self._calls.values():
            call.wait(max(0.0, limit - self._monotonic()))
            outcomes += call.outcomes()
        gone = [epoch for epoch, call in self._calls.items() if call.gone]
        self._let_go([epoch for epoch in gone if epoch in ended or epoch not in positions])
        present = frozenset(self._calls) | final
        # A folder or a file that can't be read says nothing of who is alive.
        if listed and not any(reason is Reason.UNREADABLE for _, _, reason in self._refused.values()):
            for epoch in sorted(positions.keys() - ended - present - {failed.epoch for failed in succeeded}):
                outcomes.append(Failed(epoch, "", Reason.REFUSED, "its connection file is gone", self._clock()))
        return Observation(tuple(outcomes), present, self._clock())

    def close(self) -> None:
        """Ends every connection."""
        self._let_go(list(self._calls))

    def _let_go(self, epochs: list[str]) -> None:
        for epoch in epochs:
            self._calls.pop(epoch).close()

    def _succeeded(self, living: AbstractSet[str]) -> list[Failed]:
        """Drivers whose port a later one has: it is the later one that would refuse their token, and they are dead."""
        latest: dict[int, _Call] = {}
        for call in self._calls.values():
            other = latest.get(call.port)
            if other is None or call.stamp.changed_ns > other.stamp.changed_ns:
                latest[call.port] = call
        dead = [(epoch, call) for epoch, call in self._calls.items() if latest[call.port] is not call]
        self._let_go([epoch for epoch, _ in dead])
        message = "another driver has its port"
        return [Failed(epoch, call.app_id, Reason.REFUSED, message, self._clock()) for epoch, call in dead if epoch in living]

    def _list(self, outcomes: list[Answered | Failed]) -> bool:
        """Lists the folder; where that fails the files known so far stand, for to forget them is to count them again."""
        try:
            self._listing = driver_folder.listing(self._folder)
        except SourceError as error:
            outcomes.append(Failed("", "", error.reason, str(error), self._clock()))
            return False
        self._refused = {
            name: refused
            for name, refused in self._refused.items()
            if name in {**self._listing.connections, **self._listing.finals}
        }
        return True

    def _is_refused(self, name: str, stamp: Stamp) -> bool:
        refused, until, _ = self._refused.get(name, (None, 0.0, None))
        return refused == stamp and self._monotonic() < until

    def _refuse(self, name: str, stamp: Stamp, reason: Reason, message: str) -> Failed:
        """Leaves a file alone: for as long as it stays as it is, or for a while where another try may find it readable."""
        until = self._monotonic() + LONGEST_PAUSE if reason is Reason.UNREADABLE else math.inf
        self._refused[name] = (stamp, until, reason)
        app_id = name.removesuffix(driver_folder.FINAL_SUFFIX).removesuffix(driver_folder.SUFFIX)
        return Failed("", app_id, reason, message, self._clock())

    def _read_finals(self, ended: frozenset[str], outcomes: list[Answered | Failed]) -> None:
        """Reads final files that are new, and those whose driver's end did not come to be known."""
        finals = dict(sorted(self._listing.finals.items(), key=_newest)[:MAX_FINALS])
        self._finals = {name: found for name, found in self._finals.items() if name in finals}
        for name, stamp in finals.items():
            read, epoch = self._finals.get(name, (None, ""))
            if (read == stamp and epoch in ended) or self._is_refused(name, stamp):
                continue
            try:
                answer = read_answer(driver_folder.final(self._folder / name))
            except BadAnswer as error:
                outcomes.append(self._refuse(name, stamp, Reason.BAD_ANSWER, f"{self._folder / name}: {error}"))
            except SourceError as error:
                outcomes.append(self._refuse(name, stamp, error.reason, str(error)))
            else:
                self._finals[name] = (stamp, answer.epoch)
                outcomes.append(Answered(answer, self._clock()))

    def _find_connections(self, living: AbstractSet[str], outcomes: list[Answered | Failed]) -> None:
        for call in self._calls.values():
            call.gone = True
        # Drivers that were killed leave their files behind: over the cap, those that are known to live and the newest are kept.
        known_to_live = {call.name for epoch, call in self._calls.items() if epoch in living}
        by_age = sorted(self._listing.connections.items(), key=_newest)
        for name, stamp in sorted(by_age, key=lambda item: item[0] not in known_to_live)[:MAX_DRIVERS]:
            known = next((call for call in self._calls.values() if call.name == name and call.stamp == stamp), None)
            if known is not None:
                known.gone = False
                continue
            if self._is_refused(name, stamp):
                continue
            try:
                connection = driver_folder.connection(self._folder / name)
            except SourceError as error:
                outcomes.append(self._refuse(name, stamp, error.reason, str(error)))
                continue
            if connection.epoch in self._calls:
                self._let_go([connection.epoch])
            self._calls[connection.epoch] = _Call(name, stamp, connection, self._line(connection), self._clock)


def _newest(item: tuple[str, Stamp]) -> tuple[int, str]:
    return -item[1].changed_ns, item[0]


class _Call:
    """The one conversation with one driver: at most one call at a time, on a thread that nobody has to wait for."""

    def __init__(self, name: str, stamp: Stamp, connection: Connection, line: Line, clock: Clock) -> None:
        self.name = name
        self.stamp = stamp
        self.port = connection.port
        self.app_id = connection.app_id
        self.gone = False
        self._connection = connection
        self._line = line
        self._clock = clock
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._over = False
        self._busy = False
        self._found: list[Answered | Failed] = []
        self._began = 0.0
        self._pause = 0.0
        self._not_before = 0.0

    def begin(self, after: int, now: float, longest_pause: float) -> None:
        """Asks for what comes after a sequence number, unless a call is under way or it is too early for another try."""
        if self._thread is None and now >= min(self._not_before, self._began + longest_pause):
            thread = threading.Thread(target=self._run, args=(after,), name=f"driver-{self._connection.app_id}", daemon=True)
            self._began = now
            self._busy = True
            thread.start()
            self._thread = thread

    def wait(self, seconds: float) -> None:
        """Waits for the call under way, if there is one."""
        if self._thread is not None:
            self._thread.join(seconds)

    def outcomes(self) -> list[Answered | Failed]:
        """What a call that is over has found; empty while it is under way."""
        if self._thread is None or self._thread.is_alive():
            return []
        self._thread = None
        found, self._found = self._found, []
        if found and isinstance(found[-1], Failed):
            self._not_before = self._began + self._pause
            self._pause = min(LONGEST_PAUSE, max(1.0, self._pause * 2))
        else:
            self._pause = 0.0
        return found

    def close(self) -> None:
        """Lets go of the connection; a call under way ends by its own deadline, and then lets go of it."""
        with self._lock:
            self._over = True
            if not self._busy:
                self._line.close()

    def _run(self, after: int) -> None:
        connection = self._connection
        try:
            for answer in pages(self._line.poll, connection.epoch, after):
                self._found.append(Answered(answer, self._clock()))
        except SourceError as error:
            self._found.append(Failed(connection.epoch, connection.app_id, error.reason, str(error), self._clock()))
        except Exception as error:  # else a fault of ours would look like a driver that has nothing new to say
            log.exception("driver not read", driver=connection.app_id)
            message = f"{type(error).__name__} while its answer was read"
            self._found.append(Failed(connection.epoch, connection.app_id, Reason.INTERNAL, message, self._clock()))
        with self._lock:
            self._busy = False
            if self._over:
                self._line.close()
