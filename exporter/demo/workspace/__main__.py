"""The simulated workspace as a process: says where it listens, and lets time pass until it is interrupted."""

from __future__ import annotations

import argparse
import signal
import time
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from queue import Empty, SimpleQueue

from exporter.demo.workspace.faults import Fault, Kind
from exporter.demo.workspace.server import simulated
from exporter.demo.workspace.world.sizes import Sizes
from exporter.stopping import signals

STEP_SECONDS = 0.5
MINUTES_AN_HOUR = 60


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs until SIGINT or SIGTERM; the first line on standard output is the workspace's address."""
    options = parser().parse_args(arguments)
    with signals(signal.SIGINT, signal.SIGTERM) as told:
        serve(options, told)
    return 0


def serve(options: argparse.Namespace, told: SimpleQueue[int]) -> None:
    """Serves a workspace by the options of the command line until something is told."""
    sizes = Sizes(**{one.name: getattr(options, one.name) for one in fields(Sizes)})
    begin = time.time() if options.begin is None else options.begin
    with simulated(
        options.seed, sizes, begin=begin, speed=options.speed, ledger=options.ledger, port=options.port
    ) as workspace:
        workspace.faults(*options.fault)
        print(workspace.url, flush=True)
        while True:
            try:
                told.get(timeout=STEP_SECONDS)
            except Empty:
                # A long silence of all clients must not leave one of them a day to wait for.
                workspace.now()
            else:
                return


def parser() -> argparse.ArgumentParser:
    """The command line; a wrong value is told on one line, with exit code 2."""
    found = argparse.ArgumentParser(prog="python -m exporter.demo.workspace", description=__doc__)
    found.add_argument("--port", type=int, default=0, help="on loopback; 0 is any that is free")
    found.add_argument("--seed", type=int, default=0, help="the same seed makes the same workspace")
    found.add_argument("--speed", type=float, default=1.0, help="seconds that pass in a second")
    found.add_argument("--begin", type=float, help="the first time, in epoch seconds; now where it is left out")
    found.add_argument("--ledger", type=Path, help="a file that starts and endings are added to, as lines of JSON")
    found.add_argument("--fault", type=_fault, action="append", default=[], help="KIND or KIND=VALUE; may be given again")
    for one in fields(Sizes):
        found.add_argument(
            f"--{one.name.replace('_', '-')}",
            type=_every if one.name == "every_minutes" else type(one.default),
            default=one.default,
            help="default %(default)s",
        )
    return found


def _every(text: str) -> int:
    minutes = int(text)
    if minutes < 1 or MINUTES_AN_HOUR % minutes:
        raise argparse.ArgumentTypeError(f"no divisor of {MINUTES_AN_HOUR}: {text}")
    return minutes


def _fault(text: str) -> Fault:
    kind, _, value = text.partition("=")
    kinds = {one.value: one for one in Kind}
    if kind not in kinds:
        raise argparse.ArgumentTypeError(f"no such fault: {kind}; there are {', '.join(kinds)}")
    return Fault(kinds[kind], value)


if __name__ == "__main__":
    raise SystemExit(main())
