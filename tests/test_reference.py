"""Pages made from declarations are never stale."""

from __future__ import annotations

from pathlib import Path

from exporter import catalogue, reference

DOCS = Path(__file__).parent.parent / "docs"


def test_metrics_page() -> None:
    """docs/metrics.md is what `make pages` writes."""
    assert (DOCS / "metrics.md").read_text(encoding="utf-8") == reference.metrics()


def test_configuration_page() -> None:
    """docs/configuration.md is what `make pages` writes."""
    assert (DOCS / "configuration.md").read_text(encoding="utf-8") == reference.configuration()


def test_every_metric_is_told() -> None:
    """The page has a row for each metric of the catalogue, once."""
    page = reference.metrics()

    assert [page.count(f"| `{metric.name}` |") for metric in catalogue.METRICS] == [1] * len(catalogue.METRICS)


def test_writes(tmp_path: Path) -> None:
    """The command writes both pages into the folder that is named."""
    assert reference.main([str(tmp_path)]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["configuration.md", "metrics.md"]
