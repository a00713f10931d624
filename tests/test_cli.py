"""exporter/cli.py and exporter/__main__.py"""

import json
import os
import runpy
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import pytest

from exporter import __version__, config, jars
from exporter.cli import main
from tests.e2e.waiting import eventually

Told = tuple[int | str | None, str, str]


class Run(Protocol):
    """Runs the command in this process: exit code, standard output, standard error."""

    def __call__(self, *words: str, environ: Mapping[str, str] | None = None) -> Told: ...


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*words: str, environ: Mapping[str, str] | None = None) -> Told:
        code: int | str | None
        try:
            code = main(words, environ or {})
        except SystemExit as ended:  # argparse's way out
            code = ended.code
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def test_version(run: Run) -> None:
    """--version prints name and version."""
    assert run("--version") == (0, f"lakehouse-exporter {__version__}\n", "")


@pytest.mark.parametrize("words", [["--help"], ["-h"]])
def test_help(words: list[str], run: Run) -> None:
    """--help names every command."""
    code, out, err = run(*words)

    assert (code, err) == (0, "")
    assert [command for command in ("serve", "check", "expected", "jar", "demo") if f"\n    {command} " not in out] == []


def test_help_of_serve(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Serve --help names every flag, with its default."""
    monkeypatch.setenv("COLUMNS", "1000")
    code, out, err = run("serve", "--help")
    shown = " ".join(out.split())

    assert (code, err) == (0, "")
    assert [setting.flag for setting in config.settings() if setting.flag not in shown] == []
    assert [setting.key for setting in config.settings() if setting.default and f"[{setting.default}]" not in shown] == []
    assert "--config.file" in shown


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["serv"], "invalid choice: 'serv'"),
        (["serve", "now"], "unrecognized arguments: now"),
        (["--log.levle", "debug"], "unrecognized arguments: --log.levle debug"),
        (["--log.lev", "debug"], "unrecognized arguments: --log.lev debug"),
        (["--log.level"], "argument --log.level: expected one argument"),
        (["jar", "--scala", "2.11"], "argument --scala: invalid choice: '2.11'"),
        (["demo", "--seconds", "soon"], "argument --seconds: invalid float value: 'soon'"),
    ],
)
def test_misused(words: list[str], problem: str, run: Run) -> None:
    """A word or flag that is not known, shortened, or wrong, is exit code 2 and told on standard error."""
    code, out, err = run(*words)

    assert (code, out) == (2, "")
    assert problem in err


@pytest.mark.parametrize("words", [["serve"], []])
def test_bad_settings(words: list[str], run: Run, tmp_path: Path) -> None:
    """Settings that can't be used are exit code 2, with every problem on a line; serve is what is run without a command."""
    file = tmp_path / "config.yaml"
    file.write_text("lgo: {}\n")
    environ = {"LAKEHOUSE_EXPORTER_DRIVERS_EVERY": "never", "LAKEHOUSE_EXPORTER_CONFIG_FILE": str(file)}

    assert run(*words, "--log.format=xml", environ=environ) == (
        2,
        "",
        (
            f"{file}: unknown key 'lgo'; did you mean 'log'?\n"
            "LAKEHOUSE_EXPORTER_DRIVERS_EVERY: 'never' is no duration; write 90s, 10m or 1h30m\n"
            "--log.format: 'xml' is none of logfmt, json\n"
        ),
    )


def test_config_file_flag(run: Run, tmp_path: Path) -> None:
    """--config.file wins over its twin in the environment; one that is missing is exit code 2."""
    environ = {"LAKEHOUSE_EXPORTER_CONFIG_FILE": str(tmp_path)}

    assert run(f"--config.file={tmp_path}/no.yaml", environ=environ) == (
        2,
        "",
        f"{tmp_path}/no.yaml: No such file or directory\n",
    )


@pytest.mark.parametrize("line", jars.LINES)
def test_jar(line: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`jar` prints the path of the jar, and nothing else, for both Scala lines."""
    built = tmp_path / f"lakehouse-listener_{line}.jar"
    built.touch()
    monkeypatch.setattr(jars, "path", lambda line: tmp_path / f"lakehouse-listener_{line}.jar")

    assert run("jar", "--scala", line) == (0, f"{built}\n", "")


@pytest.mark.parametrize(("library", "line"), [("scala-library-2.12.18.jar", "2.12"), (None, "2.13")])
def test_jar_of_this_spark(library: str | None, line: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without --scala it is the jar for the Spark that is here, and for the newest line where there is none."""
    (tmp_path / "jars").mkdir()
    if library:
        (tmp_path / "jars" / library).touch()
    built = tmp_path / f"lakehouse-listener_{line}.jar"
    built.touch()
    monkeypatch.setattr(jars, "path", lambda line: tmp_path / f"lakehouse-listener_{line}.jar")

    assert run("jar", environ={"SPARK_HOME": str(tmp_path)}) == (0, f"{built}\n", "")


def test_jar_of_another_line(run: Run, tmp_path: Path) -> None:
    """A Spark whose Scala line has no listener is exit code 1 and told."""
    (tmp_path / "jars").mkdir()
    (tmp_path / "jars" / "scala-library-2.11.12.jar").touch()

    assert run("jar", environ={"SPARK_HOME": str(tmp_path)}) == (
        1,
        "",
        "no listener for Scala 2.11; there is one for 2.12 and 2.13\n",
    )


def test_missing_jar(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A jar that was not built is exit code 1, with what to do."""
    monkeypatch.setattr(jars, "path", lambda line: tmp_path / line)

    assert run("jar", "--scala", "2.13") == (
        1,
        "",
        f"{tmp_path}/2.13 is missing: install the wheel, or run `make jars` in a checkout\n",
    )


def test_module(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """`python -m exporter` is the command, exit code included."""
    wrong = subprocess.run([sys.executable, "-m", "exporter", "serv"], capture_output=True, text=True, check=False)
    monkeypatch.setattr(sys, "argv", ["exporter", "--version"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("exporter", run_name="__main__")

    assert (ended.value.code, capsys.readouterr().out) == (0, f"lakehouse-exporter {__version__}\n")
    assert wrong.returncode == 2


@pytest.mark.usefixtures("handlers")
def test_serve(run: Run, tmp_path: Path) -> None:
    """serve, ended by SIGTERM, is exit code 0, and its log is on standard error."""

    def end() -> None:
        eventually(lambda: any(thread.name == "drivers" for thread in threading.enumerate()), "it follows", within=10)
        os.kill(os.getpid(), signal.SIGTERM)

    ending = threading.Thread(target=end)
    ending.start()
    code, out, err = run("--web.listen-address=127.0.0.1:0", f"--drivers.dir={tmp_path}", "--log.format=json")
    ending.join(10)

    assert (code, out) == (0, "")
    assert [json.loads(line)["event"] for line in err.splitlines()] == ["serving", "ended"]
