"""The uplink topics of the protocol, one by one, below a device's own tree.

One list for the broker's access rules and for what the bridge listens to: a topic that
only one of them knew would be taken from devices and heard by nobody.
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
