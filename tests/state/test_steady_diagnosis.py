"""A diagnosis that is looked at again: it stays while its evidence hardly moves."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state.choices import Connectivity, Trouble, Verdict
from state.judgment.diagnosis import Diagnosis, diagnose
from state.judgment.diagnosis_evidence import (
    NEAR,
    DiagnosisEvidence,
    Finding,
    Group,
    PathFigures,
)
from state.selectors.diagnosis_rows import present
from tests.state.diagnosis_scenarios import SCENARIOS, Scenario
from tests.state.diagnosis_scenarios.looked_again import LOOKED_AGAIN, Looks
from tests.state.test_diagnosis import evidence_of

NUMBER = re.compile(r"\d[\d,.]*\d|\d")
TRAITS = ("gateway", "site", "adapter", "firmware", "model", "revision", "batch")


def looks_at(evidence: list[DiagnosisEvidence]) -> list[Diagnosis]:
    """Return what is found at each look, with the finding before it."""
    found: list[Diagnosis] = []
    for now in evidence:
        diagnosis = diagnose(now, found[-1].finding if found else None)
        assert diagnosis is not None
        found.append(diagnosis)
    return found


def changes(found: list[Diagnosis]) -> list[tuple[Finding, Finding]]:
    findings = [diagnosis.finding for diagnosis in found]
    return [(before, now) for before, now in pairwise(findings) if before != now]


def check_sentence(found: Diagnosis, evidence: DiagnosisEvidence) -> None:
    """Check that the sentence says nothing that the rows do not show."""
    shown = present(found, evidence, datetime.now(UTC))
    rows = shown["evidence"]
    numbers = {
        f"{row[key]:,}"
        for row in rows
        for key in ("affected", "total", "rest_affected", "rest_total")
        if key in row
    } | {number for row in rows for number in NUMBER.findall(row["text"])}
    assert set(NUMBER.findall(found.text)) <= numbers, (found.text, rows)
    if "neighbours are well" in found.text or "as well as the others" in found.text:
        near = [row for row in rows if row["name"] in NEAR]
        assert near
        for row in near:
            rest = row["rest_affected"] / max(1, row["rest_total"])
            assert row["affected"] / row["total"] <= rest or not row["affected"]


@st.composite
def evidences(draw: st.DrawFn) -> DiagnosisEvidence:
    """Return counts of a fleet in which every trait has some devices."""
    total = draw(st.integers(20, 3_000))
    hurt = draw(st.sampled_from([total // 20, total // 2]) | st.integers(0, total))
    groups = {}
    for trait in draw(st.sets(st.sampled_from(TRAITS), min_size=1)):
        size = draw(st.integers(3, total))
        most = min(size, hurt)
        least = max(0, hurt - (total - size))
        at_a_limit = [round(size * share) for share in (0.1, 0.3)]
        affected = draw(st.sampled_from(at_a_limit) | st.integers(least, most))
        affected = max(least, min(most, affected))
        groups[trait] = Group(trait, affected, size)
    return DiagnosisEvidence(
        trouble=draw(st.sampled_from((Trouble.SILENT, Trouble.GARBLED))),
        groups=groups,
        fleet=Group("fleet", hurt, total),
        gateway_is_away="gateway" in groups and draw(st.booleans()),
    )


def moved(
    evidence: DiagnosisEvidence, shares: dict[str, float], by: float
) -> DiagnosisEvidence:
    """Return the evidence with a few devices more or fewer, in groups and elsewhere."""

    def step(group: Group, part: float) -> int:
        # A few of a large group may be most of the few that are affected elsewhere.
        return int(by * part * min(group.affected, evidence.rest(group).affected))

    def move(group: Group, number: int) -> Group:
        affected = max(0, min(group.total, group.affected + number))
        return replace(group, affected=affected)

    groups = evidence.groups.values()
    smallest = min((step(group, 1) for group in groups), default=0)
    return replace(
        evidence,
        groups={t: move(g, step(g, shares[t])) for t, g in evidence.groups.items()},
        fleet=move(evidence.fleet, int(smallest * shares["fleet"])),
    )


@pytest.mark.parametrize("looks", LOOKED_AGAIN, ids=[row.title for row in LOOKED_AGAIN])
def test_a_verdict_that_is_looked_at_again_is_what_an_operator_expects(
    looks: Looks,
) -> None:
    evidence = [evidence_of(scenario) for scenario in looks.scenarios()]

    found = looks_at(evidence)

    assert [row.verdict for row in found] == looks.verdicts, found
    for diagnosis, counted in zip(found, evidence, strict=True):
        check_sentence(diagnosis, counted)


def test_there_are_twenty_scenarios_of_a_second_look() -> None:
    assert len(LOOKED_AGAIN) >= 20


@pytest.mark.parametrize("scenario", SCENARIOS, ids=[s.title for s in SCENARIOS])
def test_a_sentence_says_only_what_its_rows_show(scenario: Scenario) -> None:
    evidence = evidence_of(scenario)
    found = diagnose(evidence)

    assert found is not None
    check_sentence(found, evidence)


@settings(max_examples=150, deadline=None)
@given(evidences())
def test_any_sentence_says_only_what_its_rows_show(evidence: DiagnosisEvidence) -> None:
    (found,) = looks_at([evidence])

    check_sentence(found, evidence)


@settings(max_examples=300, deadline=None)
@given(
    evidence=evidences(),
    shares=st.fixed_dictionaries(
        dict.fromkeys((*TRAITS, "fleet"), st.floats(-1, 1, allow_nan=False))
    ),
)
def test_counts_that_come_and_go_a_little_change_a_verdict_once_at_most(
    evidence: DiagnosisEvidence, shares: dict[str, float]
) -> None:
    other = moved(evidence, shares, by=0.07)

    found = looks_at([evidence, other] * 4)

    assert len(changes(found)) <= 1, [row.finding for row in found]


@settings(max_examples=150, deadline=None)
@given(
    trait=st.sampled_from(TRAITS),
    size=st.integers(10, 300),
    rest=st.integers(300, 3_000),
    elsewhere=st.floats(0, 0.2),
    falls=st.booleans(),
)
def test_counts_that_only_rise_or_only_fall_never_bring_a_verdict_back(
    trait: str, size: int, rest: int, elsewhere: float, falls: bool
) -> None:
    hurt = int(rest * elsewhere)
    counts = sorted(range(size + 1), reverse=falls)

    found = looks_at(
        [
            DiagnosisEvidence(
                trouble=Trouble.SILENT,
                groups={
                    "site": Group("site", 0, 40),
                    trait: Group(trait, count, size),
                },
                fleet=Group("fleet", hurt + count, rest + size),
            )
            for count in counts
        ]
    )

    seen = [found[0].finding, *(now for _, now in changes(found))]
    assert len(seen) == len(set(seen)), seen


@given(st.integers(20, 29), st.integers(20, 29))
def test_a_share_within_the_band_keeps_any_verdict_that_it_finds(
    first: int, second: int
) -> None:
    def of(affected: int) -> DiagnosisEvidence:
        return DiagnosisEvidence(
            trouble=Trouble.SILENT,
            groups={"site": Group("site", affected, 100)},
            fleet=Group("fleet", affected + 20, 1_500),
        )

    for before, verdict in ((40, "network"), (12, "cannot_tell"), (0, "cannot_tell")):
        found = looks_at([of(before), of(first), of(second), of(first)])
        assert {row.verdict.value for row in found[1:]} == {verdict}, found


@pytest.mark.parametrize("unanswered", [99, 90, 80, 71])
def test_a_path_counts_as_failing_until_clearly_more_is_answered(
    unanswered: int,
) -> None:
    def of(number: int) -> DiagnosisEvidence:
        return DiagnosisEvidence(
            trouble=Trouble.COMMANDS,
            groups={"site": Group("site", 0, 40)},
            fleet=Group("fleet", 5, 400),
            path=PathFigures("mqtt", 200, number, 900.0, 800.0),
            connectivity=Connectivity.ONLINE,
        )

    found = looks_at([of(120), of(unanswered), of(60), of(unanswered)])

    assert [row.verdict for row in found] == [
        *[Verdict.ADAPTER_PATH] * 2,
        *[Verdict.DEVICE] * 2,
    ]
