"""Commands of standing policies: the same path as a job's, without a job."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from commands.choices import OnFailure
from commands.definitions import (
    DEFINITIONS,
    SET_CONFIG,
    UPDATE_FIRMWARE,
    Definition,
)
from commands.failure_rules import kept_rules
from commands.models import Command
from commands.selectors.pending import MAX_PENDING, find_full_devices
from commands.services.commands import new_command, save_new, supersede_configs
from commands.services.transitions import PLATFORM, Moves
from commands.validation import params_errors
from registry.choices import TAKES_COMMANDS
from registry.models import Device
from registry.selectors.firmware import find_releases_for_devices_across_tenants
from registry.selectors.products import list_config_schemas_by_id
from state.choices import Connectivity
from state.judgment.desired_asks import POLICY, Ask, named
from state.selectors import deliverability_of
from state.services.twin import Merged, merge_desired_many


@dataclass(frozen=True)
class Sent:
    """What became of one device: a command, or the reason why there is none."""

    reason: str = ""
    is_later: bool = False  # it cannot be now, but the next time
    command: UUID | None = None  # its public id
    overruled: dict[str, str] = field(default_factory=dict)  # who, by the key


@transaction.atomic
def send_policy_config(
    *,
    tenant_id: int,
    policy: str,
    asked_at: datetime,
    patches: Mapping[int, dict[str, Any]],
    last_try: Collection[int] = (),
    now: datetime,
) -> dict[int, Sent]:
    """Merge a patch into each device's configuration, and send it; by device.

    Keys that a person or a job changed after ``asked_at`` stay as they are, and are
    returned with who did it. Devices that take no commands, or whose product does not
    know the patch, get none. If it fails on a device of ``last_try``, that is a work
    item.
    """
    devices = _devices(tenant_id, patches)
    sent = _refusals(patches, devices) | _unknown_patches(patches, devices)
    ready = {pk: patches[pk] for pk in sorted(patches) if pk not in sent}
    made = _new_commands(DEFINITIONS[SET_CONFIG], ready, devices, last_try, now)
    merged = merge_desired_many(
        list(made),
        patches=ready,
        at=now,
        ask=Ask(asked_at, POLICY, policy),
        commands={pk: command.public_id for pk, command in made.items()},
    )
    remarks: dict[UUID, str] = {}
    for pk, outcome in merged.items():
        sent[pk] = _settle(made, pk, outcome, remarks)
    moves = Moves(now=now)
    supersede_configs(sorted(made), moves, asked_at=asked_at)
    _save(made, moves, policy, remarks)
    return sent


def _settle(
    made: dict[int, Command], pk: int, own: Merged, remarks: dict[UUID, str]
) -> Sent:
    """Complete a command by what was merged; drop it if nothing is left of it."""
    overruled = {named(path): ask["who"] for path, ask in own.later.items()}
    if not own.patch:
        del made[pk]
        return Sent("all of its keys were changed later", overruled=overruled)
    command = made[pk]
    command.desired_version, command.params = own.version, own.patch
    command.expectation = DEFINITIONS[SET_CONFIG].expected(own.patch)
    if overruled:
        changed = ", ".join(f"{key} by {who}" for key, who in overruled.items())
        remarks[command.public_id] = f"; left out, changed later: {changed}"
    return Sent(overruled=overruled, command=command.public_id)


def _unknown_patches(
    patches: Mapping[int, dict[str, Any]], devices: Mapping[int, Device]
) -> dict[int, Sent]:
    """Return the devices whose product does not know their patch."""
    schemas = list_config_schemas_by_id({d.product_id for d in devices.values()})
    found = {}
    for pk, device in devices.items():
        own = schemas.get(device.product_id)
        known = replace(
            DEFINITIONS[SET_CONFIG], config_schemas={"": own} if own else {}
        )
        if errors := params_errors(known, patches[pk], field="desired"):
            text = f"{errors[0]['field']}: {errors[0]['message']}"
            found[pk] = Sent(text[:200])
    return found


@transaction.atomic
def send_policy_firmware(
    *,
    tenant_id: int,
    policy: str,
    version: str,
    device_ids: Sequence[int],
    last_try: Collection[int] = (),
    now: datetime,
) -> dict[int, Sent]:
    """Send a firmware version to devices that it is made for; by device.

    If it fails on a device of ``last_try``, that is a work item.
    """
    wanted = {pk: {"version": version} for pk in device_ids}
    devices = _devices(tenant_id, wanted)
    sent = _refusals(wanted, devices)
    releases = find_releases_for_devices_across_tenants(
        [(pk, version) for pk in wanted]
    )
    for pk in wanted:
        if pk not in sent and (pk, version) not in releases:
            sent[pk] = Sent(f"{version} is not made for it")
    ready = {pk: wanted[pk] for pk in sorted(wanted) if pk not in sent}
    made = _new_commands(DEFINITIONS[UPDATE_FIRMWARE], ready, devices, last_try, now)
    _save(made, Moves(now=now), policy, {})
    return sent | {pk: Sent(command=each.public_id) for pk, each in made.items()}


def _devices(tenant_id: int, wanted: Mapping[int, Any]) -> dict[int, Device]:
    rows = Device.objects.filter(tenant_id=tenant_id, pk__in=list(wanted))
    return {device.pk: device for device in rows.select_related("product")}


def _refusals(
    wanted: Mapping[int, Any], devices: Mapping[int, Device]
) -> dict[int, Sent]:
    full = find_full_devices(list(wanted))
    sent = {}
    for pk in wanted:
        device = devices.get(pk)
        if device is None or device.lifecycle not in TAKES_COMMANDS:
            sent[pk] = Sent("takes no commands in its lifecycle")
        elif not device.product.takes_commands:
            sent[pk] = Sent("its product takes no commands")
        elif pk in full:
            sent[pk] = Sent(f"has {MAX_PENDING} pending commands", is_later=True)
    return sent


def _new_commands(
    definition: Definition,
    wanted: Mapping[int, dict[str, Any]],
    devices: Mapping[int, Device],
    last_try: Collection[int],
    now: datetime,
) -> dict[int, Command]:
    connectivity = deliverability_of(list(wanted))
    escalating = _escalating(definition.policy)
    return {
        pk: new_command(
            device=devices[pk],
            definition=definition,
            params=params,
            policy=escalating if pk in last_try else definition.policy,
            failure_rules=kept_rules(definition.reactions, None),
            connectivity=connectivity.get(pk, Connectivity.OFFLINE.value),
            now=now,
        )
        for pk, params in wanted.items()
    }


def _escalating(policy: dict[str, Any]) -> dict[str, Any]:
    """Return a policy by which a person must look at each failure."""
    answers = dict.fromkeys(policy["on_failure"], OnFailure.ESCALATE.value)
    return policy | {"on_failure": answers}


def _save(
    made: Mapping[int, Command], moves: Moves, policy: str, remarks: Mapping[UUID, str]
) -> None:
    rows = [made[pk] for pk in sorted(made)]
    cause = f"standing policy {policy}"
    save_new(rows, moves, actor=PLATFORM, cause=cause, remarks=remarks)
