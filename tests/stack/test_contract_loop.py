"""The whole loop through public interfaces: REST, and a standard MQTT client."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest

from tests.stack.clients import (
    Api,
    StockDevice,
    received_message,
    wait_until_answered,
    wait_until_subscribed,
)
from tests.waiting import wait_until

pytestmark = pytest.mark.stack

REFERENCE_QUERY = 'region:"East China" AND firmware:1.4.* AND disconnects_72h:>=5'
NEWCOMER_QUERY = 'region:"East China" AND firmware:9.9.*'


@pytest.fixture
def api(platform_stack: Any) -> Api:
    return Api.sign_in(platform_stack.url, "manager@acme", "demo")


def new_device(
    api: Api, platform_stack: Any, *, active: bool = True, **fields: Any
) -> StockDevice:
    """Register a device over REST, activate it, and return it with its secret."""
    uid = f"dev-{uuid4().hex[:8]}"
    basic = {"uid": uid, "site": "shanghai-01", "product": "sensor-s1"}
    created = api.post("/api/v1/devices/", basic | fields)
    assert created.status == 201, created
    if active:
        moved = api.post(
            f"/api/v1/devices/{uid}/lifecycle/", {"to": "active", "reason": "test"}
        )
        assert moved.status == 200, moved
    issued = api.post(f"/api/v1/devices/{uid}/credentials/")
    assert issued.status == 201, issued
    return StockDevice(uid, issued.body["secret"], platform_stack.mqtt_port)


def presence(api: Api, uid: str) -> Any:
    return api.get(f"/api/v1/devices/{uid}/state/").body["presence"]


def come_online(api: Api, device: StockDevice) -> None:
    sent = device.publish("status", {"status": "online"}, "-r")
    assert sent.returncode == 0, sent.stderr
    wait_until(
        lambda: presence(api, device.uid)["connectivity"] == "online", what="online"
    )


def search_uids(api: Api, query: str) -> list[str]:
    answer = api.get(f"/api/v1/fleet/search/?q={quote(query)}&limit=1000")
    assert answer.status == 200, answer
    return [row["uid"] for row in answer.body["results"]]


def test_a_device_is_created_connects_and_answers_a_command(
    api: Api, platform_stack: Any
) -> None:
    device = new_device(api, platform_stack)
    assert presence(api, device.uid)["cause"] == "never_connected"
    come_online(api, device)

    listener = device.listen("down/command")
    wait_until_subscribed(listener)
    asked = api.post(
        "/api/v1/commands/",
        {"device": device.uid, "name": "identify", "params": {}},
        Idempotency_Key=str(uuid4()),
    )
    assert asked.status == 201, asked
    message = received_message(listener)

    assert message["id"] == asked.body["id"]
    assert message["name"] == "identify"
    assert message["attempt"] == 1
    path = f"command/{message['id']}"
    device.publish(f"{path}/ack", {"status": "received"})
    device.publish(f"{path}/result", {"status": "succeeded", "payload": {"lamp": "on"}})
    command = wait_until(
        lambda: finished(api, message["id"], "succeeded"), what="succeeded"
    )
    assert command["sent_at"]
    assert command["received_at"]
    assert command["ended_at"]
    assert [attempt["number"] for attempt in command["attempts"]] == [1]
    assert "succeeded" in [event["status"] for event in command["events"]]


def finished(api: Api, command_id: str, status: str) -> Any:
    body = api.get(f"/api/v1/commands/{command_id}/").body
    return body if body["status"] == status else None


def test_a_configuration_is_published_retained_and_verified_by_the_report(
    api: Api, platform_stack: Any
) -> None:
    device = new_device(api, platform_stack)
    come_online(api, device)

    asked = api.patch(f"/api/v1/devices/{device.uid}/desired/", {"interval": 5})
    assert asked.status == 202, asked
    document = received_message(device.listen("down/desired"))
    assert document["desired"] == {"interval": 5}
    assert document["command_id"] == asked.body["id"]
    device.publish(
        "reported",
        {"version": 1, "reported": {"interval": 5, "firmware": "1.4.2"}},
    )

    wait_until(lambda: finished(api, asked.body["id"], "verified"), what="verified")
    twin = api.get(f"/api/v1/devices/{device.uid}/state/").body["twin"]
    assert twin["desired"] == {"interval": 5}
    assert twin["delta"] == {}
    assert twin["reported_version"] == 1


def test_a_new_device_is_found_by_search_within_seconds(
    api: Api, platform_stack: Any
) -> None:
    device = new_device(api, platform_stack)
    device.publish(
        "reported", {"version": 1, "reported": {"firmware": "9.9.1", "modem": {}}}
    )

    wait_until(
        lambda: (
            device.uid in search_uids(api, 'region:"East China" AND firmware:9.9.*')
        ),
        what="the device in the index",
    )


def test_the_reference_query_finds_devices_of_the_demo_fleet(api: Api) -> None:
    found = wait_until(lambda: search_uids(api, REFERENCE_QUERY), what="matches")

    assert len(found) >= 2


def test_a_user_of_another_tenant_does_not_see_the_device(
    api: Api, platform_stack: Any
) -> None:
    device = new_device(api, platform_stack)
    stranger = Api.sign_in(platform_stack.url, "manager@globex", "demo")

    for path in ("", "state/", "credentials/", "timeline/"):
        answer = stranger.get(f"/api/v1/devices/{device.uid}/{path}")
        assert answer.status == 404, path
    assert device.uid not in search_uids(stranger, "*")


def test_a_wrong_secret_is_refused(api: Api, platform_stack: Any) -> None:
    device = new_device(api, platform_stack)
    thief = StockDevice(device.uid, "wrong", device.port)

    assert thief.publish("status", {"status": "online"}).returncode != 0
    assert presence(api, device.uid)["cause"] == "never_connected"


def test_a_publish_or_will_on_another_devices_topic_is_not_delivered(
    api: Api, platform_stack: Any
) -> None:
    victim = new_device(api, platform_stack)
    attacker = new_device(api, platform_stack)
    come_online(api, victim)

    attacker.publish_to(f"iot/v1/{victim.uid}/status", {"status": "goodbye"})
    with_foreign_will = attacker.listen(
        "down/command",
        *("--will-topic", f"iot/v1/{victim.uid}/status"),
        *("--will-payload", '{"status":"goodbye"}'),
    )
    wait_until_answered(with_foreign_will)
    with_foreign_will.kill()  # without DISCONNECT: the broker would publish the will
    with_foreign_will.communicate()
    come_online(api, attacker)  # so all earlier messages are processed

    assert presence(api, victim.uid)["connectivity"] == "online"


def test_an_invalid_payload_is_a_dead_letter_and_stops_no_other_message(
    api: Api, platform_stack: Any
) -> None:
    admin = Api.sign_in(platform_stack.url, "admin", "admin")
    before = admin.get("/api/v1/platform/").body["dead_letters"]["total"]
    device = new_device(api, platform_stack)

    device.publish("telemetry", "{not json")
    come_online(api, device)

    after = admin.get("/api/v1/platform/").body["dead_letters"]["total"]
    assert after > before


def test_a_query_with_an_unknown_field_is_400_with_position_and_suggestion(
    api: Api,
) -> None:
    answer = api.get("/api/v1/fleet/search/?q=firmwar:1.4.*")

    assert answer.status == 400
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    error = answer.body["errors"][0]
    assert error["position"] == 0
    assert "firmware" in str(error["did_you_mean"])
