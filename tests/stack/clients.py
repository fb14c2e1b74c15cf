"""Clients of the platform: a script over HTTP, and a device with standard tools."""

from __future__ import annotations

import json
import os
import subprocess
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tests.waiting import PATIENCE

Found = TypeVar("Found")


@dataclass(frozen=True)
class Answer:
    """An answer of the API."""

    status: int
    body: Any
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Api:
    """A script that uses JSON over HTTP with a token."""

    url: str
    token: str = ""

    @classmethod
    def sign_in(cls, url: str, username: str, password: str) -> Api:
        """Return a client with a new token of this user."""
        answer = cls(url).post(
            "/api/v1/auth/token/", {"username": username, "password": password}
        )
        assert answer.status == 200, answer
        return cls(url, answer.body["token"])

    def get(self, path: str, **headers: str) -> Answer:
        """GET a path, or an absolute URL from an answer."""
        return self.send("GET", path, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Answer:
        """POST JSON; keyword arguments are headers (``Idempotency_Key=…``)."""
        return self.send("POST", path, body, **headers)

    def patch(self, path: str, body: Any, **headers: str) -> Answer:
        return self.send("PATCH", path, body, **headers)

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """Send a request; an error status is an answer, not an exception."""
        url = path if path.startswith("http") else self.url + path
        request = urllib.request.Request(url, method=method)
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        if self.token:
            request.add_header("Authorization", f"Token {self.token}")
        for name, value in headers.items():
            request.add_header(name.replace("_", "-"), value)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as response:
                return _answer(response.status, response.read(), response.headers)
        except urllib.error.HTTPError as error:
            return _answer(error.code, error.read(), error.headers)


def _answer(status: int, raw: bytes, headers: Any) -> Answer:
    kind = headers.get("Content-Type", "")
    body = json.loads(raw) if raw and "json" in kind else raw.decode(errors="replace")
    return Answer(status, body, dict(headers.items()))


@dataclass(frozen=True)
class StockDevice:
    """A device made of ``mosquitto_pub`` and ``mosquitto_sub``."""

    uid: str
    secret: str
    port: int

    def publish(
        self, topic: str, message: Any, *options: str
    ) -> subprocess.CompletedProcess[str]:
        """Publish below the device's own topic."""
        return self.publish_to(f"iot/v1/{self.uid}/{topic}", message, *options)

    def publish_to(
        self, topic: str, message: Any, *options: str
    ) -> subprocess.CompletedProcess[str]:
        """Publish to any topic, allowed or not."""
        text = message if isinstance(message, str) else json.dumps(message)
        command = ["mosquitto_pub", *self._common(), "-t", topic, "-m", text, *options]
        return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)

    def listen(self, topic: str, *options: str) -> subprocess.Popen[str]:
        """Subscribe below the device's own topic; end after one message."""
        return subprocess.Popen(
            [
                # stdbuf: the client would buffer its debug lines for a pipe.
                *("stdbuf", "-oL", "mosquitto_sub", *self._common(), "-d"),
                *("-t", f"iot/v1/{self.uid}/{topic}", "-C", "1", "-W", "30", *options),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
        )

    def _common(self) -> list[str]:
        return [
            *("-h", "127.0.0.1", "-p", str(self.port), "-q", "1"),
            *("-i", self.uid, "-u", self.uid, "-P", self.secret),
        ]


def wait_until_answered(listener: subprocess.Popen[str]) -> None:
    """Read until the broker has accepted the subscription, or refused the client."""
    assert listener.stdout is not None
    for line in listener.stdout:
        if "SUBACK" in line or "refused" in line.lower():
            return


def wait_until_subscribed(listener: subprocess.Popen[str]) -> None:
    """Read the client's debug lines until the broker has accepted the subscription."""
    assert listener.stdout is not None
    for line in listener.stdout:
        if "SUBACK" in line:
            return
    raise AssertionError("the broker never answered the subscription")


def received_message(listener: subprocess.Popen[str]) -> Any:
    """Return the JSON message that the listener received."""
    output, _ = listener.communicate(timeout=PATIENCE)
    for line in output.splitlines():
        if line.startswith("{"):
            return json.loads(line)
    raise AssertionError(f"no message came: {output}")
