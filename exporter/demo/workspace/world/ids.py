"""Ids as Databricks draws them: large, unordered, and unique; a run's id tells its number again."""

from __future__ import annotations

import random
import uuid

# Every run owns this many ids: its own (place 0), those of its tasks' runs, and at the end those of its repairs.
PLACES = 8192
REPAIRS = PLACES - 64
_SPACE = 1 << 49
# Odd, so that the product over the whole space is a permutation that can be undone.
_SPREAD = 0x1D3C5A96B7E35
_GATHER = pow(_SPREAD, -1, _SPACE)


def run_id(number: int, place: int = 0) -> int:
    """The id at a place of the run with this number (1, 2, 3, ...)."""
    return (number * PLACES + place) * _SPREAD % _SPACE


def run_place(id: int) -> tuple[int, int]:
    """The number of the run that owns this id, and the place: what `run_id` was given."""
    return divmod(id * _GATHER % _SPACE, PLACES) if 0 < id < _SPACE else (0, 0)


def letters(draw: random.Random, length: int = 8) -> str:
    """As they stand at the end of a cluster's id."""
    return "".join(draw.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=length))


def cluster_id(draw: random.Random) -> str:
    """Digits as of a date and a time, and letters."""
    return f"{draw.randrange(1, 13):02}{draw.randrange(1, 29):02}-{draw.randrange(240_000):06}-{letters(draw)}"


def uuid4(draw: random.Random) -> str:
    """A UUID of version 4 from seeded chance."""
    return str(uuid.UUID(int=draw.getrandbits(128), version=4))
