"""Text for people: colours where a terminal understands them, tables in columns; writes nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TextIO

GREEN, YELLOW, RED, DIM, BOLD = 32, 33, 31, 2, 1
_GAP = "  "

Paint = Callable[[str, int], str]


def is_terminal(output: TextIO | None, environ: Mapping[str, str]) -> bool:
    """Whether a person looks at `output`."""
    return output is not None and output.isatty() and environ.get("TERM") != "dumb"


def painter(output: TextIO | None, environ: Mapping[str, str]) -> Paint:
    """Colours, where a person looks at `output` and has not said that none are wanted (NO_COLOR)."""
    return coloured if is_terminal(output, environ) and not environ.get("NO_COLOR") else plain


def plain(text: str, _colour: int) -> str:
    """No colour, for pipes."""
    return text


def coloured(text: str, colour: int) -> str:
    """The colour as a terminal understands it (SGR)."""
    return f"\x1b[{colour}m{text}\x1b[0m"


def clean(text: str) -> str:
    """`text` on one line, and without what a terminal would take for a command."""
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)


def table(head: Sequence[str], rows: Sequence[Sequence[str]], colours: Mapping[str, int], paint: Paint) -> list[str]:
    """Lines of aligned columns under a head; cells whose whole text is in `colours` are painted."""
    rows = [[clean(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = [paint(_line(head, widths), DIM)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        painted = [paint(text, colours[cell]) if cell in colours else text for cell, text in zip(row, cells, strict=True)]
        lines.append(_GAP.join(painted).rstrip())
    return lines


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return _GAP.join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
