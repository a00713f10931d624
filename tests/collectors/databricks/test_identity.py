"""Who we are, and how much we see, asked of a simulated workspace."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from exporter.collectors.databricks import clusters, instance_pools, warehouses
from exporter.collectors.databricks import identity as collector
from exporter.demo.workspace.faults import Fault, Kind
from exporter.errors import Reason, SourceError
from tests.collectors.databricks.workspaces import looking, page, values

CONFIG, ME = "/.well-known/databricks-config", "/api/2.0/preview/scim/v2/Me"


def test_page(golden: Callable[[str, str], None]) -> None:
    """A whole page, after three of the listings."""
    with looking() as one:
        one.look("clusters", clusters.fetch)
        one.look("warehouses", warehouses.fetch)
        one.look("instance_pools", instance_pools.fetch)
        record = one.look("identity", collector.fetch)

    golden("databricks-identity.prom", page(collector.METRICS, collector.samples(record)))


def test_lost_permission() -> None:
    """A warehouse that is put out of sight is one fewer, though no call fails; of what is not listed nothing is told."""
    with looking() as one:
        one.look("warehouses", warehouses.fetch)
        before = one.look("identity", collector.fetch)
        hidden = one.records["warehouses"].warehouses[0].id
        one.there.faults(Fault(Kind.UNSEEN, hidden))
        one.look("warehouses", warehouses.fetch)
        after = one.look("identity", collector.fetch)

    assert values(collector.samples(before), collector.VISIBLE) == {("warehouses",): 3}
    assert values(collector.samples(after), collector.VISIBLE) == {("warehouses",): 2}


@pytest.mark.parametrize(
    ("user_name", "kind"),
    [
        ("1f1c7a4e-5b1e-4b0c-9a51-9f2f0f6d9c11", "service_principal"),
        ("someone@example.com", "user"),
        ("", "other"),
        ("1f1c7a4e", "other"),
    ],
)
def test_kinds(user_name: str, kind: str) -> None:
    """A service principal goes by its application's id, a user by an address."""
    assert collector.kind(user_name) == kind


def test_place_that_is_not_told() -> None:
    """Where the host tells nothing of itself, what it told before holds; at first there is no series."""
    silent = Fault(Kind.STATUS, "404", only=(CONFIG,))
    with looking() as one:
        one.there.faults(silent)
        first = one.look("identity", collector.fetch)
        one.there.faults()
        second = one.look("identity", collector.fetch)
        one.there.faults(silent)
        third = one.look("identity", collector.fetch)

    assert not values(collector.samples(first), collector.PLACE)
    assert values(collector.samples(second), collector.PLACE) == {("7405607613001234", "aws"): 1}
    assert third == second


def test_failure() -> None:
    """Who is not let in learns that by the reason."""
    with looking() as one:
        one.there.faults(Fault(Kind.STATUS, "403", only=(ME,)))
        with pytest.raises(SourceError) as raised:
            one.look("identity", collector.fetch)

    assert raised.value.reason is Reason.FORBIDDEN


def test_no_names() -> None:
    """Nobody's name, id or address is on the page or in the record."""
    with looking() as one:
        record = one.look("identity", collector.fetch)
        told = page(collector.METRICS, collector.samples(record)) + repr(record)

    for name in ("lakehouse-exporter", "1f1c7a4e", "someone@example.com", "6871045871823"):
        assert name not in told


def test_what_is_not_counted() -> None:
    """A record that does not say how much it holds is left out, and costs nothing else."""
    assert collector.visible({"jobs": object(), "warehouses": warehouses.Warehouses("prod", ())}) == {"warehouses": 0}
