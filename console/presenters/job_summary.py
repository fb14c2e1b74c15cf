"""The state of a job as sentences: what it does, and what it waits for until when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from commands.choices import JobStatus, WaveStatus
from commands.selectors.job_waits import JobWaits
from console.presenters.labels import time_element
from iotplatform.common.counts import counted

if TYPE_CHECKING:
    from commands.models import Job, JobWave

J = JobStatus


def jobs_headline(waiting: int, underway: int, every: int) -> str:
    """Return the title of the list of jobs: what needs a person, then what runs."""
    if not every:
        return "Jobs"
    running = f"{counted(underway, 'job')} in progress"
    if not waiting:
        return f"{running}, none waits for a person" if underway else "No job is open"
    verb = "waits" if waiting == 1 else "wait"
    needed = f"{counted(waiting, 'job')} {verb} for a person"
    return f"{needed}, {underway:,} in progress" if underway else needed


def job_summary(
    job: Job, waves: Sequence[JobWave], counts: Mapping[str, int], waits: JobWaits
) -> str:
    """Return the state of the job as a sentence."""
    done = counts.get("verified", 0) + counts.get("executed", 0)
    lost = counts.get("failed", 0) + counts.get("unknown", 0)
    if job.status == J.RUNNING:
        return _running(job, waves, waits)
    return {
        J.DRAFT: "Waiting for somebody to start it.",
        J.AWAITING_APPROVAL: "Waiting for the approval of a second person.",
        J.SCHEDULED: format_html("Starts {}.", time_element(job.start_at)),
        J.PAUSED: "Nothing more is sent until somebody resumes or cancels the job.",
        J.STOPPED: "Nothing more is sent until somebody resumes or cancels the job.",
        J.COMPLETED: f"All members finished: {done:,} succeeded"
        + (f", {lost:,} did not." if lost else "."),
        J.CANCELLED: f"Cancelled by a person; {done:,} had succeeded.",
    }[J(job.status)]


def offline_label(job: Job) -> SafeString:
    """Return until when offline devices may still get the command."""
    until = (
        format_html(", until {}", time_element(job.deadline)) if job.deadline else ""
    )
    return format_html("Offline devices get it when they return{}", until)


def _running(job: Job, waves: Sequence[JobWave], waits: JobWaits) -> str:
    released = [wave for wave in waves if wave.status == WaveStatus.RELEASED]
    if released:
        names = " and ".join(
            "the canary" if wave.is_canary else f"wave {wave.number}"
            for wave in released
        )
        verb = "is" if len(released) == 1 else "are"
        work = f"{names[0].upper()}{names[1:]} {verb} in progress"
    elif all(wave.status == WaveStatus.ENDED for wave in waves):
        work = "All waves have finished"
    elif all(wave.status == WaveStatus.PENDING for wave in waves):
        work = "Nothing has been sent yet"
    else:
        work = "Waiting before the next wave: the last one is watched"
    sentences = [_with_waits(work, waits, _watched_until(job, waves, released))]
    if waits.offline:
        sentences.append(format_html("{}.", offline_label(job)))
    return format_html_join(" ", "{}", ((text,) for text in sentences))


def _with_waits(work: str, waits: JobWaits, watched: SafeString) -> SafeString:
    """Add how many devices are waited for, and when something happens next."""
    text = format_html("{}{}", work, watched)
    if not waits.devices:
        return format_html("{}.", text)
    text = format_html("{}: waiting for {}", text, counted(waits.devices, "device"))
    if waits.next_retry_at:
        return format_html(
            "{}, next retry {}.", text, time_element(waits.next_retry_at)
        )
    if waits.answer_due_at:
        due = time_element(waits.answer_due_at)
        return format_html("{}, an answer is due by {}.", text, due)
    return format_html("{}.", text)


def _watched_until(
    job: Job, waves: Sequence[JobWave], released: Sequence[JobWave]
) -> SafeString:
    """Return until when an ended wave is watched before the next one."""
    ended = [wave.ended_at for wave in waves if wave.ended_at]
    if released or not ended or len(ended) == len(waves):
        return SafeString("")
    soak = timedelta(seconds=job.rollout.get("soak_seconds", 0))
    return format_html(" until {}", time_element(max(ended) + soak))
