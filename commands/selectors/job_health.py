"""Reads of how the members of many jobs fare: one query for all, none per job."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, LiteralString, TypeVar

from django.db.models import JSONField, Model, UUIDField
from django.db.models.expressions import RawSQL

from commands.models import HeldChange, Job, JobHealth
from commands.selectors.job_gates import gates_of
from registry.models import User

Row = TypeVar("Row", bound=Model)


def _document(select: LiteralString) -> RawSQL:
    return RawSQL(select, [], output_field=JSONField())


def _key(select: LiteralString) -> RawSQL:
    return RawSQL(select, [], output_field=UUIDField())


# Annotations of a query of jobs: what ``health_of`` needs, without queries of its own.
HEALTH: dict[str, RawSQL] = {
    "health_row": _document(
        "SELECT to_jsonb(h) FROM commands_jobhealth h WHERE h.job_id = commands_job.id"
    ),
    "held_row": _document(
        """SELECT to_jsonb(c) || jsonb_build_object('lifted_by', u.username)
        FROM commands_heldchange c LEFT JOIN registry_user u ON u.id = c.lifted_by_id
        WHERE c.job_id = commands_job.id"""
    ),
    "rollback_of": _key(
        """SELECT o.public_id FROM commands_jobrollback r
        JOIN commands_job o ON o.id = r.of_id WHERE r.job_id = commands_job.id"""
    ),
    "rolled_back_by": _key(
        """SELECT o.public_id FROM commands_jobrollback r
        JOIN commands_job o ON o.id = r.job_id WHERE r.of_id = commands_job.id"""
    ),
}


def health_of(jobs: Collection[Job]) -> dict[str, Any]:
    """Return what the API and the console show of these jobs' health, by job.

    Jobs that were read with HEALTH are not read again.
    """
    rows: Collection[Any] = jobs
    if not all(hasattr(job, "health_row") for job in jobs):
        ids = [job.pk for job in jobs]
        rows = Job.objects.filter(pk__in=ids).only("pk").annotate(**HEALTH)
    health = {row.pk: _row(JobHealth, row.health_row) for row in rows if row.health_row}
    held = {row.pk: _held(row.held_row) for row in rows if row.held_row}
    return {
        "held": held,
        "before_after": {
            pk: {"start": row.before, "end": row.after}
            for pk, row in health.items()
            if row.before is not None
        },
        "gates": gates_of(jobs, health),
        "rollback_of": {row.pk: row.rollback_of for row in rows if row.rollback_of},
        "rolled_back_by": {
            row.pk: row.rolled_back_by for row in rows if row.rolled_back_by
        },
    }


def _held(document: dict[str, Any]) -> HeldChange:
    held = _row(HeldChange, document)
    if document["lifted_by"]:
        held.lifted_by = User(pk=held.lifted_by_id, username=document["lifted_by"])
    return held


def _row(model: type[Row], document: dict[str, Any]) -> Row:
    """Return the row of which this is the document."""
    fields = model._meta.concrete_fields
    return model(**{f.attname: f.to_python(document[str(f.column)]) for f in fields})
