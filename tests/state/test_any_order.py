"""A device's messages in any order and repetition give the same twin and presence.

Parallel bridges commit their messages in any order; the arrival time of each message is
known. With boot and seq in all messages of the device, that is enough.
"""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from commands.services.uplink import ingest_batch
from iotplatform.common.messages import Uplink
from registry.models import Device
from state.models import Presence, TelemetrySummary, Twin
from tests.factories import DeviceFactory
from tests.state.scene import SECOND, t, uplink

pytestmark = pytest.mark.django_db
EXAMPLES, EXAMPLES_AT_FULL_SIZE = 20, 300
ENDS = ("goodbye", "will", "bare will", "takeover", "silence")
KINDS = ("heartbeat", "telemetry", "reported", "event", "sleep", "result")
NOBODYS = "0190a000-0000-7000-8000-000000000001"
PRESENCE = (
    *("connectivity", "cause", "last_seen_at", "last_activity_at", "session", "boot"),
    *("seq_high", "heartbeat_seconds", "sleeping_until", "clock_skew"),
)
TWIN = ("reported", "reported_version", "reported_boot", "firmware", "delta")


@dataclass(frozen=True)
class Message:
    """One message, without its device."""

    at: datetime
    kind: str
    body: dict[str, Any] = field(hash=False)

    def of(self, device: Device) -> Uplink:
        return uplink(device, self.kind, self.at, **self.body)


@dataclass(frozen=True)
class Connection:
    """The messages between a birth and the end of the connection."""

    is_new_boot: bool
    words: tuple[str, ...]
    end: str
    is_clock_wrong: bool


connections = st.builds(
    Connection,
    is_new_boot=st.booleans(),
    words=st.lists(st.sampled_from(KINDS), max_size=5).map(tuple),
    end=st.sampled_from(ENDS),
    is_clock_wrong=st.booleans(),
)
lives = st.lists(connections, min_size=1, max_size=4)


def messages_of(life: list[Connection]) -> list[Message]:
    """Return the messages of a device with these connections, in order of arrival."""
    messages: list[Message] = []
    clock = itertools.count(1)
    seqs = itertools.count(1)
    boot = version = 0
    late_will: dict[str, Any] | None = None

    def say(kind: str, **body: Any) -> None:
        messages.append(Message(t(0) + next(clock) * SECOND, kind, body))

    for number, one in enumerate(life):
        if one.is_new_boot or not boot:
            boot, seqs, version = boot + 1, itertools.count(1), 0
        session = {"session": f"s{number}"}
        off = 86_400_000 if one.is_clock_wrong else 0

        def stamped(boot: int = boot, seqs: Any = seqs, off: int = off) -> Any:
            ts = int(t(0).timestamp() * 1_000) - off
            return {"boot": boot, "seq": next(seqs), "ts": ts}

        seconds = {"heartbeat_seconds": 60 + number}
        say("status", status="online", **session, **seconds, **stamped())
        if late_will is not None:
            say("status", **late_will)
            late_will = None
        for word in one.words:
            if word == "heartbeat":
                say(word, **stamped())
            elif word == "telemetry":
                say(word, metrics={"temperature": len(messages)}, **stamped())
            elif word == "reported":
                version += 1
                document = {"firmware": f"1.{len(messages)}", "n": len(messages)}
                say(word, version=version, reported=document, **stamped())
            elif word == "event":
                raised = {"code": "hot", "severity": "info", "state": "raised"}
                say(word, **raised, **stamped())
            elif word == "sleep":
                until = int((t(0).timestamp() + len(messages) + 3_600) * 1_000)
                say("status", status="sleeping", until=until, **stamped())
            else:
                topic = f"command/{NOBODYS}/result"
                say(topic, status="succeeded", **stamped())
        will = {"status": "offline", **session, "boot": boot}
        if one.end == "goodbye":
            say("status", status="goodbye", **session, **stamped())
        elif one.end == "will":
            say("status", **will)
        elif one.end == "bare will":
            say("status", status="offline", boot=boot)
        elif one.end == "takeover":
            late_will = will
    return messages


def live(device: Device, batches: list[list[Message]], end: datetime) -> None:
    for batch in batches:
        ingest_batch([messages.of(device) for messages in batch], [], now=end)


def found(device: Device) -> dict[str, Any]:
    """Return the state that the platform stored for a device."""
    presence = Presence.objects.filter(pk=device.pk).values(*PRESENCE).get()
    twin = Twin.objects.filter(pk=device.pk).values(*TWIN).first()
    summary = TelemetrySummary.objects.filter(pk=device.pk).values("latest").first()
    return {**presence, "twin": twin, "telemetry": summary}


def test_any_order_and_repetition_of_messages_gives_the_same_state(
    counted: Counter[str], is_long: bool
) -> None:
    examples = EXAMPLES_AT_FULL_SIZE if is_long else EXAMPLES

    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=not is_long,
        phases=[Phase.generate],  # examples are short; shrinking takes minutes
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(life=lives, chance=st.randoms(use_true_random=False))
    def holds(life: list[Connection], chance: Any) -> None:
        messages = messages_of(life)
        end = messages[-1].at + SECOND
        repeated = [
            one for one in messages if "seq" in one.body and chance.random() < 0.3
        ]
        mixed = messages + repeated
        chance.shuffle(mixed)
        batches: list[list[Message]] = [[]]
        for one in mixed:
            if batches[-1] and chance.random() < 0.4:
                batches.append([])
            batches[-1].append(one)
        straight, shuffled = DeviceFactory.create_batch(2)

        live(straight, [[one] for one in messages], end)
        live(shuffled, batches, end)

        assert found(shuffled) == found(straight)
        counted["messages of a device, shuffled and repeated"] += len(mixed)

    holds()
