"""Alarm rules: thresholds with hold time and hysteresis; managers write them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.models import Device, Membership, MembershipLimit
from state.models import Alarm, AlarmChange, AlarmRule, HeldAlarm
from state.selectors import latest_telemetry
from state.services.alarms.closing import end_orphans_across_tenants
from state.services.alarms.held_back import raise_held_back_across_tenants
from state.services.alarms.rules import change_rule, create_rule
from state.services.alarms.thresholds import Threshold, is_beyond
from state.services.presence.adapter_liveness import open_slots
from tests.factories import DeviceFactory
from tests.state.scene import arrive, keep_listening, listen, say, t, uplink
from tests.state.test_alarms import client_of

URL = "/api/v1/alarm-rules/"


def rule_for(device: Device, **fields: Any) -> AlarmRule:
    values = {
        "name": "Too warm",
        "metric": "temperature",
        "comparison": ">",
        "threshold": 80.0,
        "code": "warm",
        "enabled": True,
    }
    return create_rule(
        tenant=device.tenant, product=device.product, **(values | fields)
    )


def measure(device: Device, minute: float, value: float) -> None:
    say(device, "telemetry", t(minute), metrics={"temperature": value})


def alarm_states() -> list[tuple[str, int]]:
    return list(Alarm.objects.order_by("pk").values_list("state", "count"))


@pytest.mark.django_db
def test_a_value_raises_an_alarm_and_only_one_beyond_the_hysteresis_clears_it() -> None:
    device = DeviceFactory.create()
    rule_for(device, hysteresis=5)

    for minute, value in enumerate((80, 81, 79, 82, 75)):
        measure(device, minute, value)

    alarm = Alarm.objects.get()
    assert (alarm.raised_at, alarm.cleared_at) == (t(1), t(4))
    assert (alarm.code, alarm.severity, alarm.count) == ("warm", "warning", 2)


@pytest.mark.django_db
def test_a_value_that_does_not_last_for_the_hold_time_raises_no_alarm() -> None:
    device = DeviceFactory.create()
    rule_for(device, hold_seconds=300)
    measure(device, 0, 90)
    measure(device, 4, 70)
    measure(device, 5, 90)

    raise_held_back_across_tenants(now=t(6))
    assert alarm_states() == []
    measure(device, 9, 91)
    raise_held_back_across_tenants(now=t(10))

    assert alarm_states() == [("raised", 2)]


@pytest.mark.django_db
def test_an_outage_of_the_platform_raises_no_alarm_that_may_have_ended_meanwhile() -> (
    None
):
    open_slots(1, now=t(0))
    mended, silent, warm = (DeviceFactory.create() for _ in range(3))
    for device in (mended, silent, warm):
        rule_for(device, hold_seconds=300)
        measure(device, 1, 90)
    keep_listening(t(0), t(2))

    for minute in range(3, 13):
        raise_held_back_across_tenants(now=t(minute))
    assert alarm_states() == []

    listen(t(13))
    measure(mended, 13.1, 70)
    measure(warm, 13.2, 90)
    keep_listening(t(13), t(17))
    raise_held_back_across_tenants(now=t(17))
    assert [alarm.device for alarm in Alarm.objects.all()] == [warm]

    keep_listening(t(17), t(19))
    raise_held_back_across_tenants(now=t(19))
    assert made_by(warm) == made_by(silent) == [("raised", "held")]


@pytest.mark.django_db
def test_a_rule_that_is_off_or_for_another_product_raises_no_alarm() -> None:
    device = DeviceFactory.create()
    rule_for(device, enabled=False)
    rule_for(DeviceFactory.create())

    measure(device, 0, 90)

    assert alarm_states() == []


@given(
    st.sampled_from([">", ">=", "<", "<="]),
    st.integers(-50, 50),
    st.integers(0, 10),
    st.lists(st.integers(-70, 70), max_size=40),
)
def test_an_alarm_follows_the_values_like_a_simple_model(
    comparison: str, threshold: int, hysteresis: int, values: list[int]
) -> None:
    rule = Threshold(1, "m", comparison, threshold, hysteresis, 0, "info", "c")
    is_open = modelled = False
    for value in values:
        verdict = is_beyond(rule, value)
        is_open = is_open if verdict is None else verdict
        beyond = {
            ">": value > threshold,
            ">=": value >= threshold,
            "<": value < threshold,
            "<=": value <= threshold,
        }[comparison]
        back = threshold - hysteresis if ">" in comparison else threshold + hysteresis
        over = value <= back if ">" in comparison else value >= back
        modelled = beyond or (modelled and not over)
        assert is_open == modelled


@pytest.mark.django_db
def test_a_manager_creates_switches_and_deletes_a_rule() -> None:
    device = DeviceFactory.create()
    client = client_of(device, "manager")
    body = {
        **{"product": device.product.slug, "name": "Too warm", "code": "warm"},
        **{"metric": "temperature", "comparison": ">=", "threshold": 80},
    }

    made = client.post(URL, body, format="json")
    again = client.post(URL, body, format="json")
    one = f"{URL}{made.json()['id']}/"
    changed = client.patch(one, {"enabled": True}, format="json")
    refused = client.patch(one, {"product": "other"}, format="json")
    listed = client.get(URL).json()["results"]

    assert made.status_code == 201, made.content
    assert (made.json()["enabled"], changed.json()["enabled"]) == (False, True)
    for answer, field in ((again, "code"), (refused, "product")):
        assert answer.status_code == 400
        assert answer.json()["errors"][0]["field"] == field
    assert listed == [changed.json()]
    assert client.delete(one).status_code == 204
    assert not AlarmRule.objects.exists()


@pytest.mark.django_db
def test_an_operator_cannot_write_rules_and_another_tenant_cannot_see_them() -> None:
    device = DeviceFactory.create()
    one = f"{URL}{rule_for(device).public_id}/"
    stranger = client_of(DeviceFactory.create(), "manager")

    assert client_of(device).patch(one, {}, format="json").status_code == 403
    assert client_of(device).delete(one).status_code == 403
    assert stranger.get(URL).json()["results"] == []
    assert stranger.patch(one, {"enabled": False}, format="json").status_code == 404
    assert stranger.delete(one).status_code == 404


@pytest.mark.django_db
def test_a_manager_limited_to_one_site_cannot_change_rules() -> None:
    device = DeviceFactory.create()
    one = f"{URL}{rule_for(device).public_id}/"
    client = client_of(device, "manager")
    MembershipLimit.objects.create(
        membership=Membership.objects.get(tenant=device.tenant),
        tenant=device.tenant,
        site=device.site,
    )

    assert client.patch(one, {"enabled": False}, format="json").status_code == 403
    assert client.delete(one).status_code == 403
    assert client.get(one).status_code == 200


def made_by(device: Device) -> list[tuple[str, str]]:
    """Return the changes of the device's alarms as (move, reason)."""
    rows = AlarmChange.objects.filter(device=device).order_by("at", "pk")
    return list(rows.values_list("move", "reason"))


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("act", "reason"), [("disable", "rule_off"), ("delete", "rule_deleted")]
)
def test_switching_off_or_deleting_a_rule_clears_its_alarms(
    act: str, reason: str
) -> None:
    hot, held = DeviceFactory.create_batch(2)
    rule, slow = rule_for(hot), rule_for(held, hold_seconds=600)
    measure(hot, 0, 90)
    measure(held, 0, 90)
    say(hot, "event", t(0), code="own", severity="info", state="raised")

    for row, device in ((rule, hot), (slow, held)):
        client = client_of(device, "manager")
        one = f"{URL}{row.public_id}/"
        if act == "delete":
            assert client.delete(one).status_code == 204
        else:
            off = client.patch(one, {"enabled": False}, format="json")
            assert off.status_code == 200

    assert dict(Alarm.objects.values_list("code", "state")) == {
        "warm": "cleared",
        "own": "raised",
    }
    assert made_by(hot)[-1] == ("cleared", reason)
    assert AlarmChange.objects.latest("pk").by is not None
    assert not HeldAlarm.objects.exists()
    assert raise_held_back_across_tenants(now=t(20)) == 0


@pytest.mark.django_db
def test_an_alarm_that_a_running_batch_raised_for_a_rule_that_is_off_is_cleared() -> (
    None
):
    device = DeviceFactory.create()
    rule = rule_for(device)
    measure(device, 0, 90)
    AlarmRule.objects.filter(pk=rule.pk).update(enabled=False)

    assert end_orphans_across_tenants(now=t(1)) == 1

    assert alarm_states() == [("cleared", 1)]
    assert made_by(device)[-1] == ("cleared", "rule_off")


@pytest.mark.django_db
def test_a_new_threshold_clears_alarms_that_no_longer_apply_and_keeps_the_rest() -> (
    None
):
    warm = DeviceFactory.create()
    rule = rule_for(warm, hysteresis=2)
    band, hot = [
        DeviceFactory.create(tenant=warm.tenant, product=warm.product) for _ in range(2)
    ]
    for device, value in ((warm, 85), (band, 94), (hot, 96)):
        measure(device, 0, value)

    change_rule(rule, threshold=95.0, severity="critical")

    found = {a.device_id: (a.state, a.severity) for a in Alarm.objects.all()}
    assert found == {
        warm.pk: ("cleared", "warning"),
        band.pk: ("raised", "critical"),
        hot.pk: ("raised", "critical"),
    }
    assert made_by(warm)[-1] == ("cleared", "rule_changed")
    assert made_by(hot)[-1] == ("severity", "rule_changed")


@pytest.mark.django_db
def test_a_held_back_alarm_follows_a_new_hold_time() -> None:
    device = DeviceFactory.create()
    rule = rule_for(device, hold_seconds=600)
    measure(device, 0, 90)

    change_rule(rule, hold_seconds=120)

    assert raise_held_back_across_tenants(now=t(1.9)) == 0
    assert raise_held_back_across_tenants(now=t(2)) == 1


@pytest.mark.django_db
def test_a_new_metric_of_a_rule_clears_its_alarms() -> None:
    device = DeviceFactory.create()
    rule = rule_for(device)
    measure(device, 0, 90)

    change_rule(rule, metric="humidity")

    assert alarm_states() == [("cleared", 1)]


@pytest.mark.django_db
def test_a_late_value_neither_raises_nor_clears_an_alarm() -> None:
    device = DeviceFactory.create()
    rule_for(device)
    now = {"temperature": 50}
    say(device, "telemetry", t(0), boot=7, seq=900, metrics=now)

    buffered = [
        uplink(
            device, "telemetry", t(1), boot=boot, seq=seq, metrics={"temperature": 90}
        )
        for boot, seq in ((6, 4_000), (7, 100), (7, 899))
    ]
    arrive(*buffered)

    assert alarm_states() == []
    assert latest_telemetry(device)["temperature"]["value"] == 50
    say(device, "telemetry", t(2), boot=7, seq=901, metrics={"temperature": 91})
    say(device, "telemetry", t(3), boot=7, seq=110, metrics=now)
    assert alarm_states() == [("raised", 1)]


@pytest.mark.django_db
def test_the_devices_clock_decides_neither_the_order_of_values_nor_the_hold_time() -> (
    None
):
    device = DeviceFactory.create()
    rule_for(device, hold_seconds=300)
    fast = int(t(9).timestamp() * 1_000)
    slow = int(t(-9).timestamp() * 1_000)

    say(device, "telemetry", t(0), boot=1, seq=1, ts=fast, metrics={"temperature": 50})
    say(device, "telemetry", t(0), boot=1, seq=2, ts=slow, metrics={"temperature": 90})

    assert raise_held_back_across_tenants(now=t(4.9)) == 0
    assert raise_held_back_across_tenants(now=t(5)) == 1


@pytest.mark.django_db
@pytest.mark.parametrize("values", [(6_000, 20, 20), (20, 6_000, 6_000)])
def test_a_device_clock_that_is_ahead_makes_no_later_value_lose(
    values: tuple[float, float, float],
) -> None:
    device = DeviceFactory.create()
    rule_for(device, threshold=5_000)
    ahead, right = (int(t(0).timestamp() * 1_000) + s * 1_000 for s in (590, 6))
    first, second, third = ({"temperature": value} for value in values)

    say(device, "telemetry", t(0), metrics=first, ts=ahead)
    say(device, "telemetry", t(0.1), metrics=second, ts=right)
    say(device, "telemetry", t(0.2), metrics=third)

    assert latest_telemetry(device)["temperature"]["value"] == values[-1]
    alarm = Alarm.objects.get()
    if values[-1] == 20:
        assert (alarm.raised_at, alarm.cleared_at) == (t(0), t(0.1))
    else:
        assert (alarm.state, alarm.raised_at) == ("raised", t(0.1))
