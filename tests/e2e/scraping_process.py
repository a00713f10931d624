"""A scraper as a process of its own, so that nobody else's work is in its times: scrapes until its standard input ends.

Argument: the address of the page. It then says how long each page took, in seconds, and what stood on the last one.
"""

from __future__ import annotations

import json
import sys
import threading
import time
import urllib.request

PAUSE = 0.05


def main(url: str) -> None:
    over = threading.Event()
    threading.Thread(target=wait, args=(over,), daemon=True).start()
    times, page = [], b""
    while not over.wait(PAUSE):
        began = time.monotonic()
        with urllib.request.urlopen(url, timeout=10) as answer:
            page = answer.read()
        times.append(time.monotonic() - began)
    json.dump({"times": times, "page": page.decode()}, sys.stdout)


def wait(over: threading.Event) -> None:
    """Sets `over` when the standard input ends."""
    sys.stdin.read()
    over.set()


if __name__ == "__main__":
    main(*sys.argv[1:])
