"""Rules 2 and 3 on the real platform: nothing is lost, nothing runs twice, all ends."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from iotplatform.simulator.targets import Target
from tests.stack.clients import Api, eventually
from tests.stack.ledger import (
    COMMANDS,
    GRACE,
    Entry,
    Ledger,
    executions,
    find_faults,
    simulated,
)
from tests.stack.test_contract_loop import new_device, presence

pytestmark = pytest.mark.stack

SEED = 20_261_201
PROCESSES = ("web", "bridge", "worker", "beat", "postgres", "valkey", "broker")


# One of so many devices is a gateway, with children behind it.
GATEWAY_EACH, CHILDREN = 12, 3


def make_targets(api: Api, platform_stack: Any, count: int) -> list[Target]:
    """Register devices, some of them gateways with children."""
    targets = []
    for number in range(count):
        is_gateway = number % GATEWAY_EACH == 0
        product = "gateway-g2" if is_gateway else "sensor-s1"
        device = new_device(api, platform_stack, product=product)
        targets.append(Target(device.uid, secret=device.secret))
        for _ in range(CHILDREN if is_gateway else 0):
            child = new_device(
                api, platform_stack, product="probe-p1", gateway=device.uid
            )
            targets.append(Target(child.uid, gateway_uid=device.uid))
    return targets


def kill_in_turn(
    platform_stack: Any, *, kills: int, within: float, done: threading.Event
) -> None:
    """SIGKILL one process after the other, at seeded moments."""
    chance = random.Random(SEED)
    for number in range(kills):
        if done.wait(chance.uniform(0.2, 1.8) * within / kills):
            return
        platform_stack.kill(PROCESSES[number % len(PROCESSES)])


def read(platform_stack: Any, uids: Sequence[str]) -> list[tuple[Any, ...]]:
    """The commands of these devices; none while the database starts."""
    try:
        return list(platform_stack.sql(COMMANDS, [list(uids)], role="iot_platform"))
    except psycopg.OperationalError:
        return []


def test_a_ledger_agrees_after_kills_of_every_process(
    platform_stack: Any, tmp_path: Path, is_long: bool, counted: Counter[str]
) -> None:
    devices, commands, kills = (500, 10_000, 140) if is_long else (24, 240, 7)
    within = 3_000.0 if is_long else 25.0
    api = Api.sign_in(platform_stack.url, "manager@acme", "demo")
    targets = make_targets(api, platform_stack, devices)
    uids = [target.uid for target in targets]
    ledger, done = Ledger(api, seed=SEED), threading.Event()
    with simulated(targets, port=platform_stack.mqtt_port, folder=tmp_path, seed=SEED):
        eventually(
            lambda: all(presence(api, u)["connectivity"] == "online" for u in uids),
            within=60,
            what="all devices online",
        )
        killer = threading.Thread(
            target=kill_in_turn,
            args=(platform_stack,),
            kwargs={"kills": kills, "within": within, "done": done},
        )
        killer.start()
        ledger.ask(uids, count=commands, within=within)
        done.set()
        killer.join()
        rows = eventually(
            lambda: all_ended(platform_stack, uids), within=300, what="all ended"
        )

    times = executions(tmp_path)
    assert find_faults(ledger.entries, rows, times) == []
    made = [entry for entry in ledger.entries if entry.command_id is not None]
    assert len(made) >= commands * 0.5
    good = sum(row[2] in ("succeeded", "verified") for row in rows)
    assert good >= len(made) * 0.5
    counted["commands of a ledger, under kills of every process"] += len(made)
    counted["of them executed"] += len(times)


def all_ended(platform_stack: Any, uids: Sequence[str]) -> list[tuple[Any, ...]]:
    rows = read(platform_stack, uids)
    return rows if all(row[4] is not None for row in rows) else []


MOMENT = datetime(2026, 12, 1, 12, tzinfo=UTC)


def row(public_id: str = "c1", status: str = "succeeded", **values: Any) -> Any:
    """A row of COMMANDS."""
    usual = {"expires_at": MOMENT, "ended_at": MOMENT, "sent_at": MOMENT}
    return (public_id, "dev-1", status, *(usual | values).values())


def entry(command_id: str | None = "c1") -> Entry:
    return Entry("key", "dev-1", "identify", 201, command_id)


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
