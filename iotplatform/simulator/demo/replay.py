"""Lets the platform live through a past: devices speak and its clocks tick, back then.

Each step goes through the entry points that the adapters and the workers use.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec

from commands.services.dispatch import OutgoingCommand, claim_due, mark_sent
from commands.services.outcome_reports import report_outcomes_across_tenants
from commands.services.sweeps import (
    expire_queued_across_tenants,
    process_due_across_tenants,
)
from commands.services.uplink import ingest_batch
from iotplatform.common.messages import Undecodable, Uplink, parse
from iotplatform.simulator.device import TELEMETRY_SECONDS
from iotplatform.simulator.memory import merge
from registry.choices import Adapter
from state.services.dead_letters import DeadLetterDraft

SECOND = timedelta(seconds=1)
LEASE_SECONDS = 30.0
MOST_AT_ONCE = 1_000
# How a device answers a command.
DOES, REJECTS, FAILS = "does", "rejects", "fails"
HANGS = "hangs"  # after its acknowledgement
DOES_NOT_APPLY = "does not apply"  # says that it did, and reports as before
SILENT = "silent"
RECEIVED: dict[str, Any] = {"status": "received"}
SUCCEEDED: dict[str, Any] = {"status": "succeeded", "payload": {}}


@dataclass(frozen=True)
class Said:
    """A message of a device, or of a gateway for its child."""

    uid: str
    leaf: str
    body: dict[str, Any] | bytes
    gateway_uid: str | None = None

    @property
    def topic(self) -> str:
        via = f"{self.gateway_uid}/child/" if self.gateway_uid else ""
        return f"iot/v1/{via}{self.uid}/{self.leaf}"


def hear(messages: Iterable[Said], *, at: datetime) -> None:
    """Ingest messages as a bridge does that received them at this moment."""
    uplinks: list[Uplink] = []
    dead: list[DeadLetterDraft] = []
    for said in messages:
        body = said.body
        payload = body if isinstance(body, bytes) else msgspec.json.encode(body)
        try:
            uplinks.append(
                parse(
                    said.topic,
                    payload,
                    retained=False,
                    arrived_at=at,
                    adapter=Adapter.MQTT,
                )
            )
        except Undecodable as error:
            dead.append(
                DeadLetterDraft(
                    topic=said.topic,
                    adapter=Adapter.MQTT,
                    reason=error.reason,
                    detail=error.detail,
                    payload=payload,
                    uid=error.uid,
                )
            )
    if uplinks or dead:
        ingest_batch(uplinks, dead, now=at)


def tick(at: datetime) -> None:
    """Let the sweeps of the commands run once."""
    process_due_across_tenants(now=at)
    expire_queued_across_tenants(now=at)
    report_outcomes_across_tenants(now=at)


class PastDevices:
    """Devices of the past, and how each answers the commands that reach it."""

    def __init__(self, ids: dict[str, int], firmware: dict[str, str]) -> None:
        """``ids`` has their keys by uid."""
        self.ids = ids
        self._documents: dict[str, dict[str, Any]] = {
            uid: {
                "interval": TELEMETRY_SECONDS,
                "firmware": version,
                "config_version": "c0",
            }
            for uid, version in firmware.items()
        }
        self._versions = dict.fromkeys(firmware, 0)

    def configure(self, uid: str, **settings: Any) -> None:
        """Change what a device reports."""
        self._documents[uid] = merge(self._documents[uid], settings)

    def report(self, uid: str, gateway_uid: str | None = None) -> Said:
        """Return the complete reported document as a message."""
        self._versions[uid] += 1
        body = {"version": self._versions[uid], "reported": self._documents[uid]}
        return Said(uid, "reported", body, gateway_uid)

    def deliver(
        self, uids: Collection[str], *, at: datetime, answers: Mapping[str, str] = {}
    ) -> int:
        """Deliver what is due to these devices, and let them answer within seconds.

        ``answers`` says how, by uid; who is not named does what it is asked. REJECTS
        and FAILS have a reason behind a colon. Returns how many were delivered.
        """
        sent = claim_due(
            adapter=Adapter.MQTT,
            limit=MOST_AT_ONCE,
            lease_seconds=LEASE_SECONDS,
            now=at,
            device_ids=[self.ids[uid] for uid in uids],
        )
        if not sent:
            tick(at)
            return 0
        mark_sent([(one.command_id, one.token) for one in sent], at + SECOND)
        by_answer: dict[str, list[OutgoingCommand]] = defaultdict(list)
        for one in sent:
            by_answer[answers.get(_uid_of(one), DOES).partition(":")[0]].append(one)
        heard = [one for how in by_answer.keys() - {SILENT} for one in by_answer[how]]
        hear([_acknowledgement(one, answers) for one in heard], at=at + 2 * SECOND)
        ended = [one for how in (DOES, DOES_NOT_APPLY, FAILS) for one in by_answer[how]]
        results = [_result(one, answers) for one in ended]
        hear([*results, *self._apply(by_answer[DOES])], at=at + 8 * SECOND)
        tick(at + 10 * SECOND)
        return len(sent)

    def _apply(self, sent: Sequence[OutgoingCommand]) -> list[Said]:
        """Change the documents as these commands say; return the new reports."""
        reports = []
        for one in sent:
            uid, body = _uid_of(one), msgspec.json.decode(one.payload)
            if "desired" in body:
                version = f"c{body['version']}"
                self.configure(uid, **body["desired"], config_version=version)
            elif body["name"] == "update_firmware":
                self.configure(uid, firmware=body["params"]["version"])
            else:
                continue
            reports.append(self.report(uid))
        return reports


def _uid_of(sent: OutgoingCommand) -> str:
    return sent.topic.rpartition("/down/")[0].rpartition("/")[2]


def _answer(sent: OutgoingCommand, answers: Mapping[str, str]) -> tuple[str, str]:
    """Return how the device answers, and the reason that it gives."""
    how, _, reason = answers.get(_uid_of(sent), DOES).partition(": ")
    return how, reason


def _acknowledgement(sent: OutgoingCommand, answers: Mapping[str, str]) -> Said:
    how, reason = _answer(sent, answers)
    body = {"status": "rejected", "reason": reason} if how == REJECTS else RECEIVED
    return Said(_uid_of(sent), f"command/{sent.command_id}/ack", body)


def _result(sent: OutgoingCommand, answers: Mapping[str, str]) -> Said:
    how, code = _answer(sent, answers)
    body = {"status": "failed", "code": code} if how == FAILS else SUCCEEDED
    return Said(_uid_of(sent), f"command/{sent.command_id}/result", body)
