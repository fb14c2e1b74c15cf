"""Risk, diagnosis, charts and reports from site, on device and fleet pages."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from registry.choices import Role
from state.models import ConnectivityTransition, FieldFeedback, Presence
from state.services.rescoring import rescore_devices
from tests.commands.units import Unit
from tests.console.conftest import Fleet
from tests.console.test_device_page import text_of
from tests.factories import MembershipFactory

pytestmark = pytest.mark.django_db


def test_the_page_shows_the_risk_with_its_reasons(acme: Fleet) -> None:
    rescore_devices([device.pk for device in acme.devices], now=timezone.now())

    text = text_of(acme, "/devices/sh-0/")

    assert 'class="gauge"><b>33</b>' in text
    assert '<span class="points">+18</span> offline: connection lost' in text
    assert "judged by the risk weights" in text


def test_the_page_shows_the_likely_cause_with_the_evidence(acme: Fleet) -> None:
    text = text_of(acme, "/devices/sh-0/")

    assert "Likely cause" in text
    assert "share a trait, compared with the rest of the fleet" in text
    assert "Other devices with the same problem" in text
    assert "The affected devices are offline, or lost the connection" in text
    assert "now, or within the last hour" in text

    well = Presence.objects.filter(device=acme.devices[1])
    well.update(connectivity="online", cause="", disconnects_72h=0)
    assert "Likely cause" not in text_of(acme, "/devices/sh-1/")


def test_a_report_from_site_appears_on_the_page_and_in_the_history(acme: Fleet) -> None:
    client = acme.client(Role.OPERATOR)
    body = {"observation": "works_fine", "note": "its <lamp> blinks"}

    answer = client.post("/devices/sh-0/feedback/", body, follow=True)

    text = answer.content.decode()
    assert answer.status_code == 200
    assert "Report for sh-0 saved: “works fine”." in text
    assert "Our interpretation" in text
    assert (
        "People on site report: works fine: its &lt;lamp&gt; blinks, reported by"
        in text
    )


def test_an_invalid_report_is_refused_at_its_form(acme: Fleet) -> None:
    body = {"observation": "fine", "note": "typed"}

    answer = acme.client(Role.OPERATOR).post("/devices/sh-0/feedback/", body)

    assert answer.status_code == 422
    assert "fine is not one of the available choices" in answer.content.decode()
    assert "typed</textarea>" in answer.content.decode()
    assert not FieldFeedback.objects.exists()


def test_viewers_and_people_of_other_tenants_cannot_report(acme: Fleet) -> None:
    viewer = acme.client(Role.VIEWER)
    body = {"observation": "dead"}

    assert (
        "What do people on site see?"
        not in viewer.get("/devices/sh-0/").content.decode()
    )
    assert viewer.post("/devices/sh-0/feedback/", body).status_code == 403
    stranger = acme.client(Role.OPERATOR)
    stranger.force_login(MembershipFactory.create().user)
    assert stranger.post("/devices/sh-0/feedback/", body).status_code == 404
    assert stranger.get("/devices/sh-0/course/").status_code == 404


def test_charts_have_tables_with_units_and_other_time_windows(
    acme: Fleet,
) -> None:
    unit = Unit(acme.devices[1])
    unit.come_online()
    unit.say("telemetry", {"metrics": {"temperature": 21.5, "odd": 1}})

    text = text_of(acme, "/devices/sh-1/")

    charts = text.split('id="course"')[1].split('id="story"')[0]
    assert '<b>temperature</b> <span class="muted">°C</span>' in charts
    assert 'data-mean="21.5" data-min="21.5" data-max="21.5"' in charts
    assert charts.index("temperature") < charts.index("<b>odd</b>")
    week = text_of(acme, "/devices/sh-1/course/?window=7d")
    assert 'data-step="3600"' in week
    assert "Metrics of the last 24 hours" in text_of(
        acme, "/devices/sh-1/course/?window=zzz"
    )


def test_a_device_without_telemetry_has_no_charts(acme: Fleet) -> None:
    assert "No metrics yet" in text_of(acme, "/devices/sh-1/")


def test_the_fleet_page_shows_risk_and_the_likely_cause_of_the_matches(
    acme: Fleet,
) -> None:
    long_ago = timezone.now() - timedelta(minutes=5)
    for device in acme.devices[:4]:
        Presence.objects.update_or_create(
            device=device,
            defaults={
                "tenant": device.tenant,
                "connectivity": "offline",
                "cause": "last_will",
                "since": long_ago,
            },
        )
    rescore_devices([device.pk for device in acme.devices], now=timezone.now())
    acme.settle()

    text = text_of(acme, "/fleet/?q=risk_reasons:offline&sort=-risk")

    assert "Likely cause" in text
    assert "(offline" in text
    assert "Likely cause" not in text_of(acme, "/fleet/?q=*")


def test_devices_that_are_online_again_are_not_called_offline(acme: Fleet) -> None:
    for device in acme.devices[:3]:
        ConnectivityTransition.objects.create(
            device=device,
            tenant=device.tenant,
            at=timezone.now() - timedelta(minutes=20),
            moved_from="online",
            moved_to="offline",
            cause="last_will",
            is_abnormal=True,
        )
    Presence.objects.filter(device__in=acme.devices).update(
        connectivity="online", cause=""
    )
    acme.settle()

    text = text_of(acme, "/fleet/?q=site:shanghai-01")

    assert (
        "The affected devices are offline, or lost the connection within the last hour."
    ) in text
