"""exporter/sources/databricks_sdk.py, with a Config of the test's own in the place of the SDK's."""

import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType

import pytest

from exporter.errors import Reason, SourceError
from exporter.secret import Secret
from exporter.sources.databricks_sdk import SdkCredentials, sdk_config
from exporter.sources.http import Headers
from tests.e2e.waiting import eventually

CANARY = "tOkEn-of-43-characters-that-nobody-may-print"
SETTINGS = {"host": "https://host", "auth_type": "azure-client-secret"}


class Time:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Config:
    """What the SDK's Config does for us: counts how often it is made and asked."""

    def __init__(self, made: list[str], authenticate: Callable[[], dict[str, str]]) -> None:
        self._made = made
        self._authenticate = authenticate
        made.append("config")

    def authenticate(self) -> dict[str, str]:
        self._made.append("asked")
        return self._authenticate()


def bearer(token: str) -> Headers:
    return {"Authorization": Secret(f"Bearer {token}"), "X-Other": Secret("x y")}


def refused(
    credentials: SdkCredentials, seconds: float = 10, clock: Callable[[], float] = time.monotonic
) -> tuple[Reason, str]:
    """Why there are no headers; fails where the secret is anywhere in what is raised."""
    with pytest.raises(SourceError) as raised:
        credentials.headers(clock() + seconds)
    assert CANARY not in "".join(traceback.format_exception(raised.value))
    return raised.value.reason, str(raised.value)


def test_headers() -> None:
    """The SDK's headers are kept for a minute, its Config for good; after a refusal both are made anew, but not at once."""
    passing, made, tokens = Time(), list[str](), iter("abcd")

    def configure(settings: Mapping[str, str]) -> Config:
        assert settings == SETTINGS
        return Config(made, lambda: {"Authorization": f"Bearer {next(tokens)}", "X-Other": "x y"})

    credentials = SdkCredentials("workspace prod", SETTINGS, passing, configure)

    assert [credentials.headers(2000) for _ in range(2)] == [bearer("a")] * 2
    passing.now += 60
    assert credentials.headers(2000) == bearer("b")
    assert made == ["config", "asked", "asked"]
    assert credentials.headers(2000, bearer("b")) == bearer("b")
    passing.now += 10
    assert credentials.headers(2000, bearer("b")) == bearer("c")
    assert credentials.headers(2000, bearer("b")) == bearer("c")
    assert made == ["config", "asked", "asked", "config", "asked"]


def test_hanging() -> None:
    """What hangs in the SDK costs callers their deadline, and is one thread; once it answers, that is the answer."""
    made: list[str] = []
    let = threading.Event()

    def slowly() -> dict[str, str]:
        let.wait(10)
        return {"Authorization": "Bearer a", "X-Other": "x y"}

    credentials = SdkCredentials("workspace prod", SETTINGS, configure=lambda settings: Config(made, slowly))
    began = time.monotonic()
    outcomes = [refused(credentials, 0.2) for _ in range(3)]

    silent = (Reason.TIMEOUT, "workspace prod: the Databricks SDK gives no credentials before the deadline")
    assert outcomes == [silent] * 3
    assert time.monotonic() - began < 1.2
    assert made == ["config", "asked"]
    let.set()
    assert credentials.headers(time.monotonic() + 5) == bearer("a")
    eventually(lambda: not any(each.name == "workspace prod-sdk" for each in threading.enumerate()), "it ends", within=5)


def test_failures() -> None:
    """What the SDK raises is told by its class alone; the next call tries again."""
    answers: Iterator[Exception | dict[str, str]] = iter(
        (
            ValueError(f"token={CANARY}"),
            {"Authorization": f"a\n{CANARY}"},
            {"Authorization": "Bearer a", "X-Other": "x y"},
        )
    )

    def authenticate() -> dict[str, str]:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    credentials = SdkCredentials("workspace prod", SETTINGS, configure=lambda settings: Config([], authenticate))

    assert refused(credentials) == (Reason.UNAUTHORIZED, "workspace prod: the Databricks SDK does not sign in (ValueError)")
    assert refused(credentials) == (Reason.BAD_ANSWER, "workspace prod: the Databricks SDK gives what fits into no header")
    assert credentials.headers(time.monotonic() + 10) == bearer("a")


def test_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra it is said how to install it."""
    monkeypatch.setitem(sys.modules, "databricks", None)

    assert refused(SdkCredentials("workspace prod", SETTINGS)) == (
        Reason.UNREADABLE,
        "workspace prod: the Databricks SDK is not installed: pip install lakehouse-exporter[sdk-auth]",
    )


def test_config(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK's own patience is short, and the settings are all that it is given."""
    core = ModuleType("databricks.sdk.core")
    core.Config = dict  # type: ignore[attr-defined]
    for name in ("databricks", "databricks.sdk"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, "databricks.sdk.core", core)

    assert sdk_config(SETTINGS) == {**SETTINGS, "http_timeout_seconds": 5, "retry_timeout_seconds": 5}
