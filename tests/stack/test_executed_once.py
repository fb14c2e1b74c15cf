"""Rule 2 on the real platform: devices execute once what is published during kills."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any
from urllib.parse import quote

import pytest

from tests.stack.clients import Api, eventually

pytestmark = pytest.mark.stack

ONLINE = "connectivity:online AND product:sensor-s1 AND lifecycle:active"


def ask_for_intervals(api: Api, uids: list[str], *, first: int) -> list[str]:
    """Configure a different interval for each device; return the commands' ids."""
    ids = []
    for number, uid in enumerate(uids):
        body = {"interval": first + number}
        asked = api.patch(f"/api/v1/devices/{uid}/desired/", body)
        assert asked.status == 202, asked
        ids.append(asked.body["id"])
    return ids


def status_of(api: Api, command_id: str) -> str:
    return str(api.get(f"/api/v1/commands/{command_id}/").body["status"])


def executions(platform_stack: Any) -> Counter[str]:
    """How often each command was executed, according to the simulator's journal."""
    path = platform_stack.data_dir / "simulator" / "journal.ndjson"
    lines = path.read_text().splitlines()
    return Counter(json.loads(line)["id"] for line in lines)


@pytest.mark.parametrize("process", ["bridge", "broker", "worker"])
def test_commands_published_during_a_kill_are_executed_once(
    platform_stack: Any, process: str
) -> None:
    api = Api.sign_in(platform_stack.url, "manager@acme", "demo")
    found = api.get(f"/api/v1/fleet/search/?q={quote(ONLINE)}&limit=1000").body
    uids = [row["uid"] for row in found["results"]]
    assert len(uids) >= 5
    first = {"bridge": 100, "broker": 200, "worker": 300}[process]

    ids = ask_for_intervals(api, uids[: len(uids) // 2], first=first)
    platform_stack.kill(process)
    ids += ask_for_intervals(api, uids[len(uids) // 2 :], first=first + len(ids))

    # Some simulated devices reject commands or never finish.
    eventually(
        lambda: sum(status_of(api, i) == "verified" for i in ids) >= len(ids) * 0.6,
        within=90,
        what="most configurations verified",
    )
    times = executions(platform_stack)
    assert [i for i in ids if times[i] > 1] == []
    assert all(times[i] == 1 for i in ids if status_of(api, i) == "verified")
