"""From what a person wrote to a value: each parser takes what one setting may be, and refuses the rest with ValueError."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable

_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+)ms)?")
_UNIT_SECONDS = (86400.0, 3600.0, 60.0, 1.0, 0.001)


def duration(value: object) -> float:
    """Seconds from `10m`, `1h30m`, `1.5s`, `250ms` or a bare number of seconds; raises ValueError for anything else."""
    seconds: float
    if isinstance(value, int | float) and not isinstance(value, bool):
        seconds = value
    else:
        text = str(value).strip()
        if re.fullmatch(r"\d+(\.\d+)?", text):
            seconds = float(text)
        elif text and (found := _DURATION.fullmatch(text)) is not None:
            seconds = sum(float(part) * unit for part, unit in zip(found.groups(), _UNIT_SECONDS, strict=True) if part)
        else:
            raise ValueError(f"{text!r} is no duration; write 90s, 10m or 1h30m")
    if not 0 <= seconds < 10 * 365 * 86400:
        raise ValueError(f"{value!r} is not between 0 and ten years")
    return float(seconds)


def interval(value: object) -> float:
    """A duration that is not 0; raises ValueError for anything else."""
    seconds = duration(value)
    if not seconds:
        raise ValueError("longer than 0 seconds is expected")
    return seconds


def listen_address(value: object) -> str:
    """`host:port`, `[v6]:port` or `:port` (every address), as it was given; raises ValueError for anything else."""
    text = str(value)
    host, colon, port = text.rpartition(":")
    if (
        not colon
        or not port.isdecimal()
        or int(port) not in range(65536)
        or (re.search(r"[\[\]:]", host) and not re.fullmatch(r"\[[0-9A-Fa-f]*:[0-9A-Fa-f:.]*(%\w+)?\]", host))
    ):
        raise ValueError(f"{text!r} is no listen address; write :10071, 127.0.0.1:10071 or [::1]:10071")
    return text


def listen_addresses(value: object) -> tuple[str, ...]:
    """One listen address or several: a list, or a text with commas between them; raises ValueError for anything else."""
    parts = value if isinstance(value, list | tuple) else str(value).split(",")
    found = tuple(listen_address(part.strip() if isinstance(part, str) else part) for part in parts)
    if not found:
        raise ValueError("at least one listen address is expected")
    return found


def web_path(value: object) -> str:
    """The path of a page, as it stands in a URL; raises ValueError for one that no request can name, or that is taken."""
    text = str(value)
    if not re.fullmatch(r"/[\w.~!$&'()*+,;=:@%/-]*", text, re.ASCII):
        raise ValueError(f"{text!r} is no path; write /metrics")
    if text.startswith(("/-/", "/api/", "/landing.")) or text in ("/probe", "/sd"):
        raise ValueError(f"{text!r} is taken by the exporter itself")
    return text


def count(least: int, most: int) -> Callable[[object], int]:
    """A parser that takes a whole number from `least` to `most`."""

    def parse(value: object) -> int:
        text = str(value)
        if not re.fullmatch(r"\d{1,9}", text, re.ASCII) or not least <= int(text) <= most:
            raise ValueError(f"{text!r} is no whole number between {least} and {most}")
        return int(text)

    return parse


def one_of(*choices: str) -> Callable[[object], str]:
    """A parser that takes these words and no other."""

    def parse(value: object) -> str:
        if value not in choices:
            raise ValueError(f"{value!r} is none of {', '.join(choices)}")
        return str(value)

    return parse


def absolute_path(value: object) -> str:
    """A path with `~` opened; raises ValueError for an empty one."""
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError("a path is expected")
    try:
        return os.path.abspath(os.path.expanduser(value))
    except OSError as error:  # the working folder is gone
        raise ValueError(f"{value!r} has no place: {error.strerror}") from error


def boolean(value: object) -> bool:
    """Yes or no, as YAML or an environment variable spells it; raises ValueError for anything else."""
    if isinstance(value, bool):
        return value
    try:
        return {"true": True, "false": False}[str(value).lower()]
    except KeyError:
        raise ValueError(f"{value!r} is neither true nor false") from None


def name(value: object) -> str:
    """A name that is not empty; raises ValueError for anything else."""
    if not isinstance(value, str) or not value:
        raise ValueError(f"a name is expected, not {value!r}")
    return value


def identifier(value: object) -> str:
    """A name that can stand in a URL and be a file's; raises ValueError for anything else."""
    if not isinstance(value, str) or not re.fullmatch(r"(?!\.)[\w.-]{1,64}", value, re.ASCII):
        raise ValueError(f"{value!r} is no name of letters, digits, _, - and .")
    return value


def names(value: object) -> tuple[str, ...]:
    """A list of names; raises ValueError for anything else."""
    if not isinstance(value, list):
        raise ValueError(f"a list of names is expected, not {value!r}")  # noqa: TRY004 -- as every parser refuses
    return tuple(map(name, value))


def positive(value: object) -> float:
    """A number above 0; raises ValueError for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise ValueError(f"{value!r} is no number above 0")
    return float(value)
