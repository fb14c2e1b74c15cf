"""Evidence joins the widest group that explains it, in whatever batches it comes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from console.choices import IncidentCause, IncidentObject
from console.judgment.correlation import (
    ANY_TENANT,
    Correlated,
    Evidence,
    Group,
    correlate,
)

START = datetime(2026, 12, 1, tzinfo=UTC)
PER_GATEWAY, GATEWAYS, SITES = 8, 2, 3
PER_SITE = (PER_GATEWAY + 1) * GATEWAYS
C, K = IncidentCause, IncidentObject


def adapter() -> Group:
    return Group(ANY_TENANT, C.ADAPTER, K.ADAPTER, "mqtt")


def site(number: int) -> Group:
    return Group(1, C.SITE, K.SITE, f"site-{number}")


def gateway(number: int) -> Group:
    return Group(1, C.GATEWAY, K.GATEWAY, f"gw-{number}")


def firmware(version: str) -> Group:
    return Group(1, C.COHORT, K.FIRMWARE, version)


SIZES = {
    adapter(): PER_SITE * SITES,
    **{site(n): PER_SITE for n in range(SITES)},
    **{gateway(n): PER_GATEWAY + 1 for n in range(GATEWAYS * SITES)},
    firmware("new"): 10,
    firmware("old"): PER_SITE * SITES - 10,
}


def lost(number: int, seconds: float = 0, kind: str = "silent") -> Evidence:
    """Return the evidence of a device; numbers go gateway by gateway, site by site."""
    at_gateway = number // (PER_GATEWAY + 1)
    version = "new" if number % 5 == 0 and number < 50 else "old"
    return Evidence(
        at=START + timedelta(seconds=seconds),
        device_id=number,
        kind=kind,
        tenant_id=1,
        groups=(
            adapter(),
            gateway(at_gateway),
            site(at_gateway // GATEWAYS),
            firmware(version),
        ),
        own=Group(1, C.DEVICE, K.DEVICE, f"d-{number}"),
    )


def causes(evidence: Iterable[Evidence], held: Correlated | None = None) -> set[str]:
    since = {group: rows[0].at for group, rows in (held or {}).items()}
    return {group.key for group in correlate(evidence, SIZES, since)}


def test_a_single_device_is_its_own_cause() -> None:
    assert causes([lost(1), lost(20)]) == {"d-1", "d-20"}


def test_the_children_of_a_gateway_are_one_incident() -> None:
    assert causes(lost(n, n) for n in range(9)) == {"gw-0"}


def test_two_dead_gateways_are_an_outage_of_their_site() -> None:
    assert causes(lost(n, n) for n in range(18)) == {"site-0"}


def test_devices_at_several_sites_are_an_outage_of_the_adapter() -> None:
    assert causes(lost(n, n) for n in range(0, 54, 1) if n % 4) == {"mqtt"}


def test_a_bad_firmware_is_found_across_sites() -> None:
    assert causes(lost(n, n) for n in range(0, 50, 5)) == {"new"}


def test_trouble_that_comes_slowly_is_no_outage() -> None:
    found = causes(lost(n, 300 * n) for n in range(9))

    assert found == {f"d-{n}" for n in range(9)}


def test_what_was_lost_long_before_an_outage_does_not_belong_to_it() -> None:
    early = lost(8, -3600)

    found = causes([early, *(lost(n, n) for n in range(8))])

    assert found == {"gw-0", "d-8"}


def test_an_open_incident_is_held_until_most_devices_are_back() -> None:
    before = correlate([lost(n, n) for n in range(9)], SIZES)

    assert causes([lost(n, n) for n in range(3)], before) == {"gw-0"}
    assert causes([lost(n, n) for n in range(2)], before) == {"d-0", "d-1"}


def test_each_tenant_has_its_own_incident_of_an_adapter() -> None:
    rows = [lost(n, n) for n in range(54) if n % 4]
    theirs = [
        Evidence(
            at=row.at,
            device_id=row.device_id + 1000,
            kind=row.kind,
            tenant_id=2,
            groups=(adapter(),),
            own=row.own._replace(tenant_id=2),
        )
        for row in rows
    ]

    found = correlate([*rows, *theirs], SIZES | {adapter(): 108})

    assert {(group.tenant_id, group.key) for group in found} == {
        (1, "mqtt"),
        (2, "mqtt"),
    }


evidence = st.lists(
    st.builds(
        lost,
        number=st.integers(0, 53),
        seconds=st.integers(0, 1500),
        kind=st.sampled_from(["silent", "alarm"]),
    ),
    max_size=80,
)


@given(rows=evidence, cuts=st.lists(st.integers(0, 80), max_size=5), seed=st.randoms())
def test_batches_repeats_and_order_change_nothing(
    rows: list[Evidence], cuts: list[int], seed: object
) -> None:
    whole = correlate(rows, SIZES)
    ordered = sorted(rows)
    kept: Correlated = {}
    for cut in [*sorted(cuts), len(ordered)]:
        since = {group: found[0].at for group, found in kept.items()}
        kept = correlate(ordered[:cut], SIZES, since)
    shuffled = [*rows, *rows]
    seed.shuffle(shuffled)  # type: ignore[attr-defined]

    assert kept == whole
    assert correlate(shuffled, SIZES) == whole


@given(rows=evidence)
def test_each_piece_of_evidence_belongs_to_one_incident(rows: list[Evidence]) -> None:
    found = [each for part in correlate(rows, SIZES).values() for each in part]

    assert sorted(found) == sorted(set(rows))
