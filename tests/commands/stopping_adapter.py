"""An adapter that claims, stops itself as if by SIGSTOP, and then reports its claims.

Run as a program: one line on its input is one trial, and names what it reports.
"""

from __future__ import annotations

import os
import signal
import sys
from datetime import UTC, datetime

import django


def main() -> None:
    django.setup()
    from commands.services import dispatch

    for line in sys.stdin:
        now = datetime.now(UTC)
        links = dispatch.claim_due(adapter="mqtt", limit=10, lease_seconds=1, now=now)
        claims = [(link.command_id, link.token) for link in links]
        print(len(claims), flush=True)
        os.kill(os.getpid(), signal.SIGSTOP)
        now = datetime.now(UTC)
        if line.strip() == "sent":
            written = dispatch.mark_sent(claims, now)
        elif line.strip() == "not sent":
            written = dispatch.mark_not_sent(claims, "it was stopped", now)
        else:
            written = dispatch.find_publishable(claims, now=now)
            dispatch.release_claims(claims, now=now)
        print(len(written), flush=True)


if __name__ == "__main__":
    main()
