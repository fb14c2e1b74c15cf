"""Single commands of the demo's past: one with each outcome, and one that waits."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from commands.models import Command
from commands.services.actions import cancel_command
from commands.services.commands import request_command
from iotplatform.simulator.demo.cast import Cast
from iotplatform.simulator.demo.replay import (
    DOES,
    DOES_NOT_APPLY,
    FAILS,
    HANGS,
    REJECTS,
    SILENT,
    tick,
)
from iotplatform.simulator.profiles import NEW_FIRMWARE

SECOND = timedelta(seconds=1)
# Later than any step of the commands below times out.
LATER = timedelta(minutes=35)
ONE_TRY = {"attempts": 1}
Params = dict[str, Any]
# What the operator asked of sensors that are well: hours ago, command, the answer.
ASKED: tuple[tuple[float, str, Params, str], ...] = (
    (16, "identify", {"seconds": 10}, DOES),
    (15, "set_config", {"led": "dim"}, DOES),
    (14, "set_config", {"interval": 0}, f"{REJECTS}: interval: 1 to 3600 seconds"),
    (13, "update_firmware", {"version": NEW_FIRMWARE}, DOES_NOT_APPLY),
    (12, "reboot", {}, f"{FAILS}: watchdog"),
    (11, "reboot", {}, HANGS),
    (10, "reboot", {}, SILENT),
)
# What the operator tried on the first of the troubled; it helped nothing.
TRIED: tuple[tuple[float, str, Params, str], ...] = (
    (8, "reboot", {}, HANGS),
    (7, "update_firmware", {"version": NEW_FIRMWARE}, f"{FAILS}: too_hot_to_write"),
)


def send_commands(cast: Cast) -> None:
    """Send them, in the order of time."""
    for number, (hours, name, params, answer) in enumerate(ASKED):
        _ask(cast, cast.a_well_one(number), name, params, hours, answer)
    _supersede(cast, cast.a_well_one(len(ASKED)))
    for hours, name, params, answer in TRIED:
        for uid in cast.troubled[:2]:
            _ask(cast, uid, name, params, hours, answer)
    _cancel(cast, cast.a_well_one(len(ASKED) + 1))
    if silent := cast.not_installed():
        _expire(cast, silent)
        _ask(cast, silent, "set_config", {"interval": 120}, 3, SILENT)


def _ask(
    cast: Cast, uid: str, name: str, params: Params, hours: float, answer: str
) -> None:
    """Send one command, let the device answer, and wait until its time is over."""
    at = cast.ago(hours=hours)
    policy = None if answer == DOES or name == "set_config" else ONE_TRY
    _request(cast, uid, name, params, at, policy)
    cast.speakers.ids.setdefault(uid, cast.device(uid).pk)
    cast.speakers.deliver([uid], at=at + SECOND, answers={uid: answer})
    tick(at + LATER)


def _request(
    cast: Cast,
    uid: str,
    name: str,
    params: Params,
    at: datetime,
    policy: Params | None = None,
) -> Command:
    command, _is_new = request_command(
        device=cast.device(uid),
        name=name,
        params=params,
        policy=policy,
        idempotency_key=None,
        actor=cast.operator,
        now=at,
    )
    return command


def _supersede(cast: Cast, uid: str) -> None:
    """The latest configuration wins."""
    at = cast.ago(hours=9)
    _request(cast, uid, "set_config", {"interval": 90}, at)
    cast.speakers.deliver([uid], at=at + SECOND, answers={uid: SILENT})
    _request(cast, uid, "set_config", {"interval": 60}, at + 20 * SECOND)
    cast.speakers.deliver([uid], at=at + 21 * SECOND)


def _cancel(cast: Cast, uid: str) -> None:
    at = cast.ago(hours=6)
    command = _request(cast, uid, "reboot", {}, at)
    cancel_command(
        command=command, actor=cast.operator, reason="wrong device", now=at + SECOND
    )


def _expire(cast: Cast, uid: str) -> None:
    """The device did not come online in time."""
    at = cast.ago(hours=5)
    _request(cast, uid, "reboot", {}, at, {"expires_in_seconds": 3_600})
    tick(at + timedelta(hours=1))
