"""Topics, filters and names that a hostile device ``dev-1`` tries; all refused."""

# ruff: noqa: RUF001 (letters that look like others are tested here)

from __future__ import annotations

VICTIM = b"iot/v1/dev-2"
OWN = b"iot/v1/dev-1"
UPLINK = [
    *(b"status", b"heartbeat", b"telemetry", b"reported", b"event"),
    *(b"command/c1/ack", b"command/c1/progress", b"command/c1/result"),
]

# Valid topics of other devices.
FOREIGN = [
    *(VICTIM + b"/" + kind for kind in UPLINK),
    *(VICTIM + b"/down/" + kind for kind in (b"command", b"desired", b"x")),
    *(OWN + b"/down/" + kind for kind in (b"command", b"desired", b"x", b"")),
    *(OWN + b"/child/dev-2/down/" + kind for kind in (b"command", b"desired")),
    *(VICTIM + b"/child/dev-1/" + kind for kind in UPLINK),
    *(OWN + b"/child/a/child/b/" + kind for kind in (b"status", b"heartbeat")),
    *(OWN + b"/" + kind for kind in (b"", b"x", b"Status", b"status/", b"status/x")),
    *(OWN + b"/command/" + kind for kind in (b"ack", b"c1", b"c1/x", b"c1/c2/ack")),
    *(
        b"iot/v1/" + kind
        for kind in (b"", b"status", b"/status", b"dev-1", b"DEV-1/status")
    ),
    *(
        b"iot/" + kind
        for kind in (b"v2/dev-1/status", b"V1/dev-1/status", b"dev-1/status")
    ),
    *(b"/" + OWN + b"/status", OWN + b"//status", b"iot//v1/dev-1/status"),
    *(b"elsewhere", b"/", b"//", b" ", b"iot", b"IOT/v1/dev-1/status"),
    *(b"iot/v1/dev-1 /status", b"iot/v1/ dev-1/status", b"iot/v1/dev-10/status"),
    *(b"iot/v1/@bridge/status", b"iot/v1/%u/status", b"iot/v1/dev-1/../dev-2/status"),
    *(b"iot/v1/.dev-2/status", b"iot/v1/dev-2\\/status", b"iot/v1/dev%2D2/status"),
]
# Topics of the broker itself.
SYSTEM = [
    *(b"$SYS/broker/version", b"$SYS/x", b"$SYS", b"$share/g/" + OWN + b"/status"),
    *(b"$CONTROL/dynamic-security/v1", b"$iot/v1/dev-1/status", b"$"),
]
# UTF-8 that looks like other text, and invalid UTF-8.
TRICKY = [
    *(
        OWN + b"\xc0\xafstatus",
        b"iot/v1/dev-1\xe2\x80\x8b/status",
    ),  # overlong, invisible
    *("iot/v1/dev‑1/status".encode(), "iot/v1/ｄev-1/status".encode()),
    *("iot／v1／dev-1／status".encode(), "iot/v1/dev-1/ѕtatus".encode()),
    *("iot/v1/\u202edev-1/status".encode(), "\ufeffiot/v1/dev-1/status".encode()),
    *("iot/v1/dev-1/status\u0301".encode(), "iot/v1/dev-1/status\u00a0".encode()),
    *("iot/v1/dév-1/status".encode(), "iot/v1/dev-1/\U0001f600".encode()),
    *(OWN + b"/status\x00", OWN + b"\x00/status", b"\x00", OWN + b"/\x01status"),
    *(
        OWN + b"/\xff",
        b"\xed\xa0\x80",
        OWN + b"/status\xed\xb0\x80",
        OWN + b"/\xf5\x80",
    ),
    *(b"iot/v1/dev-2\x00/status", VICTIM + b"/\xc3", b"iot/v1/\xef\xbf\xbf/status"),
]
LONG = [
    *(b"x" * 65_535, OWN + b"/" + b"x" * 60_000, b"/" * 500, b"a/" * 300 + b"a"),
    *(OWN + b"/child/" + b"x" * 5_000 + b"/status/x", VICTIM + b"/" * 190),
]
WILD = [
    *(b"#", b"+", b"+/#", b"iot/#", b"iot/v1/#", b"iot/v1/+/status", OWN + b"/#"),
    *(OWN + b"/+", b"iot/v1/+/+", VICTIM + b"/#", OWN + b"/command/+/ack"),
    *(
        b"iot/v1/dev-1#",
        b"iot/v1/dev+/status",
        OWN + b"/#/status",
        b"+/v1/dev-1/status",
    ),
]

FILTERS = [
    *(b"#", b"+/#", b"/#", b"iot/#", b"+/v1/#", b"iot/v1/#", b"iot/+/#", b"+/+/+/#"),
    *(b"iot/v1/+/status", b"iot/v1/+/down/#", b"iot/v1/+/down/command", b"+/+/dev-2/#"),
    *(b"iot/v1/+/+", b"iot/v1/+/+/+", b"+/+/+/+", b"+/+/+/+/+", b"iot/v1/+/down/+"),
    *(VICTIM + b"/#", VICTIM + b"/down/#", VICTIM + b"/down/command", VICTIM + b"/+"),
    *(VICTIM + b"/down/desired", VICTIM + b"/status", VICTIM + b"/command/+/ack"),
    *(b"iot/v1/+/child/+/down/#", VICTIM + b"/child/+/down/#", VICTIM + b"/child/#"),
    *(b"$SYS/#", b"$SYS/broker/#", b"$SYS/+/+", b"$SYS/broker/uptime", b"$CONTROL/#"),
    *(b"$share/g/#", b"$share/g/iot/v1/#", b"$share/g/" + VICTIM + b"/down/#"),
    *(b"$share/bridge/iot/v1/+/status", b"$share/bridge/iot/v1/+/child/+/status"),
    *(b"$share//iot/v1/#", b"$share/+/iot/v1/#", b"$share/g", b"$queue/iot/v1/#"),
    *(
        b"iot/v1/dev-2\x00/down/#",
        b"\xff",
        b"iot/v1/\xed\xa0\x80/#",
        b"",
        b"#/#",
        b"##",
    ),
    *("iot／v1／#".encode(), b"\xef\xbb\xbfiot/v1/#", b"x" * 65_535, b"+/" * 300),
]

# Wrong logins: (user, secret). "secret" is the secret of dev-1. (For Mosquitto, NUL
# ends a password: a right secret followed by NUL is the right secret.)
STRANGERS: list[tuple[bytes | None, bytes | None]] = [
    *((None, None), (b"", b""), (b"dev-1", None), (b"dev-1", b""), (None, b"secret")),
    *((b"dev-1", b"guess"), (b"dev-1", b"secret "), (b"dev-1", b"Secret")),
    *((b"dev-1", b"secret" * 10_000), (b"dev-1", b"\xff")),
    *((b"DEV-1", b"secret"), (b"dev-1 ", b"secret"), (b" dev-1", b"secret")),
    *((b"dev-1\x00", b"secret"), (b"dev-1\n", b"secret"), (b"dev-1:", b"secret")),
    *((b"dev-1\xe2\x80\x8b", b"secret"), (b"\xff", b"secret"), (b"dev-2", b"secret")),
    *((b"+", b"secret"), (b"#", b"secret"), (b"dev-1/#", b"secret"), (b"*", b"secret")),
    *((b"%u", b"secret"), (b"../dev-1", b"secret"), (b"x" * 65_535, b"secret")),
    *((b"@bridge", b"bridge-secret"), (b"@bridge", b"secret"), (b"@probe", b"")),
    *((b"@probe", b"secret"), (b"@bridge-1", b"bridge-secret"), (b"@", b"")),
    *((b"dev-404", b"secret"), (b"root", b"root"), (b"admin", b"admin")),
]
