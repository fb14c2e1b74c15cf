"""Three jobs of the demo's past: one went well, one was stopped, one met failures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from commands.services.job_advance import advance_job
from commands.services.jobs import FrozenTarget, create_job, start_job
from iotplatform.common.ids import hash_of
from iotplatform.simulator.demo.cast import Cast
from iotplatform.simulator.demo.replay import (
    FAILS,
    HANGS,
    REJECTS,
    SILENT,
)
from iotplatform.simulator.profiles import NEW_FIRMWARE

MINUTE = timedelta(minutes=1)
MOST_STEPS = 20
MEMBERS_OF_RESTART = 12
NEVER_STOP: dict[str, Any] = {"failure_threshold": 1.0, "success_threshold": 0.0}


def turn_lights_off(cast: Cast) -> None:
    """All did as they were told."""
    uids = [*cast.troubled, *cast.well]
    _run(
        cast,
        name="Status lights off",
        uids=uids,
        command={"name": "set_config", "params": {"led": "off"}},
        rollout={"canary": min(2, len(uids) - 1), "wave_size": 50},
        at=cast.ago(hours=66),
    )


def install_on_the_bad_batch(cast: Cast) -> None:
    """The canary failed, and the failure threshold stopped the job."""
    uids = cast.troubled
    _run(
        cast,
        name=f"Firmware {NEW_FIRMWARE} for the batch of November",
        uids=uids,
        command={"name": "update_firmware", "params": {"version": NEW_FIRMWARE}},
        rollout={"canary": max(1, len(uids) // 2), "min_ended": 1},
        at=cast.ago(hours=44),
        answers=dict.fromkeys(uids, f"{FAILS}: too_hot_to_write"),
    )


def restart_after_the_network_change(cast: Cast) -> None:
    """It ended with failures of several classes."""
    uids = cast.well[:MEMBERS_OF_RESTART]
    hows = (f"{REJECTS}: busy", f"{FAILS}: watchdog", HANGS, SILENT)
    _run(
        cast,
        name="Restart after the network change",
        uids=uids,
        command={"name": "reboot", "params": {}, "policy": {"attempts": 1}},
        rollout=NEVER_STOP,
        at=cast.ago(hours=20),
        answers=dict(zip(uids[1:], hows, strict=False)),
    )


def _run(
    cast: Cast,
    *,
    name: str,
    uids: Sequence[str],
    command: dict[str, Any],
    rollout: dict[str, Any],
    at: datetime,
    answers: Mapping[str, str] | None = None,
) -> None:
    """Let the operator create and start a job; go on until it needs no more steps."""
    job, _is_new = create_job(
        tenant=cast.tenant,
        name=name,
        device_ids=[cast.speakers.ids[uid] for uid in uids],
        command=command,
        rollout=rollout,
        frozen=FrozenTarget(
            query="", taken_at=at, index_lag_seconds=None, target_hash=hash_of(uids)
        ),
        actor=cast.operator,
        idempotency_key=None,
        request="",
        now=at,
    )
    at += MINUTE
    start_job(job=job, actor=cast.operator, now=at)
    for _ in range(MOST_STEPS):
        at += MINUTE
        if not advance_job(job.pk, now=at):
            return  # completed, or stopped
        cast.speakers.deliver(uids, at=at, answers=answers or {})
