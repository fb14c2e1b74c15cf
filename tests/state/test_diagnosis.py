"""The diagnosis of counted evidence, against what operators would conclude."""

from __future__ import annotations

from collections import Counter

import pytest

from state.choices import Observation, Trouble
from state.judgment.diagnosis import (
    Diagnosis,
    Evidence,
    Group,
    PathFigures,
    diagnose,
)
from tests.state.diagnosis_scenarios import SCENARIOS, Scenario


def evidence_of(scenario: Scenario) -> Evidence:
    """Put a case into the shape in which it is counted."""
    known = dict(scenario.known)
    covered = known.pop("covered", {})
    is_set = "set_size" in known
    groups = {
        trait: Group(trait, *pair, covered.get(trait, 0) if is_set else None)
        for trait, pair in scenario.peers.items()
        if trait != "fleet"
    }
    path, feedback = known.pop("path", None), known.pop("feedback", None)
    known.pop("is_blind_now", None)  # not evidence: what it left before stands
    is_online = scenario.trouble in ("commands", "alarm", "flapping", "none")
    return Evidence(
        trouble=Trouble(scenario.trouble),
        groups=groups,
        fleet=Group("fleet", *scenario.peers["fleet"]),
        path=PathFigures(**path) if path else None,
        feedback=Observation(feedback) if feedback else None,
        **{"is_online": is_online, **known},
    )


def verdict_on(scenario: Scenario) -> Diagnosis:
    found = diagnose(evidence_of(scenario))
    assert found is not None
    return found


def is_right(scenario: Scenario) -> bool:
    found = verdict_on(scenario)
    is_there = not scenario.where or found.where == scenario.where
    return found.verdict == scenario.verdict and is_there


@pytest.mark.parametrize("scenario", SCENARIOS, ids=[s.story for s in SCENARIOS])
def test_the_verdict_is_what_an_operator_would_say(scenario: Scenario) -> None:
    found = verdict_on(scenario)

    assert (found.verdict, found.where if scenario.where else "") == (
        scenario.verdict,
        scenario.where,
    ), found
    assert found.text
    assert 0 <= found.confidence <= 1
    assert (found.confidence == 0) == (found.verdict == "cannot_tell")


def test_every_case_is_told_right(counted: Counter[str]) -> None:
    right = Counter(s.verdict for s in SCENARIOS if is_right(s))
    asked = Counter(s.verdict for s in SCENARIOS)

    for name in asked:
        of = f"of {asked[name]} scenarios diagnosed right as {name}"
        counted[of] += right[name]

    assert len(SCENARIOS) >= 40
    assert right == asked


def test_nothing_is_said_of_a_device_that_is_well() -> None:
    well = Evidence(Trouble.NONE, fleet=Group("fleet", 0, 100), is_online=True)

    assert diagnose(well) is None
