"""exporter/lenient_json.py"""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter import lenient_json

ANY = msgspec.json.Decoder()


@pytest.mark.parametrize(
    ("document", "value"),
    [
        (b'{"a": "\\ud800x"}', {"a": "?x"}),
        (b'{"a": [NaN, -Infinity, 1]}', {"a": [None, None, 1]}),
        (b'{"a": "\\ud83d\\ude00"}', {"a": "😀"}),
        (b'"\xff"', "\N{REPLACEMENT CHARACTER}"),
    ],
)
def test_mended(document: bytes, value: object) -> None:
    """Half a surrogate, and a number that is none, cost themselves."""
    assert lenient_json.decode(ANY, document) == value


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (b'{"a":', "JSONDecodeError"),
        (b'{"a":"secret"}', "Expected `int`, got `str` - at `$[...]`"),
    ],
)
def test_unreadable(document: bytes, reason: str) -> None:
    """What stays unreadable is told without what it holds."""
    with pytest.raises(lenient_json.UNREADABLE) as raised:
        lenient_json.decode(msgspec.json.Decoder(dict[str, int]), document)

    assert lenient_json.reason(raised.value) == reason


def test_deep() -> None:
    """A document that is too deep to walk is one that can't be read."""
    with pytest.raises(lenient_json.UNREADABLE) as raised:
        lenient_json.decode(ANY, b"[" * 100_000 + b"]" * 100_000)

    assert lenient_json.reason(raised.value) == "RecursionError"


@given(st.binary() | st.text(alphabet='[]{}",:0123456789.eE+-\\udtnulNaI ').map(str.encode))
def test_any_bytes(document: bytes) -> None:
    """Whatever the bytes, nothing else is raised."""
    try:
        lenient_json.decode(ANY, document)
    except lenient_json.UNREADABLE as error:
        failure: Exception = error
        assert len(lenient_json.reason(failure)) < 200
