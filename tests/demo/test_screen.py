"""exporter/demo/screen.py"""

import io

from exporter import terminal
from exporter.demo.screen import PIPE_WIDTH, Screen


class Terminal(io.StringIO):
    """Takes text as a terminal does."""

    def isatty(self) -> bool:
        return True


def test_terminal() -> None:
    """What is shown is drawn over by what is shown or said next; what is said stays."""
    output = Terminal()
    screen = Screen(output, {"TERM": "xterm"})
    screen.say("hello")
    screen.show(["a", "b"])
    screen.show(["c"])
    screen.say("done")
    screen.show(["d"])

    assert output.getvalue() == "hello\na\nb\n\x1b[2F\x1b[Jc\n\x1b[1F\x1b[Jdone\nd\n"
    assert screen.paint is terminal.coloured
    assert screen.width > 0


def test_pipe() -> None:
    """A pipe gets what is said, and no colours."""
    output = io.StringIO()
    screen = Screen(output, {"TERM": "xterm"})
    screen.say("hello")
    screen.show(["a", "b"])

    assert output.getvalue() == "hello\n"
    assert (screen.live, screen.paint, screen.width) == (False, terminal.plain, PIPE_WIDTH)


def test_no_color() -> None:
    """NO_COLOR is heeded (no-color.org), and a terminal that can't move its cursor is a pipe."""
    assert Screen(Terminal(), {"NO_COLOR": "1"}).paint is terminal.plain
    assert not Screen(Terminal(), {"TERM": "dumb"}).live
