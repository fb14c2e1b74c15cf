"""examples/http_device.py executes commands and applies configuration, over HTTP."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from commands.models import Command, DeviceFile
from commands.selectors.files import read_file
from iotplatform.adapters.http.long_poll import waiters
from registry.services.credentials import issue_credential
from state.models import Presence
from tests.broker_process import BASE
from tests.commands.units import Unit, ask, fresh
from tests.factories import DeviceFactory
from tests.state.scene import standing, twin
from tests.waiting import wait_until


@pytest.mark.django_db(transaction=True)
def test_the_example_comes_online_executes_commands_and_applies_configuration(
    live_server: Any, tmp_path: Path, settings: Any
) -> None:
    settings.DEVICE_HTTP_URL = live_server.url
    device = DeviceFactory.create(adapter="http")
    secret = issue_credential(device).secret
    words = [sys.executable, str(BASE / "examples/http_device.py")]
    words += ["--url", live_server.url, "--uid", device.uid, "--secret", secret]
    words += ["--memory", str(tmp_path / "memory.json"), "--wait", "4"]
    process = subprocess.Popen(words)
    try:
        wait_until(lambda: Presence.objects.filter(pk=device.pk).exists(), what="birth")
        assert standing(device) == ("online", "")
        wait_until(lambda: waiters.count == 1, what="its poll")

        identify = ask(Unit(device), "identify", {"seconds": 2})
        wait_until(lambda: is_at(identify, "succeeded"), what="it obeys")
        logs = ask(Unit(device), "collect_logs")
        wait_until(lambda: is_at(logs, "succeeded"), what="it uploads its log")
        config = ask(Unit(device), "set_config", {"interval": 7})
        wait_until(lambda: is_at(config, "verified"), what="it converges")
    finally:
        process.terminate()
        assert process.wait(10) == 0

    assert read_file(DeviceFile.objects.get(command=logs)).startswith(b"executed ")
    assert twin(device).reported == {"firmware": "1.4.2", "interval": 7}
    assert twin(device).delta == {}
    # Its last poll ends later in the server, and must not use the next test's database.
    wait_until(lambda: not waiters.is_watching, what="the last poll ends")


def is_at(command: Command, status: str) -> bool:
    return fresh(command).status == status
