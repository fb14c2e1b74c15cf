"""Standing policies: people make, change and switch them off; a sweep applies them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypedDict

from django.db import IntegrityError, transaction
from django.utils import timezone

from commands.exceptions import InvalidCommand
from commands.validation import check_storable
from fleet.exceptions import NoSuchCohort
from fleet.models import StandingPolicy
from fleet.policy_templates import template_errors
from fleet.selectors.cohorts import get_cohort
from iotplatform.common.problems import BadInput
from registry.models import FirmwareRelease, Tenant, User
from registry.selectors.firmware import find_release

LONGEST_NAME = 200
# A change of one of these asks anew: it goes before what people changed until then.
ASKED_ANEW = ("cohort_id", "desired", "firmware_version", "is_enabled")


class PolicyChanges(TypedDict, total=False):
    """What may be given of a policy; what is left out stays, or has its default."""

    name: str
    cohort: str  # its id
    desired: dict[str, Any] | None
    release: str | None  # its id, or its version
    priority: int
    rate_per_minute: int
    is_enabled: bool


def create_policy(
    *, tenant: Tenant, actor: User | None, changes: PolicyChanges
) -> StandingPolicy:
    """Make a policy; it begins with the next sweep.

    Raises BadInput naming a wrong name, cohort or release, the wrong key of ``desired``
    and each unknown variable of its texts.
    """
    row = StandingPolicy(tenant=tenant, created_by=actor, asked_at=timezone.now())
    with transaction.atomic():
        _lock_all(tenant.pk)
        _apply(row, changes)
        _look_again(tenant.pk)
    return row


@transaction.atomic
def change_policy(*, policy: StandingPolicy, changes: PolicyChanges) -> StandingPolicy:
    """Change what is given; raises what ``create_policy`` raises.

    With another cohort, configuration or release, or switched on again, it is asked for
    anew: it goes before what people have changed on the devices until now.
    """
    _lock_all(policy.tenant_id)
    rows = StandingPolicy.objects.select_related("tenant", "cohort", "created_by")
    row = rows.get(pk=policy.pk)
    before = [getattr(row, name) for name in ASKED_ANEW]
    row.tenant = policy.tenant  # with the caller's limit
    _apply(row, changes)
    if [getattr(row, name) for name in ASKED_ANEW] != before:
        row.asked_at = timezone.now()
        row.save()
    _look_again(row.tenant_id)
    return row


@transaction.atomic
def delete_policy(*, policy: StandingPolicy) -> None:
    """Delete a policy; the devices keep the configuration that they have."""
    tenant_id = policy.tenant_id
    _lock_all(tenant_id)
    policy.delete()
    _look_again(tenant_id)


def _lock_all(tenant_id: int) -> None:
    """Lock the tenant's policies in the order of their keys."""
    rows = StandingPolicy.objects.filter(tenant=tenant_id).order_by("pk")
    list(rows.select_for_update().values_list("pk"))


def _look_again(tenant_id: int) -> None:
    """Let the sweep look at all members: a policy may win or lose a key by this."""
    StandingPolicy.objects.filter(tenant=tenant_id).update(looked_at=None)


def _apply(row: StandingPolicy, changes: PolicyChanges) -> None:
    errors: list[dict[str, str]] = []
    if "name" in changes or not row.name:
        row.name = changes.get("name", "").strip()
        if not row.name or len(row.name) > LONGEST_NAME or "\0" in row.name:
            errors.append({"field": "name", "message": "1 to 200 characters."})
    if "cohort" in changes or row.cohort_id is None:
        errors += _choose_cohort(row, changes.get("cohort", ""))
    if changes.get("desired") is not None and changes.get("release") is not None:
        message = "Give either a configuration or a release."
        errors.append({"field": "desired", "message": message})
    elif changes.get("desired") is not None:
        errors += _choose_desired(row, changes["desired"])
    elif changes.get("release") is not None:
        errors += _choose_release(row, str(changes["release"]))
    elif row.desired is None and not row.firmware_version:
        message = "Give a configuration, or a release."
        errors.append({"field": "desired", "message": message})
    for name in ("priority", "rate_per_minute", "is_enabled"):
        if name in changes:
            setattr(row, name, changes[name])
    if errors:
        raise BadInput(errors=errors)
    with _name_free():
        row.save()


def _choose_cohort(row: StandingPolicy, public_id: str) -> list[dict[str, str]]:
    try:
        row.cohort = get_cohort(tenants=[row.tenant], public_id=public_id)
    except NoSuchCohort as error:
        return [{"field": "cohort", "message": error.detail}]
    return []


def _choose_desired(row: StandingPolicy, desired: Any) -> list[dict[str, str]]:
    if not isinstance(desired, dict) or not desired:
        return [{"field": "desired", "message": "An object with at least one key."}]
    try:
        check_storable(desired)
    except InvalidCommand as error:
        return [{"field": "desired", "message": error.errors[0]["message"]}]
    row.desired, row.release, row.firmware_version = desired, None, ""
    return template_errors(desired, field="desired")


def _choose_release(row: StandingPolicy, name: str) -> list[dict[str, str]]:
    release: FirmwareRelease | None = find_release(tenant=row.tenant, name=name)
    if release is None:
        return [{"field": "release", "message": "There is no such release."}]
    row.desired, row.release, row.firmware_version = None, release, release.version
    return []


@contextmanager
def _name_free() -> Iterator[None]:
    """Say which field is wrong when another policy of the tenant has the name."""
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        raise BadInput(name="A policy with this name already exists.") from error
