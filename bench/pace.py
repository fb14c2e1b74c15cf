"""Traffic at a steady rate, and the time from publishing to storing a message."""

from __future__ import annotations

import json
import threading
import time

import paho.mqtt.client as mqtt
import psycopg
from paho.mqtt.enums import CallbackAPIVersion

from bench.lab import Lab

TICK_SECONDS = 0.02
LOOK_SECONDS = 0.005
CANARY = "bench-000000"
SEEN = """
    SELECT coalesce(max(p.seq_high), 0) FROM state_presence p
    JOIN registry_device d ON d.id = p.device_id WHERE d.uid = %s
"""


def measure_lag(lab: Lab, *, devices: int, rate: float, seconds: int) -> list[float]:
    """Publish heartbeats at this rate; return the lags of one device among them."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2, "@bench-pace")
    client.username_pw_set("@bridge", lab.broker.password)
    client.max_inflight_messages_set(2_000)
    client.connect("127.0.0.1", lab.broker.platform_port)
    client.loop_start()
    ending = threading.Event()
    others = threading.Thread(target=_publish, args=[client, devices, rate, ending])
    others.start()
    try:
        return _canary(lab, client, seconds)
    finally:
        ending.set()
        others.join()
        client.disconnect()
        client.loop_stop()


def _publish(
    client: mqtt.Client, devices: int, rate: float, ending: threading.Event
) -> None:
    sent, started = 0, time.monotonic()
    while not ending.wait(TICK_SECONDS):
        for _ in range(int((time.monotonic() - started) * rate) - sent):
            sent += 1
            turn, place = divmod(sent, devices - 1)
            body = json.dumps({"boot": 2, "seq": turn + 1})
            topic = f"iot/v1/bench-{place + 1:06d}/heartbeat"
            client.publish(topic, body, qos=1)


def _canary(lab: Lab, client: mqtt.Client, seconds: int) -> list[float]:
    """Publish messages in turn, each after the last one was stored."""
    lags: list[float] = []
    end = time.monotonic() + seconds
    with psycopg.connect(lab.admin_url, autocommit=True) as database:
        for seq in range(1, 1_000_000):
            sent_at = time.monotonic()
            if sent_at > end:
                break
            body = json.dumps({"boot": 2, "seq": seq})
            client.publish(f"iot/v1/{CANARY}/heartbeat", body, qos=1)
            while True:
                row = database.execute(SEEN, [CANARY]).fetchone()
                if row and row[0] >= seq:
                    break
                time.sleep(LOOK_SECONDS)
            lags.append(time.monotonic() - sent_at)
    return lags
