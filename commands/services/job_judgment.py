"""Whether the results of its members let a job go on: its waves, and the whole job."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from commands.choices import WaveStatus
from commands.models import Job, JobWave
from commands.selectors.job_tallies import Tally, tally_waves
from iotplatform.common.counts import counted

Tallies = Mapping[int | None, Tally]


def judge_wave(tally: Tally, wave: JobWave, rollout: Mapping[str, float]) -> str:
    """Return the reason why the wave stops its job; empty if it does not."""
    return _above_limit([(wave, tally)], rollout, wave_name(wave))


def judge_job(
    waves: Iterable[JobWave], tallies: Tallies, rollout: Mapping[str, float]
) -> str:
    """Return the reason why all released waves together stop the job, or empty.

    A member that was offline is no part of its wave's end: it counts here, when it has
    come back and has ended.
    """
    released = [
        (wave, tallies.get(wave.number, Tally()))
        for wave in waves
        if wave.status != WaveStatus.PENDING
    ]
    return _above_limit(released, rollout, "The whole job")


def judge_success(tally: Tally, wave: JobWave, rollout: Mapping[str, float]) -> str:
    """Return the reason why an ended wave pauses its job; empty if it does not."""
    ended = tally.ended - wave.accepted_ended
    succeeded = ended - (tally.failed - wave.accepted_failed)
    limit = rollout["success_threshold"]
    if ended <= 0 or succeeded / ended >= limit:
        return ""
    return (
        f"{wave_name(wave)}: {succeeded} of {counted(ended, 'device')} succeeded"
        f" ({succeeded / ended:.0%}), below the success threshold of {limit:.0%}."
    )


def judge_evidence(tally: Tally, wave: JobWave) -> str:
    """Return why an ended wave proves nothing; empty if a device of it answered."""
    if tally.ended or wave.is_accepted:
        return ""
    parts = [
        (tally.trailing, "offline"),
        (tally.dropped, "cancelled or replaced"),
        (tally.skipped, "left out"),
    ]
    found = ", ".join(f"{count:,} {what}" for count, what in parts if count)
    name = wave_name(wave)
    return (
        "No device has shown that it works:"
        f" {name[0].lower()}{name[1:]} gave no result ({found or 'no devices'})."
    )


def accept_results(job: Job) -> None:
    """Judge only what ends from now on; a wave without any result may end so."""
    waves = list(
        JobWave.objects.filter(job=job)
        .exclude(status=WaveStatus.PENDING)
        .order_by("pk")
    )
    tallies = tally_waves(job.pk, [wave.number for wave in waves])
    for wave in waves:
        tally = tallies[wave.number]
        wave.accepted_ended, wave.accepted_failed = tally.ended, tally.failed
        wave.is_accepted = not (tally.pending or tally.open)
    JobWave.objects.bulk_update(
        waves, ["accepted_ended", "accepted_failed", "is_accepted"]
    )


def forget_accepted(job: Job) -> None:
    """Accept no result of a member that was accepted, and has been retried since."""
    waves = list(JobWave.objects.filter(job=job, accepted_ended__gt=0).order_by("pk"))
    tallies = tally_waves(job.pk, [wave.number for wave in waves])
    for wave in waves:
        tally = tallies[wave.number]
        retried = max(0, wave.accepted_failed - tally.failed)
        wave.accepted_failed -= retried
        wave.accepted_ended = min(wave.accepted_ended - retried, tally.ended)
    JobWave.objects.bulk_update(waves, ["accepted_ended", "accepted_failed"])


def wave_name(wave: JobWave) -> str:
    """Return the name of a wave that people see."""
    return "The canary" if wave.is_canary else f"Wave {wave.number}"


def _above_limit(
    waves: Iterable[tuple[JobWave, Tally]], rollout: Mapping[str, float], name: str
) -> str:
    """Return why these waves together are above the failure threshold, or empty."""
    ended = failed = members = 0
    for wave, tally in waves:
        ended += tally.ended - wave.accepted_ended
        failed += tally.failed - wave.accepted_failed
        members += tally.counted - wave.accepted_ended
    enough = min(rollout["min_ended"], max(1, members))
    limit = rollout["failure_threshold"]
    if ended < enough or failed / ended <= limit:
        return ""
    return (
        f"{name}: {failed} of {ended} finished devices failed"
        f" ({failed / ended:.0%}), above the failure threshold of {limit:.0%}."
    )
