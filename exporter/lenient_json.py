"""Reads JSON that strict readers refuse for one bad text or number; decides nothing about what it means."""

from __future__ import annotations

import json
import math
from typing import TypeVar

import msgspec

# What `decode` raises. A document may be too deep to walk: RecursionError is no ValueError.
UNREADABLE = (ValueError, RecursionError)

_T = TypeVar("_T")


def decode(decoder: msgspec.json.Decoder[_T], document: bytes) -> _T:
    """What the decoder makes of the document; where that is no strict JSON, of the document mended.

    Half a surrogate pair becomes `?`, a number that no double can hold becomes null: people name jobs, queries and topics,
    and one such name must not cost an answer. Raises one of UNREADABLE, a ValidationError among them for a wrong shape.
    """
    try:
        return decoder.decode(document)
    except msgspec.ValidationError:
        raise
    except ValueError:
        return decoder.decode(_mended(document))


def reason(error: Exception) -> str:
    """What was wrong with a document, without what it holds."""
    # Only msgspec's own messages are known to name fields and nothing else.
    return str(error) if isinstance(error, msgspec.DecodeError) else type(error).__name__


def _mended(document: bytes) -> bytes:
    value = json.loads(
        document.decode("utf-8", "replace"),
        parse_float=lambda text: number if math.isfinite(number := float(text)) else None,
        parse_constant=lambda _: None,
    )
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")
