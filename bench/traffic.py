"""The messages of bench/ingest, their devices, and the rows expected afterwards."""

from __future__ import annotations

import json
import random
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import psycopg
from paho.mqtt.enums import CallbackAPIVersion

from bench.lab import Lab

Final = tuple[int, float | None, int]


@dataclass(frozen=True)
class Traffic:
    """The messages, and the rows expected afterwards."""

    messages: list[tuple[str, bytes]]
    final: dict[str, Final]


def make_traffic(*, devices: int, messages: int, seed: int) -> Traffic:
    """Make 60 % heartbeats, 30 % telemetry, 10 % reported; devices take turns."""
    chance = random.Random(seed)
    began_ms = int(time.time() * 1_000) - messages
    sent: list[tuple[str, bytes]] = []
    final: dict[str, Final] = {}
    for number in range(messages):
        uid = f"bench-{number % devices:06d}"
        seq, value, version = final.get(uid, (0, None, 0))
        seq += 1
        # Two bridges may see the messages of a device in another order.
        body: dict[str, Any] = {"boot": 1, "seq": seq, "ts": began_ms + number}
        draw = chance.random()
        if draw < 0.6:
            kind = "heartbeat"
        elif draw < 0.9:
            kind = "telemetry"
            value = round(chance.uniform(-10, 40), 2)
            body["metrics"] = {"temperature": value, "battery": 80}
        else:
            kind = "reported"
            version += 1
            body |= {"version": version, "reported": {"interval": version % 60}}
        sent.append((f"iot/v1/{uid}/{kind}", json.dumps(body).encode()))
        final[uid] = (seq, value, version)
    return Traffic(sent, final)


def register_devices(lab: Lab, count: int, *, indexed: bool = True) -> None:
    """Create a tenant with a site, a product and the devices, by plain SQL.

    Many of them are made faster without the triggers of the index.
    """
    with psycopg.connect(lab.admin_url) as connection:
        if not indexed:
            connection.execute("SET session_replication_role = replica")
        script = (Path(__file__).parent / "fleet.sql").read_text()
        connection.execute(script.encode())
        connection.execute(
            "INSERT INTO registry_device (public_id, uid, tenant_id, site_id,"
            " product_id, name, serial, kind, adapter, lifecycle, tags, attributes,"
            " created_at, updated_at)"
            " SELECT gen_random_uuid(), 'bench-' || lpad(n::text, 6, '0'), t.id, s.id,"
            " p.id, '', '', 'standalone', 'mqtt', 'active', '{}', '{}', now(), now()"
            " FROM generate_series(0, %s - 1) n, registry_tenant t, registry_site s,"
            " registry_product p",
            [count],
        )


def publish_all(lab: Lab, traffic: Traffic) -> None:
    """Publish all messages, and wait until the broker has accepted them."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2, "@bench-publisher")
    client.username_pw_set("@bridge", lab.broker.password)
    client.max_inflight_messages_set(1_000)
    client.connect("127.0.0.1", lab.broker.platform_port)
    client.loop_start()
    published = [client.publish(topic, body, qos=1) for topic, body in traffic.messages]
    for info in published:
        info.wait_for_publish(timeout=120)
    client.disconnect()
    client.loop_stop()
