"""Which devices have wanted values already: nothing would change there."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from iotplatform.common import bulk_sql
from state.judgment.twin_documents import is_met, merge_patch
from state.selectors.by_device_ids import desired_of, reports_of

# Documents in memory at a time, at most some 40 MB.
BATCH = 5_000
# Containment is equality where the values are texts, whole numbers and objects.
_SAME = """
    SELECT device_id FROM state_twin
    WHERE device_id = ANY(%s::bigint[]) AND reported_at IS NOT NULL
        AND desired @> %s::jsonb AND reported @> %s::jsonb
"""


def find_compliant(
    device_ids: Sequence[int], patch: dict[str, Any], *, expected: dict[str, Any]
) -> set[int]:
    """Return the devices that a merge patch would not change.

    It changes nothing of what they should have, and they report what it expects.
    """
    if _is_plain(patch) and _is_plain(expected):
        values = [list(device_ids), json.dumps(patch), json.dumps(expected)]
        return {pk for (pk,) in bulk_sql.fetch(_SAME, values)}
    found: set[int] = set()
    for start in range(0, len(device_ids), BATCH):
        ids = device_ids[start : start + BATCH]
        desired, reports = desired_of(ids), reports_of(ids)
        found |= {
            pk
            for pk, (document, _) in desired.items()
            if merge_patch(document, patch) == document
            and pk in reports
            and is_met(expected, reports[pk][0])
        }
    return found


def _is_plain(value: Any) -> bool:
    """Whether containment says for this value what equality would say."""
    if isinstance(value, dict):
        return bool(value) and all(_is_plain(inner) for inner in value.values())
    return isinstance(value, str | bool | int)
