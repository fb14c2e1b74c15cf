"""Requesting one command for many devices, each under its own idempotency key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from commands.choices import CommandClass, KeyKind
from commands.definitions import Definition
from commands.exceptions import CommandRefused, InvalidCommand
from commands.failure_rules import kept_rules
from commands.models import Command, IdempotencyKey
from commands.selectors.definitions import get_definition_of_devices
from commands.selectors.pending import MAX_PENDING, find_full_devices
from commands.services.commands import (
    actor_name,
    check_device,
    check_reachable,
    hold_for_approval,
    new_command,
    save_new,
    supersede_configs,
)
from commands.services.idempotency import fingerprint
from commands.services.transitions import Moves
from commands.validation import check_params, complete_policy
from iotplatform.common import bulk_sql
from iotplatform.common.problems import Problem
from registry.models import Device, Tenant, User
from state.choices import Connectivity
from state.exceptions import DesiredRefused
from state.judgment.desired_asks import Ask
from state.selectors import deliverability_of
from state.services.twin import Merged, merge_desired_many

_KEY_COLUMNS = (
    *("tenant_id", "key", "fingerprint", "kind", "object_public_id", "created_at"),
)
# A second request with the same key waits here until the first one has ended.
_CLAIM = (
    bulk_sql.insert_rows(IdempotencyKey, *_KEY_COLUMNS)
    + " ON CONFLICT (tenant_id, key) DO NOTHING RETURNING key"
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one device's request."""

    command: UUID | None = None  # its public id
    refusal: str = ""  # why there is none, a sentence


@dataclass(frozen=True)
class BulkRequest:
    """One command for many devices, of whom each has its own key."""

    tenant: Tenant
    keys: Mapping[int, str]  # by device id
    name: str
    params: dict[str, Any]
    policy: dict[str, Any] | None
    actor: User | None
    cause: str  # "requested by playbook Restart"
    now: datetime

    def fingerprint_of(self, device: Device) -> str:
        """Return the digest that a request for this device alone would have."""
        return fingerprint(device.uid, self.name, self.params, self.policy or {}, None)


@transaction.atomic
def request_commands(request: BulkRequest) -> dict[int, Answer]:
    """Record the commands that are new, and queue their delivery; answer by device id.

    A device whose key was used before gets its first command. What would be refused for
    one device is in its answer, and hinders no other. The number of statements does not
    depend on the number of devices.
    """
    devices = _devices_of(request)
    gone = Answer(refusal="It is no device of this tenant any more.")
    answers = {pk: gone for pk in request.keys if pk not in devices}
    answers |= _earlier(request, devices)
    fresh = {pk: device for pk, device in devices.items() if pk not in answers}
    if fresh:
        answers |= _request_new(request, fresh)
    return answers


def _devices_of(request: BulkRequest) -> dict[int, Device]:
    rows = Device.objects.filter(pk__in=list(request.keys), tenant=request.tenant)
    return {row.pk: row for row in rows.select_related("product", "tenant")}


def _earlier(request: BulkRequest, devices: Mapping[int, Device]) -> dict[int, Answer]:
    keys = list(request.keys.values())
    rows = IdempotencyKey.objects.filter(tenant=request.tenant, key__in=keys)
    used = {row.key: row for row in rows}
    found = {}
    for pk, device in devices.items():
        row = used.get(request.keys[pk])
        if row is None:
            continue
        same = row.fingerprint == request.fingerprint_of(device)
        found[pk] = (
            Answer(command=row.object_public_id)
            if same and row.kind == KeyKind.COMMAND
            else Answer(refusal="Its key was used before with another request.")
        )
    return found


def _request_new(
    request: BulkRequest, devices: Mapping[int, Device]
) -> dict[int, Answer]:
    try:
        definition, without = get_definition_of_devices(
            request.tenant, list(devices), request.name
        )
        check_params(definition, request.params)
        policy = complete_policy(definition, request.policy)
    except InvalidCommand as error:
        messages = " ".join(row["message"] for row in error.errors)
        return dict.fromkeys(devices, Answer(refusal=messages or error.detail))
    connectivity = deliverability_of(list(devices))
    full = find_full_devices(list(devices))
    answers: dict[int, Answer] = {}
    made: list[Command] = []
    for pk, device in devices.items():
        status = connectivity.get(pk, Connectivity.OFFLINE.value)
        refusal = _refusal(device, definition, status)
        if device.product_id in without:
            refusal = "Its product does not have this command."
        if pk in full:
            refusal = f"It has {MAX_PENDING} pending commands."
        if refusal:
            answers[pk] = Answer(refusal=refusal)
            continue
        command = new_command(
            device=device,
            definition=definition,
            params=request.params,
            policy=policy,
            failure_rules=kept_rules(definition.reactions, request.policy),
            connectivity=status,
            now=request.now,
        )
        command.requested_by = request.actor
        made.append(command)
    return answers | _save(request, definition, _claimed(request, devices, made))


def _refusal(device: Device, definition: Definition, connectivity: str) -> str:
    try:
        check_device(device)
        if not definition.needs_approval:
            check_reachable(device, definition, connectivity)
    except CommandRefused as error:
        return error.detail
    return ""


def _claimed(
    request: BulkRequest, devices: Mapping[int, Device], made: Sequence[Command]
) -> list[Command]:
    """Claim the keys; return the commands whose key nobody used meanwhile."""
    rows = [
        (
            request.tenant.pk,
            request.keys[command.device_id],
            request.fingerprint_of(devices[command.device_id]),
            KeyKind.COMMAND.value,
            command.public_id,
            request.now,
        )
        for command in made
    ]
    rows.sort(key=lambda row: row[1])  # two requests wait for each other in one order
    claimed = bulk_sql.fetch(_CLAIM, bulk_sql.columns_of(rows, len(_KEY_COLUMNS)))
    keys = {key for (key,) in claimed}
    return [command for command in made if request.keys[command.device_id] in keys]


def _save(
    request: BulkRequest, definition: Definition, made: Sequence[Command]
) -> dict[int, Answer]:
    moves = Moves(now=request.now)
    answers: dict[int, Answer] = {}
    if definition.needs_approval:
        for command in made:
            hold_for_approval(command)
    elif definition.command_class == CommandClass.CONFIG and made:
        merged = _merge(request, made)
        for command in made:
            own = merged[command.device_id]
            if isinstance(own, Problem):
                answers[command.device_id] = Answer(refusal=own.errors[0]["message"])
            else:
                command.desired_version = own.version
        made = [c for c in made if c.device_id not in answers]
        ids = [command.device_id for command in made]
        supersede_configs(ids, moves, asked_at=request.now)
    if made:
        save_new(made, moves, actor=actor_name(request.actor), cause=request.cause)
    return answers | {c.device_id: Answer(command=c.public_id) for c in made}


def _merge(
    request: BulkRequest, made: Sequence[Command]
) -> dict[int, Merged | DesiredRefused]:
    """Merge the patch into all documents; a half at a time where one refuses it."""
    try:
        return {
            **merge_desired_many(
                sorted(command.device_id for command in made),
                request.params,
                at=request.now,
                ask=Ask(request.now, "person", actor_name(request.actor)),
                commands={c.device_id: c.public_id for c in made},
            )
        }
    except DesiredRefused as error:
        if len(made) == 1:
            return {made[0].device_id: error}
        half = len(made) // 2
        return _merge(request, made[:half]) | _merge(request, made[half:])
