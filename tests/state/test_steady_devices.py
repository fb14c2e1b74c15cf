"""The SQL for steady devices and the judgment give the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.models import Device
from state.choices import Connectivity, Departure
from state.models import BlindSpan, ConnectivityTransition, ListeningSlot, Presence
from state.services.presence import steady_devices
from state.services.presence.sweep import _judge, sweep_across_tenants
from tests.factories import DeviceFactory
from tests.state.scene import MINUTE, be_born, make_family, presence, say, t

pytestmark = pytest.mark.django_db
NOW = t(0)
COLUMNS = [field.attname for field in Presence._meta.fields]

NEAR = [-3, -1, -0.5, 0, 0.2, 0.5, 1, 1, 1.5, 1.9, 2, 2.1, 3, 5, 9]
minutes_ago = st.sampled_from(NEAR).map(lambda m: NOW - m * MINUTE)
# Mostly typical rows, and all other kinds too.
row = st.fixed_dictionaries(
    {
        "last_seen_at": minutes_ago,
        "heard_later": st.sampled_from([0, 0, 0, 0, 0, 1, None]),
        "session": st.sampled_from(["", "s1"]),
        "heartbeat_seconds": st.sampled_from([None, None, 0, 30, 300]),
        "sleeping_until": st.none() | minutes_ago,
        "left_how": st.sampled_from([*[Departure.NONE] * 6, *Departure]),
        "left_session": st.sampled_from(["", "s1", "s2"]),
        "left_at": minutes_ago,
        "verdict": st.sampled_from(
            [
                *[("online", "")] * 8,
                *(("online", "sleeping"), ("suspect", "missed_heartbeat")),
                *(("stale", "gateway_offline"), ("stale", "platform_blind")),
                ("offline", "missed_heartbeats"),
            ]
        ),
        "since": minutes_ago,
        "next_change_at": st.none() | minutes_ago,
        "recount_at": st.none() | st.none() | minutes_ago,
    }
)


@pytest.fixture
def fleet() -> Sequence[Device]:
    """Return devices without a gateway, gateways, and children of these."""
    families = [make_family(2) for _ in range(4)]
    members = [device for gateway, some in families for device in (gateway, *some)]
    return [*DeviceFactory.create_batch(12), *members]


def store(fleet: Sequence[Device], drawn: list[dict[str, Any]]) -> None:
    """Store the presence row of each device; one without a row was never heard."""
    Presence.objects.all().delete()
    made = []
    for device, values in zip(fleet, drawn, strict=False):
        connectivity, cause = values["verdict"]
        later, seen = values["heard_later"], values["last_seen_at"]
        kept = ("heard_later", "verdict")
        made.append(
            Presence(
                device=device,
                tenant=device.tenant,
                connectivity=connectivity,
                cause=cause,
                last_activity_at=None if later is None else seen - later * 6 * MINUTE,
                disconnects_72h=3,
                **{name: v for name, v in values.items() if name not in kept},
            )
        )
    Presence.objects.bulk_create(made)


def outcome() -> tuple[list[Any], list[Any]]:
    """Return all rows, and all transitions in no order."""
    moves = ConnectivityTransition.objects.order_by("device_id", "moved_to")
    return (
        list(Presence.objects.order_by("pk").values_list(*COLUMNS)),
        list(moves.values_list("device_id", "moved_from", "moved_to", "cause")),
    )


def judged_one_by_one() -> tuple[list[Any], list[Any]]:
    """Return what the judgment alone makes of all due rows, then roll back."""
    with transaction.atomic():
        due = Presence.objects.filter(next_change_at__lte=NOW)
        _judge(sorted(due.values_list("pk", flat=True)), now=NOW)
        seen = outcome()
        transaction.set_rollback(True)
    return seen


def test_the_steady_statements_and_the_judgment_always_agree(
    fleet: Sequence[Device], is_long: bool
) -> None:
    @settings(max_examples=150 if is_long else 40, deadline=None)
    @given(
        drawn=st.lists(row, min_size=24, max_size=24),
        blind=st.sampled_from([None, (4, 1), (9, 5), (3, -1)]),
    )
    def on_any_fleet(
        drawn: list[dict[str, Any]], blind: tuple[int, int] | None
    ) -> None:
        store(fleet, drawn)
        BlindSpan.objects.all().delete()
        ListeningSlot.objects.all().delete()
        if blind:
            begin, end = NOW - blind[0] * MINUTE, NOW - blind[1] * MINUTE
            if end < NOW:
                BlindSpan.objects.create(slot=1, from_at=begin, to_at=end)
            else:
                ListeningSlot.objects.create(slot=1, beat_at=begin, caught_up_at=begin)

        expected = judged_one_by_one()
        sweep_across_tenants(now=NOW)

        assert outcome() == expected
        ConnectivityTransition.objects.all().delete()

    on_any_fleet()


def test_steady_devices_are_postponed_without_a_judgment() -> None:
    devices = DeviceFactory.create_batch(5)
    gateway, (child,) = make_family()
    for device in (*devices, gateway, child):
        be_born(device, t(0))
    for device in (*devices, gateway, child):
        say(device, "heartbeat", t(1.5))

    assert steady_devices.list_changed_across_tenants(now=t(2), limit=100) == []
    assert sweep_across_tenants(now=t(2)) == 0

    for device in (*devices, gateway):
        assert presence(device).next_change_at == t(3.5)
    assert presence(child).next_change_at == t(3.5)


def test_a_sweep_of_many_steady_devices_takes_a_handful_of_statements() -> None:
    for device in DeviceFactory.create_batch(30):
        be_born(device, t(0))
        say(device, "heartbeat", t(1.5))
    connection.ensure_connection()

    with CaptureQueriesContext(connection) as queries:
        assert sweep_across_tenants(now=t(2)) == 0

    assert len(queries) <= 4  # statements outside of Django's cursor: one of each
    assert {Connectivity.ONLINE} == set(
        Presence.objects.values_list("connectivity", flat=True)
    )


def test_steady_devices_that_one_run_leaves_are_judged_correctly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(steady_devices, "POSTPONED_AT_ONCE", 1)
    monkeypatch.setattr(steady_devices, "BATCHES_A_RUN", 1)
    devices = DeviceFactory.create_batch(3)
    for device in devices:
        be_born(device, t(0))
        say(device, "heartbeat", t(1))

    sweep_across_tenants(now=t(2))
    assert Presence.objects.filter(next_change_at__lte=t(2)).count() == 2
    sweep_across_tenants(now=t(3))

    assert set(Presence.objects.values_list("connectivity", flat=True)) == {"suspect"}


def test_the_next_check_is_due_when_the_oldest_disconnect_leaves_the_count() -> None:
    device = DeviceFactory.create()
    be_born(device, t(0))
    leaves_at: datetime = t(2.5)
    Presence.objects.update(recount_at=leaves_at, disconnects_72h=1)
    say(device, "heartbeat", t(1.9))

    sweep_across_tenants(now=t(2))
    assert presence(device).next_change_at == leaves_at
    sweep_across_tenants(now=leaves_at + timedelta(seconds=1))

    assert presence(device).disconnects_72h == 0
