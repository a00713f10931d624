"""The command line: flags to settings, commands to functions; every flag has an environment twin."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING

from exporter import __version__
from exporter.errors import ConfigError, Reason, StorageError
from exporter.stopping import signals

if TYPE_CHECKING:
    from exporter.check import Finding
    from exporter.config import Config
    from exporter.sources.drivers import Drivers

# The last as a shell has it for a command that SIGINT ended.
FAILED, MISUSED, INTERRUPTED = 1, 2, 130
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def main(argv: Sequence[str] | None = None, environ: Mapping[str, str] | None = None) -> int:
    """Runs one command; the exit code is 0, 1 for what failed, 2 for settings that can't be used."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or (words[0].startswith("-") and words[0] not in ("-h", "--help", "--version")):
        words.insert(0, "serve")
    environment = os.environ if environ is None else environ
    # First of all: who is told to end while it starts shall end as it would later.
    heard = signals(*SIGNALS, for_good=True) if words[0] == "serve" else contextlib.nullcontext()
    try:
        with heard as told:
            return _run(_parser().parse_args(words), environment, told)
    except ConfigError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)
        return MISUSED
    except (StorageError, OSError) as error:
        print(f"lakehouse-exporter: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED


def _run(arguments: argparse.Namespace, environ: Mapping[str, str], told: SimpleQueue[int] | None) -> int:
    if arguments.command == "serve" and told is not None:
        from exporter import daemon

        daemon.serve(lambda: _config(arguments, environ), told)
        return 0
    commands = {"check": _check, "expected": _expected, "jar": _jar, "demo": _demo}
    return commands[arguments.command](arguments, environ)


def _check(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    from exporter import check, workspaces

    settings = _config(arguments, environ)
    with contextlib.closing(_drivers(settings)) as source:
        findings = list(check.findings(settings, source, time.time))
    named = workspaces.named(settings.workspaces, environ)
    findings += check.of_workspaces(workspaces.clients(named, environ, threading.Event()), time.monotonic)
    return _shown(("CHECKED", "NAME", "RESULT", "DETAIL"), findings, environ)


def _expected(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    from exporter import check, terminal

    settings = _config(arguments, environ)
    with contextlib.closing(_drivers(settings)) as source:
        state, failed = check.looked(source, time.time)
    silent = [one for one in failed if one.reason is not Reason.REFUSED]  # who refuses is gone, and runs nothing
    for one in silent:
        print(terminal.clean(f"not read: {one.app_id or settings.drivers.dir}: {one.message}"), file=sys.stderr)
    if arguments.learn:
        print(check.learned(state), end="")
        return FAILED if silent else 0
    findings = list(check.inventory(settings, state))
    if not findings:
        print("no stream is expected; --learn prints what runs now, for the configuration file", file=sys.stderr)
        return FAILED if silent else 0
    return max(_shown(("APP", "QUERY", "RESULT", "DETAIL"), findings, environ), FAILED if silent else 0)


def _shown(head: Sequence[str], findings: Sequence[Finding], environ: Mapping[str, str]) -> int:
    from exporter import check, terminal

    bad = (check.FAILED, check.MISSING)
    colours = {check.OK: terminal.GREEN, check.GONE: terminal.YELLOW, **dict.fromkeys(bad, terminal.RED)}
    print(*terminal.table(head, findings, colours, terminal.painter(sys.stdout, environ)), sep="\n")
    return FAILED if any(finding.result in bad for finding in findings) else 0


def _drivers(settings: Config) -> Drivers:
    from exporter import log
    from exporter.sources.drivers import Drivers

    log.configure("error", settings.log.format)
    return Drivers(Path(settings.drivers.dir), time.time, time.monotonic)


def _jar(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    from exporter import jars

    line = arguments.scala or jars.scala_line(environ) or jars.LINES[-1]
    if line not in jars.LINES:
        print(f"no listener for Scala {line}; there is one for {' and '.join(jars.LINES)}", file=sys.stderr)
        return FAILED
    found = jars.path(line)
    if not found.is_file():
        print(f"{found} is missing: install the wheel, or run `make jars` in a checkout", file=sys.stderr)
        return FAILED
    print(found)
    return 0


def _demo(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    from exporter.demo import run

    return run.main(arguments.seconds, environ)


def _parser() -> argparse.ArgumentParser:
    from exporter import jars

    parser = argparse.ArgumentParser(
        prog="lakehouse-exporter",
        description="Prometheus exporter for Databricks and Apache Spark.",
        epilog="Without a command it serves. All settings: lakehouse-exporter serve --help",
    )
    parser.add_argument("--version", action="version", version=f"lakehouse-exporter {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    with_settings = _settings()
    commands.add_parser(
        "serve", help="follow drivers and serve their metrics (the default)", parents=[with_settings], allow_abbrev=False
    )
    commands.add_parser(
        "check",
        help="read the settings, try what they name once, and say how it went",
        parents=[with_settings],
        allow_abbrev=False,
    )
    expected = commands.add_parser(
        "expected", help="say which of the expected streams run", parents=[with_settings], allow_abbrev=False
    )
    expected.add_argument("--learn", action="store_true", help="print what runs now as the settings' block `expected`")
    jar = commands.add_parser("jar", help="print the path of the listener's jar, for spark-submit --jars")
    jar.add_argument("--scala", choices=jars.LINES, help="Scala line; without it, the one of the Spark found here")
    demo = commands.add_parser(
        "demo", help="run a local Spark with streams that each show something, and the exporter beside it"
    )
    demo.add_argument("--seconds", type=float, help="end after so many seconds; without it, run until interrupted")
    return parser


def _settings() -> argparse.ArgumentParser:
    """The flags of all commands that read settings."""
    from exporter import config

    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--config.file", dest="config_file", metavar="FILE", help="YAML file of settings")
    for setting in config.settings():
        default = f" [{setting.default}]" if setting.default else ""
        help_ = f"{setting.help}{default}".replace("%", "%%")
        if setting.boolean:
            parser.add_argument(setting.flag, dest=setting.key, action=argparse.BooleanOptionalAction, default=None, help=help_)
        else:
            action = "append" if setting.repeatable else "store"
            parser.add_argument(setting.flag, dest=setting.key, action=action, metavar="VALUE", help=help_)
    return parser


def _config(arguments: argparse.Namespace, environ: Mapping[str, str]) -> Config:
    """The settings as flags, environment and file are now; raises ConfigError."""
    from exporter import config

    given = {setting.key: getattr(arguments, setting.key) for setting in config.settings()}
    file = Path(arguments.config_file) if arguments.config_file else config.file_of(environ)
    return config.load({key: value for key, value in given.items() if value is not None}, environ, file)
