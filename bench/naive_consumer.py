"""The baseline of bench/ingest: a callback, some ORM calls and a commit per message.

A first version of a consumer, not written for a fleet, looks like this. It is fair: the
same tables, the same broker, and it acknowledges after the commit.
"""

from __future__ import annotations

import json
import os
from typing import Any
from urllib.parse import unquote, urlsplit

import django
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

CLIENT_ID = "@naive"


def on_message(client: mqtt.Client, userdata: Any, message: mqtt.MQTTMessage) -> None:
    """Store one message, commit, acknowledge."""
    from django.db import transaction
    from django.utils import timezone

    from registry.models import Device
    from state.models import Presence, TelemetrySummary, Twin

    _, _, uid, kind = message.topic.split("/")
    body = json.loads(message.payload)
    now = timezone.now()
    with transaction.atomic():
        device = Device.objects.get(uid=uid)
        presence, _ = Presence.objects.get_or_create(
            device=device, defaults={"tenant_id": device.tenant_id, "since": now}
        )
        presence.last_seen_at = presence.last_activity_at = now
        presence.boot, presence.seq_high = body["boot"], body["seq"]
        presence.connectivity, presence.cause = "online", ""
        presence.save()
        if kind == "telemetry":
            summary, _ = TelemetrySummary.objects.get_or_create(
                device=device, defaults={"tenant_id": device.tenant_id}
            )
            for metric, value in body["metrics"].items():
                summary.latest[metric] = {"value": value, "at": now.isoformat()}
            summary.save()
        elif kind == "reported":
            twin, _ = Twin.objects.get_or_create(
                device=device, defaults={"tenant_id": device.tenant_id}
            )
            twin.reported, twin.reported_version = body["reported"], body["version"]
            twin.save()
    client.ack(message.mid, message.qos)


def on_connect(client: mqtt.Client, *_: Any) -> None:
    """Subscribe to all messages of devices."""
    client.subscribe("iot/v1/+/+", qos=1)


def main() -> None:
    """Consume until killed."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "iotplatform.settings")
    django.setup()
    url = urlsplit(os.environ["MQTT_URL"])
    client = mqtt.Client(
        CallbackAPIVersion.VERSION2,
        CLIENT_ID,
        clean_session=False,
        manual_ack=True,
    )
    client.username_pw_set(unquote(url.username or ""), unquote(url.password or ""))
    client.on_message = on_message
    client.on_connect = on_connect
    client.on_subscribe = lambda *_: print("subscribed", flush=True)
    client.connect(url.hostname or "", url.port or 1883)
    client.loop_forever()


if __name__ == "__main__":
    main()
