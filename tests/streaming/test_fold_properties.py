"""Under any interleaving of losses, restarts and replays counters only grow, and what was said is counted or told as lost."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from exporter.streaming import driver, metrics
from exporter.streaming.events import Answer, read_event
from exporter.streaming.fold import fold
from exporter.streaming.observation import Failed
from exporter.streaming.signals import PHASES, WHOLE, of_progress
from exporter.streaming.state import State, decoded, encoded
from tests.streaming.rings import BEGINNING, Ring, looked, refused

ROOM = 6


class Following(RuleBasedStateMachine):
    """One application whose driver comes and goes, followed by an exporter that is killed and comes back with its storage."""

    @initialize()
    def begin(self) -> None:
        self.now = BEGINNING + 1
        self.state = State(since=BEGINNING)
        self.stored = encoded(self.state)
        self.drivers = 0
        self.said = 0
        self.rows = 0
        self.rows_of: dict[tuple[str, int], int] = {}
        self.rows_read = 0
        self.ends = 0
        self.batch = 0
        self.seen: dict[tuple[str, ...], float] = {}
        self.new_driver()

    def new_driver(self) -> None:
        self.drivers += 1
        self.run = 0
        self.ring = Ring(epoch=f"{self.drivers:032d}", started=self.now, room=ROOM)

    @rule()
    def start(self) -> None:
        self.run += 1
        self.ring.started_query("orders", run=self.run_id)
        self.said += 1

    @rule(rows=st.integers(0, 100), phases=st.lists(st.integers(0, 500), max_size=len(PHASES)), rest=st.integers(0, 100))
    def commit(self, rows: int, phases: list[int], rest: int) -> None:
        duration_ms = {**dict(zip(PHASES, phases, strict=False)), WHOLE: sum(phases) + rest}
        self.ring.progress("orders", self.batch, rows=rows, run=self.run_id, durationMs=duration_ms)
        self.batch += 1
        self.said += 1
        self.rows += rows
        self.rows_of[self.ring.epoch, self.ring.last_seq] = rows

    @rule()
    def lose_a_batch(self) -> None:
        self.ring.lose()
        self.batch += 1
        self.said += 1

    @rule()
    def fail(self) -> None:
        self.ends += 1
        self.ring.terminated("orders", run=self.run_id, exception="java.lang.OutOfMemoryError: Java heap space")
        self.said += 1

    @rule(at_most=st.integers(1, 3), pages=st.integers(1, 4))
    def poll(self, at_most: int, pages: int) -> None:
        """Some pages of what is there, perhaps not all of them."""
        for _ in range(pages):
            position = self.state.drivers[self.ring.epoch].position if self.ring.epoch in self.state.drivers else 0
            self.look(self.ring.answer(position, at_most=at_most))

    @rule()
    def replay(self) -> None:
        """An answer from the ring's beginning, as to a reader that has forgotten its place."""
        self.look(self.ring.answer(0))

    @rule()
    def kill_the_exporter(self) -> None:
        """Before its newest state was stored: it begins again at the one before."""
        self.state = decoded(self.stored)

    @rule()
    def end_cleanly(self) -> None:
        self.look(self.ring.answer(0, final=True))
        self.new_driver()

    @rule()
    def kill_the_driver(self) -> None:
        """With all that was not read yet."""
        if self.ring.epoch in self.state.drivers:
            unread = self.ring.last_seq - self.state.drivers[self.ring.epoch].position
        else:
            unread = self.ring.last_seq
        self.said -= unread  # nobody can tell of them any more
        for _ in range(2):
            self.look(refused(self.ring, self.now))
        self.new_driver()

    @property
    def run_id(self) -> str:
        return f"run-{self.drivers}-{self.run}"

    def look(self, outcome: Answer | Failed) -> None:
        self.now += 1
        if isinstance(outcome, Answer):
            known = self.state.drivers.get(outcome.epoch)
            read = (read_event(raw).seq for raw in outcome.events)
            new = [seq for seq in read if known is None or seq > known.position]
            self.rows_read += sum(self.rows_of.get((outcome.epoch, seq), 0) for seq in new)
        self.state = fold(self.state, looked(self.now, outcome, present=(self.ring,)))
        self.check()
        self.stored = encoded(self.state)

    def check(self) -> None:
        values: dict[tuple[str, ...], float] = {}
        for (app, query), known in self.state.queries.items():
            values |= {(app, query, *key): value for key, value in known.counters.items()}
            values |= {(app, query, "duration", str(i)): count for i, count in enumerate(known.durations)}
        for app, counted in self.state.apps.items():
            values |= {(app, *key): value for key, value in counted.counters.items()}

        assert all(values[key] >= value for key, value in self.seen.items())

        self.seen = values

    @invariant()
    def rows_are_of_the_ledger(self) -> None:
        """The rows of every event that was read, each once, and never more rows than there were."""
        assert self.counted(metrics.INPUT_ROWS.name, "0") == self.rows_read <= self.rows

    @invariant()
    def phases_sum(self) -> None:
        """The phases' time is the batches' time."""
        query = self.state.queries.get(("etl", "orders"))
        if query is not None:
            phases = sum(value for (name, *_), value in query.counters.items() if name == metrics.PHASE_SECONDS.name)

            assert abs(phases - query.duration_sum) < 1e-6

    def teardown(self) -> None:
        """Once everything is read, what was said was counted, or told as lost."""
        self.look(self.ring.answer(0))
        counted = sum(
            self.counted(*key)
            for key in (
                (metrics.STARTS.name,),
                (metrics.BATCHES.name, "data"),
                (metrics.BATCHES.name, "no_data"),
            )
        )
        counted += self.counted(metrics.TERMINATIONS.name, "oom")
        lost = self.state.apps["etl"].counters[(driver.EVENTS_LOST.name,)]

        # The end of a run that has ended already is not counted again.
        assert counted + lost <= self.said <= counted + lost + self.ends

    def counted(self, *key: str) -> float:
        # Of all labels: a run whose start was lost goes by its id until it is named.
        return sum(query.counters.get(key, 0) for query in self.state.queries.values())


Following.TestCase.settings = settings(max_examples=150, stateful_step_count=30)
TestFollowing = Following.TestCase


@given(st.dictionaries(st.sampled_from([*PHASES, "somethingNew"]), st.integers(0, 10**7)), st.integers(0, 10**8))
def test_phases_sum_to_the_trigger(duration_ms: dict[str, int], rest: int) -> None:
    """Phases and `other` sum to the trigger's time, also where Spark names a phase that is not known."""
    whole = sum(duration_ms.values()) + rest
    ring = Ring()
    ring.progress("orders", 0, durationMs={**duration_ms, WHOLE: whole})
    progress = read_event(ring.answer().events[0]).body

    signals = of_progress(progress, None, frozenset())  # type: ignore[arg-type]

    phases = sum(value for (name, *_), value in signals.adds.items() if name == metrics.PHASE_SECONDS.name)
    assert abs(phases - whole / 1000) < 1e-6
