"""Where the demo speaks: a terminal that is drawn over in place, or a pipe that gets plain lines; knows no stream."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from typing import TextIO

from exporter import terminal

PIPE_WIDTH = 160


class Screen:
    """Text for people: what is said stays, what is shown is replaced by what is shown next."""

    def __init__(self, output: TextIO, environ: Mapping[str, str]) -> None:
        self._output = output
        self._drawn = 0
        self.live = terminal.is_terminal(output, environ)
        self.paint = terminal.painter(output, environ)

    @property
    def width(self) -> int:
        return shutil.get_terminal_size().columns if self.live else PIPE_WIDTH

    def say(self, line: str) -> None:
        """A line that stays, above all that is shown from now on."""
        self._write(f"{self._over()}{line}\n")
        self._drawn = 0

    def show(self, lines: Sequence[str]) -> None:
        """Lines in the place of those shown before; a pipe, which has no places, gets nothing."""
        if self.live:
            self._write(self._over() + "".join(f"{line}\n" for line in lines))
            self._drawn = len(lines)

    def _over(self) -> str:
        # Up to the first line drawn, and erase from there to the end of the screen.
        return f"\x1b[{self._drawn}F\x1b[J" if self._drawn else ""

    def _write(self, text: str) -> None:
        self._output.write(text)
        self._output.flush()
