"""The pages of alarm rules: create, test, enable, disable, delete."""

from __future__ import annotations

import pytest

from registry.choices import Role
from registry.models import Membership, MembershipLimit
from state.models import AlarmRule
from tests.console.conftest import Fleet
from tests.state.test_alarm_rules import rule_for
from tests.state.test_rule_trial import measured

pytestmark = pytest.mark.django_db

GIVEN = {
    **{"name": "Too warm", "product": "acme/sensor-s1", "metric": "temperature"},
    **{"comparison": ">", "threshold": "80", "hysteresis": "2", "hold_seconds": "0"},
    **{"severity": "critical", "code": "warm"},
}


def test_a_rule_can_be_tested_before_it_is_saved(acme: Fleet) -> None:
    measured(acme.devices[0], (81, 81), (70, 70), (81, 81))
    client = acme.client(Role.MANAGER)

    tried = client.post("/alarms/rules/new/", GIVEN | {"try": "1"})

    text = tried.content.decode()
    assert "would have raised 2 alarms on 1 device" in text
    assert "sh-0" in text
    assert 'value="Too warm"' in text
    assert not AlarmRule.objects.exists()


def test_a_rule_is_created_disabled_then_enabled_changed_and_deleted(
    acme: Fleet,
) -> None:
    client = acme.client(Role.MANAGER)

    assert client.post("/alarms/rules/new/", GIVEN).status_code == 302
    rule = AlarmRule.objects.get()
    one = f"/alarms/rules/{rule.public_id}/"
    assert (rule.enabled, rule.code, rule.hysteresis) == (False, "warm", 2)
    assert 'value="80.0"' in client.get(one).content.decode()

    client.post(f"{one}enable/")
    client.post(one, GIVEN | {"threshold": "90"})
    rule.refresh_from_db()
    assert (rule.enabled, rule.threshold) == (True, 90)
    assert "1 active alarm rule" in client.get("/alarms/rules/").content.decode()

    client.post(f"{one}disable/")
    assert not AlarmRule.objects.get().enabled
    client.post(f"{one}delete/")
    assert not AlarmRule.objects.exists()
    assert client.post(f"{one}delete/").status_code == 404


@pytest.mark.parametrize(
    "wrong",
    [
        {"threshold": "nan"},
        {"hysteresis": "-1"},
        {"code": "a b"},
        {"product": "globex/x"},
        {"comparison": "="},
        {"name": ""},
        {"code": "taken"},
    ],
)
def test_an_invalid_rule_is_refused_at_its_field(
    acme: Fleet, wrong: dict[str, str]
) -> None:
    rule_for(acme.devices[0], code="taken")

    answer = acme.client(Role.MANAGER).post("/alarms/rules/new/", GIVEN | wrong)

    assert answer.status_code == 422
    assert f'id="id_{next(iter(wrong))}-error"' in answer.content.decode()
    assert AlarmRule.objects.count() == 1


def test_a_manager_with_a_site_limit_may_read_rules_but_not_change_them(
    acme: Fleet,
) -> None:
    rule = rule_for(acme.devices[0])
    client = acme.client(Role.MANAGER)
    MembershipLimit.objects.create(
        membership=Membership.objects.get(),
        tenant=acme.tenant,
        site=acme.devices[0].site,
    )
    one = f"/alarms/rules/{rule.public_id}/"

    assert client.get(one).status_code == 200
    assert client.post(one, GIVEN).status_code == 403
    assert client.post(f"{one}disable/").status_code == 403
    assert client.get("/alarms/rules/new/").status_code == 403
