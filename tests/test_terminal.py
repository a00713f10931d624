"""exporter/terminal.py"""

from __future__ import annotations

import io

import pytest

from exporter.terminal import DIM, GREEN, coloured, is_terminal, painter, plain, table


class Terminal(io.StringIO):
    """What a person looks at."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("output", "environ", "person", "paint"),
    [
        (Terminal(), {}, True, coloured),
        (Terminal(), {"NO_COLOR": "1"}, True, plain),
        (Terminal(), {"NO_COLOR": ""}, True, coloured),
        (Terminal(), {"TERM": "dumb"}, False, plain),
        (io.StringIO(), {}, False, plain),
    ],
)
def test_who_looks(output: io.StringIO, environ: dict[str, str], person: bool, paint: object) -> None:  # noqa: FBT001 -- pytest's
    """Colours are for a person's terminal, and not where NO_COLOR says otherwise."""
    assert (is_terminal(output, environ), painter(output, environ)) == (person, paint)


def test_table() -> None:
    """Columns are as wide as their widest cell, and no line ends in blanks."""
    rows = [("driver", "orders", "ok"), ("storage", "/s", "")]

    assert table(("WHAT", "NAME", "RESULT"), rows, {}, plain) == [
        "WHAT     NAME    RESULT",
        "driver   orders  ok",
        "storage  /s",
    ]


def test_colours() -> None:
    """A painted cell takes as much room as one that is not; only whole cells that are named are painted."""
    lines = table(("A", "B"), [("ok", "ok so")], {"ok": GREEN}, lambda text, colour: f"<{colour}:{text}>")

    assert lines == [f"<{DIM}:A   B>", f"<{GREEN}:ok>  ok so"]


def test_empty_table() -> None:
    """Without rows the head stands alone."""
    assert table(("A", "B"), [], {}, plain) == ["A  B"]
