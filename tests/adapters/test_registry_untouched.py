"""Rule 7: neither device messages nor jobs write to a table of the registry."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from iotplatform.adapters.mqtt import intake
from iotplatform.common.messages import DECODE
from state.models import DeadLetter
from tests.adapters.test_intake import received
from tests.commands.test_jobs import fleet_of, make_job, tick
from tests.commands.units import Unit, ask, deliver, fresh, now, sweep
from tests.factories import DeviceFactory
from tests.state.scene import make_family

pytestmark = pytest.mark.django_db


def rows_written() -> dict[str, int]:
    """Return how many rows this transaction has written to each table."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname, n_tup_ins + n_tup_upd + n_tup_del"
            " FROM pg_stat_xact_user_tables"
        )
        return dict(cursor.fetchall())


def tables_written(before: dict[str, int]) -> set[str]:
    after = rows_written()
    return {table for table in after if after[table] != before.get(table, 0)}


def commit(uid: str, messages: list[tuple[str, Any]]) -> None:
    intake.commit([received(f"iot/v1/{uid}/{kind}", body) for kind, body in messages])


def test_no_kind_of_message_writes_to_the_registry() -> None:
    gateway, (child,) = make_family()
    unit = Unit(DeviceFactory.create())
    unit.come_online()
    command = ask(unit, "update_firmware", {"version": "2.0"})
    deliver()
    about = f"command/{command.public_id}"
    messages: list[tuple[str, Any]] = [
        ("status", {"status": "online", "session": "s", "heartbeat_seconds": 5}),
        ("heartbeat", {"boot": 1, "seq": 1}),
        ("telemetry", {"metrics": {"temperature": 21.5}}),
        ("event", {"code": "hot", "severity": "critical", "state": "raised"}),
        (f"{about}/ack", {"status": "received"}),
        (f"{about}/progress", {"payload": {"percent": 50}}),
        (f"{about}/result", {"status": "succeeded"}),
        ("reported", {"version": 1, "reported": {"firmware": "2.0"}}),
        ("status", {"status": "offline", "session": "s"}),
    ]
    before = rows_written()

    with CaptureQueriesContext(connection) as captured:
        commit(unit.device.uid, messages)
    commit(f"{gateway.uid}/child/{child.uid}", [("heartbeat", {}), ("event", {})])
    commit("nobody", [("heartbeat", {})])

    assert {kind.split("/")[-1] for kind, _ in messages} == set(DECODE)
    assert fresh(command).status == "verified"
    assert DeadLetter.objects.count() == 2
    assert len(captured) < 40
    written = tables_written(before)
    assert {"state_presence", "state_twin", "commands_command"} <= written
    assert not [table for table in written if table.startswith("registry_")]


def test_no_step_of_a_job_writes_to_the_registry() -> None:
    units = fleet_of(3)
    before = rows_written()

    job = make_job(units, command={"name": "set_config", "params": {"interval": 5}})
    job.status = "running"
    job.save(update_fields=["status"])
    tick()
    deliver()
    for unit in units:
        unit.report(1, {"interval": 5})
    sweep(now())
    tick()

    written = tables_written(before)
    assert {"commands_job", "commands_jobtarget", "state_twin"} <= written
    assert not [table for table in written if table.startswith("registry_")]
