"""Notification rules: made, changed, deleted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import time
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from console.exceptions import RuleRefused
from console.judgment.quiet_hours import DAYS, never_end
from console.models import NotificationRule
from console.services.notifications.targets import Errors, read_targets
from iotplatform.common.problems import BadInput
from registry.selectors.places import list_sites
from registry.validators import validate_time_zone

if TYPE_CHECKING:
    from registry.models import Tenant, User

LONGEST_NAME = 200
MOST_RULES = 50  # of a tenant: each is read for each incident
MOST_QUIET = 7
MOST_MINUTES = 7 * 24 * 60
MOST_DIGEST = 24 * 60


class RuleFields(TypedDict, total=False):
    """What a rule has; what is left out of a change stays."""

    name: str
    severity: str
    sites: list[str]
    causes: list[str]
    quiet_hours: list[dict[str, Any]]
    time_zone: str
    targets: list[dict[str, Any]]
    escalate_after_minutes: int | None
    digest_minutes: int
    is_enabled: bool


def create_rule(
    *, tenant: Tenant, actor: User | None, **fields: Unpack[RuleFields]
) -> NotificationRule:
    """Make a rule.

    Raises BadInput naming each wrong field, and RuleRefused for a name that is taken,
    or when there are too many.
    """
    if NotificationRule.objects.filter(tenant=tenant).count() >= MOST_RULES:
        raise RuleRefused(f"A tenant has at most {MOST_RULES} notification rules.")
    row = NotificationRule(tenant=tenant, created_by=actor, targets=[])
    fields.setdefault("name", "")
    fields.setdefault("targets", [])
    return _save(row, fields)


@transaction.atomic
def change_rule(
    row: NotificationRule, **fields: Unpack[RuleFields]
) -> NotificationRule:
    """Change what is given; raises what ``create_rule`` raises."""
    rows = NotificationRule.objects.select_related("tenant", "created_by")
    locked = rows.select_for_update(no_key=True, of=("self",)).get(pk=row.pk)
    return _save(locked, fields)


def delete_rule(row: NotificationRule) -> None:
    """Delete a rule with what waits for its targets and its delivery log."""
    row.delete()


def _save(row: NotificationRule, fields: RuleFields) -> NotificationRule:
    errors: Errors = []
    row.name = fields.get("name", row.name).strip()
    if not row.name or len(row.name) > LONGEST_NAME or "\0" in row.name:
        errors.append({"field": "name", "message": f"1 to {LONGEST_NAME} characters."})
    for name in ("severity", "escalate_after_minutes", "digest_minutes", "is_enabled"):
        setattr(row, name, fields.get(name, getattr(row, name)))
    row.causes = sorted(set(fields.get("causes", row.causes)))
    if "sites" in fields:
        row.sites = sorted(set(fields["sites"]))
        errors += _unknown_sites(row.tenant, row.sites)
    if "quiet_hours" in fields:
        row.quiet_hours = _quiet_hours(fields["quiet_hours"], errors)
    if "time_zone" in fields:
        row.time_zone = fields["time_zone"]
        errors += _time_zone_errors(row.time_zone)
    if "targets" in fields:
        row.targets = read_targets(row.tenant, fields["targets"], row.targets, errors)
    if errors:
        raise BadInput(errors=errors)
    with _name_free():
        row.save()
    return row


def _unknown_sites(tenant: Tenant, slugs: Sequence[str]) -> Errors:
    named = [slug for slug in slugs if "\0" not in slug]
    rows = list_sites(tenants=[tenant]).filter(slug__in=named)
    known = set(rows.values_list("slug", flat=True))
    unknown = [slug for slug in slugs if slug not in known]
    return [
        {"field": "sites", "message": f"There is no site {slug}."}
        for slug in unknown[:10]
    ]


def _time_zone_errors(text: str) -> Errors:
    try:
        if text:
            validate_time_zone(text)
    except ValidationError as error:
        return [{"field": "time_zone", "message": error.messages[0]}]
    return []


def _quiet_hours(
    given: Sequence[Mapping[str, Any]], errors: Errors
) -> list[dict[str, Any]]:
    """Return quiet hours in one form; from and to the same is the whole day."""
    if len(given) > MOST_QUIET:
        message = f"At most {MOST_QUIET} quiet hours."
        errors.append({"field": "quiet_hours", "message": message})
    found = []
    for each in given[:MOST_QUIET]:
        begin, end = each["from"], each["to"]
        days = [day for day in DAYS if day in (each.get("days") or DAYS)]
        found.append({"days": days, "from": _clock(begin), "to": _clock(end)})
    if never_end(found):
        message = "They cover the whole week: set the severity to critical instead."
        errors.append({"field": "quiet_hours", "message": message})
    return found


def _clock(value: time) -> str:
    return value.strftime("%H:%M")


@contextmanager
def _name_free() -> Iterator[None]:
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        if "console_rule_name_once" not in str(error):
            raise
        message = "A notification rule with this name already exists."
        errors = [{"field": "name", "message": message}]
        raise RuleRefused(message, errors=errors) from error
