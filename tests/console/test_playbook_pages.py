"""The pages of playbooks, of their runs, and of webhooks."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from console.models import Playbook, PlaybookRun, Webhook
from console.tasks import take_attention
from registry.choices import Role
from tests.console.conftest import Fleet
from tests.console.playbooks import ASK, NOTE, make_playbook, run_on, shown, tick

pytestmark = pytest.mark.django_db


def form_of(*steps: Any, name: str = "Look") -> dict[str, str]:
    return {"name": name, "description": "x", "steps": json.dumps(list(steps))}


def test_a_playbook_is_written_changed_run_and_deleted(acme: Fleet) -> None:
    client = acme.client()
    made = client.post("/playbooks/new/", form_of(ASK), follow=True)
    row = Playbook.objects.get()
    path = f"/playbooks/{row.public_id}/"
    assert "Is it dead? (Yes / No)" in made.content.decode()

    client.post(path, form_of(ASK, NOTE))
    query = {"query": "site:shanghai-01", "rate_per_minute": 100}
    started = client.post(f"{path}run/", query, follow=True)

    row.refresh_from_db()
    run = PlaybookRun.objects.get()
    assert (row.version, run.version, run.device_count) == (2, 2, 3)
    assert "not started" in started.content.decode()
    assert client.post(f"{path}delete/").status_code == 302
    assert not Playbook.objects.exists()


def test_the_editor_names_the_wrong_step_and_keeps_what_was_typed(acme: Fleet) -> None:
    client = acme.client()

    wrong = client.post(
        "/playbooks/new/", form_of(NOTE, {"kind": "check", "query": ""})
    )
    broken = client.post("/playbooks/new/", {"name": "x", "steps": "[{]"})

    assert (wrong.status_code, broken.status_code) == (422, 422)
    assert "steps.1.query" in wrong.content.decode()
    assert "&quot;check&quot;" in wrong.content.decode()
    assert "Not JSON in line 1" in broken.content.decode()
    assert not Playbook.objects.exists()


def test_a_built_in_playbook_is_copied_and_never_changed(acme: Fleet) -> None:
    client = acme.client()

    page = client.get("/playbooks/site-outage/").content.decode()
    copy = client.get("/playbooks/new/?from=site-outage").content.decode()

    assert "Has the site power and network?" in page
    assert "Copy of Site outage" in copy
    assert client.post("/playbooks/site-outage/", form_of(NOTE)).status_code == 403
    assert client.post("/playbooks/site-outage/delete/").status_code == 403


def test_a_playbook_runs_from_the_device_page_and_is_answered(acme: Fleet) -> None:
    client = acme.client()
    row = make_playbook(acme.tenant, ASK, NOTE, name="Ask them")
    page = client.get("/devices/sh-1/").content.decode()
    assert f'formaction="/playbooks/{row.public_id}/run/"' in page
    assert 'formaction="/playbooks/site-outage/run/"' in page

    client.post(f"/playbooks/{row.public_id}/run/", {"device": "sh-1"})
    tick()
    take_attention()
    run = PlaybookRun.objects.get()
    path = f"/playbook-runs/{run.public_id}/"
    assert path in client.get("/queue/").content.decode()
    page = client.get(path).content.decode()
    assert 'name="answer" value="Yes"' in page
    client.post(f"{path}answer/", {"step": "1", "answer": "Yes"})
    tick()

    page = client.get(f"{path}progress/").content.decode()
    assert shown(run) == {"sh-1": [(1, "succeeded"), (2, "succeeded")]}
    assert "completed" in page
    assert 'name="answer"' not in page
    refused = client.post(f"{path}stop/", follow=True).content.decode()
    assert "The run is completed." in refused


def test_a_page_of_many_devices_has_few_queries(acme: Fleet) -> None:
    run = run_on("*", ASK, NOTE, tenant=acme.tenant)
    tick()
    client = acme.client()

    for path in (f"/playbook-runs/{run.public_id}/", "/playbooks/"):
        with CaptureQueriesContext(connection) as asked:
            assert client.get(path).status_code == 200
        assert len(asked) <= 16, [query["sql"] for query in asked]


def test_a_viewer_sees_playbooks_and_can_do_nothing(acme: Fleet, globex: Fleet) -> None:
    run = run_on(acme.devices[0], ASK)
    tick()
    client, stranger = acme.client(Role.VIEWER), globex.client(Role.ADMIN)
    paths = ["/playbooks/site-outage/", f"/playbook-runs/{run.public_id}/"]

    for path in ["/playbooks/", *paths]:
        page = client.get(path).content.decode()
        assert "<button" not in page.split("<main")[1].split("</main>")[0]
    assert client.post(f"{paths[1]}stop/").status_code == 403
    assert client.post(f"{paths[0]}run/", {"device": "sh-1"}).status_code == 403
    assert client.get("/playbooks/new/").status_code == 403
    assert stranger.get(paths[1]).status_code == 404
    assert stranger.post(f"{paths[1]}stop/").status_code == 404
    assert stranger.post(f"{paths[0]}run/", {"device": "sh-1"}).status_code == 404


def test_a_webhook_is_made_tested_and_deleted_on_its_page(acme: Fleet) -> None:
    client = acme.client(Role.MANAGER)
    form = {"name": "Ours", "url": "https://93.184.215.14/hook", "events": ["alarms"]}

    refused = client.post("/webhooks/", form | {"url": "https://10.0.0.1/"})
    made = client.post("/webhooks/", form)
    row = Webhook.objects.get()
    found = re.search(r"whsec_[\w+/=]+", made.content.decode())

    assert refused.status_code == 422
    assert "not public" in refused.content.decode()
    assert found
    assert made["Cache-Control"] == "no-store"
    page = client.post(f"/webhooks/{row.public_id}/test/", follow=True).content.decode()
    assert "test.sent" in page
    assert found[0] not in page
    client.post(f"/webhooks/{row.public_id}/disable/")
    assert Webhook.objects.filter(is_enabled=False).exists()
    client.post(f"/webhooks/{row.public_id}/delete/")
    assert not Webhook.objects.exists()
    operator = acme.client()
    assert operator.get("/webhooks/").status_code == 403
    assert "Webhooks" not in operator.get("/playbooks/").content.decode()
