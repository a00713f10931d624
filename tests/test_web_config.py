"""exporter/web_config.py; tests/web-config holds one thing a file, with its verdict in the file's first line.

`good` and `bad: MESSAGE` are promtool's verdict, too; `stricter: MESSAGE` is refused here alone; `newer` is what promtool does
not know yet.
"""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
from pathlib import Path

import pytest

from exporter.errors import ConfigError
from exporter.web_config import Rate, read
from tests.certificates import Authority

FILES = sorted((Path(__file__).parent / "web-config").iterdir())
HASH = b"$2y$10$XNZgsC2NKtzXFUMkHHDjluBSZBv47jqLqBdSS7W9eKq3xGcQkZcnS"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files, and the certificates that they name."""
    made = tmp_path_factory.mktemp("web-config")
    Authority().write(made)
    for file in FILES:
        shutil.copy(file, made)
    return made


def verdict(file: Path) -> tuple[str, str]:
    kind, _, message = file.read_text().splitlines()[0].removeprefix("# ").partition(": ")
    return kind, message


def problems(file: Path) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as raised:
        read(file)
    return raised.value.problems


@pytest.mark.parametrize("name", [file.name for file in FILES])
def test_file(name: str, folder: Path) -> None:
    """A good file is read; a bad one is one problem, which begins with the file and names the place."""
    kind, message = verdict(folder / name)
    if message:
        (problem,) = problems(folder / name)

        assert problem.startswith(f"{folder / name}: ")
        assert message in problem
        assert "\n" not in problem
        assert "secret" not in problem
    else:
        assert kind in ("good", "newer")
        read(folder / name)


def test_promtool(folder: Path) -> None:
    """On what both know, the verdict on each of at least 60 files is promtool's."""
    shared = {
        name: kind for name in sorted(file.name for file in FILES) if (kind := verdict(folder / name)[0]) in ("good", "bad")
    }
    found = {
        name: "bad"
        if subprocess.run(["promtool", "check", "web-config", folder / name], capture_output=True, check=False).returncode
        else "good"
        for name in shared
    }

    assert len(shared) >= 60
    assert found == shared


def test_every_problem(tmp_path: Path) -> None:
    """Problems of all sections are told at once, each with its place; no value is quoted, for it may be a secret."""
    file = tmp_path / "web.yml"
    file.write_text(
        "tls_server_config: {cert_file: none.pem, min_version: hunter2}\nbasic_auth_users: {a: hunter2}\n"
        "http_server_config: {http2: hunter2, headers: {X-Frame-Options: hunter2}}\nrate_limit: {burst: hunter2}\nx: hunter2\n"
    )

    assert problems(file) == (
        f"{file}: unknown key 'x'",
        f"{file}: basic_auth_users.a: not a bcrypt hash",
        f"{file}: http_server_config.http2: true or false is expected",
        f"{file}: http_server_config.headers.X-Frame-Options: none of deny, sameorigin",
        f"{file}: rate_limit.burst: a number of requests, at least 1, is expected",
        f"{file}: tls_server_config.min_version: none of TLS10, TLS11, TLS12, TLS13",
        f"{file}: tls_server_config.cert_file: {tmp_path}/none.pem: No such file",
        f"{file}: tls_server_config: key_file is missing",
    )


def test_contents(folder: Path) -> None:
    """What is read is what the file says."""
    tls = read(folder / "client-ca.yml")

    assert read(folder / "empty.yml")[:5] == (None, frozenset(), (), {}, None)
    assert read(folder / "user.yml").users == {"prometheus": HASH}
    assert read(folder / "header-number.yml").headers == (("X-XSS-Protection", "0"),)
    assert read(folder / "rate-limit.yml").rate == Rate(90.0, 5)
    assert read(folder / "rate-limit-off.yml").rate is None
    assert read(folder / "allowed-sans.yml").allowed_names == {"prometheus.example"}
    assert tls.context is not None
    assert tls.context.verify_mode == ssl.CERT_REQUIRED
    assert tls.context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert [file.name for file in tls.files] == ["client-ca.yml", "cert.pem", "key.pem", "ca.pem"]


def test_inline(folder: Path) -> None:
    """Certificate and key may stand in the file itself; of both spellings the file's name wins."""
    file = folder / "inline.yaml"
    indented = {name: (folder / f"{name}.pem").read_text().replace("\n", "\n    ") for name in ("cert", "key")}
    file.write_text("tls_server_config:\n" + "".join(f"  {name}: |\n    {text}\n" for name, text in indented.items()))

    assert read(file).context is not None
    file.write_text("tls_server_config: {cert: junk, key: junk, cert_file: cert.pem, key_file: key.pem}\n")
    assert read(file).context is not None


@pytest.mark.parametrize(
    ("text", "seconds"), [("1s", 1.0), ("250ms", 0.25), ("1h", 3600.0), ("1000000000", 1.0), ('"0"', None)]
)
def test_interval(text: str, seconds: float | None, tmp_path: Path) -> None:
    """An interval is a duration as Go writes it; a bare number is nanoseconds."""
    file = tmp_path / "web.yml"
    file.write_text(f"rate_limit: {{interval: {text}, burst: 1}}\n")
    rate = read(file).rate

    assert (rate.interval if rate else None) == seconds


def test_no_ciphers_but_new(folder: Path) -> None:
    """Ciphers of TLS 1.3 alone leave no TLS 1.2."""
    context = read(folder / "ciphers-13.yml").context

    assert context is not None
    assert context.minimum_version == ssl.TLSVersion.TLSv1_3


def test_no_file(tmp_path: Path) -> None:
    """A file that is not there, or a pipe in the place of a certificate, is a problem and no wait."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "web.yml").write_text("tls_server_config: {cert_file: pipe, key_file: pipe}\n")

    assert problems(tmp_path / "none.yml") == (f"{tmp_path}/none.yml: No such file or directory",)
    assert len(problems(tmp_path / "web.yml")) == 2
