"""The device protocol: which messages are parsed, and which are refused."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from iotplatform.common.messages import (
    MAX_DEPTH,
    MAX_PAYLOAD_BYTES,
    Acknowledgement,
    Heartbeat,
    Reported,
    Status,
    Telemetry,
    Undecodable,
    Uplink,
    parse,
)

NOW = datetime(2030, 1, 1, tzinfo=UTC)
ID = "0190a000-0000-7000-8000-000000000001"
KINDS = ["status", "heartbeat", "telemetry", "reported", "event"]


def read(topic: str, payload: Any) -> Uplink:
    data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return parse(topic, data, retained=False, arrived_at=NOW, adapter="mqtt")


def refusal(topic: str, payload: Any) -> Undecodable:
    with pytest.raises(Undecodable) as caught:
        read(topic, payload)
    return caught.value


def test_a_birth_message_is_parsed_with_all_its_fields() -> None:
    birth = {"status": "online", "session": "s1", "boot": 3, "seq": 1, "ts": 5}

    uplink = read("iot/v1/dev-1/status", birth | {"heartbeat_seconds": 30})

    assert (uplink.uid, uplink.kind, uplink.at) == ("dev-1", "status", NOW)
    assert uplink.gateway_uid is None
    assert uplink.message == Status(
        status="online", session="s1", boot=3, seq=1, ts=5, heartbeat_seconds=30
    )


def test_a_childs_acknowledgement_names_child_gateway_and_command() -> None:
    topic = f"iot/v1/gw-1/child/dev-1/command/{ID}/ack"

    uplink = read(topic, {"status": "deferred", "reason": "busy", "until": 9})

    assert (uplink.uid, uplink.gateway_uid) == ("dev-1", "gw-1")
    assert (uplink.kind, uplink.command_id) == ("ack", UUID(ID))
    expected = Acknowledgement(status="deferred", reason="busy", until=9)
    assert uplink.message == expected


@pytest.mark.parametrize("kind", ["heartbeat"])
def test_fields_of_a_later_version_are_ignored(kind: str) -> None:
    assert read(f"iot/v1/d/{kind}", {"new": {"a": [1]}}).message == Heartbeat()


def test_telemetry_accepts_integers_and_fractions() -> None:
    uplink = read("iot/v1/d/telemetry", {"metrics": {"t": 21.5, "n": 3}})

    assert uplink.message == Telemetry(metrics={"t": 21.5, "n": 3.0})


@pytest.mark.parametrize(
    ("metric", "name", "why"),
    [
        (b'"humidity":null', "humidity", "expected `float`, got `null`"),
        (b'"humidity":"wet"', "humidity", "expected `float`, got `str`"),
        (b'"humidity":true', "humidity", "expected `float`, got `bool`"),
        (b'"humidity":[1]', "humidity", "expected `float`, got `array`"),
        (b'"humidity":{"a":1}', "humidity", "expected `float`, got `object`"),
        (b'"humidity":1e999', "humidity", "number out of range"),
        (b'"":1', "", "expected `str` of length >= 1"),
        (b'"' + b"x" * 65 + b'":1', "x" * 64, "expected `str` of length <= 64"),
    ],
)
def test_a_metric_that_cannot_be_used_is_left_out_and_named(
    metric: bytes, name: str, why: str
) -> None:
    fields = b'"boot":1,"seq":2,"ts":3'
    payload = b'{"metrics":{"temperature":22.5,' + metric + b"}," + fields + b"}"

    uplink = read("iot/v1/d/telemetry", payload)

    metrics = {"temperature": 22.5}
    assert uplink.message == Telemetry(metrics=metrics, boot=1, seq=2, ts=3)
    assert uplink.left_out == f"metrics.{name}: {why}"


@pytest.mark.parametrize(
    ("kind", "payload", "fields"),
    [
        ("status", {"session": "", "until": -1}, ["status", "session", "until"]),
        ("heartbeat", {"boot": "x", "seq": 1.5}, ["boot", "seq"]),
        ("telemetry", {"seq": 1}, ["metrics"]),
        ("telemetry", {"metrics": {"t": None, "n": "x"}}, ["metrics.t", "metrics.n"]),
        ("telemetry", {"metrics": [], "ts": "now"}, ["ts", "metrics"]),
        (
            "telemetry",
            {"history": [{}, 5, {"ts": 1, "metrics": {"t": "x"}}]},
            [
                "history.0.ts",
                "history.0.metrics",
                "history.1",
                "history.2.metrics.t",
            ],
        ),
        ("reported", {}, ["version", "reported"]),
        ("event", {}, ["code", "severity", "state"]),
        ("event", [], ["message"]),
        (f"command/{ID}/ack", {"until": "soon"}, ["status", "until"]),
        (f"command/{ID}/progress", {"payload": 1, "ts": -1}, ["ts", "payload"]),
        (f"command/{ID}/result", {"code": []}, ["status", "code"]),
    ],
)
def test_a_refusal_names_every_field_that_is_missing_or_wrong(
    kind: str, payload: Any, fields: list[str]
) -> None:
    error = refusal(f"iot/v1/dev-1/{kind}", payload)

    assert [fault.field for fault in error.faults] == fields
    told = [f"{fault.field}: {fault.message}" for fault in error.faults]
    assert error.detail == "; ".join(told)


def test_a_long_list_of_faults_is_cut_and_says_how_many_more_there_are() -> None:
    payload = {"history": [{"metrics": {"t": 1}}] * 500}

    detail = refusal("iot/v1/dev-1/telemetry", payload).detail

    named = detail.count(": missing")
    assert detail.endswith(f"; and {500 - named} more")
    assert len(detail) <= 500


def test_a_bad_field_beside_the_metrics_still_refuses_the_message() -> None:
    payload = {"metrics": {"temperature": 22.5, "humidity": None}, "seq": -1}

    assert refusal("iot/v1/d/telemetry", payload).reason == "bad_message"


@pytest.mark.parametrize(
    ("kind", "payload", "reason", "words"),
    [
        ("status", b"", "empty", "empty"),
        ("status", b" " * (MAX_PAYLOAD_BYTES + 1), "too_large", "65537 bytes"),
        ("status", b'{"status":', "bad_json", "truncated"),
        ("status", b"online", "bad_json", "malformed"),
        ("status", {}, "bad_message", "status: missing"),
        ("status", [], "bad_message", "message: expected `object`"),
        ("status", {"status": "asleep"}, "bad_message", "status: invalid enum"),
        ("status", {"status": "online", "session": ""}, "bad_message", "session:"),
        (
            "status",
            {"status": "online", "heartbeat_seconds": 0},
            "bad_message",
            "heartbeat_seconds: expected `int` >= 1",
        ),
        ("heartbeat", {"boot": 2**63}, "bad_message", "boot:"),
        ("heartbeat", {"seq": -1}, "bad_message", "seq:"),
        ("heartbeat", {"ts": 1e300}, "bad_message", "ts:"),
        ("heartbeat", {"ts": "now"}, "bad_message", "ts: expected `int | null`"),
        ("heartbeat", b'{"x":"\xff"}', "bad_json", "utf-8"),
        ("heartbeat", b'{"x":NaN}', "bad_json", "malformed"),
        ("telemetry", b'{"metrics":{"t":NaN}}', "bad_json", "malformed"),
        ("telemetry", b'{"metrics":{"t":-Infinity}}', "bad_json", "malformed"),
        ("telemetry", b'{"metrics":{"t":1e999}}', "bad_message", "metrics.t: number"),
        ("telemetry", {"metrics": {"t": True}}, "bad_message", "got `bool`"),
        ("telemetry", {"metrics": {"t": "1"}}, "bad_message", "got `str`"),
        ("telemetry", {"metrics": {"t": None}}, "bad_message", "got `null`"),
        ("telemetry", {"metrics": {"": 1}}, "bad_message", "metrics.: "),
        ("reported", {"reported": {}}, "bad_message", "version: missing"),
        ("reported", {"version": 1, "reported": []}, "bad_message", "reported: "),
        ("reported", {"version": 2**63, "reported": {}}, "bad_message", "version: "),
        ("reported", {"version": 1, "reported": {"a": "\0"}}, "bad_message", "u0000"),
        ("reported", {"version": 1, "reported": {"\0": 1}}, "bad_message", "u0000"),
        ("reported", {"version": 1, "reported": {"a": "\ud800"}}, "bad_json", ""),
        (
            "reported",
            b'{"version":1,"reported":{"a":' + b"9" * 5_000 + b"}}",
            "bad_message",
            "out of range",
        ),
        (
            "event",
            {"code": "c", "severity": "bad", "state": "raised"},
            "bad_message",
            "",
        ),
    ],
)
def test_a_bad_payload_is_refused_with_the_reason(
    kind: str, payload: Any, reason: str, words: str
) -> None:
    error = refusal(f"iot/v1/dev-1/{kind}", payload)

    assert error.reason == reason
    assert words in error.detail
    assert error.uid == "dev-1"
    assert "\0" not in error.detail


@pytest.mark.parametrize(
    ("topic", "uid"),
    [
        ("", ""),
        ("iot/v2/dev-1/status", ""),
        ("iot/v1/status", ""),
        ("iot/v1/a:b/status", ""),
        (f"iot/v1/{'a' * 65}/status", ""),
        ("iot/v1/dév/status", ""),
        ("iot/v1/dev-1/status/", "dev-1"),
        ("iot/v1/dev-1/status\n", "dev-1"),
        ("iot/v1/dev-1/down/command", "dev-1"),
        ("iot/v1/dev-1/command/7/ack", "dev-1"),
        (f"iot/v1/dev-1/command/{ID}/ok", "dev-1"),
        ("iot/v1/gw/child/dev-1/child/x/status", "dev-1"),
    ],
)
def test_an_invalid_topic_is_refused(topic: str, uid: str) -> None:
    error = refusal(topic, {"status": "online"})

    assert (error.reason, error.uid) == ("bad_topic", uid)


@pytest.mark.parametrize("opener", ["[", '{"a":'])
@pytest.mark.parametrize("kind", ["heartbeat", "reported"])
def test_nesting_is_limited_even_in_unknown_fields(kind: str, opener: str) -> None:
    closer = "]" if opener == "[" else "}"
    deep = opener * 4_000 + "1" + closer * 4_000
    payload = f'{{"version":1,"reported":{{"a":{deep}}},"new":{deep}}}'

    assert refusal(f"iot/v1/d/{kind}", payload[:9_000].encode()).reason == "bad_json"
    assert refusal(f"iot/v1/d/{kind}", payload.encode()).reason == "bad_json"


def test_many_brackets_side_by_side_do_not_count_as_nesting() -> None:
    document = {"list": [[] for _ in range(10 * MAX_DEPTH)], "text": "\\u0000 as text"}

    uplink = read("iot/v1/d/reported", {"version": 1, "reported": document})

    assert uplink.message == Reported(version=1, reported=document)


def outcome(topic: str, payload: bytes) -> Uplink | Undecodable:
    try:
        return parse(topic, payload, retained=True, arrived_at=NOW, adapter="mqtt")
    except Undecodable as error:
        return error


def is_storable(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= c <= "\udfff" for c in text)


@given(st.text(), st.binary())
@example("iot/v1/\ud800/status", b"{}")
def test_any_topic_and_payload_become_an_uplink_or_undecodable(
    topic: str, payload: bytes
) -> None:
    result = outcome(topic, payload)

    assert isinstance(result, Uplink) or is_storable(result.detail + result.uid)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
FIELDS = st.sampled_from(
    "status session boot seq ts version reported metrics code severity state reason "
    "until payload heartbeat_seconds history".split()
)
LEAVES = [*KINDS, f"command/{ID}/ack", f"command/{ID}/progress", f"command/{ID}/result"]


@given(st.sampled_from(LEAVES), st.dictionaries(FIELDS, JSON))
def test_any_json_of_known_fields_becomes_a_storable_uplink_or_undecodable(
    leaf: str, fields: dict[str, Any]
) -> None:
    result = outcome(f"iot/v1/d/{leaf}", json.dumps(fields).encode())

    if isinstance(result, Undecodable):
        assert is_storable(result.detail)
    else:
        stored = json.loads(msgspec.json.encode(result.message))
        assert is_storable(json.dumps(stored, ensure_ascii=False))
        metrics = getattr(result.message, "metrics", {})
        assert all(math.isfinite(value) for value in metrics.values())
