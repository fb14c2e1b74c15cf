"""Which members go together, and how fast they get their commands."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commands.models import JobTarget
from commands.rollouts import DEFAULTS, place_members
from commands.services.jobs import start_job
from registry.models import Device
from tests.commands.test_jobs import commands_of, fleet_of, make_job, tick
from tests.commands.units import now


@given(
    count=st.integers(1, 60),
    wave_size=st.none() | st.integers(1, 20),
    canary=st.sampled_from([None, 1]),
    pairs=st.dictionaries(st.integers(10, 59), st.integers(0, 9), max_size=50),
)
def test_a_gateway_is_never_in_the_wave_of_its_children(
    count: int, wave_size: int | None, canary: int | None, pairs: dict[int, int]
) -> None:
    gateways = {c: g for c, g in pairs.items() if c < count and g < count}
    rollout = {**DEFAULTS, "wave_size": wave_size, "canary": canary}

    waves, placed = place_members(range(count), rollout, seed="one", gateways=gateways)

    assert all(placed[child] != placed[gateway] for child, gateway in gateways.items())
    assert sorted(placed) == list(range(count))
    assert {wave.number: wave.size for wave in waves} == Counter(placed.values())
    again = place_members(range(count), rollout, seed="one", gateways=gateways)
    assert again == (waves, placed)


@pytest.mark.django_db
def test_a_gateway_gets_a_wave_of_its_own_after_its_children() -> None:
    units = fleet_of(3)
    gateway, *children = (unit.device for unit in units)
    ids = [child.pk for child in children]
    Device.objects.filter(pk=gateway.pk).update(kind="gateway")
    Device.objects.filter(pk__in=ids).update(gateway=gateway, kind="child")

    job = make_job(units)

    waves = dict(JobTarget.objects.filter(job=job).values_list("device_id", "wave"))
    assert waves == {gateway.pk: 2, **dict.fromkeys(ids, 1)}


@pytest.mark.django_db
def test_fractions_of_the_rate_are_kept() -> None:
    job = make_job(fleet_of(10), rollout={"rate_per_minute": 90})
    start_job(job=job, actor=None)
    begin = now()

    made = []
    for second in range(5):
        tick(begin + timedelta(seconds=second))
        made.append(len(commands_of(job)))

    assert made == [1, 3, 4, 6, 7]


@pytest.mark.django_db
def test_a_late_worker_catches_up_for_ten_seconds_only() -> None:
    job = make_job(fleet_of(30), rollout={"rate_per_minute": 60})
    start_job(job=job, actor=None)
    begin = now()
    tick(begin)

    tick(begin + timedelta(hours=1))

    assert len(commands_of(job)) == 11
