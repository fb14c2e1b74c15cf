"""What to do next about an incident, and why. No database, no clock."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from console.choices import IncidentCause as C
from state.choices import Verdict


class Step(StrEnum):
    """The next step."""

    INSPECT_LOG = "inspect_log"
    SEND_AGAIN = "send_again"
    ESCALATE = "escalate"
    ASK_SITE = "ask_site"
    WAIT = "wait"
    RUN_PLAYBOOK = "run_playbook"


class Advice(NamedTuple):
    """A step, as an instruction, and the reason for it."""

    step: Step
    text: str
    reason: str


_BY_CAUSE = {
    C.PLATFORM: Advice(
        Step.WAIT,
        "Wait until the platform listens again.",
        "Nothing is known of these devices: we were not listening.",
    ),
    C.ADAPTER: Advice(
        Step.ESCALATE,
        "Call whoever runs the platform: broker, network and adapter.",
        "Devices of several sites on one adapter path are in trouble.",
    ),
    C.GATEWAY: Advice(
        Step.ASK_SITE,
        "Ask the site to look at the gateway: power, and its network.",
        "Its devices are lost with it, so the fault is at the gateway.",
    ),
    C.SITE: Advice(
        Step.ASK_SITE,
        "Ask the site whether power or network is down.",
        "Most devices of the site went at the same time.",
    ),
    C.COHORT: Advice(
        Step.RUN_PLAYBOOK,
        "Run the playbook for a firmware mismatch on one of the devices first.",
        "The devices share a firmware or a batch, and little else.",
    ),
    C.JOB: Advice(
        Step.INSPECT_LOG,
        "Look at the first failures of the job before anybody resumes it.",
        "The platform has stopped it, so nothing more is sent meanwhile.",
    ),
    C.DRIFT: Advice(
        Step.SEND_AGAIN,
        "Send the wanted configuration again.",
        "The device is online and reports other values than wanted.",
    ),
    C.COMMAND: Advice(
        Step.INSPECT_LOG,
        "Collect the log of one of the devices before sending again.",
        "The same command needs a person on several devices.",
    ),
}
_BY_VERDICT = {
    Verdict.NETWORK: Advice(
        Step.ASK_SITE,
        "Ask the site whether its network or gateway is down.",
        "The diagnosis points at the network, not at the device.",
    ),
    Verdict.PLATFORM: _BY_CAUSE[C.PLATFORM],
    Verdict.ADAPTER_PATH: _BY_CAUSE[C.ADAPTER],
    Verdict.INTERPRETATION: Advice(
        Step.ESCALATE,
        "Show both to somebody who knows the device: what we judge, what people see.",
        "People at the site see something else than we judge.",
    ),
}
_LOST = Advice(
    Step.ASK_SITE,
    "Ask the site whether the device has power and network.",
    "It does not answer, while its neighbours are well.",
)
_HEARD = Advice(
    Step.INSPECT_LOG,
    "Collect the device's log and look at it.",
    "The device answers, so it can say itself what is wrong.",
)


def advise(cause: str, *, verdict: str | None, is_silent: bool) -> Advice:
    """Return the next step; ``verdict`` is the diagnosis', of a single device."""
    if (found := _BY_CAUSE.get(C(cause))) is not None:
        return found
    if verdict and (found := _BY_VERDICT.get(Verdict(verdict))) is not None:
        return found
    return _LOST if is_silent else _HEARD
