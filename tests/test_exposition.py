"""exporter/exposition.py; prometheus_client is the oracle: its parser reads our pages, and its own page says the same."""

import math
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as ClientFamily
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector as ClientCollector

from exporter.exposition import Parts, Prefixes, bounded, families, lines, number, process, refuse_twins, text
from exporter.metric import Buckets, Metric, Sample, counter, gauge, histogram

DEPTH = gauge("lake_depth_rows", "How deep\nthe \\ lake is (its origin).", ("app", "query"))
ROWS = counter("lake_rows_total", "Rows (its origin).", ("app",))
WAIT = histogram("lake_wait_seconds", "Waits (its origin).", (0.5, 1, 60), ("app",))
UP = gauge("lake_up", "Whether it is there (its origin).", unit="")
ORDER = (DEPTH, ROWS, WAIT, UP)

Read = list[tuple[str, dict[str, str], str]]


SINCE = 1_700_000_000.25


def whole(*targets: Iterable[Sample], since: float = 0.0) -> Parts:
    return bounded([families(samples, ORDER, since=since) for samples in targets], ORDER)[0]


def page(*samples: Sample) -> str:
    return text(whole(samples)).decode()


def series(parts: Parts) -> dict[str, list[str]]:
    """What stands before each value, by metric."""
    return {metric.name: [one for family in its for one in family.series] for metric, its in parts.items()}


def read(document: str) -> Read:
    """What prometheus_client's parser finds: name, labels and value; values as text, for NaN is not NaN, and 0 is -0."""
    found = []
    for family in text_string_to_metric_families(document):
        for sample in family.samples:
            labels = {name: str(float(value)) if name == "le" else value for name, value in sample.labels.items()}
            found.append((sample.name, labels, repr(float(sample.value) + 0.0)))
    return sorted(found, key=repr)


def meant(samples: Iterable[Sample]) -> Read:
    """What a parser has to find in a page of `samples`."""
    found = []
    for metric, values, value in samples:
        labels = dict(zip(metric.labels, values, strict=True))
        if isinstance(value, Buckets):
            cumulated = 0
            for bound, count in zip((*metric.buckets, math.inf), value.counts, strict=True):
                cumulated += count
                found.append((f"{metric.name}_bucket", {**labels, "le": str(float(bound))}, repr(float(cumulated))))
            found.append((f"{metric.name}_sum", labels, repr(float(value.sum))))
            found.append((f"{metric.name}_count", labels, repr(float(cumulated))))
        else:
            found.append((metric.name, labels, repr(float(value) + 0.0)))
    return sorted(found, key=repr)


class Client(ClientCollector):
    """The same samples, told by prometheus_client's own families."""

    def __init__(self, samples: list[Sample]) -> None:
        self._samples = samples

    def collect(self) -> Iterable[ClientFamily]:
        for metric in ORDER:
            mine = [sample for sample in self._samples if sample.metric is metric]
            if mine:
                yield self._family(metric, mine)

    def _family(self, metric: Metric, samples: list[Sample]) -> ClientFamily:
        if metric.kind == "histogram":
            waits = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
            for _, labels, value in samples:
                assert isinstance(value, Buckets)
                bounds = [str(float(bound)) for bound in metric.buckets] + ["+Inf"]
                counts = [sum(value.counts[: end + 1]) for end in range(len(value.counts))]
                waits.add_metric(labels, list(zip(bounds, counts, strict=True)), value.sum)
            return waits
        kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
        plain = kind(metric.name, metric.help, labels=metric.labels)
        for _, labels, value in samples:
            assert not isinstance(value, Buckets)
            plain.add_metric(labels, value)
        return plain


def test_gauge() -> None:
    """A gauge's page: HELP and TYPE once, escaped, a line a sample in the order given, a line feed at the end."""
    written = page(DEPTH(3, app="a", query="q"), DEPTH(0.25, app="b", query='x"y\\z'))

    assert written == (
        "# HELP lake_depth_rows How deep\\nthe \\\\ lake is (its origin).\n"
        "# TYPE lake_depth_rows gauge\n"
        'lake_depth_rows{app="a",query="q"} 3\n'
        'lake_depth_rows{app="b",query="x\\"y\\\\z"} 0.25\n'
    )


def test_no_labels() -> None:
    """A series without labels has no braces."""
    assert page(UP(1)) == "# HELP lake_up Whether it is there (its origin).\n# TYPE lake_up gauge\nlake_up 1\n"


def test_counter() -> None:
    """A counter's TYPE names it with its _total, as format 0.0.4 has it."""
    assert page(ROWS(12345678901234, app="a")) == (
        '# HELP lake_rows_total Rows (its origin).\n# TYPE lake_rows_total counter\nlake_rows_total{app="a"} 12345678901234\n'
    )


def test_histogram() -> None:
    """A histogram's buckets are cumulated, bounds are floats as clients write them, and the count is the last bucket."""
    assert page(WAIT(Buckets((1, 0, 2, 3), 99.5), app="a")) == (
        "# HELP lake_wait_seconds Waits (its origin).\n"
        "# TYPE lake_wait_seconds histogram\n"
        'lake_wait_seconds_bucket{app="a",le="0.5"} 1\n'
        'lake_wait_seconds_bucket{app="a",le="1.0"} 1\n'
        'lake_wait_seconds_bucket{app="a",le="60.0"} 3\n'
        'lake_wait_seconds_bucket{app="a",le="+Inf"} 6\n'
        'lake_wait_seconds_sum{app="a"} 99.5\n'
        'lake_wait_seconds_count{app="a"} 6\n'
    )


def test_line_feed_in_a_label() -> None:
    """A line feed in a label, though label_value lets none through, does not break the line."""
    assert page(Sample(ROWS, ("a\nb",), 1)).splitlines()[-1] == 'lake_rows_total{app="a\\nb"} 1'


def test_nothing() -> None:
    """A page of nothing is empty."""
    assert page() == ""


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0, "0"),
        (-0.0, "0"),
        (True, "1"),
        (3.0, "3"),
        (-7, "-7"),
        (0.1, "0.1"),
        (1e-7, "1e-07"),
        (999999999999999, "999999999999999"),
        (1e15, "1000000000000000"),
        (1e300, "1e+300"),
        (math.nan, "NaN"),
        (math.inf, "+Inf"),
        (-math.inf, "-Inf"),
    ],
)
def test_number(value: float, written: str) -> None:
    """Integers without a fraction, else the shortest exact text; NaN, +Inf and -Inf as Prometheus spells them."""
    assert number(value) == written


def test_order() -> None:
    """Families stand in catalogue order, whatever the order of samples; the members of one stay together."""
    found = whole([UP(1), ROWS(1, app="b"), DEPTH(1, app="a", query="q"), ROWS(2, app="a")])

    assert list(series(found).items()) == [
        ("lake_depth_rows", ['lake_depth_rows{app="a",query="q"} ']),
        ("lake_rows_total", ['lake_rows_total{app="b"} ', 'lake_rows_total{app="a"} ']),
        ("lake_up", ["lake_up "]),
    ]


@pytest.mark.parametrize(
    ("samples", "problem"),
    [
        ([gauge("lake_other_rows", "Other (origin).")(1)], "metric lake_other_rows is not in the catalogue"),
        ([ROWS(1, app="a"), ROWS(2, app="a")], "metric lake_rows_total: a series stands twice"),
    ],
)
def test_refused(samples: list[Sample], problem: str) -> None:
    """A sample of an undeclared metric, and a series that stands twice, are refused by name."""
    with pytest.raises(ValueError) as raised:  # noqa: PT011 -- its text is compared
        families(samples, ORDER)

    assert str(raised.value) == problem


@pytest.mark.parametrize(
    "sample",
    [Sample(ROWS, ("\ud800",), 1), Sample(ROWS, ("a", "b"), 1), Sample(WAIT, ("a",), Buckets((1, 2), 0.0))],
    ids=["surrogate", "labels", "buckets"],
)
def test_unfit(sample: Sample) -> None:
    """A label that is no UTF-8, too many labels, and too few buckets are refused before they reach a page."""
    with pytest.raises(ValueError):  # noqa: PT011 -- what Python says of each does not matter
        families([sample], ORDER)


def test_twins() -> None:
    """A series that another target has told already is refused by its metric's name; another series is not."""
    found = families([ROWS(1, app="a")], ORDER)
    refuse_twins(ROWS, found[ROWS], [families([ROWS(1, app="b")], ORDER), families([UP(1)], ORDER)])

    with pytest.raises(ValueError, match=r"^metric lake_rows_total: a series stands twice$"):
        refuse_twins(ROWS, found[ROWS], [families([ROWS(2, app="b"), ROWS(2, app="a")], ORDER)])


def test_cap_of_a_family() -> None:
    """A family over its cap keeps its first series over all targets, and what it loses is counted exactly."""
    found = [families([*(ROWS(i, app=i) for i in some), UP(1)], ORDER) for some in (range(2), range(2, 5), range(5, 7))]
    kept, dropped = bounded(found, (ROWS,), a_family=3, overall=100)

    assert text(kept).decode().splitlines()[2:] == [f'lake_rows_total{{app="{i}"}} {i}' for i in range(3)]
    assert dropped == {"lake_rows_total": 4}


def test_cap_within_histograms() -> None:
    """A histogram's series is kept with all its lines, or not at all, whatever stands in its labels."""
    found = families([WAIT(Buckets((1, 0, 2, 3), 99.5), app=app) for app in ("a\u2028\\", "b")], ORDER)
    kept, dropped = bounded([found], ORDER, a_family=1, overall=100)

    assert text(kept).decode() == page(WAIT(Buckets((1, 0, 2, 3), 99.5), app="a\u2028\\"))
    assert (lines(kept), dropped) == (6, {"lake_wait_seconds": 1})


def test_overall_cap() -> None:
    """What is over the overall cap is cut from the page's end; families that are wholly over it vanish and are counted."""
    found = families([*(DEPTH(i, app=i, query="q") for i in range(3)), *(ROWS(i, app=i) for i in range(3)), UP(1)], ORDER)
    kept, dropped = bounded([found], ORDER, a_family=100, overall=4)

    assert {name: len(its) for name, its in series(kept).items()} == {"lake_depth_rows": 3, "lake_rows_total": 1}
    assert dropped == {"lake_rows_total": 2, "lake_up": 1}


@given(st.lists(st.integers(0, 9), max_size=12), st.integers(1, 3), st.integers(0, 5), st.integers(0, 12))
def test_any_cap(apps: list[int], targets: int, a_family: int, overall: int) -> None:
    """Whatever the caps: kept and dropped are all there were, no cap is passed, and the same first series survive."""
    unique = list(dict.fromkeys(apps))
    found = [
        families([sample for app in unique[i::targets] for sample in (ROWS(1, app=app), DEPTH(1, app=app, query="q"))], ORDER)
        for i in range(targets)
    ]
    parts, dropped = bounded(found, ORDER, a_family, overall)
    kept, all_of_them = series(parts), series(bounded(found, ORDER)[0])

    assert sum(map(len, kept.values())) + sum(dropped.values()) == sum(map(len, all_of_them.values()))
    assert sum(map(len, kept.values())) <= overall
    assert lines(parts) == sum(map(len, kept.values()))
    assert sum(not line.startswith("#") for line in text(parts).decode().splitlines()) == lines(parts)
    for name, its in kept.items():
        assert its == all_of_them[name][: min(a_family, len(its))]


LABEL = st.text(max_size=20) | st.text(st.sampled_from('"\\\n{},= #le\u2028\u0085'), max_size=12)
VALUE = st.floats() | st.integers(-(2**60), 2**60)
COUNTS = st.tuples(*[st.integers(0, 10**6)] * 4)
SAMPLES = st.lists(
    st.one_of(
        st.builds(lambda a, q, v: DEPTH(v, app=a, query=q), LABEL, LABEL, VALUE),
        st.builds(lambda a, v: ROWS(v, app=a), LABEL, st.floats(0, allow_infinity=False)),
        st.builds(lambda a, c, s: WAIT(Buckets(c, s), app=a), LABEL, COUNTS, st.floats(0, 1e9)),
        st.builds(UP, VALUE),
    ),
    max_size=8,
    unique_by=lambda sample: (sample.metric.name, sample.labels),
)


@given(SAMPLES)
def test_parser(samples: list[Sample]) -> None:
    """prometheus_client's parser reads back every page, however nasty its labels, as the very samples it was made of."""
    assert read(page(*samples)) == meant(samples)


@given(SAMPLES)
def test_same_as_client(samples: list[Sample]) -> None:
    """prometheus_client's own page of the same samples is read as the same samples."""
    registry = CollectorRegistry()
    registry.register(Client(samples))

    assert read(generate_latest(registry).decode()) == read(page(*samples))


def test_process() -> None:
    """The process tells its CPU, memory, start and open files, and which Python it is."""
    names = {family.name for family in text_string_to_metric_families(process().decode())}

    assert names >= {
        "process_cpu_seconds",
        "process_resident_memory_bytes",
        "process_start_time_seconds",
        "process_open_fds",
        "python_info",
    }


def test_prefixes_are_let_go() -> None:
    """What was kept of series that have gone does not grow without end."""
    prefixes: Prefixes = {}
    for start in range(0, 1000, 10):
        families([ROWS(1, app=f"app-{number}") for number in range(start, start + 10)], ORDER, prefixes)

    assert len(prefixes[ROWS]) <= 130


def test_alternating_families() -> None:
    """Samples of several families in any order are told in the order of the catalogue."""
    samples = [ROWS(1, app="a"), UP(1), ROWS(2, app="b"), DEPTH(3, app="a", query="q"), UP(0)][:4]

    assert [metric.name for metric in families(samples, ORDER)] == ["lake_depth_rows", "lake_rows_total", "lake_up"]


def test_created() -> None:
    """OpenMetrics is told when counting began after all other samples of a series; a gauge, and a target without, has none."""
    known = [ROWS(1, app="a b"), ROWS(2, app="b"), WAIT(Buckets((1, 0, 2, 3), 99.5), app="a"), UP(1)]
    parts, _ = bounded([families(known, ORDER, since=SINCE), families([ROWS(3, app="c")], ORDER)], ORDER)
    written = text(parts, openmetrics=True, created=True).decode()

    assert [line for line in written.splitlines() if not line.startswith("#")] == [
        'lake_rows_total{app="a b"} 1',
        'lake_rows_created{app="a b"} 1700000000.25',
        'lake_rows_total{app="b"} 2',
        'lake_rows_created{app="b"} 1700000000.25',
        'lake_rows_total{app="c"} 3',
        'lake_wait_seconds_bucket{app="a",le="0.5"} 1',
        'lake_wait_seconds_bucket{app="a",le="1.0"} 1',
        'lake_wait_seconds_bucket{app="a",le="60.0"} 3',
        'lake_wait_seconds_bucket{app="a",le="+Inf"} 6',
        'lake_wait_seconds_sum{app="a"} 99.5',
        'lake_wait_seconds_count{app="a"} 6',
        'lake_wait_seconds_created{app="a"} 1700000000.25',
        "lake_up 1",
    ]
    assert text(parts, created=True) == text(parts)


@given(SAMPLES)
def test_created_parser(samples: list[Sample]) -> None:
    """prometheus_client's OpenMetrics parser reads one `_created` for each series of a counter or a histogram, and all else."""
    written = text(whole(samples, since=SINCE), openmetrics=True, created=True).decode()
    found = [one for family in openmetrics_families(f"{written}# EOF\n") for one in family.samples]  # type: ignore[no-untyped-call]
    created = [(one.name, one.labels, one.value) for one in found if one.name.endswith("_created")]
    counted = [(metric, values) for metric, values, _ in samples if metric in (ROWS, WAIT)]

    assert sorted(created, key=repr) == sorted(
        (
            (f"{metric.name.removesuffix('_total')}_created", dict(zip(metric.labels, values, strict=True)), SINCE)
            for metric, values in counted
        ),
        key=repr,
    )
    assert len(found) - len(created) == len(meant(samples))
