"""The built-in playbooks: every tenant has them, and nobody changes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

MINUTE = 60


@dataclass(frozen=True)
class BuiltIn:
    """A playbook that every tenant has; its version grows with its steps."""

    key: str  # its id
    name: str
    description: str
    steps: list[dict[str, Any]]
    version: int = 1


UNREACHABLE = BuiltIn(
    "unreachable",
    "Device unreachable",
    "For a device that is silent: wait for it, then have somebody look at it.",
    [
        {
            "kind": "branch",
            "query": "connectivity:online",
            "then": [{"kind": "note", "text": "It is back online."}],
            "else": [
                {"kind": "wait", "seconds": 5 * MINUTE},
                {
                    "kind": "branch",
                    "query": "connectivity:online",
                    "then": [{"kind": "note", "text": "It came back by itself."}],
                    "else": [
                        {
                            "kind": "ask",
                            "question": "Has the device power, and does its network"
                            " work?",
                            "answers": ["It works", "No power", "No network", "Dead"],
                        },
                        {"kind": "check", "query": "connectivity:online"},
                    ],
                },
            ],
        }
    ],
)
NOT_ACKNOWLEDGING = BuiltIn(
    "not-acknowledging",
    "Device does not acknowledge",
    "For a device that is online and does not answer commands: have it restarted, then"
    " try a small one.",
    [
        {"kind": "check", "query": "connectivity:online"},
        {
            "kind": "branch",
            "query": "last_command_failure_class:no_ack",
            "then": [
                {
                    "kind": "ask",
                    "question": "Restart it at its place. Is that done?",
                    "answers": ["Restarted", "Cannot be restarted"],
                }
            ],
            "else": [],
        },
        {"kind": "send", "command": {"name": "identify", "params": {"seconds": 5}}},
        {"kind": "note", "text": "It acknowledges commands."},
    ],
)
FIRMWARE_MISMATCH = BuiltIn(
    "firmware-mismatch",
    "Firmware is not the wanted one",
    "For a device that reports another firmware than it should have: collect its log,"
    " restart it, and see what it reports then.",
    [
        {"kind": "check", "query": "connectivity:online"},
        {"kind": "send", "command": {"name": "collect_logs", "params": {}}},
        {"kind": "send", "command": {"name": "reboot", "params": {}}},
        {"kind": "wait", "seconds": 2 * MINUTE},
        {"kind": "check", "query": "connectivity:online"},
        {
            "kind": "ask",
            "question": "Does it report the wanted firmware now?",
            "answers": ["Yes", "No: update it by a job"],
        },
    ],
)
SITE_OUTAGE = BuiltIn(
    "site-outage",
    "Site outage",
    "For the devices of a site that went offline together: ask the site, wait until"
    " they are back, and pass on those that are not.",
    [
        {
            "kind": "ask",
            "question": "Has the site power and network?",
            "answers": ["Both work", "No power", "No network"],
        },
        {"kind": "wait", "seconds": 10 * MINUTE},
        {
            "kind": "branch",
            "query": "connectivity:online",
            "then": [{"kind": "note", "text": "It is back online."}],
            "else": [
                {
                    "kind": "escalate",
                    "text": "The site is back, and devices of it are not.",
                }
            ],
        },
    ],
)
BATTERY_LOW = BuiltIn(
    "battery-low",
    "Battery low",
    "For a device whose battery is nearly empty: have it replaced, and see that it is.",
    [
        {
            "kind": "branch",
            "query": "battery:>20",
            "then": [{"kind": "note", "text": "Its battery is not low any more."}],
            "else": [
                {
                    "kind": "ask",
                    "question": "Is the battery replaced?",
                    "answers": ["Replaced", "Cannot be replaced"],
                },
                {"kind": "wait", "seconds": 5 * MINUTE},
                {"kind": "check", "query": "battery:>20"},
            ],
        }
    ],
)
ALARM_STORM = BuiltIn(
    "alarm-storm",
    "Alarm storm",
    "For a device that raises alarms again and again: collect its log, restart it, and"
    " pass it on if the alarms stay.",
    [
        {"kind": "send", "command": {"name": "collect_logs", "params": {}}},
        {"kind": "send", "command": {"name": "reboot", "params": {}}},
        {"kind": "wait", "seconds": 5 * MINUTE},
        {
            "kind": "branch",
            "query": "alarms:0",
            "then": [{"kind": "note", "text": "Its alarms are cleared."}],
            "else": [
                {"kind": "escalate", "text": "Alarms stay after a restart."},
            ],
        },
    ],
)
BUILT_IN = {
    each.key: each
    for each in (
        UNREACHABLE,
        NOT_ACKNOWLEDGING,
        FIRMWARE_MISMATCH,
        SITE_OUTAGE,
        BATTERY_LOW,
        ALARM_STORM,
    )
}
