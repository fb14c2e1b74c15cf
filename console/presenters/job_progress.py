"""The progress of a job: bars, counts with links to the members, and sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.db.models import Q

from commands.choices import (
    CommandStatus,
    FailureClass,
    JobStatus,
    WaitsFor,
    WaveStatus,
)
from commands.selectors.job_tallies import Tally
from console.presenters.delivery_track import FAILURE_LABELS
from console.presenters.labels import FAILURE_ACTIONS, clock

if TYPE_CHECKING:
    from commands.models import Job, JobWave

S = CommandStatus
IN_PROGRESS = (S.SENT, S.RECEIVED, S.RUNNING)
FAILED = (S.FAILED, S.TIMED_OUT, S.EXPIRED)
_WAITS_OFFLINE = Q(command__status__in=(S.HELD, S.EXPIRED)) & (
    Q(command__waits_for=WaitsFor.DEVICE)
    | Q(
        command__waits_for=WaitsFor.GATEWAY,
        command__failure_class=FailureClass.GATEWAY_UNREACHABLE,
    )
)
# Name in the URL → label, colour, and the members that are counted
COUNTS: dict[str, tuple[str, str, Q]] = {
    "verified": ("verified", "d4", Q(command__status=S.VERIFIED)),
    "executed": ("executed", "d3", Q(command__status=S.SUCCEEDED)),
    "under-way": ("in progress", "d2", Q(command__status__in=IN_PROGRESS)),
    "queued": (
        "queued",
        "",
        Q(command__status__in=(S.QUEUED, S.HELD)) & ~_WAITS_OFFLINE,
    ),
    "trailing": ("offline, waiting", "d1", _WAITS_OFFLINE),
    "failed": ("failed", "fail", Q(command__status__in=FAILED) & ~_WAITS_OFFLINE),
    "unknown": ("outcome unknown", "unknown", Q(command__status=S.UNKNOWN)),
    "pending": ("not sent", "", Q(command__isnull=True, skip_reason="")),
    "taken-out": (
        "cancelled or replaced",
        "",
        Q(command__status__in=(S.CANCELLED, S.SUPERSEDED)),
    ),
    "left-out": ("left out", "", Q(command__isnull=True) & ~Q(skip_reason="")),
}
_OPTIONAL = ("unknown", "trailing", "taken-out", "left-out", "queued")


@dataclass(frozen=True)
class Part:
    """One part of a bar, as SVG attributes."""

    kind: str
    title: str
    x: str
    width: str


@dataclass(frozen=True)
class WaveRow:
    key: str
    name: str
    size: int
    label: str
    parts: list[Part] = field(default_factory=list)


def counts_of(tallies: Iterable[Tally]) -> dict[str, int]:
    """Return how many members are in each state, by the names of COUNTS."""
    found: Counter[str] = Counter()
    for tally in tallies:
        by = tally.by_status
        unknown = by.get(S.UNKNOWN, 0)
        waiting = by.get(S.QUEUED, 0) + by.get(S.HELD, 0)
        late = by.get(S.EXPIRED, 0)
        # Trailing members are held, or expired while they waited for the device; the
        # tally does not count them as failed.
        expired_waiting = late - max(
            0, tally.failed - unknown - by.get(S.FAILED, 0) - by.get(S.TIMED_OUT, 0)
        )
        found["verified"] += by.get(S.VERIFIED, 0)
        found["executed"] += by.get(S.SUCCEEDED, 0)
        found["under-way"] += sum(by.get(status, 0) for status in IN_PROGRESS)
        found["queued"] += waiting - (tally.trailing - expired_waiting)
        found["trailing"] += tally.trailing
        found["failed"] += tally.failed - unknown
        found["unknown"] += unknown
        found["pending"] += tally.pending
        found["taken-out"] += tally.dropped
        found["left-out"] += tally.skipped
    return dict(found)


def count_rows(counts: Mapping[str, int]) -> list[dict[str, Any]]:
    """Return the rows of the members card: label, colour, count, address."""
    return [
        {"label": label, "kind": kind, "count": counts[name], "url": f"?show={name}"}
        for name, (label, kind, _) in COUNTS.items()
        if counts.get(name) or name not in _OPTIONAL
    ]


def wave_rows(
    waves: Iterable[JobWave], tallies: Mapping[int | None, Tally], job: Job
) -> list[WaveRow]:
    """Return each wave with its bar, then a row for the offline devices."""
    rows: list[WaveRow] = []
    trailing = 0
    for wave in waves:
        tally = tallies.get(wave.number, Tally())
        trailing += tally.trailing
        counts = counts_of([tally])
        size = wave.size - tally.trailing  # those have a row of their own
        rows.append(
            WaveRow(
                key=str(wave.number),
                name="Canary" if wave.is_canary else f"Wave {wave.number}",
                size=size,
                label=_wave_label(wave, counts, job, is_first=not rows),
                parts=bar(counts, size),
            )
        )
    if trailing:
        until = f", until {clock(job.deadline)}" if job.deadline else ""
        label = f"Offline devices get it when they return{until}"
        part = Part("d1", label, "0%", "100%")
        rows.append(WaveRow("trailing", "Offline", trailing, label, [part]))
    return rows


def bar(counts: Mapping[str, int], whole: int) -> list[Part]:
    """Return the parts of a bar: verified first, failed last."""
    parts, at = [], 0.0
    for name in ("verified", "executed", "under-way", "unknown", "failed"):
        count = counts.get(name, 0)
        if not count:
            continue
        label, kind, _ = COUNTS[name]
        width = 100 * count / max(whole, 1)
        parts.append(Part(kind, f"{count:,} {label}", f"{at:.2f}%", f"{width:.2f}%"))
        at += width
    return parts


def progress_label(counts: Mapping[str, int], members: int) -> str:
    """Return how many members have finished, and how many of them failed."""
    ended = sum(
        counts.get(name, 0) for name in ("verified", "executed", "failed", "unknown")
    )
    label = f"{ended:,} of {members - counts.get('left-out', 0):,} finished"
    failed = counts.get("failed", 0)
    return f"{label}, {failed:,} failed" if failed else label


def failure_rows(tallies: Iterable[Tally], policy: Any) -> list[dict[str, Any]]:
    """Return the failure classes with the policy's action, most frequent first."""
    found: Counter[str] = Counter()
    for tally in tallies:
        found.update(tally.by_failure_class)
    answers = policy.get("on_failure", {})
    return [
        {
            "name": name,
            "label": FAILURE_LABELS.get(name, name),
            "count": count,
            "policy": FAILURE_ACTIONS.get(answers.get(name, "none"), ""),
            "url": f"?failure={name}",
        }
        for name, count in found.most_common()
        if count
    ]


def _wave_label(
    wave: JobWave, counts: Mapping[str, int], job: Job, *, is_first: bool
) -> str:
    if wave.status == WaveStatus.PENDING:
        is_underway = job.status in (JobStatus.RUNNING, JobStatus.PAUSED)
        waits = is_underway and not is_first
        return "Waiting for earlier waves" if waits else "Not sent"
    parts = [
        f"{counts[name]:,} {COUNTS[name][0]}"
        for name in ("verified", "executed", "under-way", "queued", "failed", "unknown")
        if counts.get(name)
    ]
    return " · ".join(parts) or "Sending"
