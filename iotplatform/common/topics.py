"""The uplink topics of the protocol, below a device's own topic.

The broker's access rules and the bridge's subscriptions share this list: otherwise the
broker could accept messages that no bridge receives.
"""

UPLINK = (
    "status",
    "heartbeat",
    "telemetry",
    "reported",
    "event",
    "command/+/ack",
    "command/+/progress",
    "command/+/result",
)
