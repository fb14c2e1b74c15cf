"""Diagnose a trouble: counted evidence in, where the fault lies out. No database.

For each trait of the device (gateway, site, adapter, firmware, model, hardware
revision, batch) the peers that share it are counted: how many have the same trouble,
compared with the rest of the fleet. A trait explains the trouble if the trouble is much
more frequent among these peers, and if most affected devices are among them. If two
traits of different kinds explain it equally well, or there are too few peers, the
verdict is "cannot tell".

Each limit has two values. The last finding about the same trouble is judged by the
lower ones: it holds until its evidence has clearly gone, and so does not come and go.
"""

from __future__ import annotations

from dataclasses import dataclass

from state.choices import Connectivity, Observation, Trouble, Verdict
from state.judgment.diagnosis_evidence import (
    ENTER,
    LEAVE,
    NEAR,
    DiagnosisEvidence,
    Finding,
    Group,
    Limits,
)

# Explanations that differ by less are equally good.
TOO_CLOSE = 0.1
FLEET_LEAST = 10  # a smaller fleet proves nothing about the platform
LEAST_SET = 3  # so do fewer affected devices about their cause
SUREST = 0.95

# What people saw at an absent device decides if no shared trait explains the trouble.
SEEN = {
    Observation.DEAD: Verdict.DEVICE,
    Observation.UNPLUGGED: Verdict.DEVICE,
    Observation.DAMAGED: Verdict.DEVICE,
    Observation.NO_SIGNAL: Verdict.NETWORK,
}
KINDS = {
    "gateway": Verdict.NETWORK,
    "site": Verdict.NETWORK,
    "adapter": Verdict.ADAPTER_PATH,
    "firmware": Verdict.DEVICE,
    "model": Verdict.DEVICE,
    "revision": Verdict.DEVICE,
    "batch": Verdict.DEVICE,
}
CANNOT_TELL = Finding(Verdict.CANNOT_TELL, "")


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Where the fault lies, how sure that is, and which trait or fact shows it."""

    verdict: Verdict
    confidence: float
    where: str = ""
    text: str = ""

    @property
    def finding(self) -> Finding:
        return Finding(self.verdict, self.where)


@dataclass(frozen=True, slots=True)
class _Explanation:
    trait: str
    group: Group
    fit: float  # how well trait and trouble match, 0 to 1
    standing: float  # the same, higher for the last finding

    @property
    def verdict(self) -> Verdict:
        return KINDS[self.trait]


def diagnose(
    evidence: DiagnosisEvidence, last: Finding | None = None
) -> Diagnosis | None:
    """Return the diagnosis; None if nothing is wrong.

    ``last`` is what was found about the same trouble before, and is kept while the
    evidence does not fall below the lower limits.
    """
    fresh = _Judge(evidence, None).judge()
    if fresh is None or last is None or fresh.finding == last:
        return fresh
    kept = _Judge(evidence, last).judge()
    return kept if kept is not None and kept.finding == last else fresh


class _Judge:
    """One evidence, judged in favour of the last finding about it."""

    def __init__(self, evidence: DiagnosisEvidence, last: Finding | None) -> None:
        self.evidence = evidence
        self.last = last

    def judge(self) -> Diagnosis | None:
        evidence = self.evidence
        if found := _contradicted(evidence):
            return found
        if evidence.trouble == Trouble.NONE:
            return None
        if evidence.trouble == Trouble.BLIND or evidence.began_blind:
            return Diagnosis(
                Verdict.PLATFORM,
                SUREST,
                "listening",
                "the platform was not listening when it began",
            )
        found = self._shared() or self._fleet_wide() or self._known_cause()
        return found or self._alone()

    def _limits(self, *findings: Finding) -> Limits:
        """Return the lower limits for the last finding."""
        return LEAVE if self.last in findings else ENTER

    def _limits_of(self, trait: str) -> Limits:
        interpreted = Finding(Verdict.INTERPRETATION, trait)
        return self._limits(Finding(KINDS[trait], trait), interpreted)

    def _shared(self) -> Diagnosis | None:
        """Return the trait that explains the trouble; cannot tell if several do."""
        evidence = self.evidence
        explaining = self._explanations()
        covering = [
            found
            for found in explaining
            if evidence.covered(found.group) >= self._limits_of(found.trait).covered
        ]
        if not covering:
            if evidence.set_size > 1 and (explaining or self._was_explained()):
                text = "no single cause fits all these devices"
                return _unsure(text)
            return None
        best = max(covering, key=lambda found: found.standing)
        if path := self._failing_path(covering, best):
            return self._explained_by(path)
        rivals = [e for e in covering if best.standing - e.standing < TOO_CLOSE]
        if any(rival.verdict != best.verdict for rival in rivals):
            names = " or ".join(dict.fromkeys(rival.trait for rival in rivals))
            text = (
                f"the cause could be the shared {names}: the counts do not tell which"
            )
            return _unsure(text)
        return self._explained_by(best)

    def _failing_path(
        self, covering: list[_Explanation], best: _Explanation
    ) -> _Explanation | None:
        """Return the path if it is known to fail and no other trait explains better."""
        if not self._path_is_bad():
            return None
        mine = next((found for found in covering if found.trait == "adapter"), None)
        if mine is None or best.standing - mine.standing >= TOO_CLOSE:
            return None
        return mine

    def _path_is_bad(self) -> bool:
        path = self.evidence.path
        return path is not None and path.is_bad(self._limits_of("adapter"))

    def _explained_by(self, best: _Explanation) -> Diagnosis:
        verdict = best.verdict
        if self.evidence.trouble == Trouble.GARBLED and verdict == Verdict.DEVICE:
            # If a whole firmware or model sends messages that we cannot read, we
            # misread them.
            verdict = Verdict.INTERPRETATION
        few = 1 - 1 / (1 + best.group.affected)
        text = self.evidence.compare(best.trait)
        return Diagnosis(verdict, _sure(best.fit * few), best.trait, text)

    def _explanations(self) -> list[_Explanation]:
        evidence = self.evidence
        found = []
        for trait, group in evidence.groups.items():
            limits = self._limits_of(trait)
            if not self._explains(group, limits):
                continue
            of_all = group.affected / max(evidence.fleet.affected, group.affected)
            fit = 2 * group.share * of_all / (group.share + of_all)
            standing = fit + (TOO_CLOSE if limits is LEAVE else 0)
            found.append(_Explanation(trait, group, fit, standing))
        return found

    def _explains(self, group: Group, limits: Limits) -> bool:
        return (
            group.affected >= limits.affected
            and group.share >= limits.share
            and self.evidence.rest(group).total > 0
            and self.evidence.lift(group) >= limits.lift
        )

    def _was_explained(self) -> bool:
        """Whether a trait that explained the trouble in part still does."""
        limits = self._limits(CANNOT_TELL)
        return any(self._explains(g, limits) for g in self.evidence.groups.values())

    def _fleet_wide(self) -> Diagnosis | None:
        """Blame the platform if the whole fleet is affected, unless on one site."""
        fleet = self.evidence.fleet
        limits = self._limits(Finding(Verdict.PLATFORM, "fleet"))
        if fleet.total < FLEET_LEAST or fleet.share < limits.fleet_share:
            return None
        text = (
            f"{fleet.affected:,} of {fleet.total:,} devices of the fleet are affected"
        )
        site = self.evidence.groups.get("site")
        if site is not None and site.total >= fleet.total:
            return _unsure(f"{text}, and all are on one site")
        return Diagnosis(Verdict.PLATFORM, _sure(0.5 + fleet.share / 2), "fleet", text)

    def _known_cause(self) -> Diagnosis | None:
        """Return the verdict that needs no counting of peers."""
        if self.evidence.gateway_is_away:
            text = "its gateway is not online"
            return Diagnosis(Verdict.NETWORK, 0.9, "gateway", text)
        path = self.evidence.path
        is_concerned = self.evidence.trouble == Trouble.COMMANDS
        if is_concerned and path is not None and self._path_is_bad():
            return Diagnosis(Verdict.ADAPTER_PATH, 0.7, "adapter", path.describe())
        return None

    def _alone(self) -> Diagnosis:
        """Blame the device if no trait explains it and its neighbours are well."""
        evidence = self.evidence
        if evidence.set_size > 1:
            return _nothing_shared(evidence)
        if evidence.feedback in SEEN and not evidence.is_online:
            text = f"people on site report “{evidence.feedback.label}”"
            return Diagnosis(SEEN[evidence.feedback], 0.9, "feedback", text)
        near = [t for t in NEAR if t in evidence.groups and evidence.groups[t].total]
        neighbours = max((evidence.groups[trait].total for trait in near), default=0)
        alone = Finding(Verdict.DEVICE, "device")
        if neighbours < self._limits(alone).neighbours:
            return _unsure(_too_few(neighbours))
        if doubt := self._doubt(near):
            return _unsure(doubt)
        worst = max(evidence.groups[trait].share for trait in near)
        sure = _sure((1 - worst) * (1 - 1 / (1 + neighbours)))
        text = _neighbours(evidence, near)
        return Diagnosis(alone.verdict, sure, alone.where, text)

    def _doubt(self, near: list[str]) -> str:
        """Return what about the neighbours keeps us from blaming the device."""
        limits = self._limits(CANNOT_TELL)
        for trait in near:
            group, counts = self.evidence.groups[trait], self.evidence.compare(trait)
            if group.share >= limits.share:
                return f"{counts}: that may be chance"
            if (
                group.affected >= limits.affected
                and group.share >= limits.near_share
                and self.evidence.lift(group) >= limits.lift
            ):
                return f"{counts}: more than elsewhere, but most of them are well"
        return ""


def _contradicted(evidence: DiagnosisEvidence) -> Diagnosis | None:
    """Return the verdict if people on site contradict our judgment."""
    seen = evidence.feedback
    if seen is None:
        return None
    gone = seen in (Observation.DEAD, Observation.UNPLUGGED)
    judged_bad = not evidence.is_online or evidence.trouble == Trouble.ALARM
    if (gone and evidence.is_online) or (seen == Observation.WORKS_FINE and judged_bad):
        ours = Connectivity(evidence.connectivity).label
        if evidence.trouble == Trouble.ALARM and not gone:
            ours = evidence.trouble.label
        text = f"people on site report “{seen.label}”, but we judge “{ours}”"
        return Diagnosis(Verdict.INTERPRETATION, 0.9, "feedback", text)
    return None


def _neighbours(evidence: DiagnosisEvidence, near: list[str]) -> str:
    """Return how the neighbours are; the one of the rows that is worst says it."""
    groups = evidence.groups
    worst = max(near, key=lambda trait: (groups[trait].share, groups[trait].total))
    counts = evidence.compare(worst)
    if not groups[worst].affected:
        return f"its neighbours are well: {counts}"
    if all(groups[trait].share <= evidence.rest(groups[trait]).share for trait in near):
        return f"its neighbours are as well as the others: {counts}"
    return f"only few of its neighbours are affected: {counts}"


def _too_few(neighbours: int) -> str:
    if not neighbours:
        return "there is no other device on the same gateway or site to compare with"
    return (
        f"other devices on the same gateway or site: {neighbours}, too few to compare"
    )


def _nothing_shared(evidence: DiagnosisEvidence) -> Diagnosis:
    if evidence.set_size < LEAST_SET:
        text = f"{evidence.set_size} affected devices are too few to compare"
        return _unsure(text)
    sure = _sure(0.8 * (1 - 1 / evidence.set_size))
    return Diagnosis(
        Verdict.DEVICE, sure, "device", "the devices share no cause: single cases"
    )


def _unsure(text: str) -> Diagnosis:
    return Diagnosis(Verdict.CANNOT_TELL, 0.0, text=text)


def _sure(value: float) -> float:
    return round(min(SUREST, value), 2)
