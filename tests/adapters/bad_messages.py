"""Bad messages: a list of them, and random changes of good messages."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import paho.mqtt.client as mqtt

from iotplatform.adapters.mqtt.topics import FILTERS
from iotplatform.common.messages import MAX_DEPTH, MAX_PAYLOAD_BYTES

ID = "0190a000-0000-7000-8000-000000000001"
BRANCHES = {
    **{kind: kind for kind in ("status", "heartbeat", "telemetry", "reported")},
    "event": "event",
    **{kind: f"command/{ID}/{kind}" for kind in ("ack", "progress", "result")},
}
GOOD: dict[str, dict[str, Any]] = {
    "status": {"status": "online", "session": "s1", "heartbeat_seconds": 60},
    "heartbeat": {},
    "telemetry": {"metrics": {"temperature": 21.5, "battery": 80}},
    "reported": {"version": 1, "reported": {"firmware": "1.4.2", "net": {"a": [1]}}},
    "event": {"code": "hot", "severity": "warning", "state": "raised", "message": "x"},
    "ack": {"status": "deferred", "reason": "busy", "until": 4_000_000_000_000},
    "progress": {"payload": {"percent": 40}},
    "result": {"status": "succeeded", "code": 0, "payload": {"log": ["a"]}},
}

LONG = "x" * 65
NO_NUMBER: list[Any] = ["1", 1.5, True, [], {}, -1, 2**63, 1e300]
NO_NAME: list[Any] = ["", LONG, 1, True, [], {}]
NO_TEXT: list[Any] = ["x" * 2_001, 1, True, [], {}]
NO_CHOICE: list[Any] = [None, "", "ONLINE", "asleep", 1, True, [], {}]
NO_METRICS: list[Any] = [
    *(None, 1, "x", [], True, {"t": "hot"}, {"t": None}, {"t": True}, {"t": []}),
    *({"t": {}}, {"": 1}, {LONG: 1}, {f"m{n}": n for n in range(257)}),
]
NO_DOCUMENT: list[Any] = [None, 1, "x", [], True, {"a": "\0"}, {"\0": 1}]
# Invalid values for each field of each message.
WRONG: dict[str, dict[str, list[Any]]] = {
    "status": {
        "status": NO_CHOICE,
        "session": NO_NAME,
        "heartbeat_seconds": [0, -1, 86_401, "60", 1.5, True, [], {}],
        "until": NO_NUMBER,
    },
    "heartbeat": {},
    "telemetry": {"metrics": NO_METRICS},
    "reported": {"version": [None, *NO_NUMBER], "reported": NO_DOCUMENT},
    "event": {
        "code": [None, *NO_NAME],
        "severity": NO_CHOICE,
        "state": NO_CHOICE,
        "message": NO_TEXT,
    },
    "ack": {"status": NO_CHOICE, "reason": NO_TEXT, "until": NO_NUMBER},
    "progress": {"payload": [1, "x", [], True]},
    "result": {"status": NO_CHOICE, "code": ["", LONG, 1.5, True, [], {}]},
}
REQUIRED = {
    "status": ["status"],
    "telemetry": ["metrics"],
    "reported": ["version", "reported"],
    "event": ["code", "severity", "state"],
    "ack": ["status"],
    "result": ["status"],
}
# Bytes that are not a message of any kind, with the reason.
JUNK: list[tuple[bytes, str]] = [
    (b"", "empty"),
    (b" ", "bad_json"),
    (b"\x00", "bad_json"),
    (b"\xff\xfe", "bad_json"),
    (b"\xef\xbb\xbf{}", "bad_json"),  # a byte order mark
    (b"{", "bad_json"),
    (b"}", "bad_json"),
    (b"{'a':1}", "bad_json"),
    (b"{a:1}", "bad_json"),
    (b"/* a */ {}", "bad_json"),
    (b"null", "bad_message"),
    (b"true", "bad_message"),
    (b"7", "bad_message"),
    (b"1e999", "bad_message"),
    (b'"online"', "bad_message"),
    (b"[]", "bad_message"),
    (b"[{}]", "bad_message"),
    (b"\x1f\x8b\x08\x00\x00\x00\x00\x00", "bad_json"),  # gzip
    (b"\x08\x96\x01", "bad_json"),  # a protocol buffer
    (b"<status>online</status>", "bad_json"),
    (b"a=1&b=2", "bad_json"),
    (b"[" * 10_000, "bad_message"),
    (b"{" + b" " * MAX_PAYLOAD_BYTES + b"}", "too_large"),
]
# Members that make a good message bad, although their names are unknown.
MEMBERS: list[tuple[bytes, str]] = [
    (b'"a":1,', "bad_json"),
    (b'"a":1}{}', "bad_json"),
    (b'"a":01', "bad_json"),
    (b'"a":+1', "bad_json"),
    (b'"a":.5', "bad_json"),
    (b'"a":NaN', "bad_json"),
    (b'"a":Infinity', "bad_json"),
    (b'"a":-Infinity', "bad_json"),
    (b'"a":"\x01"', "bad_json"),  # a bare control character
    (b'"a":"\xff"', "bad_json"),
    (b'"a":"\xc3"', "bad_json"),  # half a letter
    (b'"a":"\xed\xa0\x80"', "bad_json"),  # half a surrogate as bytes
    (b'"a":"\xc0\x80"', "bad_json"),  # NUL, written too long
    (b'"a":"\\u0000"', "bad_message"),
    (b'"\\u0000":1', "bad_message"),
    (b'"a":"\\ud800"', "bad_json"),
    (b'"a":"\\udc00\\ud800"', "bad_json"),
    (b'"a":"\\x"', "bad_json"),
    (b'"a":' + b"[" * 10_000 + b"]" * 10_000, "bad_json"),
    (b'"a":' + b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "bad_json"),
    (b'"a":' + b'{"a":' * MAX_DEPTH + b"{}" + b"}" * MAX_DEPTH, "bad_json"),
    (b'"a":"' + b"x" * 1_000_000 + b'"', "too_large"),
]
BAD_UIDS = ["", "a:b", "é", " a", "-a", ".a", "_a", LONG, "a b", "a\u202eb", "😀"]
BAD_IDS = ["", "1", "null", ID[:-1], ID + "0", "{" + ID + "}", ID.replace("-", "")]


@dataclass(frozen=True)
class Bad:
    """A bad message, and the reason that its dead letter must have."""

    topic: str
    payload: bytes
    reason: str


def bad_payloads(uid: str) -> Iterator[Bad]:
    """Yield invalid messages on the device's own topics."""
    for kind, branch in BRANCHES.items():
        topic = f"iot/v1/{uid}/{branch}"
        for junk, reason in JUNK:
            yield Bad(topic, junk, reason)
        begun = encoded(GOOD[kind]).removesuffix(b"}") + b"," * bool(GOOD[kind])
        for member, reason in MEMBERS:
            yield Bad(topic, begun + member + b"}", reason)
        common = {name: NO_NUMBER for name in ("ts", "boot", "seq")}
        for field, values in (WRONG[kind] | common).items():
            for value in values:
                yield Bad(topic, encoded({**GOOD[kind], field: value}), "bad_message")
        for field in REQUIRED.get(kind, []):
            body = {name: v for name, v in GOOD[kind].items() if name != field}
            yield Bad(topic, encoded(body), "bad_message")


def bad_topics(uid: str) -> Iterator[Bad]:
    """Yield topics that the bridge subscribes to but that have an invalid uid or id."""
    for bad in BAD_UIDS:
        yield Bad(f"iot/v1/{bad}/heartbeat", b"{}", "bad_topic")
        yield Bad(f"iot/v1/{uid}/child/{bad}/heartbeat", b"{}", "bad_topic")
        yield Bad(f"iot/v1/{bad}/child/{uid}/heartbeat", b"{}", "bad_topic")
    for bad in BAD_IDS:
        yield Bad(f"iot/v1/{uid}/command/{bad}/ack", b"{}", "bad_topic")


def encoded(body: Any) -> bytes:
    return json.dumps(body).encode()


TOKENS = [
    *(b"null", b"true", b"-1", b"1e999", b"NaN", b'""', b"[]", b"{}", b'"\\u0000"'),
    *(b"9223372036854775808", b"\xff", b"\x00", b'"\\ud800"', b"[" * 40, b"0.1", b","),
]


def mutated(uid: str, chance: random.Random) -> tuple[str, bytes]:
    """Return a good message with random changes.

    The broker accepts its topic, and the bridge subscribes to it.
    """
    kind = chance.choice(list(BRANCHES))
    body = GOOD[kind] | {"boot": chance.randrange(3), "seq": chance.randrange(100)}
    data = bytearray(encoded(body))
    for _ in range(chance.randint(1, 2)):
        at = chance.randrange(len(data) + 1)
        to = min(len(data), at + chance.randint(1, 4))
        match chance.randrange(6):
            case 0:
                data[at:to] = b""
            case 1:
                data[at:at] = chance.choice(TOKENS)
            case 2:
                data[at:to] = chance.choice(TOKENS)
            case 3:
                data[at:at] = data[at:to] * chance.randint(1, 3)
            case 4:
                data[at:to] = chance.randbytes(to - at)
            case _:
                del data[at:]
    topic = f"iot/v1/{uid}/{BRANCHES[kind]}"
    if chance.random() < 0.1:
        spot = topic.index(uid) + chance.randrange(len(uid) + 1)
        changed = topic[:spot] + chance.choice(":é .-A0") + topic[spot + 1 :]
        topic = changed if is_subscribed(changed) else topic
    return topic, bytes(data)


def is_subscribed(topic: str) -> bool:
    """Whether the bridge subscribes to the topic."""
    return any(mqtt.topic_matches_sub(pattern, topic) for pattern in FILTERS)
