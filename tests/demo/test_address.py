"""exporter/demo/address.py"""

import socket

import pytest

from exporter.demo import address
from exporter.demo.address import Address
from exporter.errors import DemoError


def test_free_port() -> None:
    """A port that the system may choose is chosen, and nobody listens on it yet."""
    chosen = address.chosen({address.VARIABLE: "127.0.0.1:0"})
    with socket.create_server(("127.0.0.1", chosen.port)):
        assert chosen.host == "127.0.0.1"


@pytest.mark.parametrize("text", [":0", "[::1]:0"])
def test_every_family(text: str) -> None:
    """Every address, and one of IPv6."""
    if not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")
    chosen = address.chosen({address.VARIABLE: text, "LAKEHOUSE_EXPORTER_LOG_LEVEL": "no"})

    assert chosen == Address(text[:-2].strip("[]"), chosen.port)


def test_taken() -> None:
    """A port that is taken is told with what to do about it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(DemoError) as caught:
            address.chosen({address.VARIABLE: place})

    assert str(caught.value) == (
        f"can't listen on {place} (Address already in use): end what listens there, or set {address.VARIABLE}=:PORT"
    )


def test_misspelt() -> None:
    """An address that is none is told as everywhere else."""
    with pytest.raises(DemoError, match=f"^{address.VARIABLE}: 'no' is no listen address"):
        address.chosen({address.VARIABLE: "no"})


@pytest.mark.parametrize(
    ("place", "flag", "url"),
    [
        (Address("", 1), ":1", "http://127.0.0.1:1"),
        (Address("0.0.0.0", 1), "0.0.0.0:1", "http://127.0.0.1:1"),  # noqa: S104  named, not listened on
        (Address("::", 1), "[::]:1", "http://[::1]:1"),
        (Address("::1", 1), "[::1]:1", "http://[::1]:1"),
        (Address("10.0.0.1", 1), "10.0.0.1:1", "http://10.0.0.1:1"),
    ],
)
def test_spellings(place: Address, flag: str, url: str) -> None:
    """For the exporter it is written as it was given, for people as it can be opened."""
    assert (place.flag, place.url) == (flag, url)
