"""An identity provider in a separate process, and the settings that enable it."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from django.core.cache import cache

from iotplatform.local.accounts import dying_with_parent
from iotplatform.local.ports import answers, free_port
from tests.identity_provider import CLIENT_ID, CLIENT_SECRET
from tests.waiting import PATIENCE, wait_until

BASE = Path(__file__).resolve().parent.parent
MAIL = "olive@acme.example"
OLIVE = {"sub": "1001", "email": MAIL, "email_verified": True, "name": "Olive Oyl"}
Control = Callable[..., None]


@pytest.fixture(scope="session")
def provider_address() -> Iterator[str]:
    """The URL of our own provider."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.identity_provider", str(port)],
        cwd=BASE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=dying_with_parent(signal.SIGTERM),
    )
    wait_until(lambda: answers("127.0.0.1", port), what="the provider")
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait(timeout=PATIENCE)


@pytest.fixture
def provider(provider_address: str, settings: Any) -> Control:
    """Set who is signed in at the provider, and which fault it has."""
    settings.OIDC_SERVER_URL = provider_address
    settings.OIDC_CLIENT_ID = CLIENT_ID
    settings.OIDC_CLIENT_SECRET = CLIENT_SECRET
    settings.OIDC_NAME = "Acme Login"
    cache.clear()

    def control(person: dict[str, Any], fault: str = "") -> None:
        body: dict[str, Any] = {"person": person, "fault": fault}
        requests.post(
            f"{provider_address}/control", json=body, timeout=PATIENCE
        ).raise_for_status()

    control(OLIVE)
    return control
