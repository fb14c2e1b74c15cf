"""The whole loop over HTTP alone: a device that enrols itself."""

from __future__ import annotations

import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest

from tests.stack.clients import Answer, Api
from tests.waiting import PATIENCE, wait_until

pytestmark = pytest.mark.stack


def test_a_device_enrols_and_completes_the_loop_over_http(
    platform_stack: Any,
) -> None:
    api = Api.sign_in(platform_stack.url, "manager@acme", "demo")
    uid = f"http-{uuid4().hex[:8]}"
    key = api.post(
        "/api/v1/enrolment-keys/",
        {
            **{"product": "sensor-s1", "site": "shanghai-01", "max_devices": 1},
            "expires_at": "2040-01-01T00:00:00Z",
        },
    )
    assert key.status == 201, key
    stranger = Api(platform_stack.url)
    enrolled = stranger.post(
        "/api/v1/enrol/", {"key": key.body["key"], "uid": uid, "adapter": "http"}
    )
    assert enrolled.status == 201, enrolled
    assert enrolled.body["mqtt_url"].endswith(f":{platform_stack.mqtt_port}")
    again = stranger.post("/api/v1/enrol/", {"key": key.body["key"], "uid": "more"})
    assert again.status == 409, again
    secret = f"Device {uid}:{enrolled.body['secret']}"

    def say(path: str, body: Any = None) -> Answer:
        answer = (
            stranger.get(f"/device/v1/{path}", Authorization=secret)
            if body is None
            else stranger.post(f"/device/v1/{path}", body, Authorization=secret)
        )
        assert answer.status == 200, answer
        return answer

    say("heartbeat/", {})
    presence = api.get(f"/api/v1/devices/{uid}/state/").body["presence"]
    assert presence["connectivity"] == "online"
    say("telemetry/", [{"metrics": {"temperature": 20.5}}, {"metrics": {"battery": 9}}])

    # More polls than the web process has threads: the device process holds them.
    assert platform_stack.processes()["device-http"]["statename"] == "RUNNING"
    with ThreadPoolExecutor(25) as pool:
        poll, *others = [pool.submit(say, "commands/?wait=6") for _ in range(25)]
        assert platform_stack.status_of("/accounts/login/") == 200
        assert not any(one.done() for one in [poll, *others])
    with ThreadPoolExecutor(1) as pool:
        poll = pool.submit(say, "commands/?wait=25")
        asked = api.post("/api/v1/commands/", {"device": uid, "name": "identify"})
        assert asked.status == 201, asked
        (command,) = poll.result(timeout=PATIENCE).body["commands"]
    assert command["id"] == asked.body["id"]
    say(f"commands/{command['id']}/ack/", {"status": "received"})
    say(f"commands/{command['id']}/result/", {"status": "succeeded"})
    ended = api.get(f"/api/v1/commands/{command['id']}/").body
    assert ended["status"] == "succeeded"
    assert [attempt["adapter"] for attempt in ended["attempts"]] == ["http"]

    asked = api.post("/api/v1/commands/", {"device": uid, "name": "collect_logs"})
    (command,) = say("commands/?wait=25").body["commands"]
    upload = command["params"]["upload"]
    assert upload["url"].startswith(platform_stack.url)
    request = urllib.request.Request(upload["url"], b"a line\n", method="PUT")
    with urllib.request.urlopen(request, timeout=PATIENCE) as done:
        assert done.status == 200
    (file,) = api.get(f"/api/v1/commands/{asked.body['id']}/").body["files"]
    assert api.get(file["url"]).body == "a line\n"
    say(f"commands/{command['id']}/result/", {"status": "succeeded"})

    api.patch(f"/api/v1/devices/{uid}/desired/", {"interval": 5})
    desired = wait_until(lambda: say("commands/?wait=5").body["desired"], what="config")
    assert desired["desired"] == {"interval": 5}
    say("reported/", {"version": 1, "reported": {"interval": 5}})
    twin = api.get(f"/api/v1/devices/{uid}/state/").body["twin"]
    assert (twin["reported"], twin["delta"]) == ({"interval": 5}, {})

    issued = api.get(f"/api/v1/devices/{uid}/credentials/").body["results"][0]
    api.send("DELETE", f"/api/v1/devices/{uid}/credentials/{issued['id']}/")
    out = stranger.post("/device/v1/heartbeat/", {}, Authorization=secret)
    assert out.status == 401, out
