"""A job's tallies as bars, as counts that open what is behind them, and as words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.db.models import Q

from commands.choices import (
    CommandStatus,
    JobStatus,
    WaitsFor,
    WaveStatus,
)
from commands.selectors.job_tallies import Tally
from console.presenters.delivery_track import FAILURE_WORDS
from console.presenters.labels import ACTIONS, clock

if TYPE_CHECKING:
    from commands.models import Job, JobWave

S = CommandStatus
UNDER_WAY = (S.SENT, S.RECEIVED, S.RUNNING)
FAILED = (S.FAILED, S.TIMED_OUT, S.EXPIRED)
_TRAILS = Q(command__waits_for=WaitsFor.DEVICE, command__status__in=(S.HELD, S.EXPIRED))
# name in the URL → what is counted, its mark, and which members it opens
COUNTS: dict[str, tuple[str, str, Q]] = {
    "verified": ("verified", "d4", Q(command__status=S.VERIFIED)),
    "executed": ("executed", "d3", Q(command__status=S.SUCCEEDED)),
    "under-way": ("under way", "d2", Q(command__status__in=UNDER_WAY)),
    "queued": (
        "queued",
        "",
        Q(command__status__in=(S.QUEUED, S.HELD)) & ~_TRAILS,
    ),
    "trailing": ("waiting, offline", "d1", _TRAILS),
    "failed": ("failed", "fail", Q(command__status__in=FAILED) & ~_TRAILS),
    "unknown": ("outcome unknown", "unknown", Q(command__status=S.UNKNOWN)),
    "pending": ("not sent", "", Q(command__isnull=True, skip_reason="")),
    "taken-out": (
        "taken out",
        "",
        Q(command__status__in=(S.CANCELLED, S.SUPERSEDED)),
    ),
    "left-out": ("left out", "", Q(command__isnull=True) & ~Q(skip_reason="")),
}
_OPTIONAL = ("unknown", "trailing", "taken-out", "left-out", "queued")


@dataclass(frozen=True)
class Part:
    """One stretch of a bar, as SVG attributes."""

    kind: str
    title: str
    x: str
    width: str


@dataclass(frozen=True)
class WaveRow:
    """One wave as the page draws it."""

    key: str
    name: str
    size: int
    words: str
    parts: list[Part] = field(default_factory=list)


def counts_of(tallies: Iterable[Tally]) -> dict[str, int]:
    """Return how many members stand where, by the names of COUNTS."""
    found: Counter[str] = Counter()
    for tally in tallies:
        by = tally.by_status
        unknown = by.get(S.UNKNOWN, 0)
        waiting = by.get(S.QUEUED, 0) + by.get(S.HELD, 0)
        late = by.get(S.EXPIRED, 0)
        # Trailing members are held, or expired while they waited; the tally keeps
        # them out of "failed".
        expired_waiting = late - max(
            0, tally.failed - unknown - by.get(S.FAILED, 0) - by.get(S.TIMED_OUT, 0)
        )
        found["verified"] += by.get(S.VERIFIED, 0)
        found["executed"] += by.get(S.SUCCEEDED, 0)
        found["under-way"] += sum(by.get(status, 0) for status in UNDER_WAY)
        found["queued"] += waiting - (tally.trailing - expired_waiting)
        found["trailing"] += tally.trailing
        found["failed"] += tally.failed - unknown
        found["unknown"] += unknown
        found["pending"] += tally.pending
        found["taken-out"] += tally.dropped
        found["left-out"] += tally.skipped
    return dict(found)


def count_rows(counts: Mapping[str, int]) -> list[dict[str, Any]]:
    """Return the members card: what is counted, its mark, and its address."""
    return [
        {"label": label, "kind": kind, "count": counts[name], "url": f"?show={name}"}
        for name, (label, kind, _) in COUNTS.items()
        if counts.get(name) or name not in _OPTIONAL
    ]


def wave_rows(
    waves: Iterable[JobWave], tallies: Mapping[int | None, Tally], job: Job
) -> list[WaveRow]:
    """Return each wave with its bar, and those that trail behind all of them."""
    rows = []
    trailing = 0
    for wave in waves:
        tally = tallies.get(wave.number, Tally())
        trailing += tally.trailing
        counts = counts_of([tally])
        size = max(wave.size - tally.trailing, 1)
        rows.append(
            WaveRow(
                key=str(wave.number),
                name="Canary" if wave.is_canary else f"Wave {wave.number}",
                size=wave.size,
                words=_wave_words(wave, counts, job),
                parts=bar(counts, size),
            )
        )
    if trailing:
        until = f"offline, until {clock(job.deadline)}" if job.deadline else "offline"
        part = Part("d1", until, "0%", "100%")
        rows.append(WaveRow("trailing", "Trailing", trailing, until, [part]))
    return rows


def bar(counts: Mapping[str, int], whole: int) -> list[Part]:
    """Return the stretches of a bar: proof first, trouble last."""
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


def progress_words(counts: Mapping[str, int], members: int) -> str:
    """Return how many members have ended, of how many."""
    ended = sum(
        counts.get(name, 0) for name in ("verified", "executed", "failed", "unknown")
    )
    words = f"{ended:,} of {members - counts.get('left-out', 0):,}"
    failed = counts.get("failed", 0)
    return f"{words}, {failed:,} failed" if failed else words


def failure_rows(tallies: Iterable[Tally], policy: Any) -> list[dict[str, Any]]:
    """Return the failure classes, the most frequent first, and what the policy does."""
    found: Counter[str] = Counter()
    for tally in tallies:
        found.update(tally.by_failure_class)
    answers = policy.get("on_failure", {})
    return [
        {
            "words": FAILURE_WORDS.get(name, name),
            "count": count,
            "policy": ACTIONS.get(answers.get(name, "none"), ""),
            "url": f"?failure={name}",
        }
        for name, count in found.most_common()
        if count
    ]


def job_words(job: Job, waves: Sequence[JobWave], counts: Mapping[str, int]) -> str:
    """Return where the job stands, as a sentence."""
    J = JobStatus
    out = [wave for wave in waves if wave.status == WaveStatus.RELEASED]
    done = counts.get("verified", 0) + counts.get("executed", 0)
    lost = counts.get("failed", 0) + counts.get("unknown", 0)
    if job.status == J.RUNNING and out:
        names = " and ".join(
            "the canary" if wave.is_canary else f"wave {wave.number}" for wave in out
        )
        return f"{names} {'is' if len(out) == 1 else 'are'} out"
    if job.status == J.RUNNING and all(w.status == WaveStatus.ENDED for w in waves):
        return "every wave has ended; who was offline trails until the deadline"
    return {
        J.DRAFT: "made, and waits for somebody to start it",
        J.SCHEDULED: f"begins {clock(job.start_at)}",
        J.RUNNING: "the next wave comes when this one has been watched long enough",
        J.PAUSED: "nothing more is sent until somebody resumes or cancels it",
        J.STOPPED: "nothing more is sent until somebody resumes or cancels it",
        J.COMPLETED: f"every member has ended: {done:,} succeeded, {lost:,} did not",
        J.CANCELLED: f"ended by a person; {done:,} had succeeded",
    }[J(job.status)]


def _wave_words(wave: JobWave, counts: Mapping[str, int], job: Job) -> str:
    if wave.status == WaveStatus.PENDING:
        return "its turn has not come"
    said = [
        f"{counts[name]:,} {COUNTS[name][0]}"
        for name in ("verified", "executed", "under-way", "queued", "failed", "unknown")
        if counts.get(name)
    ]
    return " · ".join(said) or "being sent"
