"""exporter/demo/workspace/__main__.py"""

import json
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from queue import SimpleQueue

import pytest

from exporter.demo.workspace.__main__ import parser, serve


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_process(tmp_path: Path, ending: signal.Signals) -> None:
    """As a process it says its address on one line, answers there with the fault ordered, and ends in peace when asked to."""
    ledger = tmp_path / "ledger.jsonl"
    arguments = ["--seed", "3", "--speed", "60", "--cron-jobs", "4", "--ledger", str(ledger), "--fault", "status=503"]
    command = [sys.executable, "-m", "exporter.demo.workspace", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            url = process.stdout.readline().strip()
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(f"{url}/.well-known/databricks-config", timeout=20)
            refused.value.close()
            process.send_signal(ending)
            _, errors = process.communicate(timeout=20)
        finally:
            process.kill()

    assert refused.value.code == 503
    assert (process.returncode, errors) == (0, "")
    assert {json.loads(line)["event"] for line in ledger.read_text().splitlines()} == {"start", "end"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--fault", "sulk"], "argument --fault: no such fault: sulk; there are "),
        (["--every-minutes", "7"], "argument --every-minutes: no divisor of 60: 7"),
    ],
)
def test_wrong_argument(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A value that makes no sense is told on one line, with exit code 2."""
    with pytest.raises(SystemExit) as ended:
        parser().parse_args(arguments)

    assert ended.value.code == 2
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_options(capsys: pytest.CaptureFixture[str]) -> None:
    """It serves until something is told, and says where first."""
    told: SimpleQueue[int] = SimpleQueue()
    told.put(15)
    serve(parser().parse_args(["--begin", "2000000000", "--every-minutes", "30", "--fault", "strings"]), told)

    assert re.fullmatch(r"http://127\.0\.0\.1:\d+\n", capsys.readouterr().out)
