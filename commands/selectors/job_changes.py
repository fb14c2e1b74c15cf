"""What jobs have changed on their members, and what restores it."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from commands.choices import CommandClass
from commands.definitions import UPDATE_FIRMWARE
from commands.exceptions import RollbackRefused
from commands.models import Command, Job, JobRollback, JobTarget, MemberValues
from iotplatform.common import bulk_sql
from registry.selectors.firmware import find_releases_for_devices_across_tenants
from state.judgment.twin_documents import Document, merge_patch
from state.selectors import desired_of, firmware_of

_OWN_PARAMS = """
    SELECT target_id, params::text FROM commands_membervalues
    WHERE target_id = ANY(%s::bigint[]) AND params IS NOT NULL
"""


@dataclass(frozen=True, slots=True)
class ChangedMember:
    """A member that got its command, and the parameters that restore what it had."""

    device_id: int
    command: Command
    previous: Document


def is_reversible(job: Job) -> bool:
    """Whether a job's command changes something whose previous value is known."""
    return (
        job.command_class == CommandClass.CONFIG or job.command_name == UPDATE_FIRMWARE
    )


def own_params(target_ids: Collection[int]) -> dict[int, Document]:
    """Return the parameters of those members that have their own, by member."""
    rows = bulk_sql.fetch(_OWN_PARAMS, [sorted(target_ids)])
    return {pk: json.loads(params) or {} for pk, params in rows}


def list_changed_members(job: Job) -> list[ChangedMember]:
    """Return the members that a job has handed its command out to."""
    kept = MemberValues.objects.filter(target__job=job, previous__isnull=False)
    previous = dict(kept.values_list("pk", "previous"))
    targets = JobTarget.objects.filter(job=job, command__isnull=False)
    return [
        ChangedMember(target.device_id, target.command, previous[target.pk] or {})
        for target in targets.select_related("command").order_by("pk")
        if target.pk in previous and target.command is not None
    ]


def why_not_restored(job: Job, members: Collection[ChangedMember]) -> dict[int, str]:
    """Return why members are left as they are, by device; the others get theirs back.

    A member that somebody has changed since keeps that.
    """
    if job.command_name == UPDATE_FIRMWARE:
        return _firmware_stays(members)
    return _config_stays(members)


def get_rollback(job: Job) -> JobRollback | None:
    """Return the rollback of a job, if there is one."""
    return JobRollback.objects.filter(of=job).select_related("job").first()


def refuse_rolled_back(job: Job) -> None:
    """Raise RollbackRefused, naming the job that has restored this one's members."""
    if found := get_rollback(job):
        raise RollbackRefused(
            f"It was rolled back by the job {found.job.name}.",
            rolled_back_by=str(found.job.public_id),
        )


def _config_stays(members: Collection[ChangedMember]) -> dict[int, str]:
    documents = desired_of([member.device_id for member in members])
    reasons = {}
    for member in members:
        desired, _ = documents.get(member.device_id, ({}, 0))
        if merge_patch(desired, member.command.params) != desired:
            reasons[member.device_id] = "its configuration was changed since"
        elif not member.previous:
            reasons[member.device_id] = "the job has changed nothing there"
    return reasons


def _firmware_stays(members: Collection[ChangedMember]) -> dict[int, str]:
    """Return the reasons of devices; a release is needed where the job's had one."""
    reported = firmware_of([member.device_id for member in members])
    wanted = [
        (member.device_id, version)
        for member in members
        for version in (_version(member.previous), member.command.params["version"])
    ]
    releases = find_releases_for_devices_across_tenants(wanted)
    reasons = {}
    for member in members:
        new, former = member.command.params["version"], _version(member.previous)
        now = reported.get(member.device_id, "")
        is_open = member.command.ended_at is None and member.command.is_published
        has_release = (member.device_id, former) in releases
        needs_release = (member.device_id, new) in releases
        if now not in ("", new, former):
            reason = f"its firmware was changed since: it reports {now}"
        elif not former:
            reason = "it had reported no firmware"
        elif now == former and not is_open:
            reason = f"it reports {former}, as before"
        elif needs_release and not has_release:
            reason = f"there is no release {former} for it"
        else:
            continue
        reasons[member.device_id] = reason[:200]
    return reasons


def _version(previous: dict[str, Any]) -> str:
    return str(previous.get("version", ""))
