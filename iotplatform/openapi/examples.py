"""Examples in the OpenAPI document, by operation; a test sends each of them."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample

NDJSON = "application/x-ndjson"
FORM = "multipart/form-data"
IMPORTED = '{"uid": "pump-8", "site": "shanghai-01", "product": "sensor-s1"}\n'


def request(name: str, value: Any, media_type: str = "application/json") -> Any:
    """Return an example of a request's body."""
    return OpenApiExample(name, value=value, request_only=True, media_type=media_type)


def response(name: str, value: Any) -> Any:
    """Return an example of a response's body."""
    return OpenApiExample(name, value=value, response_only=True, status_codes=["200"])


def parameter(summary: str, value: Any, name: str) -> Any:
    """Return an example of a query parameter."""
    return OpenApiExample(summary, value=value, parameter_only=(name, "query"))


EXAMPLES: dict[str, list[OpenApiExample]] = {
    "POST devices/": [
        request(
            "A sensor in the field",
            {
                "uid": "pump-7",
                "name": "Pump 7",
                "serial": "SN-0007",
                "site": "shanghai-01",
                "product": "sensor-s1",
                "tags": ["rooftop"],
            },
        )
    ],
    "POST devices/import/": [
        request("One device per line", IMPORTED, NDJSON),
        request(
            "As CSV", "uid,site,product\npump-9,shanghai-01,sensor-s1\n", "text/csv"
        ),
    ],
    "POST devices/{uid}/lifecycle/": [
        request("Send to repair", {"to": "in_repair", "reason": "No heartbeat."})
    ],
    "POST devices/{uid}/credentials/": [
        request("A secret that the platform creates", {}),
        request(
            "A certificate of the device",
            {"kind": "x509", "fingerprint": "5f" * 32},
        ),
    ],
    "POST command-definitions/": [
        request(
            "Open a valve, which a second person must approve",
            {
                "name": "open_valve",
                "class": "operation",
                "description": "Open the valve so far.",
                "params_schema": {
                    "type": "object",
                    "properties": {
                        "position": {"type": "integer", "minimum": 0, "maximum": 100}
                    },
                    "required": ["position"],
                    "additionalProperties": False,
                },
                "policy": {"attempts": 2, "on_failure": {"no_ack": "retry_now"}},
                "danger": "confirm",
                "approval": True,
                "expectation": {"valve": {"position": "{{ params.position }}"}},
                "reactions": {"stuck": "escalate", "busy": "retry_later"},
            },
        )
    ],
    "POST commands/": [
        request("Restart", {"device": "dev-1", "name": "reboot", "params": {}})
    ],
    "POST jobs/": [
        request(
            "Only count the devices",
            {
                "name": "Restart the sensors",
                "query": "product:sensor-s1",
                "command": {"name": "reboot", "params": {}},
                "dry_run": True,
            },
        ),
        request(
            "One device first, then waves of fifty",
            {
                "name": "Restart the sensors",
                "devices": ["dev-1"],
                "command": {"name": "reboot", "params": {}},
                "rollout": {"canary": 1, "wave_size": 50, "failure_threshold": 0.1},
            },
        ),
    ],
    "POST cohorts/": [
        request(
            "All devices of a product",
            {"name": "Sensors", "query": "product:sensor-s1"},
        )
    ],
    "POST playbooks/": [
        request(
            "Restart what is online, ask about the rest",
            {
                "name": "Silent sensor",
                "steps": [
                    {
                        "kind": "branch",
                        "query": "connectivity:online",
                        "then": [
                            {
                                "kind": "send",
                                "command": {"name": "reboot", "params": {}},
                            },
                            {"kind": "wait", "seconds": 60},
                        ],
                        "else": [
                            {
                                "kind": "ask",
                                "question": "Does it have power?",
                                "answers": ["Yes", "No"],
                            }
                        ],
                    },
                    {"kind": "check", "query": "connectivity:online"},
                ],
            },
        )
    ],
    "POST webhooks/": [
        request(
            "All alarms, and jobs that stop",
            {
                "name": "Ticket system",
                "url": "https://93.184.215.14/events",
                "events": ["alarms", "job.stopped"],
            },
        )
    ],
    "POST notification-rules/": [
        request(
            "On call, and the office after a quarter of an hour",
            {
                "name": "On call, then the office",
                "severity": "critical",
                "targets": [
                    {"kind": "mail", "address": "on-call@example.com"},
                    {"kind": "mail", "address": "office@example.com"},
                ],
                "escalate_after_minutes": 15,
            },
        )
    ],
    "POST playbooks/{playbook_id}/runs/": [
        request("On one device", {"device": "dev-1"}),
        request("On all that are offline", {"query": "lifecycle:active"}),
    ],
    "POST playbook-runs/{run_id}/steps/{number}/": [
        request("The answer to the question", {"answer": "Yes"})
    ],
    "POST fleet/edit/": [
        request(
            "Look what a new tag on the sensors would change",
            {
                "query": "product:sensor-s1",
                "set": {"tags": {"add": ["winter"], "remove": ["summer"]}},
                "dry_run": True,
            },
        )
    ],
    "GET fleet/search/": [
        parameter("Devices of one product", "product:sensor-s1", "q"),
        parameter("Count by site and lifecycle", "site,lifecycle", "facets"),
    ],
    "POST memberships/": [
        request(
            "An operator of one site",
            {"user": "newcomer", "role": "operator", "sites": ["shanghai-01"]},
        )
    ],
    "POST alarm-rules/": [
        request(
            "Too hot for a minute",
            {
                "name": "Too hot for a minute",
                "product": "sensor-s1",
                "metric": "temperature",
                "comparison": ">",
                "threshold": 80,
                "hold_seconds": 60,
                "hysteresis": 2,
                "severity": "warning",
                "code": "overheated",
            },
        )
    ],
    "POST maintenance-windows/": [
        request(
            "Four hours at one site",
            {
                "site": "shanghai-01",
                "from_at": "2030-03-01T08:00:00+08:00",
                "until": "2030-03-01T12:00:00+08:00",
                "reason": "New switches",
            },
        )
    ],
    "POST firmware-releases/": [
        request(
            "A file for one product",
            {"version": "1.6.0", "products": ["sensor-s1"], "file": "…"},
            FORM,
        )
    ],
    "POST enrolment-keys/": [
        request(
            "For a thousand new sensors",
            {
                "product": "sensor-s1",
                "site": "shanghai-01",
                "max_devices": 1000,
                "expires_at": "2030-12-31T00:00:00Z",
            },
        )
    ],
    "POST enrol/": [
        request(
            "A sensor that registers itself",
            {"key": "the enrolment key", "uid": "pump-10", "serial": "SN-0010"},
        )
    ],
    "POST /device/v1/status/": [
        request("Birth", {"status": "online", "boot": 7, "heartbeat_seconds": 60})
    ],
    "POST /device/v1/heartbeat/": [request("A sign of life", {"boot": 7, "seq": 41})],
    "POST /device/v1/telemetry/": [
        request("Two metrics", {"metrics": {"temperature": 21.5, "battery": 80}}),
        request(
            "Readings kept while offline, each with its time",
            {
                "boot": 7,
                "seq": 42,
                "history": [
                    {"ts": 1898578800000, "metrics": {"temperature": 21.4}},
                    {"ts": 1898580600000, "metrics": {"temperature": 21.6}},
                ],
            },
        ),
    ],
    "POST /device/v1/reported/": [
        request("The whole document", {"version": 8, "reported": {"firmware": "1.4.2"}})
    ],
    "POST /device/v1/event/": [
        request(
            "A door is open",
            {"code": "door-open", "severity": "warning", "state": "raised"},
        )
    ],
    "GET /device/v1/commands/": [
        parameter("Wait up to 30 seconds", 30, "wait"),
        parameter("The device has version 3", 3, "desired_version"),
        response(
            "One command",
            {
                "commands": [
                    {
                        "id": "0197a3c2-6f00-7000-8000-5f3a91c0d2e4",
                        "name": "identify",
                        "params": {"seconds": 3},
                        "attempt": 1,
                        "expires_at": "2030-03-01T09:00:00.000Z",
                        "device": "dev-2",
                    }
                ],
                "desired": None,
                "children_desired": [],
            },
        ),
    ],
    "POST /device/v1/commands/{command_id}/ack/": [
        request("Received", {"status": "received"}),
        request("Rejected", {"status": "rejected", "reason": "The valve is moving."}),
    ],
    "POST /device/v1/commands/{command_id}/progress/": [
        request("Half done", {"payload": {"percent": 50}})
    ],
    "POST /device/v1/commands/{command_id}/result/": [
        request("Succeeded", {"status": "succeeded", "payload": {"took_ms": 120}}),
        request("Failed", {"status": "failed", "code": "jammed"}),
    ],
}
