"""What a definition says of a command, the policy of each class, the built-in ones."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from commands.choices import CommandClass, Danger, FailureClass, OnFailure
from commands.expectations import ALL_PARAMS, expected_of

F, A = FailureClass, OnFailure
MINUTE, HOUR, DAY = 60, 3_600, 86_400
SET_CONFIG, UPDATE_FIRMWARE = "set_config", "update_firmware"
COLLECT_LOGS = "collect_logs"

Params = dict[str, Any]


def _policy(
    *,
    send: int,
    receive: int,
    execute: int,
    verify: int,
    attempts: int,
    backoff: int,
    expires_in: int,
    on_failure: dict[FailureClass, OnFailure],
) -> Params:
    return {
        "send_timeout_seconds": send,
        "receive_timeout_seconds": receive,
        "execute_timeout_seconds": execute,
        "verify_timeout_seconds": verify,
        "attempts": attempts,
        "backoff_seconds": backoff,
        "expires_in_seconds": expires_in,
        "on_failure": {
            failure.value: on_failure.get(failure, A.NONE).value for failure in F
        },
    }


# A valve must not open late: at most one more attempt, at once, within a minute.
CONTROL_POLICY = _policy(
    send=10,
    receive=15,
    execute=MINUTE,
    verify=MINUTE,
    attempts=2,
    backoff=0,
    expires_in=MINUTE,
    on_failure={F.NO_ACK: A.RETRY_NOW, F.ADAPTER_ERROR: A.RETRY_NOW},
)
# Sent again until the device reports the desired document.
CONFIG_POLICY = _policy(
    send=30,
    receive=MINUTE,
    execute=5 * MINUTE,
    verify=10 * MINUTE,
    attempts=10,
    backoff=30,
    expires_in=7 * DAY,
    on_failure={
        F.UNREACHABLE: A.RETRY_LATER,
        F.GATEWAY_UNREACHABLE: A.RETRY_LATER,
        F.NO_ACK: A.RETRY_LATER,
        F.EXECUTION_TIMEOUT: A.RETRY_LATER,
        F.ADAPTER_ERROR: A.RETRY_LATER,
        F.REJECTED: A.ESCALATE,
        F.EXECUTION_FAILED: A.ESCALATE,
        F.UNVERIFIED: A.ESCALATE,
    },
)
JOB_POLICY = _policy(
    send=30,
    receive=2 * MINUTE,
    execute=30 * MINUTE,
    verify=15 * MINUTE,
    attempts=3,
    backoff=MINUTE,
    expires_in=DAY,
    on_failure={
        F.UNREACHABLE: A.RETRY_LATER,
        F.GATEWAY_UNREACHABLE: A.RETRY_LATER,
        F.NO_ACK: A.RETRY_LATER,
        F.EXECUTION_TIMEOUT: A.RETRY_LATER,
        F.ADAPTER_ERROR: A.RETRY_LATER,
        F.UNVERIFIED: A.ESCALATE,
        F.UNKNOWN_OUTCOME: A.ESCALATE,
    },
)
# Some attempts, then a person must look at it.
OPERATION_POLICY = _policy(
    send=30,
    receive=MINUTE,
    execute=5 * MINUTE,
    verify=5 * MINUTE,
    attempts=3,
    backoff=30,
    expires_in=DAY,
    on_failure={
        F.UNREACHABLE: A.RETRY_LATER,
        F.GATEWAY_UNREACHABLE: A.RETRY_LATER,
        F.NO_ACK: A.RETRY_LATER,
        F.ADAPTER_ERROR: A.RETRY_LATER,
        F.REJECTED: A.ESCALATE,
        F.EXECUTION_FAILED: A.ESCALATE,
        F.EXECUTION_TIMEOUT: A.ESCALATE,
        F.UNKNOWN_OUTCOME: A.ESCALATE,
        F.EXPIRED: A.ESCALATE,
    },
)


# A definition's own policy stands over the one of its class.
CLASS_POLICIES: dict[str, Params] = {
    CommandClass.CONTROL: CONTROL_POLICY,
    CommandClass.CONFIG: CONFIG_POLICY,
    CommandClass.JOB: JOB_POLICY,
    CommandClass.OPERATION: OPERATION_POLICY,
}


@dataclass(frozen=True)
class Definition:
    """A command's name, parameters, policy and expected result."""

    name: str
    command_class: CommandClass | str
    description: str
    # Whether a device that received it may be sent it again.
    is_repeatable: bool
    params_schema: Params
    policy: Params
    # The part of the reported document that "verified" needs, as in
    # ``commands.expectations``; None: no verification.
    expectation: Any = None
    # Whether the device disconnects for a while when it executes this.
    is_disconnecting: bool = False
    danger: Danger | str = Danger.NONE
    # Whether a second person must approve it before it is sent.
    needs_approval: bool = False
    # What follows an error code of the device, before the policy is asked.
    reactions: dict[str, str] = field(default_factory=dict)
    # The configuration that the products of its devices declare, by their slug. A patch
    # must match all of them.
    config_schemas: dict[str, Params] = field(default_factory=dict)

    def expected(self, params: Params) -> Params | None:
        """Return what a command with these parameters must make its device report."""
        return expected_of(self.expectation, params)

    def snapshot(self) -> dict[str, Any]:
        """Return it as JSON, for a job that must not follow its later changes."""
        kept = asdict(self)
        del kept["config_schemas"]  # the params have been checked by now
        return kept


DEFINITIONS: dict[str, Definition] = {
    definition.name: definition
    for definition in (
        Definition(
            name="identify",
            command_class=CommandClass.CONTROL,
            description="Make the device show itself: blink or beep.",
            is_repeatable=True,
            params_schema={
                "type": "object",
                "properties": {
                    "seconds": {"type": "integer", "minimum": 1, "maximum": 3_600}
                },
                "additionalProperties": False,
            },
            policy=CONTROL_POLICY,
        ),
        Definition(
            name=SET_CONFIG,
            command_class=CommandClass.CONFIG,
            description="Change the device's settings; the others stay as they are.",
            is_repeatable=True,
            params_schema={"type": "object", "minProperties": 1},
            policy=CONFIG_POLICY,
            expectation=ALL_PARAMS,
        ),
        Definition(
            name=UPDATE_FIRMWARE,
            command_class=CommandClass.JOB,
            description="Install a firmware version and report it.",
            is_repeatable=True,
            params_schema={
                "type": "object",
                "properties": {
                    "version": {"type": "string", "minLength": 1, "maxLength": 64}
                },
                "required": ["version"],
                "additionalProperties": False,
            },
            policy=JOB_POLICY,
            expectation={"firmware": "{{ params.version }}"},
            is_disconnecting=True,
        ),
        Definition(
            name=COLLECT_LOGS,
            command_class=CommandClass.OPERATION,
            description="Upload the device's log; the command shows the file.",
            is_repeatable=False,
            params_schema={
                "type": "object",
                "properties": {
                    "lines": {"type": "integer", "minimum": 1, "maximum": 1_000_000}
                },
                "additionalProperties": False,
            },
            policy=OPERATION_POLICY,
        ),
        Definition(
            name="reboot",
            command_class=CommandClass.OPERATION,
            description="Restart the device.",
            is_repeatable=False,
            params_schema={
                "type": "object",
                "properties": {
                    "delay_seconds": {"type": "integer", "minimum": 0, "maximum": 3_600}
                },
                "additionalProperties": False,
            },
            policy=OPERATION_POLICY,
            is_disconnecting=True,
        ),
    )
}
