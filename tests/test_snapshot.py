"""exporter/snapshot.py"""

from exporter.snapshot import Outcome, Snapshot, Store

GOOD, BAD = Outcome(succeeded=True), Outcome()


def snapshot(record: str) -> Snapshot:
    return Snapshot(record, (), 1.0)


def test_empty() -> None:
    """A new Store holds nothing and is not ready."""
    view = Store().view()

    assert (view.snapshots, view.outcomes, view.ready) == ({}, {}, False)


def test_replace() -> None:
    """What a source no longer names is gone with its next word; other sources' entries stay."""
    store = Store()
    store.replace("drivers", {"a": snapshot("a"), "b": snapshot("b")}, {("drivers", "a"): BAD})
    store.replace("jobs", {"a": snapshot("job")}, {("jobs", ""): GOOD})
    store.replace("drivers", {"b": snapshot("new b")}, {("drivers", "b"): GOOD})
    view = store.view()

    assert view.snapshots == {"jobs/a": snapshot("job"), "drivers/b": snapshot("new b")}
    assert view.outcomes == {("jobs", ""): GOOD, ("drivers", "b"): GOOD}
    assert view.ready


def test_grade() -> None:
    """A grade replaces the source's outcomes, and leaves all snapshots and other sources' outcomes."""
    store = Store()
    store.replace("drivers", {"a": snapshot("a")}, {("drivers", "a"): GOOD})
    store.replace("jobs", {}, {("jobs", ""): GOOD})
    store.grade("drivers", {("drivers", ""): BAD})
    view = store.view()

    assert view.snapshots == {"drivers/a": snapshot("a")}
    assert view.outcomes == {("jobs", ""): GOOD, ("drivers", ""): BAD}


def test_grade_makes_ready() -> None:
    """A first look that failed makes the Store ready, so that the failure is on the page."""
    store = Store()
    store.grade("drivers", {("drivers", ""): BAD})

    assert store.view().ready


def test_view_is_of_one_moment() -> None:
    """A view does not change with what comes after it."""
    store = Store()
    store.replace("drivers", {"a": snapshot("a")}, {})
    view = store.view()
    store.replace("drivers", {}, {})

    assert view.snapshots == {"drivers/a": snapshot("a")}
