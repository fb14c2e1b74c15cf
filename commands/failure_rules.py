"""Which row of a policy says what follows a failure: reaction, request or definition.

A device's error code is looked up first, in the definition's reactions. Everything else
is decided by the failure class: by the request's policy where it named that class, and
by the definition's policy otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from commands.choices import OnFailure, RuleSource

REACTIONS, ASKED = "reactions", "asked"
_SOURCES = {
    RuleSource.REQUEST: "by the request's policy for {}",
    RuleSource.DEFINITION: "by the definition's policy for {}",
}


@dataclass(frozen=True)
class FailureRule:
    """A row of a policy, and what it says."""

    source: RuleSource
    failure_class: str
    answer: OnFailure
    code: str | None = None  # the device's, of a reaction

    @property
    def text(self) -> str:
        """The rule as events tell it."""
        why = f"by the definition's reaction to {self.code}"
        if self.source != RuleSource.REACTION:
            why = _SOURCES[self.source].format(self.failure_class)
        return f"{self.answer.label}, {why}"

    @property
    def detail(self) -> dict[str, Any]:
        """The rule as data of an event."""
        return {
            "rule": {
                "source": self.source.value,
                "failure_class": str(self.failure_class),
                "code": self.code,
                "answer": self.answer.value,
            }
        }


def kept_rules(
    reactions: Mapping[str, str], policy: Mapping[str, Any] | None
) -> dict[str, Any] | None:
    """Return what a command must keep of its definition and of the request's policy.

    None where the definition's policy alone decides.
    """
    asked = sorted((policy or {}).get("on_failure", {}))
    kept = {REACTIONS: dict(reactions), ASKED: asked}
    return {name: value for name, value in kept.items() if value} or None


def choose_rule(
    *,
    policy: Mapping[str, Any],
    rules: Mapping[str, Any] | None,
    failure: str,
    code: str | int | None = None,
) -> FailureRule:
    """Return the rule for a failure; ``policy`` is complete, ``rules`` is kept_rules().

    ``code`` is the device's error code, if it reported one.
    """
    rules = rules or {}
    if code is not None:
        reaction = rules.get(REACTIONS, {}).get(str(code))
        if reaction is not None:
            return FailureRule(
                RuleSource.REACTION, failure, OnFailure(reaction), str(code)
            )
    was_asked = failure in rules.get(ASKED, ())
    answer = policy["on_failure"].get(failure, OnFailure.NONE)
    source = RuleSource.REQUEST if was_asked else RuleSource.DEFINITION
    return FailureRule(source, failure, OnFailure(answer))


def is_retry(answer: OnFailure) -> bool:
    """Whether it asks for another attempt."""
    return answer in (OnFailure.RETRY_NOW, OnFailure.RETRY_LATER)
