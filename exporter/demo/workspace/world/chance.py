"""Yes or no by seeded chance."""

from __future__ import annotations

import random


def chance(draw: random.Random, share: float) -> bool:
    """True in this share of cases, which is from 0 to 1."""
    return draw.random() < share
