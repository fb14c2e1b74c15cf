"""What the person at the terminal reads: progress, the address, the logins."""

from __future__ import annotations

import contextlib
import sys
import time
from pathlib import Path

DEMO_LOGINS = (
    ("admin", "admin", "platform superuser"),
    ("operator@acme", "demo", "manager in acme"),
    ("viewer@acme", "demo", "may look in acme"),
    ("approver@acme", "demo", "approves in acme"),
    ("operator@globex", "demo", "manager in globex"),
)


def say(text: str) -> None:
    """One line, at once, also into a pipe."""
    with contextlib.suppress(OSError):  # a terminal that is gone must not stop a stop
        print(text, flush=True)


class Step:
    """`Doing a thing … 1.2 s`: for what takes a person's time."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._began = time.monotonic()

    def __enter__(self) -> Step:
        if sys.stdout.isatty():
            print(f"  {self._title} …", end="\r", flush=True)
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            say(f"  {self._title}: {time.monotonic() - self._began:.1f} s")


def announce(
    *, url: str, mqtt_port: int | None, log: Path, is_demo: bool, is_stand_in: bool
) -> None:
    """The last lines before the platform only runs."""
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
        say("\n  To sign in first: .venv/bin/python manage.py createsuperuser")
    if is_stand_in:
        say(
            "\n  amqtt stands in for Mosquitto, good for a first look: it forgets\n"
            "  messages that are not acknowledged within seconds, so what was\n"
            "  acknowledged may be lost here. With mosquitto installed it is used."
        )
    say("\n  Ctrl-C stops everything.\n")
