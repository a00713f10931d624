"""exporter/demo/page.py"""

from exporter.demo.page import Page, Series, parsed
from exporter.exposition import bounded, families, text
from exporter.metric import gauge

ODD = gauge("odd", "A gauge with odd labels (this test).", ("app", "query"), unit="")


def test_parsed() -> None:
    """A line is a series, a comment none; values are numbers as Prometheus writes them."""
    page = parsed('# HELP up Whether.\n# TYPE up gauge\nup 1\nheap{app="a",area="b"} 1.5e+06\nbucket{le="+Inf"} +Inf\n\n?\n')

    assert page == Page(
        (
            Series("up", {}, 1.0),
            Series("heap", {"app": "a", "area": "b"}, 1_500_000.0),
            Series("bucket", {"le": "+Inf"}, float("inf")),
        )
    )


def test_round_trip() -> None:
    """What our own exposition escapes comes back as it was."""
    labels = {"app": 'a "quoted" {brace}, one=1', "query": "back\\slash\\nand more"}
    parts, _ = bounded([families([ODD(2, **labels)], [ODD])], [ODD])
    page = parsed(text(parts).decode())

    assert page.series == (Series("odd", labels, 2.0),)


def test_find() -> None:
    """Series are found by name and some of their labels."""
    page = parsed('rows{query="a",source="0"} 1\nrows{query="a",source="1"} 2\nrows{query="b",source="0"} 4\n')

    assert [one.value for one in page.find("rows", source="0")] == [1, 4]
    assert page.value("rows", query="b") == 4
    assert page.value("rows", query="c") is None
    assert page.total("rows", query="a") == 3
    assert page.total("none") == 0
