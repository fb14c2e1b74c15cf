"""How soon a change is searchable, and what it costs to know how old the index is."""

from __future__ import annotations

import statistics
import sys
import time
from typing import TYPE_CHECKING

from bench.as_of import at_share
from bench.lab import Lab, stop_process
from bench.report import Figure
from bench.risk import timed
from bench.sweep import connect

if TYPE_CHECKING:
    from registry.models import Tenant

AT_ONCE = 2_000  # devices that change in a second
GROUPS = 3  # of devices that take turns
SECONDS = 20
DEAD_ROWS = 200_000
LONGEST_SECONDS = 120


def time_lag(lab: Lab) -> list[Figure]:
    """Return the time to read the lag while an old snapshot keeps deleted rows."""
    from fleet.services.outbox import OutboxReader, delete_outbox_rows

    with connect(lab) as old, connect(lab) as database:
        database.autocommit = True
        old.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        old.execute("SELECT 1 FROM registry_tenant")  # takes its snapshot
        database.execute(
            "INSERT INTO fleet_outbox (device_id, at) SELECT n, now()"
            f" FROM generate_series(1, {DEAD_ROWS}) n".encode()
        )
        reader = OutboxReader()
        while (waiting := reader.read(limit=50_000)).ids:
            delete_outbox_rows(waiting.ids)
        for _ in range(3):
            reader.read(limit=1)
        reader.tell()
        slow = statistics.median(timed(lambda: read_lag(database)) for _ in range(20))
        ours = statistics.median(timed(_lag) for _ in range(20))
    return [
        Figure("the oldest outbox row behind an old snapshot", slow * 1e3, "ms"),
        Figure("the lag there", ours * 1e3, "ms"),
    ]


def read_lag(database: object) -> None:
    database.execute(  # type: ignore[attr-defined]
        "SELECT at FROM fleet_outbox ORDER BY id LIMIT 1"
    ).fetchall()


def _lag() -> float:
    from fleet.selectors.lag import index_lag_seconds

    return index_lag_seconds()


def time_outbox(lab: Lab, tenant: Tenant) -> list[Figure]:
    """Return how soon changes are searchable: many a second, and one in a rename."""
    from iotplatform.common.tenant_scope import as_tenants

    indexer = lab.start("indexer", [sys.executable, "manage.py", "fleet_indexer"])
    try:
        with as_tenants([tenant.pk]):
            sustained = [change(lab, tenant, second) for second in range(SECONDS)]
            renamed = rename(lab)
            single = [change(lab, tenant, SECONDS, one=True) for _ in range(10)]
            drained = timed(lambda: until_drained())
    finally:
        stop_process(indexer)
    return [
        Figure("2,000 changes a second, p95", at_share(sorted(sustained), 0.95), "s"),
        Figure(f"one in a rename of {renamed:,}, longest", max(single), "s"),
        Figure("the rename, after that", drained, "s"),
    ]


def change(lab: Lab, tenant: Tenant, round_: int, *, one: bool = False) -> float:
    """Change devices and return the seconds until a search finds all of them."""
    from fleet.selectors.search import count

    word = f"round{round_}x{time.monotonic_ns()}"
    with connect(lab) as database:
        number = database.execute(
            "UPDATE registry_device SET name = %s WHERE id IN (SELECT id FROM"
            " registry_device WHERE tenant_id = %s AND id > %s ORDER BY id LIMIT %s)",
            [word, tenant.pk, round_ % GROUPS * AT_ONCE, 1 if one else AT_ONCE],
        ).rowcount
    started = time.monotonic()
    while count(tenants=[tenant], q=f"name:{word}") < number:
        if time.monotonic() - started > LONGEST_SECONDS:
            raise SystemExit("A change is not searchable.")
        time.sleep(0.01)
    seconds = time.monotonic() - started
    if not one:
        time.sleep(max(0.0, 1.0 - seconds))
    return seconds


def rename(lab: Lab) -> int:
    """Rename the products of half the fleet; return how many devices have them."""
    with connect(lab) as database:
        database.execute(
            "UPDATE registry_product SET name = name || ' new'"
            " WHERE right(slug, 1) IN ('0', '2', '4', '6', '8')"
        )
        found = database.execute("SELECT count(*) FROM fleet_outbox").fetchone()
    return int(found[0]) if found else 0


def until_drained() -> None:
    from fleet.models import Outbox

    while Outbox.objects.exists():
        time.sleep(0.1)
