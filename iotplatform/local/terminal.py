"""What the person at the terminal reads when all is ready: addresses and logins."""

from __future__ import annotations

from pathlib import Path

from iotplatform.local.steps import say

DEMO_LOGINS = (
    ("admin", "admin", "platform superuser"),
    ("manager@acme", "demo", "manager of acme: may register devices"),
    ("operator@acme", "demo", "operator of acme: sends commands and jobs"),
    ("viewer@acme", "demo", "viewer of acme"),
    ("approver@acme", "demo", "approver of acme"),
    ("manager@globex", "demo", "manager of globex"),
    ("operator@globex", "demo", "operator of globex"),
)


def announce(
    *, url: str, mqtt_port: int | None, log: Path, is_demo: bool, is_stand_in: bool
) -> None:
    """Print addresses and logins, once the platform is ready."""
    say("")
    say(f"  Console   {url}")
    say(f"  API       {url}api/docs/")
    if mqtt_port:
        say(f"  MQTT      127.0.0.1:{mqtt_port} (devices)")
    say(f"  Logs      {log}/")
    if is_demo:
        say("")
        for name, password, what in DEMO_LOGINS:
            say(f"  {name:16} {password:6} {what}")
    else:
        say("\n  Create a first login: .venv/bin/python manage.py createsuperuser")
    if is_stand_in:
        say(
            "\n  Mosquitto is not installed, so amqtt runs in its place. That is good\n"
            "  enough for a first look, but amqtt drops messages that are not\n"
            "  acknowledged within seconds. Install mosquitto to use it instead."
        )
    say("\n  Press Ctrl-C to stop everything.\n")
