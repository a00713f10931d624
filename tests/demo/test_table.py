"""exporter/demo/table.py"""

import re
from pathlib import Path

import pytest

from exporter import terminal
from exporter.demo import table
from exporter.demo.page import parsed
from exporter.demo.readings import Moment, Reading, readings

RECORDS = Path(__file__).parents[1] / "records" / "demo"
NOW = 1795360485.0


def moment(name: str, at: float) -> Moment:
    return at, readings(parsed((RECORDS / f"{name}.prom").read_text()))


MOMENTS = (moment("before", NOW - 7), moment("after", NOW))

EXPECTED = """\
STREAM           STATE         BATCHES  ROWS/S  SIGNAL    BEHIND  FAILURES  TO SEE
healthy          waiting            28    22.9     0 s    0 rows         0
windowed_counts  waiting            17    17.1     2 s       3 s         0  21 state rows, 8 too late
overrunning      processing         16     4.3     2 s    0 rows         0  15 overran
idle             waiting             1     0.0    10 s         -         0  4 idle signals
failing          waiting            18     7.1     0 s    0 rows         5  user_code
behind           waiting            28     5.7     0 s      46 s         0
each_batch       waiting            18     8.6     2 s    0 rows         0
nightly          finished            2     0.0    20 s         -         0  2 finished
"""


def test_recorded() -> None:
    """The table of a real page, whole."""
    assert "\n".join(table.lines(MOMENTS, 120)) == EXPECTED.rstrip()


@pytest.mark.parametrize("width", [0, 1, 15, 16, 40, 80])
def test_width(width: int) -> None:
    """No line is wider than the terminal, and colours take no room."""
    painted = [re.sub(r"\x1b\[\d+m", "", line).rstrip() for line in table.lines(MOMENTS, width, terminal.coloured)]

    assert painted == [line[:width].rstrip() for line in table.lines(MOMENTS, 120)]


def test_colours() -> None:
    """Failures are red, what is old is yellow, what has ended is dim."""
    lines = {line.split()[0]: line for line in table.lines(MOMENTS, 120, lambda text, colour: f"<{colour}>{text.strip()} ")}

    assert f"<{terminal.RED}>5" in lines[f"<{terminal.BOLD}>failing"]
    assert f"<{terminal.YELLOW}>46 s" in lines[f"<{terminal.BOLD}>behind"]
    assert f"<{terminal.DIM}>finished" in lines[f"<{terminal.BOLD}>nightly"]
    assert f"<{terminal.GREEN}>waiting" in lines[f"<{terminal.BOLD}>healthy"]


def test_failed() -> None:
    """A stream that has failed is red, and what is not known is a dash."""
    moment = (0.0, {"a": Reading("a", "failed", failures=1, failure="oom")})

    assert table.lines((moment,), 120, lambda text, colour: f"<{colour}>{text.strip()} ")[1].split() == [
        *(f"<{terminal.BOLD}>a", f"<{terminal.RED}>failed", "0", "-", "-", "-", f"<{terminal.RED}>1", "oom")
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-3, "0 s"), (0.9, "0 s"), (59.9, "59 s"), (60, "1 m 0 s"), (3599, "59 m 59 s"), (3600, "1 h 0 m"), (90061, "25 h 1 m")],
)
def test_span(seconds: float, text: str) -> None:
    """A time in one or two units, never below zero."""
    assert table.span(seconds) == text


@pytest.mark.parametrize(
    ("overruns", "text"),
    [(1, ""), (3, ""), (4, "4 overran")],
)
def test_overruns(overruns: float, text: str) -> None:
    """A few batches that overran are no news; more than a quarter of them are."""
    assert table.remark(Reading("a", "waiting", batches=8, overruns=overruns)) == text
