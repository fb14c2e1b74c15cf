"""Diagnose a trouble: counted evidence in, where the fault lies out. No database.

For each trait of the device (gateway, site, adapter, firmware, model) the peers that
share it are counted: how many have the same trouble, compared with the rest of the
fleet. A trait explains the trouble if the trouble is much more frequent among these
peers, and if most affected devices are among them. If two traits of different kinds
explain it equally well, or there are too few peers, the verdict is "cannot tell".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from registry.choices import Adapter
from state.choices import Observation, Trouble, Verdict

# With fewer affected peers than this a trait explains nothing: it may be chance.
LEAST_AFFECTED = 3
LEAST_SHARE = 0.3  # of the peers that have the trait
LEAST_LIFT = 4.0  # times as frequent as elsewhere
LEAST_COVERED = 0.75  # of a set of devices, those that have the trait
# Explanations that differ by less are equally good.
TOO_CLOSE = 0.1
# From this share on the whole fleet is affected.
FLEET_SHARE = 0.5
FLEET_LEAST = 10
# Fewer well neighbours than this prove nothing about the network.
LEAST_NEIGHBOURS = 3
# An adapter path fails if this share of at least so many commands had no answer, or if
# it is so many times slower than usual.
PATH_TRIES = 10
PATH_UNANSWERED = 0.5
PATH_SLOWER = 5.0
PATH_SLOW_MS = 2_000.0
SUREST = 0.95

NEAR = ("gateway", "site")  # devices with the same one share the network connection
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
}


@dataclass(frozen=True, slots=True)
class Group:
    """Devices that share one trait: how many have the same trouble, of how many."""

    value: str
    affected: int
    total: int
    covered: int | None = None  # members of the set that have it; None: all

    @property
    def share(self) -> float:
        return self.affected / self.total if self.total else 0.0


@dataclass(frozen=True, slots=True)
class PathFigures:
    """How the adapter path delivered commands lately."""

    adapter: str
    tries: int
    unanswered: int
    p95_ms: float | None
    usual_p95_ms: float | None

    @property
    def is_bad(self) -> bool:
        """Whether it fails, or is much slower than usual."""
        if self.tries < PATH_TRIES:
            return False
        if self.unanswered / self.tries >= PATH_UNANSWERED:
            return True
        if self.p95_ms is None or not self.usual_p95_ms:
            return False
        is_slower = self.p95_ms >= PATH_SLOWER * self.usual_p95_ms
        return is_slower and self.p95_ms >= PATH_SLOW_MS

    def describe(self) -> str:
        """Return a sentence without its full stop."""
        name = Adapter(self.adapter).label
        if self.unanswered:
            text = f"{self.unanswered:,} of {self.tries:,} commands over {name} had no"
            text += " answer"
        elif self.tries == 1:
            text = f"the only command over {name} was answered"
        else:
            text = f"all {self.tries:,} commands over {name} were answered"
        if self.p95_ms is not None:
            answers = " of the answers came" if self.unanswered else ""
            text += f"; 95 %{answers} within {self.p95_ms:,.0f} ms"
        if self.usual_p95_ms is not None:
            text += f" (the day before: {self.usual_p95_ms:,.0f} ms)"
        return text


@dataclass(frozen=True, slots=True)
class DiagnosisEvidence:
    """What is known about the trouble of a device, or of a set of devices."""

    trouble: Trouble
    groups: Mapping[str, Group] = field(default_factory=dict)
    fleet: Group = field(default_factory=lambda: Group("", 0, 0))
    set_size: int = 1
    gateway_is_away: bool = False
    began_blind: bool = False
    path: PathFigures | None = None
    feedback: Observation | None = None  # the newest about this trouble
    is_online: bool = False  # by our judgment


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Where the fault lies, how sure that is, and which trait or fact shows it."""

    verdict: Verdict
    confidence: float
    where: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class _Explanation:
    trait: str
    group: Group
    fit: float  # how well trait and trouble match, 0 to 1

    @property
    def verdict(self) -> Verdict:
        return KINDS[self.trait]


def diagnose(evidence: DiagnosisEvidence) -> Diagnosis | None:
    """Return the diagnosis; None if nothing is wrong."""
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
    found = _shared(evidence) or _fleet_wide(evidence) or _known_cause(evidence)
    return found or _alone(evidence)


def _contradicted(evidence: DiagnosisEvidence) -> Diagnosis | None:
    """Return the verdict if people on site contradict our judgment."""
    seen = evidence.feedback
    if seen is None:
        return None
    gone = seen in (Observation.DEAD, Observation.UNPLUGGED)
    judged_bad = not evidence.is_online or evidence.trouble == Trouble.ALARM
    if (gone and evidence.is_online) or (seen == Observation.WORKS_FINE and judged_bad):
        ours = "online" if gone else evidence.trouble.label
        text = f"people on site report “{seen.label}”, but we judge “{ours}”"
        return Diagnosis(Verdict.INTERPRETATION, 0.9, "feedback", text)
    return None


def _shared(evidence: DiagnosisEvidence) -> Diagnosis | None:
    """Return the trait that explains the trouble; cannot tell if several do."""
    explaining = _explanations(evidence)
    covering = [e for e in explaining if _covered(evidence, e.group) >= LEAST_COVERED]
    if not covering:
        if explaining and evidence.set_size > 1:
            text = "no single cause fits all these devices"
            return Diagnosis(Verdict.CANNOT_TELL, 0.0, text=text)
        return None
    best = max(covering, key=lambda e: e.fit)
    if _is_path(evidence, covering, best):
        best = next((e for e in covering if e.trait == "adapter"), best)
        return _explained_by(evidence, best)
    rivals = [e for e in covering if best.fit - e.fit < TOO_CLOSE]
    if any(rival.verdict != best.verdict for rival in rivals):
        names = " or ".join(dict.fromkeys(rival.trait for rival in rivals))
        text = f"the cause could be the shared {names}: the counts do not tell which"
        return Diagnosis(Verdict.CANNOT_TELL, 0.0, text=text)
    return _explained_by(evidence, best)


def _is_path(
    evidence: DiagnosisEvidence, covering: list[_Explanation], best: _Explanation
) -> bool:
    """Whether the path is known to fail and no other trait explains it better."""
    if evidence.path is None or not evidence.path.is_bad:
        return False
    mine = next((e for e in covering if e.trait == "adapter"), None)
    return mine is not None and best.fit - mine.fit < TOO_CLOSE


def _explained_by(evidence: DiagnosisEvidence, best: _Explanation) -> Diagnosis:
    verdict = best.verdict
    if evidence.trouble == Trouble.GARBLED and verdict == Verdict.DEVICE:
        # If a whole firmware or model sends messages that we cannot read, we misread.
        verdict = Verdict.INTERPRETATION
    group = best.group
    few = 1 - 1 / (1 + group.affected)
    rest = _rest(evidence, group)
    text = (
        f"{group.affected:,} of {group.total:,} devices with the same {best.trait} are"
        f" affected, elsewhere {rest.affected:,} of {rest.total:,}"
    )
    return Diagnosis(verdict, _sure(best.fit * few), best.trait, text)


def _explanations(evidence: DiagnosisEvidence) -> list[_Explanation]:
    found = []
    for trait, group in evidence.groups.items():
        rest = _rest(evidence, group)
        if (
            group.affected < LEAST_AFFECTED
            or group.share < LEAST_SHARE
            or not rest.total
        ):
            continue
        # Add one elsewhere: with none affected there, the factor would be infinite.
        elsewhere = (rest.affected + 1) / (rest.total + 1)
        if group.share < LEAST_LIFT * elsewhere:
            continue
        of_all = group.affected / max(evidence.fleet.affected, group.affected)
        fit = 2 * group.share * of_all / (group.share + of_all)
        found.append(_Explanation(trait, group, fit))
    return found


def _rest(evidence: DiagnosisEvidence, group: Group) -> Group:
    fleet = evidence.fleet
    return Group(
        "rest",
        max(0, fleet.affected - group.affected),
        max(0, fleet.total - group.total),
    )


def _covered(evidence: DiagnosisEvidence, group: Group) -> float:
    if group.covered is None:
        return 1.0
    return group.covered / evidence.set_size


def _fleet_wide(evidence: DiagnosisEvidence) -> Diagnosis | None:
    """Blame the platform if the whole fleet is affected, unless it is on one site."""
    fleet = evidence.fleet
    if fleet.total < FLEET_LEAST or fleet.share < FLEET_SHARE:
        return None
    text = f"{fleet.affected:,} of {fleet.total:,} devices of the fleet are affected"
    site = evidence.groups.get("site")
    if site is not None and site.total >= fleet.total:
        return Diagnosis(
            Verdict.CANNOT_TELL, 0.0, text=f"{text}, and all are on one site"
        )
    return Diagnosis(Verdict.PLATFORM, _sure(0.5 + fleet.share / 2), "fleet", text)


def _known_cause(evidence: DiagnosisEvidence) -> Diagnosis | None:
    """Return the verdict that needs no counting of peers."""
    if evidence.gateway_is_away:
        return Diagnosis(Verdict.NETWORK, 0.9, "gateway", "its gateway is not online")
    path = evidence.path
    if evidence.trouble == Trouble.COMMANDS and path is not None and path.is_bad:
        return Diagnosis(Verdict.ADAPTER_PATH, 0.7, "adapter", path.describe())
    return None


def _alone(evidence: DiagnosisEvidence) -> Diagnosis:
    """Blame the device if no trait explains it and its neighbours are well."""
    if evidence.set_size > 1:
        return _nothing_shared(evidence)
    near = [g for t, g in evidence.groups.items() if t in NEAR and g.total]
    neighbours = max((group.total for group in near), default=0)
    worst = max((group.share for group in near), default=0.0)
    if evidence.feedback in SEEN and not evidence.is_online:
        text = f"people on site report “{evidence.feedback.label}”"
        return Diagnosis(SEEN[evidence.feedback], 0.9, "feedback", text)
    if neighbours < LEAST_NEIGHBOURS:
        text = (
            f"other devices on the same gateway or site: {neighbours},"
            " too few to compare"
        )
        return Diagnosis(Verdict.CANNOT_TELL, 0.0, text=text)
    if worst >= LEAST_SHARE:
        text = "some of its neighbours are affected too, but that may be chance"
        return Diagnosis(Verdict.CANNOT_TELL, 0.0, text=text)
    sure = _sure((1 - worst) * (1 - 1 / (1 + neighbours)))
    return Diagnosis(Verdict.DEVICE, sure, "device", "its neighbours are well")


def _nothing_shared(evidence: DiagnosisEvidence) -> Diagnosis:
    if evidence.set_size < LEAST_AFFECTED:
        text = f"{evidence.set_size} affected devices are too few to compare"
        return Diagnosis(Verdict.CANNOT_TELL, 0.0, text=text)
    sure = _sure(0.8 * (1 - 1 / evidence.set_size))
    return Diagnosis(
        Verdict.DEVICE, sure, "device", "the devices share no cause: single cases"
    )


def _sure(value: float) -> float:
    return round(min(SUREST, value), 2)
