"""The SLA report as a file: nested figures have a column each."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from django.http import HttpResponse

from console.selectors.sla_report import ReportLine
from state.selectors.lost_time import CAUSES


def csv_response(lines: Sequence[ReportLine]) -> HttpResponse:
    """Return the lines as CSV with a header; slugs need no guard of a spreadsheet."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(_flat(_EMPTY)))
    writer.writeheader()
    writer.writerows(_flat(line) for line in lines)
    answer = HttpResponse(text.getvalue(), content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = 'attachment; filename="sla.csv"'
    answer["Cache-Control"] = "private, no-store"
    return answer


def _flat(line: ReportLine) -> dict[str, Any]:
    found: dict[str, Any] = {
        "tenant": line.tenant,
        "site": line.site,
        "active_minutes": line.active_minutes,
        "availability": line.availability,
    }
    for name in ("lost_minutes", "incidents", "commands"):
        inner = getattr(line, name)
        values = inner if isinstance(inner, dict) else asdict(inner)
        found |= {f"{name}_{key}": value for key, value in values.items()}
    return found


_EMPTY = ReportLine("", "", 0.0, dict.fromkeys(sorted(CAUSES), 0.0))
