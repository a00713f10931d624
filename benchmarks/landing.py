"""Pictures of the landing page for the documentation, and how long it takes to show 500 streams."""

from __future__ import annotations

import logging
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import structlog

from exporter.landing import resources
from tests.browser.chromium import Browser, browser
from tests.browser.fleet import Fleet, broken, healthy, stream
from tests.browser.site import served

DOCS = Path(__file__).parent.parent / "docs"
MAX_BYTES = 150_000
STREAMS = 500


class Picture(NamedTuple):
    """One picture: what is to be seen, and on what."""

    name: str
    story: Callable[[Fleet], object]
    width: int
    height: int
    scale: float = 1
    mobile: bool = False
    dark: bool = False


PICTURES = (
    Picture("healthy", healthy, 1360, 780),
    Picture("healthy-dark", healthy, 1360, 780, dark=True),
    Picture("broken", broken, 1360, 1120),
    Picture("broken-dark", broken, 1360, 1120, dark=True),
    Picture("phone", healthy, 390, 844, scale=1.5, mobile=True),
    Picture("phone-dark", healthy, 390, 844, scale=1.5, mobile=True, dark=True),
    Picture("phone-broken", broken, 390, 844, scale=1.5, mobile=True),
    Picture("phone-broken-dark", broken, 390, 844, scale=1.5, mobile=True, dark=True),
    Picture("empty", lambda fleet: fleet.look(), 1360, 480),
)


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with tempfile.TemporaryDirectory() as folder, browser(Path(folder)) as window:
        for picture in PICTURES:
            take(window, picture)
        print(f"{STREAMS} streams: first shown in {first(window):.0f} ms, shown anew in {again(window):.0f} ms")


def take(window: Browser, picture: Picture) -> None:
    """Writes docs/landing-NAME.png; raises SystemExit where it is larger than a page of documentation should load."""
    fleet = Fleet()
    picture.story(fleet)
    with served(resources(fleet.store, fleet.clock)) as port:
        window.screen(picture.width, picture.height, scale=picture.scale, mobile=picture.mobile, dark=picture.dark)
        window.open(f"http://127.0.0.1:{port}/")
        window.until("answer !== null")
        png = window.picture()
    path = DOCS / f"landing-{picture.name}.png"
    path.write_bytes(_reduced(png))
    size = path.stat().st_size
    print(f"{path.name}: {size} bytes")
    if size > MAX_BYTES:
        raise SystemExit(f"{path.name} is larger than {MAX_BYTES} bytes")


def first(window: Browser) -> float:
    """Milliseconds from an answer with many streams to a page that is laid out."""
    fleet = Fleet()
    ring = fleet.driver("many")
    for number in range(STREAMS):
        stream(ring, f"stream_{number:03}", batch=number)
    fleet.look()
    with served(resources(fleet.store, fleet.clock)) as port:
        window.screen(1360, 900)
        window.open(f"http://127.0.0.1:{port}/")
        window.until("answer !== null")
        window.run("for (const row of TABLES.streams.rows.values()) row.remove(); TABLES.streams.rows.clear();")
        return _shown(window)


def again(window: Browser) -> float:
    """The same where every row is there already, and every one says something new."""
    window.run("for (const one of answer.streams) { one.last_signal_age_seconds += 5; one.last_batch.id += 1; }")
    return _shown(window)


def _reduced(png: bytes) -> bytes:
    """The same in 128 colours, a third of its size: text on a plain ground does not miss the others."""
    return subprocess.run(
        ["pngquant", "--speed", "1", "--strip", "128", "-"], input=png, stdout=subprocess.PIPE, check=True
    ).stdout


def _shown(window: Browser) -> float:
    script = "const began = performance.now(); show(); document.body.offsetHeight; return performance.now() - began;"
    return float(window.run(script))


if __name__ == "__main__":
    main()
