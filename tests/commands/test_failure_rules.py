"""What follows a failure: a reaction, or the policy of request or definition."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commands.choices import FailureClass, OnFailure
from commands.definitions import CLASS_POLICIES
from commands.failure_rules import choose_rule, kept_rules
from commands.models import Command
from commands.selectors.commands import list_events
from commands.validation import policy_over
from tests.commands.test_own_commands import define
from tests.commands.units import ask, deliver, fresh, now, online_unit, sweep

ANSWERS = st.sampled_from(OnFailure.values)
CODES = st.sampled_from(["E1", "E2", "7"])


@given(
    command_class=st.sampled_from(list(CLASS_POLICIES)),
    own=st.dictionaries(st.sampled_from(FailureClass.values), ANSWERS),
    asked=st.dictionaries(st.sampled_from(FailureClass.values), ANSWERS),
    reactions=st.dictionaries(CODES, ANSWERS),
    failure=st.sampled_from(FailureClass.values),
    code=st.none() | CODES | st.just(7),
)
def test_a_reaction_goes_before_the_request_and_the_request_before_the_definition(
    command_class: str,
    own: dict[str, str],
    asked: dict[str, str],
    reactions: dict[str, str],
    failure: str,
    code: Any,
) -> None:
    definition = policy_over(CLASS_POLICIES[command_class], {"on_failure": own})
    request = {"on_failure": asked}

    rule = choose_rule(
        policy=policy_over(definition, request),
        rules=kept_rules(reactions, request),
        failure=failure,
        code=code,
    )

    if code is not None and str(code) in reactions:
        expected = ("reaction", reactions[str(code)])
    elif failure in asked:
        expected = ("request", asked[failure])
    elif failure in own:
        expected = ("definition", own[failure])
    else:
        expected = (
            "definition",
            CLASS_POLICIES[command_class]["on_failure"][failure],
        )
    assert (rule.source, rule.answer) == expected
    assert rule.failure_class == failure


def rule_in(command: Command, status: str) -> dict[str, Any]:
    """Return the rule that the event with this status names."""
    for event in list_events(command):
        if event.status == status and event.detail and "rule" in event.detail:
            return {**event.detail["rule"], "cause": event.cause}
    raise AssertionError("no event names a rule")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("code", "source", "answer", "follows"),
    [
        ("busy", "reaction", "retry_later", "retried"),
        (42, "reaction", "retry_now", "retried"),
        ("stuck", "reaction", "escalate", "escalated"),
        ("fine", "reaction", "none", ""),
        ("other", "definition", "escalate", "escalated"),
        (None, "definition", "escalate", "escalated"),
    ],
)
def test_a_devices_error_code_is_answered_by_the_definitions_reaction(
    code: Any, source: str, answer: str, follows: str
) -> None:
    unit = online_unit()
    reactions = {
        "busy": "retry_later",
        "42": "retry_now",
        "stuck": "escalate",
        "fine": "none",
    }
    define(unit, name="flush", params_schema={}, reactions=reactions)
    command = ask(unit, "flush")
    deliver()

    unit.result(command, "failed", code=code)
    sweep(now() + timedelta(minutes=5))

    rule = rule_in(command, "failed")
    assert (rule["source"], rule["answer"]) == (source, answer)
    assert rule["failure_class"] == "execution_failed"
    assert rule["code"] == (str(code) if source == "reaction" else None)
    where = f"reaction to {code}" if source == "reaction" else "policy for execution"
    assert where in rule["cause"]
    events = list(list_events(command))
    was_escalated = any((event.detail or {}).get("escalated") for event in events)
    successors = Command.objects.filter(retry_of=command)
    assert was_escalated == (follows == "escalated")
    assert successors.exists() == (follows == "retried")
    for successor in successors:
        assert successor.failure_rules == {"reactions": reactions}


@pytest.mark.django_db
def test_an_event_names_the_requests_policy_and_when_no_attempt_is_left() -> None:
    unit = online_unit()
    command = ask(unit, attempts=2, on_failure={"no_ack": "retry_now"})
    wait = timedelta(seconds=command.policy["receive_timeout_seconds"] + 1)
    at = now()

    for _ in range(2):
        deliver(at=at)
        at += wait
        sweep(at)

    assert fresh(command).status == "timed_out"
    again, ended = rule_in(command, "queued"), rule_in(command, "timed_out")
    assert [again["source"], ended["source"]] == ["request", "request"]
    assert again["cause"].startswith(
        "no acknowledgement in time; retry now, by the request's policy for no_ack"
    )
    assert ended["cause"].endswith("but no attempt is left")
