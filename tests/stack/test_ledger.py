"""Rules 2 and 3 on the real platform: nothing is lost, nothing runs twice, all ends."""

from __future__ import annotations

import random
import signal
import threading
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from iotplatform.simulator.targets import Target
from tests.stack.clients import Api
from tests.stack.companions import COMMANDS as COMPANIONS
from tests.stack.companions import Companions, companions
from tests.stack.ledger import (
    COMMANDS,
    GRACE,
    Delivery,
    Entry,
    Ledger,
    find_faults,
    find_late_deliveries,
    simulated,
)
from tests.stack.test_contract_loop import new_device, presence
from tests.waiting import wait_until

pytestmark = pytest.mark.stack

SEED = 20_261_201
PROCESSES = (
    *("web", "bridge", "worker", "beat", "postgres", "valkey", "broker"),
    *COMPANIONS,
)
# One of so many devices is a gateway, with children behind it; one of so many others
# sleeps now and then.
GATEWAY_EACH, CHILDREN, SLEEPER_EACH = 12, 3, 4


def make_targets(api: Api, platform_stack: Any, count: int) -> list[Target]:
    """Register devices, some of them gateways with children."""
    targets = []
    for number in range(count):
        is_gateway = number % GATEWAY_EACH == 0
        product = "gateway-g2" if is_gateway else "sensor-s1"
        device = new_device(api, platform_stack, product=product)
        profile = None
        if not is_gateway and number % SLEEPER_EACH == 1:
            profile = "unreliable_sleeper"
        targets.append(Target(device.uid, secret=device.secret, profile=profile))
        for _ in range(CHILDREN if is_gateway else 0):
            child = new_device(
                api, platform_stack, product="probe-p1", gateway=device.uid
            )
            targets.append(Target(child.uid, gateway_uid=device.uid))
    return targets


def kill_in_turn(
    platform_stack: Any,
    beside: Companions,
    *,
    kills: int,
    within: float,
    done: threading.Event,
) -> None:
    """SIGKILL one process after the other, at seeded moments."""
    chance = random.Random(SEED)
    for number in range(kills):
        if done.wait(chance.uniform(0.2, 1.8) * within / kills):
            return
        process = PROCESSES[number % len(PROCESSES)]
        if process in COMPANIONS:
            beside.signal(process, signal.SIGKILL)
        else:
            platform_stack.kill(process)


def read(platform_stack: Any, uids: Sequence[str]) -> list[tuple[Any, ...]]:
    """The commands of these devices; none while the database starts."""
    try:
        return list(platform_stack.sql(COMMANDS, [list(uids)], role="iot_platform"))
    except psycopg.OperationalError:
        return []


def test_a_ledger_agrees_after_kills_of_every_process(
    platform_stack: Any, tmp_path: Path, is_long: bool, counted: Counter[str]
) -> None:
    devices, commands, kills = (500, 10_000, 180) if is_long else (24, 200, 9)
    within = 3_000.0 if is_long else 25.0
    api = Api.sign_in(platform_stack.url, "manager@acme", "demo")
    targets = make_targets(api, platform_stack, devices)
    uids = [target.uid for target in targets]
    ledger, done = Ledger(api, seed=SEED), threading.Event()
    port = platform_stack.mqtt_port
    with (
        companions(platform_stack) as beside,
        simulated(targets, port=port, folder=tmp_path, seed=SEED) as fleet,
    ):
        # Sleepers among them may be asleep again.
        wait_until(
            lambda: all(presence(api, uid)["last_seen_at"] for uid in uids),
            what="all devices were heard",
        )
        killer = threading.Thread(
            target=kill_in_turn,
            args=(platform_stack, beside),
            kwargs={"kills": kills, "within": within, "done": done},
        )
        killer.start()
        ledger.ask(uids, count=commands, within=within)
        done.set()
        killer.join()
        rows = wait_until(
            lambda: all_ended(platform_stack, uids), seconds=300, what="all ended"
        )

    times = fleet.executions()
    assert find_faults(ledger.entries, rows, times) == []
    made = [entry for entry in ledger.entries if entry.command_id is not None]
    assert len(made) >= commands * 0.5
    good = sum(row[2] in ("succeeded", "verified") for row in rows)
    assert good >= len(made) * 0.4
    counted["commands of a ledger, under kills of every process"] += len(made)
    counted["of them executed"] += len(times)
    counted["of them cancelled"] += sum(e.cancel_status == 200 for e in made)


def all_ended(platform_stack: Any, uids: Sequence[str]) -> list[tuple[Any, ...]]:
    rows = read(platform_stack, uids)
    return rows if all(row[4] is not None for row in rows) else []


MOMENT = datetime(2026, 12, 1, 12, tzinfo=UTC)


def row(public_id: str = "c1", status: str = "succeeded", **values: Any) -> Any:
    """A row of COMMANDS."""
    usual = {"expires_at": MOMENT, "ended_at": MOMENT, "sent_at": MOMENT}
    return (public_id, "dev-1", status, *(usual | values).values())


def entry(command_id: str | None = "c1", **more: Any) -> Entry:
    return Entry("key", "dev-1", "identify", 201, command_id, **more)


@pytest.mark.parametrize(
    ("entries", "rows", "times", "fault"),
    [
        ([entry()], [row()], {"c1": 1}, None),
        ([entry(None)], [], {}, None),
        ([entry()], [], {}, "answered, and not stored"),
        ([], [row()], {"c1": 1}, "stored, and not asked for"),
        ([entry(), entry()], [row()], {"c1": 1}, "one command for 2 keys"),
        ([entry()], [row()], {"c1": 2}, "executed 2 times"),
        ([entry()], [row()], {"c1": 1, "c2": 1}, "executed, and unknown"),
        ([entry()], [row()], {}, "nothing was executed"),
        ([entry()], [row(ended_at=None)], {"c1": 1}, "not ended"),
        ([entry()], [row(ended_at=MOMENT + 2 * GRACE)], {"c1": 1}, "not ended"),
        ([entry(repeated_id="c2")], [row()], {"c1": 1}, "the repeat became c2"),
        ([entry(cancel_status=200)], [row(status="cancelled")], {}, None),
        (
            [entry(cancel_status=200)],
            [row(status="timed_out")],
            {},
            "its cancellation was confirmed",
        ),
        (
            [entry(cancel_status=409)],
            [row(status="cancelled")],
            {},
            "and that was refused",
        ),
        (
            [entry()],
            [row(status="cancelled", sent_at=None)],
            {"c1": 1},
            "although it was never sent",
        ),
    ],
)
def test_the_checker_finds_each_kind_of_fault(
    entries: list[Entry], rows: list[Any], times: dict[str, int], fault: str | None
) -> None:
    found = find_faults(entries, rows, Counter(times))

    assert len(found) == (fault is not None)
    assert all(fault in each for each in found if fault)


@pytest.mark.parametrize(
    ("seconds", "entries", "fault"),
    [
        (11, [], None),
        (12, [], "it left after its lease"),
        (9, [entry(was_unsent=True, cancelled_at=MOMENT)], "after it was cancelled"),
        (1, [entry(was_unsent=True, cancelled_at=MOMENT)], None),
        (9, [entry(was_unsent=False, cancelled_at=MOMENT)], None),
    ],
)
def test_the_checker_finds_what_left_too_late(
    seconds: float, entries: list[Entry], fault: str | None
) -> None:
    delivery = Delivery("c1", 1, MOMENT + timedelta(seconds=seconds))

    found = find_late_deliveries(
        entries, [delivery], [("c1", 1, MOMENT)], lease=timedelta(seconds=10)
    )

    assert len(found) == (fault is not None)
    assert all(fault in each for each in found if fault)
