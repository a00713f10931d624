"""exporter/metric.py"""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.metric import Buckets, Metric, Sample, counter, gauge, histogram, info, label_value, stateset

HELP = "What it says (its origin)."


def refusal(**declaration: object) -> str:
    fields: dict[str, object] = {"name": "lake_depth_rows", "kind": "gauge", "help": HELP, **declaration}
    with pytest.raises(ValueError) as raised:  # noqa: PT011 -- the text is what each test compares
        Metric(**fields)  # type: ignore[arg-type] # what is wrong here is the point
    return str(raised.value)


@pytest.mark.parametrize(
    "name", ["Lake_rows", "lake__rows", "_lake_rows", "lake_rows_", "1lake_rows", "lake-rows", "lake:rows"]
)
def test_name(name: str) -> None:
    """A name that is not snake_case is refused, and the refusal names the metric."""
    assert refusal(name=name, unit="") == f"metric {name}: the name is not snake_case"


@pytest.mark.parametrize(("name", "kind"), [("lake_rows", "counter"), ("lake_rows_total", "gauge")])
def test_total(name: str, kind: str) -> None:
    """A counter without _total and a gauge with it are refused."""
    assert refusal(name=name, kind=kind, unit="") == f"metric {name}: a counter's name, and no other, ends in _total"


def test_no_unit() -> None:
    """A gauge whose name ends in no unit, and that does not say so, is refused with the list of units."""
    assert refusal(name="lake_depth") == (
        "metric lake_depth: the name ends in no unit (seconds, bytes, rows, files, events, batches, threads, partitions, "
        "processors, series, info); say unit='' if it has none"
    )


def test_other_unit() -> None:
    """A name that does not end in the unit it declares is refused."""
    assert refusal(unit="bytes") == "metric lake_depth_rows: the name does not end in its unit bytes"


@pytest.mark.parametrize("text", ["", "what it says (its origin).", "What it says.", "What it says (its origin)", "What ()."])
def test_help(text: str) -> None:
    """A help that begins small, lacks its origin in parentheses, or its full stop, is refused."""
    assert refusal(help=text) == "metric lake_depth_rows: the help is no sentence that ends with its origin in parentheses"


@pytest.mark.parametrize("label", ["job", "instance", "le", "quantile"])
def test_reserved_label(label: str) -> None:
    """Prometheus' own labels and those of histograms and summaries are refused."""
    assert refusal(labels=("app", label)) == f"metric lake_depth_rows: label {label} is reserved"


def test_label_name() -> None:
    """A label that is not snake_case is refused."""
    assert refusal(labels=("appName",)) == "metric lake_depth_rows: label appName is not snake_case"


def test_label_twice() -> None:
    """A label that is declared twice is refused."""
    assert refusal(labels=("app", "app")) == "metric lake_depth_rows: a label is declared twice"


@pytest.mark.parametrize(
    ("kind", "buckets"), [("histogram", ()), ("gauge", (1.0,)), ("histogram", (2.0, 1.0)), ("histogram", (1.0, 1.0))]
)
def test_buckets(kind: str, buckets: tuple[float, ...]) -> None:
    """A histogram without buckets, with unsorted or equal ones, and a gauge with any, are refused."""
    assert refusal(kind=kind, buckets=buckets) == (
        "metric lake_depth_rows: a histogram, and no other, has buckets, and they ascend"
    )


def test_constructors() -> None:
    """gauge, counter, histogram, info and stateset declare the kind, labels, buckets and unit that they stand for."""
    made = [
        gauge("lake_depth_rows", HELP, ["app"]),
        gauge("lake_open", HELP, unit=""),
        gauge("lake_age_seconds", HELP, unit="seconds"),
        counter("lake_rows_total", HELP, ["app"]),
        histogram("lake_wait_seconds", HELP, [0.5, 1], ["app"]),
        info("lake_info", HELP, ["name"]),
        stateset("lake_state", HELP, ["app"]),
    ]

    assert [dataclasses.astuple(metric) for metric in made] == [
        ("lake_depth_rows", "gauge", HELP, ("app",), (), None),
        ("lake_open", "gauge", HELP, (), (), ""),
        ("lake_age_seconds", "gauge", HELP, (), (), "seconds"),
        ("lake_rows_total", "counter", HELP, ("app",), (), ""),
        ("lake_wait_seconds", "histogram", HELP, ("app",), (0.5, 1), None),
        ("lake_info", "gauge", HELP, ("name",), (), None),
        ("lake_state", "gauge", HELP, ("app", "state"), (), ""),
    ]


def test_sample() -> None:
    """A sample's label values stand in the declared order, whatever the order in which they are given."""
    metric = gauge("lake_depth_rows", HELP, ["app", "query"])

    assert metric(3, query="q", app=7) == Sample(metric, ("7", "q"), 3)


def test_sample_of_a_histogram() -> None:
    """A histogram's sample holds its buckets."""
    metric = histogram("lake_wait_seconds", HELP, [1.0])

    assert metric(Buckets((1, 2), 9.5)) == Sample(metric, (), Buckets((1, 2), 9.5))


@pytest.mark.parametrize("labels", [{}, {"app": "a"}, {"app": "a", "table": "t"}, {"app": "a", "query": "q", "table": "t"}])
def test_sample_with_other_labels(labels: dict[str, str]) -> None:
    """A label that is missing, unknown or too many is a TypeError that names both sides."""
    metric = gauge("lake_depth_rows", HELP, ["app", "query"])
    with pytest.raises(TypeError) as raised:
        metric(1, **labels)

    assert str(raised.value) == f"metric lake_depth_rows: labels {sorted(labels)} given, ['app', 'query'] declared"


@pytest.mark.parametrize("value", ["", "orders", "x" * 256, 'a"b\\c', "größe 流 🦆", "no\N{NO-BREAK SPACE}break"])
def test_fit_label(value: str) -> None:
    """Text of at most 256 characters without control characters and lone surrogates stays as it is."""
    assert label_value(value) == value


@pytest.mark.parametrize(("value", "label"), [(7, "7"), (None, "None"), (True, "True")])
def test_label_that_is_no_text(value: object, label: str) -> None:
    """A value that is no text becomes its text."""
    assert label_value(value) == label


def test_dirty_label() -> None:
    """Control characters and lone surrogates become U+FFFD, and a hash of the whole stands at the end."""
    assert label_value("a\nb\x00c\ud800") == "a\ufffdb\ufffdc\ufffd#6c920389"


def test_long_label() -> None:
    """Text of more than 256 characters is cut to 256, the last nine of them # and a hash of the whole."""
    assert label_value("x" * 257) == "x" * 247 + "#15eb95a4"


@given(st.text(st.characters(codec=None), max_size=600))
def test_any_label(value: str) -> None:
    """Whatever the text: the label fits UTF-8, 256 characters and one line, and is the same when it is made fit again."""
    label = label_value(value)
    label.encode()

    assert len(label) <= 256
    assert not any(character < " " or "\x7f" <= character < "\xa0" for character in label)
    assert label_value(label) == label


@given(
    st.text(st.characters(codec=None), min_size=257, max_size=400),
    st.text(st.characters(codec=None), min_size=257, max_size=400),
)
def test_long_labels_stay_apart(one: str, other: str) -> None:
    """Two long texts that differ do not become one, where only their ends differ neither."""
    assert (label_value(one) == label_value(other)) == (one == other)
    assert label_value(one + "a") != label_value(one + "b")


@given(
    st.text(st.sampled_from("\x00\n\r\t\x7f\ud800\udfff\ufffda"), max_size=6),
    st.text(st.sampled_from("\x00\n\ud800\ufffda"), max_size=6),
)
def test_dirty_labels_stay_apart(one: str, other: str) -> None:
    """Two texts that differ only in what can't be shown do not become one."""
    assert (label_value(one) == label_value(other)) == (one == other)
