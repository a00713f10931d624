"""exporter/sources/address.py"""

import pytest

from exporter.errors import ConfigError
from exporter.secret import Secret
from exporter.sources.address import address, environment_proxy, is_loopback, proxy

CANARY = "tOkEn-of-43-characters-that-nobody-may-print"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://adb-1.2.azuredatabricks.net", "https://adb-1.2.azuredatabricks.net"),
        ("https://Prod.cloud.databricks.com/", "https://prod.cloud.databricks.com"),
        ("prod.cloud.databricks.com", "https://prod.cloud.databricks.com"),
        ("prod.cloud.databricks.com:8443", "https://prod.cloud.databricks.com:8443"),
        ("https://[2001:db8::1]:8443", "https://[2001:db8::1]:8443"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://localhost", "http://localhost"),
        ("http://[::1]:1", "http://[::1]:1"),
    ],
)
def test_address(text: str, expected: str) -> None:
    """A workspace's address is a scheme, a host and perhaps a port; without TLS on this machine alone."""
    assert address("workspace prod", text) == expected


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("http://prod.cloud.databricks.com", "can't be used: http is for this machine alone: https is wanted"),
        ("http://localhost.evil.example", "can't be used: http is for this machine alone: https is wanted"),
        ("ftp://127.0.0.1", "can't be used: its scheme is neither https nor http"),
        (f"https://me:{CANARY}@host", "can't be used: it holds a user or a password"),
        (f"https://{CANARY}@host", "can't be used: it holds a user or a password"),
        ("https://@host", "can't be used: it holds a user or a password"),
        ("https://host/path", "can't be used: it holds a path"),
        (f"https://host?token={CANARY}", "can't be used: it holds a query or a fragment"),
        ("https://host/?", "can't be used: it holds a query or a fragment"),
        ("https://host#", "can't be used: it holds a query or a fragment"),
        ("https://", "can't be used: its host is no name and no IP address"),
        ("", "can't be used: its host is no name and no IP address"),
        ("https://a..b", "can't be used: its host is no name and no IP address"),
        ("https://a_b", "can't be used: its host is no name and no IP address"),
        ("https://[fe80::1%25eth0]", "can't be used: its host is no name and no IP address"),
        ("https://host:0", "can't be used: port 0"),
        ("https://host:99999", "is none: https://HOST is wanted"),
        ("https://host:x", "is none: https://HOST is wanted"),
        ("https://[::1", "is none: https://HOST is wanted"),
        ("https://ho\nst", "is none: https://HOST is wanted"),
        ("https://ho st", "is none: https://HOST is wanted"),
        ("https://höst", "is none: https://HOST is wanted"),
    ],
)
def test_bad_address(text: str, what: str) -> None:
    """All else is refused with the name of whose address it is, and without a word of it."""
    with pytest.raises(ConfigError) as raised:
        address("workspace prod", text)

    assert raised.value.problems == (f"workspace prod: the address {what}",)


def test_proxy() -> None:
    """A proxy may bear a password, which is not shown, and is spoken to without TLS."""
    assert proxy("workspace prod", f"http://me:{CANARY}@proxy:3128") == Secret(f"http://me:{CANARY}@proxy:3128")
    for bad in (
        f"https://{CANARY}@proxy",
        f"http://{CANARY}@",
        "http://proxy:0",
        "http://proxy:x",
        "http://proxy/a",
        "socks5://p",
        "p",
    ):
        with pytest.raises(ConfigError) as raised:
            proxy("workspace prod", bad)
        assert raised.value.problems == ("workspace prod: the proxy can't be used: http://HOST:PORT is wanted",)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"HTTP_PROXY": "http://p:1"}, None),
        ({"HTTPS_PROXY": "http://p:1"}, "http://p:1"),
        ({"HTTPS_PROXY": "p:1"}, "http://p:1"),
        ({"HTTPS_PROXY": "http://p:1", "https_proxy": "http://q:1"}, "http://q:1"),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "*"}, None),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "a, cloud.databricks.com"}, None),
        ({"HTTPS_PROXY": "http://p:1", "no_proxy": ".Databricks.com"}, None),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "*.databricks.com"}, None),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "bricks.com,,rod.cloud.databricks.com"}, "http://p:1"),
    ],
)
def test_environment_proxy(environment: dict[str, str], expected: str | None) -> None:
    """Where the environment is asked it is HTTPS_PROXY that says how, and NO_PROXY for whom not."""
    found = environment_proxy("workspace prod", "https://prod.cloud.databricks.com:8443", environment)

    assert found == (None if expected is None else Secret(expected))
    assert environment_proxy("workspace prod", "http://127.0.0.1:1", environment) is None


def test_loopback() -> None:
    """This machine is localhost and the addresses of loopback."""
    hosts = ("localhost", "127.0.0.1", "127.9.9.9", "::1", "10.0.0.1", "0.0.0.0", "localhost.example", "")  # noqa: S104

    assert [host for host in hosts if is_loopback(host)] == ["localhost", "127.0.0.1", "127.9.9.9", "::1"]
