"""The diagnosis from counted evidence, compared with the verdicts of operators."""

from __future__ import annotations

from collections import Counter

import pytest

from state.choices import Connectivity, Observation, Trouble
from state.judgment.diagnosis import Diagnosis, diagnose
from state.judgment.diagnosis_evidence import DiagnosisEvidence, Group, PathFigures
from tests.state.diagnosis_scenarios import SCENARIOS, Scenario

AWAY = ("silent", "garbled", "blind")  # the troubles of a device that is not online


def evidence_of(scenario: Scenario) -> DiagnosisEvidence:
    """Return the evidence of a scenario."""
    known = dict(scenario.known)
    covered = known.pop("covered", {})
    is_set = "set_size" in known
    groups = {
        trait: Group(trait, *pair, covered.get(trait, 0) if is_set else None)
        for trait, pair in scenario.peers.items()
        if trait != "fleet"
    }
    path, feedback = known.pop("path", None), known.pop("feedback", None)
    known.pop("is_blind_now", None)  # no evidence: its earlier departure counts
    is_online = known.pop("is_online", scenario.trouble not in AWAY)
    return DiagnosisEvidence(
        trouble=Trouble(scenario.trouble),
        groups=groups,
        fleet=Group("fleet", *scenario.peers["fleet"]),
        path=PathFigures("mqtt", **path) if path else None,
        feedback=Observation(feedback) if feedback else None,
        connectivity=Connectivity.ONLINE if is_online else Connectivity.OFFLINE,
        **known,
    )


def verdict_on(scenario: Scenario) -> Diagnosis:
    found = diagnose(evidence_of(scenario))
    assert found is not None
    return found


def is_right(scenario: Scenario) -> bool:
    found = verdict_on(scenario)
    is_there = not scenario.where or found.where == scenario.where
    return found.verdict == scenario.verdict and is_there


@pytest.mark.parametrize("scenario", SCENARIOS, ids=[s.title for s in SCENARIOS])
def test_the_verdict_is_the_one_an_operator_would_give(scenario: Scenario) -> None:
    found = verdict_on(scenario)

    assert (found.verdict, found.where if scenario.where else "") == (
        scenario.verdict,
        scenario.where,
    ), found
    assert found.text
    assert 0 <= found.confidence <= 1
    assert (found.confidence == 0) == (found.verdict == "cannot_tell")


def test_every_scenario_gets_the_right_verdict(counted: Counter[str]) -> None:
    right = Counter(s.verdict for s in SCENARIOS if is_right(s))
    asked = Counter(s.verdict for s in SCENARIOS)

    for name in asked:
        of = f"of {asked[name]} scenarios diagnosed right as {name}"
        counted[of] += right[name]

    assert len(SCENARIOS) >= 40
    assert right == asked


def test_a_healthy_device_gets_no_diagnosis() -> None:
    well = DiagnosisEvidence(
        Trouble.NONE, fleet=Group("fleet", 0, 100), connectivity=Connectivity.ONLINE
    )

    assert diagnose(well) is None


@pytest.mark.parametrize(
    ("tries", "unanswered", "p95_ms", "text"),
    [
        (1, 0, 78.0, "the only command over MQTT was answered within 78 ms"),
        (4, 0, 326.0, "all 4 commands over MQTT were answered; 95 % within 326 ms"),
        (4, 4, None, "4 of 4 commands over MQTT had no answer"),
    ],
)
def test_a_path_is_described_by_its_counts(
    tries: int, unanswered: int, p95_ms: float | None, text: str
) -> None:
    assert PathFigures("mqtt", tries, unanswered, p95_ms, None).describe() == text
