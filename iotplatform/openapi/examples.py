"""Examples of the OpenAPI document, by operation; a test sends each for real."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample

NDJSON = "application/x-ndjson"
FORM = "multipart/form-data"
IMPORTED = '{"uid": "pump-8", "site": "shanghai-01", "product": "sensor-s1"}\n'


def asked(name: str, value: Any, media_type: str = "application/json") -> Any:
    """Return an example of what is sent."""
    return OpenApiExample(name, value=value, request_only=True, media_type=media_type)


def answered(name: str, value: Any) -> Any:
    """Return an example of an answer."""
    return OpenApiExample(name, value=value, response_only=True, status_codes=["200"])


def said(name: str, value: Any, where: str) -> Any:
    """Return an example of a parameter of the query."""
    return OpenApiExample(name, value=value, parameter_only=(where, "query"))


EXAMPLES: dict[str, list[OpenApiExample]] = {
    "POST devices/": [
        asked(
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
        asked("Two lines or two million", IMPORTED, NDJSON),
        asked(
            "As a table", "uid,site,product\npump-9,shanghai-01,sensor-s1\n", "text/csv"
        ),
    ],
    "POST devices/{uid}/lifecycle/": [
        asked("To the workshop", {"to": "in_repair", "reason": "No heartbeat."})
    ],
    "POST devices/{uid}/credentials/": [
        asked("A secret, made here", {}),
        asked(
            "A certificate that the device has",
            {"kind": "x509", "fingerprint": "5f" * 32},
        ),
    ],
    "POST commands/": [
        asked("Restart", {"device": "dev-1", "name": "reboot", "params": {}})
    ],
    "POST jobs/": [
        asked(
            "How many it would be",
            {
                "name": "Restart the sensors",
                "query": "product:sensor-s1",
                "command": {"name": "reboot", "params": {}},
                "dry_run": True,
            },
        ),
        asked(
            "One first, then in waves of fifty",
            {
                "name": "Restart the sensors",
                "devices": ["dev-1"],
                "command": {"name": "reboot", "params": {}},
                "rollout": {"canary": 1, "wave_size": 50, "failure_threshold": 0.1},
            },
        ),
    ],
    "POST cohorts/": [
        asked("All of a product", {"name": "Sensors", "query": "product:sensor-s1"})
    ],
    "GET fleet/search/": [
        said("Of one product", "product:sensor-s1", "q"),
        said("How many of each", "site,lifecycle", "facets"),
    ],
    "POST memberships/": [
        asked(
            "Someone who serves one site",
            {"user": "newcomer", "role": "operator", "sites": ["shanghai-01"]},
        )
    ],
    "POST alarm-rules/": [
        asked(
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
        asked(
            "A morning at one site",
            {
                "site": "shanghai-01",
                "from_at": "2030-03-01T08:00:00+08:00",
                "until": "2030-03-01T12:00:00+08:00",
                "reason": "New switches",
            },
        )
    ],
    "POST firmware-releases/": [
        asked(
            "A file for one product",
            {"version": "1.6.0", "products": ["sensor-s1"], "file": "…"},
            FORM,
        )
    ],
    "POST enrolment-keys/": [
        asked(
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
        asked(
            "A sensor that registers itself",
            {"key": "the enrolment key", "uid": "pump-10", "serial": "SN-0010"},
        )
    ],
    "POST /device/v1/status/": [
        asked("Birth", {"status": "online", "boot": 7, "heartbeat_seconds": 60})
    ],
    "POST /device/v1/heartbeat/": [asked("A sign of life", {"boot": 7, "seq": 41})],
    "POST /device/v1/telemetry/": [
        asked("Two metrics", {"metrics": {"temperature": 21.5, "battery": 80}}),
        asked(
            "What was kept while offline, the oldest first",
            [
                {"boot": 7, "seq": 42, "metrics": {"temperature": 21.4}},
                {"boot": 7, "seq": 43, "metrics": {"temperature": 21.6}},
            ],
        ),
    ],
    "POST /device/v1/reported/": [
        asked("All of it", {"version": 8, "reported": {"firmware": "1.4.2"}})
    ],
    "POST /device/v1/event/": [
        asked(
            "A door that stands open",
            {"code": "door-open", "severity": "warning", "state": "raised"},
        )
    ],
    "GET /device/v1/commands/": [
        said("Half a minute at most", 30, "wait"),
        said("The third version is in force", 3, "desired_version"),
        answered(
            "One thing to do",
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
        asked("The device has it", {"status": "received"}),
        asked("Not now", {"status": "rejected", "reason": "The valve is moving."}),
    ],
    "POST /device/v1/commands/{command_id}/progress/": [
        asked("Half of it", {"payload": {"percent": 50}})
    ],
    "POST /device/v1/commands/{command_id}/result/": [
        asked("It is done", {"status": "succeeded", "payload": {"took_ms": 120}}),
        asked("It went wrong", {"status": "failed", "code": "jammed"}),
    ],
}
