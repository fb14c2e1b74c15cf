"""Single commands of the demo's past: one with each outcome, and one that waits."""

from __future__ import annotations

from collections.abc import Sequence
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
# Later than any step of the commands below times out; what waits for longer stays open.
LATER = timedelta(minutes=35)
ONE_TRY = {"attempts": 1}
Params = dict[str, Any]
Asked = tuple[str, Params, str]  # a command, and how the device answers
# What the operator asked of sensors that are well, one each: hours ago, and what.
ROUNDS: tuple[tuple[float, tuple[Asked, ...]], ...] = (
    (
        16,
        (
            ("identify", {"seconds": 10}, DOES),
            ("set_config", {"led": "dim"}, DOES),
            ("set_config", {"interval": 0}, f"{REJECTS}: interval: 1 to 3600 seconds"),
            ("update_firmware", {"version": NEW_FIRMWARE}, DOES_NOT_APPLY),
        ),
    ),
    (
        12,
        (
            ("reboot", {}, f"{FAILS}: watchdog"),
            ("reboot", {}, HANGS),
            ("reboot", {}, SILENT),
        ),
    ),
)
# What they tried on the first of the troubled; it helped nothing.
TRIED: tuple[tuple[float, Asked], ...] = (
    (8, ("reboot", {}, HANGS)),
    (7, ("update_firmware", {"version": NEW_FIRMWARE}, f"{FAILS}: too_hot_to_write")),
)


def send_commands(cast: Cast) -> None:
    """Send them, in the order of time."""
    number = 0
    for hours, asked in ROUNDS:
        uids = [cast.a_well_one(number + place) for place in range(len(asked))]
        _ask(cast, list(zip(uids, asked, strict=True)), hours=hours)
        number += len(asked)
    _supersede(cast, cast.a_well_one(number))
    for hours, one in TRIED:
        _ask(cast, [(uid, one) for uid in cast.troubled[:2]], hours=hours)
    _cancel(cast, cast.a_well_one(number + 1))
    if silent := cast.not_installed():
        _expire(cast, silent)
        _ask(cast, [(silent, ("set_config", {"interval": 120}, SILENT))], hours=3)


def _ask(cast: Cast, asked: Sequence[tuple[str, Asked]], *, hours: float) -> None:
    """Send commands, let the devices answer, and wait until their time is over."""
    at = cast.ago(hours=hours)
    sent = []
    for uid, (name, params, answer) in asked:
        policy = None if answer == DOES or name == "set_config" else ONE_TRY
        sent.append(_request(cast, uid, name, params, at, policy).pk)
        cast.speakers.ids.setdefault(uid, cast.device(uid).pk)
        at += 3 * SECOND
    answers = {uid: answer for uid, (_name, _params, answer) in asked}
    cast.speakers.deliver(list(answers), at=at, answers=answers)
    due = Command.objects.filter(pk__in=sent, due_at__lt=at + LATER)
    for moment in sorted({moment for (moment,) in due.values_list("due_at") if moment}):
        tick(moment)


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
