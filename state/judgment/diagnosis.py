"""The one diagnosis: counted evidence in, where the fault lies out. Pure: no database.

Peers that share a trait with the troubled device (its gateway, site, adapter, firmware,
model) are counted: how many show the same trouble, against all others of the fleet. A
trait explains the trouble when it is much more frequent among those that have it, and
when they are most of the troubled. Where two traits of different kinds explain it
equally well, or too few peers are near, the answer is that nobody can tell.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from state.choices import Observation, Trouble, Verdict

# A trait explains nothing with fewer peers in trouble than this: it may be chance.
LEAST_AFFECTED = 3
LEAST_SHARE = 0.3  # of the peers that have the trait
LEAST_LIFT = 4.0  # times as frequent as elsewhere
LEAST_COVERED = 0.75  # of a set of devices, those that have the trait
# Explanations that differ by less are equally good.
TOO_CLOSE = 0.1
# From here on the fleet as a whole is in trouble.
FLEET_SHARE = 0.5
FLEET_LEAST = 10
# So few neighbours who are well prove nothing about the line.
LEAST_NEIGHBOURS = 3
# A path that fails: this share of at least so many tries, or so many times as slow.
PATH_TRIES = 10
PATH_UNANSWERED = 0.5
PATH_SLOWER = 5.0
PATH_SLOW_MS = 2_000.0
SUREST = 0.95

NEAR = ("gateway", "site")  # who shares the line
# What people saw at a device that is away, where nothing shared explains it.
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
    """Those who share one trait: how many are in the same trouble, of how many."""

    value: str
    affected: int
    total: int
    covered: int | None = None  # members of the set that have it; None: all

    @property
    def share(self) -> float:
        """The affected share."""
        return self.affected / self.total if self.total else 0.0


@dataclass(frozen=True, slots=True)
class PathFigures:
    """How the adapter path delivers lately."""

    tries: int
    unanswered: int
    p95_ms: float | None
    usual_p95_ms: float | None

    @property
    def is_bad(self) -> bool:
        """Whether it fails, or takes many times as long as usual."""
        if self.tries < PATH_TRIES:
            return False
        if self.unanswered / self.tries >= PATH_UNANSWERED:
            return True
        if self.p95_ms is None or not self.usual_p95_ms:
            return False
        is_slower = self.p95_ms >= PATH_SLOWER * self.usual_p95_ms
        return is_slower and self.p95_ms >= PATH_SLOW_MS

    def in_words(self) -> str:
        """Say how it delivers."""
        said = f"{self.unanswered} of {self.tries} tries over its path had no answer"
        if self.p95_ms is not None:
            said += f", 95 % were answered within {self.p95_ms:,.0f} ms"
        if self.usual_p95_ms is not None:
            said += f" (a day before: {self.usual_p95_ms:,.0f} ms)"
        return said


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was counted about a device, or a set of them, in trouble."""

    trouble: Trouble
    groups: Mapping[str, Group] = field(default_factory=dict)
    fleet: Group = field(default_factory=lambda: Group("", 0, 0))
    set_size: int = 1
    gateway_is_away: bool = False
    began_blind: bool = False
    path: PathFigures | None = None
    feedback: Observation | None = None  # the newest that is about this trouble
    is_online: bool = False  # as we judge it


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Where the fault lies, how sure that is, and the trait or fact that says so."""

    verdict: Verdict
    confidence: float
    where: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class _Explanation:
    trait: str
    group: Group
    fit: float  # how well trait and trouble coincide, 0 to 1

    @property
    def verdict(self) -> Verdict:
        return KINDS[self.trait]


def diagnose(evidence: Evidence) -> Diagnosis | None:
    """Return the diagnosis; None when nothing is wrong."""
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


def _contradicted(evidence: Evidence) -> Diagnosis | None:
    """What people saw against what we judge."""
    said = evidence.feedback
    gone = said in (Observation.DEAD, Observation.UNPLUGGED)
    judged_bad = not evidence.is_online or evidence.trouble == Trouble.ALARM
    if (gone and evidence.is_online) or (said == Observation.WORKS_FINE and judged_bad):
        words = Observation(said).label if said else ""
        ours = "it is online" if gone else f"otherwise ({evidence.trouble.label})"
        text = f"the field says “{words}”, and we judge that {ours}"
        return Diagnosis(Verdict.INTERPRETATION, 0.9, "feedback", text)
    return None


def _shared(evidence: Evidence) -> Diagnosis | None:
    """The trait that explains it; or that two do, or none explains all of a set."""
    explaining = _explanations(evidence)
    covering = [e for e in explaining if _covered(evidence, e.group) >= LEAST_COVERED]
    if not covering:
        if explaining and evidence.set_size > 1:
            text = "parts of the set have different things in common"
            return Diagnosis(Verdict.CANNOT_TELL, 0.0, text=text)
        return None
    best = max(covering, key=lambda e: e.fit)
    if _is_path(evidence, covering, best):
        best = next((e for e in covering if e.trait == "adapter"), best)
        return _told(evidence, best)
    rivals = [e for e in covering if best.fit - e.fit < TOO_CLOSE]
    if any(rival.verdict != best.verdict for rival in rivals):
        names = " or ".join(dict.fromkeys(rival.trait for rival in rivals))
        text = f"what they share could be the {names}: they cannot be told apart"
        return Diagnosis(Verdict.CANNOT_TELL, 0.0, text=text)
    return _told(evidence, best)


def _is_path(
    evidence: Evidence, covering: list[_Explanation], best: _Explanation
) -> bool:
    """Whether the path is known to fail and explains it as well as anything does."""
    if evidence.path is None or not evidence.path.is_bad:
        return False
    mine = next((e for e in covering if e.trait == "adapter"), None)
    return mine is not None and best.fit - mine.fit < TOO_CLOSE


def _told(evidence: Evidence, best: _Explanation) -> Diagnosis:
    verdict = best.verdict
    if evidence.trouble == Trouble.GARBLED and verdict == Verdict.DEVICE:
        # What a whole firmware or model says and we cannot read, we do not understand.
        verdict = Verdict.INTERPRETATION
    group = best.group
    few = 1 - 1 / (1 + group.affected)
    rest = _rest(evidence, group)
    text = (
        f"{group.affected} of {group.total} with the same {best.trait} show the same,"
        f" against {rest.affected} of {rest.total} elsewhere"
    )
    return Diagnosis(verdict, _sure(best.fit * few), best.trait, text)


def _explanations(evidence: Evidence) -> list[_Explanation]:
    found = []
    for trait, group in evidence.groups.items():
        rest = _rest(evidence, group)
        if (
            group.affected < LEAST_AFFECTED
            or group.share < LEAST_SHARE
            or not rest.total
        ):
            continue
        # One more elsewhere, so that "nobody at all" is not infinitely many times less.
        elsewhere = (rest.affected + 1) / (rest.total + 1)
        if group.share < LEAST_LIFT * elsewhere:
            continue
        of_all = group.affected / max(evidence.fleet.affected, group.affected)
        fit = 2 * group.share * of_all / (group.share + of_all)
        found.append(_Explanation(trait, group, fit))
    return found


def _rest(evidence: Evidence, group: Group) -> Group:
    fleet = evidence.fleet
    return Group(
        "rest",
        max(0, fleet.affected - group.affected),
        max(0, fleet.total - group.total),
    )


def _covered(evidence: Evidence, group: Group) -> float:
    if group.covered is None:
        return 1.0
    return group.covered / evidence.set_size


def _fleet_wide(evidence: Evidence) -> Diagnosis | None:
    """Everybody, whatever their traits: ourselves, unless all stand on one site."""
    fleet = evidence.fleet
    if fleet.total < FLEET_LEAST or fleet.share < FLEET_SHARE:
        return None
    text = f"{fleet.affected} of {fleet.total} in the whole fleet show the same"
    site = evidence.groups.get("site")
    if site is not None and site.total >= fleet.total:
        return Diagnosis(
            Verdict.CANNOT_TELL, 0.0, text=f"{text}, and all of it stands on one site"
        )
    return Diagnosis(Verdict.PLATFORM, _sure(0.5 + fleet.share / 2), "fleet", text)


def _known_cause(evidence: Evidence) -> Diagnosis | None:
    """What is known without counting peers."""
    if evidence.gateway_is_away:
        return Diagnosis(Verdict.NETWORK, 0.9, "gateway", "its gateway is not online")
    path = evidence.path
    if evidence.trouble == Trouble.COMMANDS and path is not None and path.is_bad:
        return Diagnosis(Verdict.ADAPTER_PATH, 0.7, "adapter", path.in_words())
    return None


def _alone(evidence: Evidence) -> Diagnosis:
    """Nothing shared explains it: the device, if there are neighbours who are well."""
    if evidence.set_size > 1:
        return _nothing_shared(evidence)
    near = [g for t, g in evidence.groups.items() if t in NEAR and g.total]
    neighbours = max((group.total for group in near), default=0)
    worst = max((group.share for group in near), default=0.0)
    if evidence.feedback in SEEN and not evidence.is_online:
        words = Observation(evidence.feedback).label
        return Diagnosis(
            SEEN[evidence.feedback], 0.9, "feedback", f"the field found “{words}”"
        )
    if neighbours < LEAST_NEIGHBOURS:
        text = f"only {neighbours} other devices share its line: too few to compare"
        return Diagnosis(Verdict.CANNOT_TELL, 0.0, text=text)
    if worst >= LEAST_SHARE:
        text = "some of its neighbours show the same, but no more than chance explains"
        return Diagnosis(Verdict.CANNOT_TELL, 0.0, text=text)
    sure = _sure((1 - worst) * (1 - 1 / (1 + neighbours)))
    return Diagnosis(Verdict.DEVICE, sure, "device", "its neighbours are well")


def _nothing_shared(evidence: Evidence) -> Diagnosis:
    if evidence.set_size < LEAST_AFFECTED:
        text = f"{evidence.set_size} devices are too few to have something in common"
        return Diagnosis(Verdict.CANNOT_TELL, 0.0, text=text)
    sure = _sure(0.8 * (1 - 1 / evidence.set_size))
    return Diagnosis(
        Verdict.DEVICE, sure, "device", "they have nothing in common: single cases"
    )


def _sure(value: float) -> float:
    return round(min(SUREST, value), 2)
