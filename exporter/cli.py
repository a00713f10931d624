"""The command line: flags to settings, commands to functions; every flag has an environment twin."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from exporter import __version__, config, jars
from exporter.errors import ConfigError, StorageError

COMMANDS = ("serve", "jar", "demo")
FAILED, MISUSED = 1, 2


def main(argv: Sequence[str] | None = None, environ: Mapping[str, str] | None = None) -> int:
    """Runs one command; the exit code is 0, 1 for what failed, 2 for settings that can't be used."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or (words[0] not in COMMANDS and words[0] not in ("-h", "--help", "--version")):
        words.insert(0, "serve")
    arguments = _parser().parse_args(words)
    environment = os.environ if environ is None else environ
    commands = {"serve": _serve, "jar": _jar, "demo": _demo}
    return commands[arguments.command](arguments, environment)


def _serve(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    from exporter import daemon, log
    from exporter.stopping import signals

    try:
        settings = config.load(_flags(arguments), environ, _file(arguments, environ))
        log.configure(settings.log.level, settings.log.format)
        with signals(signal.SIGTERM, signal.SIGINT) as told:
            daemon.serve(settings, told)
    except ConfigError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)
        return MISUSED
    except (StorageError, OSError) as error:
        print(f"lakehouse-exporter: {error}", file=sys.stderr)
        return FAILED
    return 0


def _jar(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
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
    parser = argparse.ArgumentParser(
        prog="lakehouse-exporter", description="Prometheus exporter for Databricks and Apache Spark."
    )
    parser.add_argument("--version", action="version", version=f"lakehouse-exporter {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    serve = commands.add_parser("serve", help="follow drivers and serve their metrics (the default)", allow_abbrev=False)
    serve.add_argument("--config.file", dest="config_file", metavar="FILE", help="YAML file of settings")
    for setting in config.settings():
        default = f" [{setting.default}]" if setting.default else ""
        serve.add_argument(
            setting.flag,
            dest=setting.key,
            action="append" if setting.repeatable else "store",
            metavar="VALUE",
            help=f"{setting.help}{default}".replace("%", "%%"),
        )
    jar = commands.add_parser("jar", help="print the path of the listener's jar, for spark-submit --jars")
    jar.add_argument("--scala", choices=jars.LINES, help="Scala line; without it, the one of the Spark found here")
    demo = commands.add_parser(
        "demo", help="run a local Spark with streams that each show something, and the exporter beside it"
    )
    demo.add_argument("--seconds", type=float, help="end after so many seconds; without it, run until interrupted")
    return parser


def _flags(arguments: argparse.Namespace) -> dict[str, object]:
    given = {setting.key: getattr(arguments, setting.key) for setting in config.settings()}
    return {key: value for key, value in given.items() if value is not None}


def _file(arguments: argparse.Namespace, environ: Mapping[str, str]) -> Path | None:
    named = arguments.config_file or environ.get(f"{config.ENVIRONMENT_PREFIX}CONFIG_FILE")
    return Path(named) if named else None
