"""SQL warehouses and instance pools: small records, and the scripts by which they move."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

from exporter.demo.workspace.world import ids
from exporter.demo.workspace.world.sizes import HOUR, MINUTE, SECOND, Sizes


@dataclass(frozen=True)
class Warehouse:
    """A warehouse at one time."""

    id: str
    name: str
    size: str
    most: int
    serverless: bool
    state: str = "STOPPED"
    clusters: int = 0
    sessions: int = 0
    health: str = "HEALTHY"


@dataclass(frozen=True)
class Pool:
    """An instance pool at one time: its machines by what they do."""

    id: str
    name: str
    least_idle: int
    most: int
    used: int = 0
    idle: int = 0
    pending_used: int = 0
    pending_idle: int = 0


def warehouses(seed: int, sizes: Sizes) -> list[Warehouse]:
    """The warehouses of a workspace, all of them stopped."""
    draw = random.Random(f"{seed}/warehouses")
    return [
        Warehouse(
            f"{draw.getrandbits(64):016x}",
            f"warehouse {number + 1}",
            draw.choice(("2X-Small", "Medium", "5X-Large")),
            draw.randrange(1, 5),
            number % 2 == 0,
        )
        for number in range(sizes.warehouses)
    ]


def pools(seed: int, sizes: Sizes) -> list[Pool]:
    """The pools of a workspace, all of them empty."""
    draw = random.Random(f"{seed}/pools")
    return [
        Pool(f"{draw.randrange(10**4):04}-{draw.randrange(240000):06}-pool-{ids.letters(draw)}", f"pool {number + 1}", 2, 20)
        for number in range(sizes.pools)
    ]


def life_of_warehouse(draw: random.Random, warehouse: Warehouse, at: int) -> Iterator[tuple[int, Warehouse]]:
    """Without end: started, scaled, sometimes degraded, stopped; each with the time from which it is so."""
    now = warehouse
    while True:
        now = replace(now, state="STARTING", health="HEALTHY")
        yield at, now
        at += draw.randrange(5, 200) * SECOND
        for _ in range(draw.randrange(4, 30)):
            health = draw.choices(("HEALTHY", "DEGRADED", "FAILED"), weights=(90, 8, 2))[0]
            clusters = draw.randrange(1, now.most + 1)
            now = replace(now, state="RUNNING", clusters=clusters, sessions=draw.randrange(40), health=health)
            yield at, now
            at += draw.randrange(2, 20) * MINUTE
        now = replace(now, state="STOPPING", sessions=0)
        yield at, now
        at += 20 * SECOND
        now = replace(now, state="STOPPED", clusters=0)
        yield at, now
        at += draw.randrange(1, 4) * HOUR


def life_of_pool(draw: random.Random, pool: Pool, at: int) -> Iterator[tuple[int, Pool]]:
    """Without end: another split of its machines every few minutes; never more than it may hold."""
    while True:
        used = draw.randrange(pool.most - pool.least_idle + 1)
        pending = draw.randrange(2) if used + pool.least_idle < pool.most else 0
        yield at, replace(pool, used=used, idle=pool.least_idle, pending_used=pending, pending_idle=0)
        at += draw.randrange(2, 8) * MINUTE
