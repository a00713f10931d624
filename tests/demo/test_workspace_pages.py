"""Paging of the simulated workspace: complete and without gaps, unless a fault orders otherwise."""

from itertools import pairwise

import pytest

from exporter.demo.workspace.faults import Fault, Kind
from exporter.demo.workspace.workspace import Workspace
from tests.demo.workspace_client import CLUSTERS, JOBS, PIPELINES, RUNS, WAREHOUSES, by, listed, pages, told, workspace

ORDERS = [(), (Fault(Kind.ORDER_BY_END),)]
LISTS = pytest.mark.parametrize(
    ("path", "name", "id", "limit"),
    [
        (RUNS, "runs", "run_id", {"limit": 7}),
        (JOBS, "jobs", "job_id", {"limit": 3}),
        (CLUSTERS, "clusters", "cluster_id", {"page_size": 4}),
        (PIPELINES, "statuses", "pipeline_id", {"max_results": 2}),
        (WAREHOUSES, "warehouses", "id", {"page_size": 1}),
    ],
)


@pytest.fixture
def one() -> Workspace:
    made = workspace(9)
    made.advance(3600)
    return made


@pytest.mark.parametrize("order", ORDERS)
def test_every_run_once(one: Workspace, order: tuple[Fault, ...]) -> None:
    """Each run that ever started stands on exactly one page, latest first by the order in question."""
    with by(one, *order):
        runs = listed(one, RUNS, "runs", limit=7)
    times = [(run.get("end_time") or run["start_time"]) if order else run["start_time"] for run in runs]

    assert sorted(run["run_id"] for run in runs) == sorted(
        entry.run_id for entry in one.ledger.starts() if entry.kind == "original"
    )
    assert times == sorted(times, reverse=True)


@LISTS
def test_pages(one: Workspace, path: str, name: str, id: str, limit: dict[str, int]) -> None:
    """A list by small pages is the list by large ones; only the last page may be shorter than was asked for."""
    found = [page.get(name, []) for page in pages(one, path, **limit)]
    whole = [item[id] for item in listed(one, path, name)]

    assert [item[id] for page in found for item in page] == whole
    assert len(set(whole)) == len(whole) > 2
    assert {len(page) for page in found[:-1]} == set(limit.values())


def test_while_time_passes(one: Workspace) -> None:
    """By start, runs that start and end between two pages neither repeat nor hide any other."""
    known = [run["run_id"] for run in listed(one, RUNS, "runs")]
    found = []
    page = told(one, RUNS, limit=5)
    while True:
        found += [run["run_id"] for run in page["runs"]]
        if not page.get("next_page_token"):
            break
        one.advance(30)
        page = told(one, RUNS, limit=5, page_token=page["next_page_token"])

    assert found == known
    assert len(listed(one, RUNS, "runs")) > len(known)


@LISTS
def test_small(one: Workspace, path: str, name: str, id: str, limit: dict[str, int]) -> None:
    """With small pages each holds fewer than was asked for, and together they hold all."""
    whole = [item[id] for item in listed(one, path, name)]
    with by(one, Fault(Kind.SMALL_PAGES)):
        found = [page.get(name, []) for page in pages(one, path, **limit)]

    (asked,) = limit.values()
    assert [item[id] for page in found for item in page] == whole
    assert max(map(len, found)) == max(1, asked // 3)


@LISTS
def test_empty_token(one: Workspace, path: str, name: str, id: str, limit: dict[str, int]) -> None:
    """The last page has an empty token, and only there."""
    with by(one, Fault(Kind.EMPTY_TOKEN)):
        tokens = [page["next_page_token"] for page in pages(one, path, **limit)]

    assert tokens[-1] == ""
    assert all(tokens[:-1])


@LISTS
def test_endless(one: Workspace, path: str, name: str, id: str, limit: dict[str, int]) -> None:
    """The second page leads to itself, for ever."""
    with by(one, Fault(Kind.ENDLESS_PAGES)):
        first = told(one, path, **limit)
        second = told(one, path, **limit, page_token=first["next_page_token"])
        third = told(one, path, **limit, page_token=second["next_page_token"])

    assert first[name]
    assert second["next_page_token"] == first["next_page_token"]
    assert third == second


@pytest.mark.parametrize("order", ORDERS)
def test_vanishing(one: Workspace, order: tuple[Fault, ...]) -> None:
    """The first run of each page but the first is gone."""
    with by(one, *order):
        whole = [run["run_id"] for run in listed(one, RUNS, "runs")]
    with by(one, Fault(Kind.VANISHING), *order):
        found = [run["run_id"] for run in listed(one, RUNS, "runs", limit=5)]

    assert found == [run_id for place, run_id in enumerate(whole) if place % 6 != 5]


@pytest.mark.parametrize("order", ORDERS)
def test_shifting(one: Workspace, order: tuple[Fault, ...]) -> None:
    """The last run of each page is the first of the next; none is missing."""
    with by(one, *order):
        whole = [run["run_id"] for run in listed(one, RUNS, "runs")]
    with by(one, Fault(Kind.SHIFTING), *order):
        found = [[run["run_id"] for run in page["runs"]] for page in pages(one, RUNS, limit=5)]

    assert all(before[-1] == after[0] for before, after in pairwise(found))
    assert list(dict.fromkeys(run_id for page in found for run_id in page)) == whole
