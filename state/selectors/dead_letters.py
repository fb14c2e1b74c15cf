"""Reads of dead letters (rejected messages)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from django.db.models import Count, Q, QuerySet

from registry.models import Device, Tenant
from registry.selectors.access import uids_within, within
from state.exceptions import LetterNotFound
from state.models import DeadLetter, Presence


def list_dead_letters(
    *, tenants: Sequence[Tenant], of_platform: bool = False
) -> QuerySet[DeadLetter]:
    """Return the kept letters of these tenants' devices, without their payloads.

    ``of_platform`` adds the letters of unknown devices.
    """
    access = uids_within(tenants)
    if of_platform:
        access |= Q(tenant__isnull=True)
    rows = DeadLetter.objects.filter(access).defer("payload")
    return rows.select_related("tenant", "replayed_by").order_by("-pk")


def get_dead_letter(
    *, tenants: Sequence[Tenant], of_platform: bool = False, letter_id: UUID
) -> DeadLetter:
    """Return a letter with its payload; raises LetterNotFound."""
    rows = list_dead_letters(tenants=tenants, of_platform=of_platform)
    found = rows.defer(None).filter(public_id=letter_id).first()
    if found is None:
        raise LetterNotFound("No such rejected message; only the newest are kept.")
    return found


def count_by_reason(letters: QuerySet[DeadLetter]) -> dict[str, int]:
    """Return how many of these letters have each reason, the most frequent first."""
    rows = letters.order_by().values_list("reason").annotate(total=Count("pk"))
    return dict(sorted(rows, key=lambda row: (-row[1], row[0])))


def known_uids(*, tenants: Sequence[Tenant], uids: Collection[str]) -> set[str]:
    """Return which of these uids are devices that the caller may access."""
    rows = Device.objects.filter(within(tenants), uid__in=set(uids))
    return set(rows.values_list("uid", flat=True))


def last_heard_across_tenants(uid: str) -> datetime | None:
    """Return when the last message of a device arrived; None if none ever did."""
    rows = Presence.objects.filter(device__uid=uid)
    return rows.values_list("last_seen_at", flat=True).first()


def text_of_payload(payload: bytes) -> str | None:
    """Return a payload as text; None if it is not UTF-8, or not printable."""
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        return None
    is_text = all(sign.isprintable() or sign in "\t\r\n" for sign in text)
    return text if is_text else None
