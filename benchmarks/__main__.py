"""Runs benchmarks, all or the parts that are named, prints what they find, and writes docs/performance.md where all ran."""

from __future__ import annotations

import argparse
import datetime as dt
import importlib.metadata
import os
import platform
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks import front, hostile, life, listener, pages, report
from benchmarks.report import Figure, Part
from exporter import __version__

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
PARTS = (life.PART, pages.PART, front.PART, hostile.PART, listener.PART)


def main(arguments: Sequence[str]) -> int:
    """Runs them; 1 where a goal was missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "parts", nargs="*", metavar="PART", help=f"{', '.join(part.name for part in PARTS)}; all where none is named"
    )
    asked = parser.parse_args(arguments).parts
    if unknown := set(asked) - {part.name for part in PARTS}:
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    found = [(part, _run(part)) for part in PARTS if not asked or part.name in asked]
    missed = [(part, figure) for part, figures in found for figure in figures if figure.missed]
    for part, figure in missed:
        print(f"missed, {part.name}:{report.line(figure)}")
    if len(found) == len(PARTS):
        PAGE.write_text(report.page(found, _machine()), encoding="utf-8")
        print(f"written: {PAGE}")
    return int(bool(missed))


def _run(part: Part) -> list[Figure]:
    """The figures of a part, each shown as soon as it is there."""
    print(f"{part.name}: {part.title}", flush=True)
    began = time.monotonic()
    figures = []
    for figure in part.measure():
        print(report.line(figure), flush=True)
        figures.append(figure)
    print(f"  ({time.monotonic() - began:.0f} s)\n", flush=True)
    return figures


def _machine() -> Mapping[str, str]:
    """What the figures were measured on, and what was measured."""
    processors = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in processors if line.startswith("model name")), platform.machine())
    return {
        "lakehouse-exporter": __version__,
        "date": dt.datetime.now(dt.timezone.utc).date().isoformat(),
        "processor": f"{model}, {os.cpu_count()} cores",
        "system": f"{platform.system()} {platform.release()}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "nginx": front.nginx_version(),
        "prometheus_client": importlib.metadata.version("prometheus_client"),
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
