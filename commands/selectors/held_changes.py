"""Releases and patches that a stopped job has marked: no other job may send them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

from commands.choices import CommandClass, HeldKind
from commands.definitions import UPDATE_FIRMWARE
from commands.models import HeldChange
from registry.models import Tenant


def change_of(
    command_name: str, command_class: str, params: dict[str, Any]
) -> tuple[HeldKind, str] | None:
    """Return kind and key of what a job changes; None if nothing of it can be held."""
    if command_name == UPDATE_FIRMWARE and "version" in params:
        return HeldKind.FIRMWARE, str(params["version"])
    if command_class == CommandClass.CONFIG and params:
        text = json.dumps(params, sort_keys=True, ensure_ascii=False)
        return HeldKind.CONFIG, hashlib.sha256(text.encode()).hexdigest()
    return None


def find_held(
    tenant: Tenant,
    *,
    change: tuple[HeldKind, str],
    products: Callable[[], list[int]],
) -> HeldChange | None:
    """Return what holds a change for one of these products, the newest.

    The products are only asked for where something is held.
    """
    kind, key = change
    rows = HeldChange.objects.filter(
        tenant=tenant, kind=kind, key=key, lifted_at__isnull=True
    )
    held = list(rows.select_related("job").order_by("-held_at"))
    own = set(products()) if held else set()
    return next((row for row in held if own & set(row.product_ids)), None)
