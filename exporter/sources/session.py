"""Reads a live Spark session from inside its own Python process: through its JVM, or by a Python listener where it has none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from exporter.errors import Reason, SourceError
from exporter.sources.driver import Poll, pages
from exporter.streaming.events import BadAnswer, read_answer
from exporter.streaming.observation import Answered, Failed, Observation

Clock = Callable[[], float]


class Session:
    """One ring that is reached by calling a function; the third way in is the second with another function."""

    def __init__(self, poll: Poll, clock: Clock, detach: Callable[[], None]) -> None:
        self._poll = poll
        self._clock = clock
        self._detach = detach
        self._epoch = ""
        self._app_id = ""

    def observe(self, positions: Mapping[str, int], _ended: frozenset[str], _patience: float) -> Observation:
        """What the session has said since `positions`; whether it ended, and patience, are of no use in the same process.

        Where the application was stopped and another one started in the same process, the new one is followed.
        """
        outcomes: list[Answered | Failed] = []
        try:
            first = read_answer(self._poll(self._epoch, positions.get(self._epoch, 0), 0))
            if self._epoch and first.epoch != self._epoch:
                outcomes.append(Failed(self._epoch, self._app_id, Reason.REFUSED, "another application runs", self._clock()))
            self._epoch, self._app_id = first.epoch, first.app_id
            for answer in pages(self._poll, self._epoch, positions.get(self._epoch, 0)):
                outcomes.append(Answered(answer, self._clock()))  # noqa: PERF401 - pages before one that fails stand
        except BadAnswer as error:
            outcomes.append(Failed(self._epoch, self._app_id, Reason.BAD_ANSWER, str(error), self._clock()))
        except SourceError as error:
            outcomes.append(Failed(self._epoch, self._app_id, error.reason, str(error), self._clock()))
        return Observation(tuple(outcomes), frozenset({self._epoch}), self._clock())

    def close(self) -> None:
        """Takes the listener back, where it is Python's."""
        self._detach()


def of(spark: Any, clock: Clock) -> Session:
    """The session of `spark` (a SparkSession): through its JVM where it has one, else by a Python listener.

    Raises SourceError where the listener's jar is missing, or a Python listener's events don't reach this process.
    """
    try:
        jvm = spark._jvm  # noqa: SLF001 - PySpark's own way to the JVM has no other name
    except Exception:  # noqa: BLE001 - Spark Connect's client raises a class of its own, not importable here
        jvm = None
    return _of_jvm(jvm, clock) if jvm is not None else _of_listener(spark, clock)


def _of_jvm(jvm: Any, clock: Clock) -> Session:
    from py4j.protocol import Py4JError

    try:
        listener = jvm.lakehouse.listener.StreamListener()
    except TypeError:  # what py4j makes of a name that is no class
        raise SourceError(
            Reason.UNREADABLE, "the listener's jar is not on the driver's class path; add --jars $(lakehouse-exporter jar)"
        ) from None

    def poll(epoch: str, after: int, max_bytes: int) -> str:
        try:
            return str(listener.poll(epoch, after, max_bytes))
        except (Py4JError, OSError) as error:
            raise SourceError(Reason.REFUSED, "the session's JVM is gone") from error

    return Session(poll, clock, detach=lambda: None)


def _of_listener(spark: Any, clock: Clock) -> Session:
    from exporter.sources.python_listener import attached

    ring, detach = attached(spark, clock)
    return Session(ring.poll, clock, detach)
