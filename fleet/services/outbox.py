"""The outbox as the indexer reads it: lane by lane, from where it is not empty."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from django.db import connection, transaction
from django.db.models import Value
from django.db.models.functions import Greatest
from django.utils import timezone

from fleet.choices import OutboxLane
from fleet.models import IndexState

READ = """
    SELECT id, device_id FROM fleet_outbox WHERE lane = {lane} AND id > %s
    ORDER BY id LIMIT %s
"""
SNAPSHOT = """
    SELECT pg_snapshot_xmin(s)::text::bigint, pg_snapshot_xmax(s)::text::bigint
    FROM pg_current_snapshot() s
"""


@dataclass(frozen=True)
class Waiting:
    """Changes that wait, those of a person or a single device first."""

    ids: list[int]
    devices: list[int]  # each once
    is_full: bool  # whether more may wait


class OutboxReader:
    """Reads what waits, without passing the rows that are deleted already.

    Deleted rows stay in the table while any old snapshot might see them. So each lane
    is read from the id up to which it is empty. A row below may still appear while a
    transaction runs that was given its id. That is over when all have ended that began
    before a later id was seen.
    """

    def __init__(self) -> None:
        self._emptied = dict.fromkeys(OutboxLane, 0)
        self._settled = 0  # no row up to this id appears any more
        # Ids that were seen, and the first transaction that began afterwards.
        self._seen: deque[tuple[int, int]] = deque()
        self._told = 0

    def read(self, *, limit: int, backlog: int | None = None) -> Waiting:
        """Return up to ``limit`` changes; of a backlog of singles so many more."""
        self._settle()
        singles = self._read(OutboxLane.SINGLE, backlog or limit)
        left = limit - len(singles)
        many = self._read(OutboxLane.MANY, left) if left > 0 else []
        rows = singles + many
        ids = [pk for pk, _ in rows]
        if ids:
            self._see(max(ids))
        if backlog and singles:
            # Read before their documents are built, so these changes are in them.
            ids = [*_ids_of([device for _, device in singles]), *(pk for pk, _ in many)]
        devices = sorted({device_id for _, device_id in rows})
        # In a backlog of singles there may be fewer rows than asked for, of many.
        is_full = len(rows) >= limit
        return Waiting(ids, devices, is_full)

    def tell(self) -> None:
        """Store up to where the outbox is empty, so that its age is read from there."""
        emptied = min(self._emptied.values())
        if emptied > self._told:
            IndexState.objects.filter(pk=1).update(emptied_outbox_id=emptied)
            self._told = emptied

    def _read(self, lane: OutboxLane, limit: int) -> list[tuple[int, int]]:
        with connection.cursor() as cursor:
            cursor.execute(READ.format(lane=int(lane)), [self._emptied[lane], limit])
            rows: list[tuple[int, int]] = cursor.fetchall()
        first = rows[0][0] if rows else self._settled + 1
        self._emptied[lane] = max(self._emptied[lane], min(self._settled, first - 1))
        return rows

    def _see(self, last: int) -> None:
        self._seen.append((last, _snapshot()[1]))

    def _settle(self) -> None:
        if not self._seen:
            return
        oldest_running, _ = _snapshot()
        while self._seen and self._seen[0][1] <= oldest_running:
            self._settled = max(self._settled, self._seen.popleft()[0])


def _snapshot() -> tuple[int, int]:
    """Return the oldest transaction that runs, and the next one to begin."""
    with connection.cursor() as cursor:
        cursor.execute(SNAPSHOT)
        oldest, following = cursor.fetchone()
    return oldest, following


def _ids_of(device_ids: list[int]) -> list[int]:
    """Return all single changes of these devices; in a backlog each has several."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM fleet_outbox WHERE lane = 0 AND device_id = ANY(%s)",
            [device_ids],
        )
        return [pk for (pk,) in cursor.fetchall()]


@transaction.atomic
def delete_outbox_rows(outbox_ids: list[int]) -> None:
    """Delete outbox rows whose changes are in the index now; record the progress."""
    with connection.cursor() as cursor:
        # By id, not "up to an id": a running transaction may own a lower id.
        cursor.execute("DELETE FROM fleet_outbox WHERE id = ANY(%s)", [outbox_ids])
    last = max(outbox_ids)
    drained = Greatest("drained_outbox_id", Value(last))
    now = timezone.now()
    IndexState.objects.get_or_create(pk=1)
    IndexState.objects.filter(pk=1).update(drained_outbox_id=drained, drained_at=now)


def queue_devices(device_ids: list[int]) -> None:
    """Put devices into the outbox, so that their documents are built again."""
    with connection.cursor() as cursor:
        # The transaction gets its number before its first row does: see OutboxReader.
        cursor.execute(
            "INSERT INTO fleet_outbox (device_id, at, lane)"
            " SELECT id, clock_timestamp(), %s"
            " FROM pg_current_xact_id(), unnest(%s::bigint[]) id",
            [int(OutboxLane.MANY), device_ids],
        )
