"""The fleet page: matches, facets, shared traits, query errors."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client

from registry.choices import Role
from tests.console.conftest import Fleet
from tests.factories import MembershipFactory, UserFactory
from tests.fleet.rows import make_presence, make_telemetry, make_twin

pytestmark = pytest.mark.django_db

REFERENCE = 'region:"East China" AND firmware:1.4.* AND disconnects_72h:>=5'


def open_fleet(client: Client, q: str, **state: str) -> Any:
    return client.get("/fleet/", {"q": q, **state})


def test_the_reference_query_finds_the_unstable_devices(acme: Fleet) -> None:
    answer = open_fleet(acme.client(), REFERENCE)

    text = answer.content.decode()
    assert "3 devices match" in text
    assert "of 4 · index 0.0 s behind" in text
    assert "last will" in text
    assert "mu-0" not in text


def test_inner_properties_of_a_searchable_attribute_are_facets(acme: Fleet) -> None:
    product = acme.devices[0].product
    modem = {"searchable": True, "type": "object", "properties": {"rev": {}}}
    product.attributes_schema = {"properties": {"modem": modem}}
    product.save()
    acme.add("with-modem", attributes={"modem": {"rev": "B2"}})
    acme.settle()

    answer = open_fleet(acme.client(), "*")

    [facet] = [f for f in answer.context["facets"] if f["label"] == "Modem.rev"]
    assert [row["text"] for row in facet["values"]] == ["B2"]


def test_shared_traits_show_their_counts_and_how_many_others_are_at_risk(
    acme: Fleet,
) -> None:
    product = acme.devices[0].product
    names = ["battery_rev", "colour", "floor", "maker", "panel", "size", "use"]
    declared = {name: {"searchable": True} for name in names}
    product.attributes_schema = {"properties": declared}
    product.save()
    for number in range(24):
        is_unstable = number < 12
        device = acme.add(
            f"more-{number}",
            attributes={"battery_rev": "B" if number < 14 else "A"},
        )
        make_presence(device, disconnects_72h=9 if is_unstable else 0)
        make_twin(device, firmware="1.4.2")
    acme.settle()
    client = acme.client()

    answer = open_fleet(client, "disconnects_72h:>=9")

    labels = [facet["label"] for facet in answer.context["facets"]]
    assert "Battery rev" in labels
    [shared] = [t for t in answer.context["traits"] if t["text"] == "Battery rev B"]
    assert shared["share"] == 1.0
    assert (shared["count"], shared["total"], shared["at_risk"]) == (12, 12, 2)
    text = answer.content.decode()
    assert "Shared traits" in text
    assert "12 of 12 matches (100" in text
    assert "2 more devices" in text
    assert client.get(shared["url"]).context["result"].total == 12
    assert client.get(shared["at_risk_url"]).context["result"].total == 2

    unremarkable = open_fleet(client, "uid:more-2*").content.decode()
    assert "Nothing stands out" in unremarkable


def test_a_facet_adds_its_condition_and_removes_it_again(acme: Fleet) -> None:
    client = acme.client()
    page = open_fleet(client, "lifecycle:active")
    [site] = [f for f in page.context["facets"] if f["label"] == "Site"]
    [row] = [row for row in site["values"] if row["text"] == "shanghai-01"]

    narrowed = client.get(row["url"])

    assert narrowed.context["q"] == "lifecycle:active AND site:shanghai-01"
    assert narrowed.context["result"].total == 3
    [site] = [f for f in narrowed.context["facets"] if f["label"] == "Site"]
    assert site["values"][0]["is_on"]
    assert client.get(site["values"][0]["url"]).context["q"] == "lifecycle:active"


def test_a_wrong_field_is_marked_with_a_suggestion(acme: Fleet) -> None:
    answer = open_fleet(acme.client(), "lifecycle:active AND firmwar:1.4.2")

    assert answer.status_code == 400
    text = answer.content.decode()
    assert "There is no field &#x27;firmwar&#x27;" in text
    meant = quote("lifecycle:active AND firmware:1.4.2", safe="")
    assert meant.replace("%20", "+") in text


@pytest.mark.parametrize(
    ("q", "pointer", "meant"),
    [
        ("NOT connectivity:onlin", 17, "NOT connectivity:online"),
        ('connectivity:"onlin" AND risk:1', 13, "connectivity:online AND risk:1"),
        ("risk:1 and rssi:-2", 7, "risk:1 AND rssi:-2"),
        ("-lifecycle:active", 0, "NOT lifecycle:active"),
        ("NOT metric.temprature:>5", 4, "NOT metric.temperature:>5"),
    ],
)
def test_a_wrong_word_is_marked_with_the_query_that_was_meant(
    acme: Fleet, q: str, pointer: int, meant: str
) -> None:
    answer = open_fleet(acme.client(), q)

    assert answer.status_code == 400
    assert answer.context["error"]["pointer"] == " " * pointer
    assert answer.context["error"]["suggestion"] == meant
    assert open_fleet(acme.client(), meant).status_code == 200


@pytest.mark.parametrize("q", ["region:(", '"', "AND", "a:b:c", "(" * 99])
def test_an_invalid_query_is_answered_with_an_error(acme: Fleet, q: str) -> None:
    answer = open_fleet(acme.client(), q)

    assert answer.status_code == 400
    assert "This query is not valid." in answer.content.decode()


@pytest.mark.parametrize("path", ["/fleet/", "/fleet/?q=", "/fleet/?q=*"])
def test_an_empty_field_to_type_in_shows_the_whole_fleet(
    acme: Fleet, path: str
) -> None:
    answer = acme.client().get(path)

    assert answer.context["result"].total == 4
    assert 'id="query" name="q" value=""' in answer.content.decode()


def test_a_query_without_matches_shows_an_empty_state(acme: Fleet) -> None:
    answer = open_fleet(acme.client(), "uid:none-like-this")

    text = answer.content.decode()
    assert "0 devices match" in text
    assert "The fleet has 4 devices" in text
    assert "Send to" not in text


def test_a_column_head_sorts_and_the_url_keeps_the_order(acme: Fleet) -> None:
    client = acme.client()
    page = open_fleet(client, "*")
    [head] = [c for c in page.context["columns"] if c["label"] == "Disc. 72 h"]

    sorted_page = client.get(head["url"])

    assert sorted_page.context["sort"] == "-disconnects_72h"
    assert sorted_page.context["rows"][-1]["uid"] == "mu-0"
    assert 'aria-sort="descending"' in sorted_page.content.decode()


def test_any_field_with_one_value_sorts_and_is_shown(acme: Fleet) -> None:
    make_telemetry(acme.devices[1], battery=15)
    acme.settle()
    client = acme.client()
    order = open_fleet(client, "*").context["order"]["options"]
    [battery] = [row["value"] for row in order if row["label"] == "Battery"]

    page = open_fleet(client, "*", sort=battery)
    reverse = client.get(page.context["order"]["reverse_url"])
    by_time = open_fleet(client, "*", sort="-since")

    assert {row["value"] for row in order} >= {
        "uid",
        "name",
        "-since",
        "in_maintenance",
    }
    assert not {row["label"] for row in order} & {"Tags", "Attr"}
    assert page.context["columns"][-1]["label"] == "Battery"
    assert page.context["rows"][0]["uid"] == "sh-1"
    assert [row["sorted_value"] for row in page.context["rows"]] == ["15", "", "", ""]
    assert (battery, reverse.context["sort"]) == ("-battery", "battery")
    assert by_time.status_code == 200
    assert by_time.context["rows"][0]["sorted_value"]


def test_the_matches_are_exported_with_the_columns_that_are_shown(acme: Fleet) -> None:
    client = acme.client(Role.VIEWER)
    page = open_fleet(client, "site:shanghai-01", sort="-battery")
    shown, every, objects = (row["url"] for row in page.context["exports"])

    def read(url: str) -> bytes:
        answer: Any = client.get(url)
        return b"".join(answer.streaming_content)

    lines = [read(url) for url in (shown, every)]
    rows = [json.loads(line) for line in read(objects).splitlines()]

    head = b"uid,site,firmware,connectivity,cause,since,disconnects_72h,battery"
    assert lines[0].splitlines()[0] == head
    assert [len(text.splitlines()) for text in lines] == [4, 4]
    assert rows[0]["uid"] == "sh-0"
    wrong = client.get("/fleet/export/", {"q": "regin:x"}, follow=True)
    assert wrong.status_code == 400  # the page, which says what is wrong
    assert "There is no field" in wrong.content.decode()


def test_the_query_is_completed_within_the_chosen_tenants(
    acme: Fleet, globex: Fleet
) -> None:
    client = acme.client()

    found = client.get("/fleet/completions/", {"q": "site:", "at": "5"})
    odd = client.get("/fleet/completions/", {"q": "😀 AND sit", "at": "99999999"})

    text = found.content.decode()
    assert 'data-text="shanghai-01" data-kind="value"' in text
    assert "3 devices" in text
    assert globex.devices[0].site.slug not in text
    assert 'data-from="6"' in odd.content.decode()


def test_the_second_page_continues_the_first_by_cursor(
    acme: Fleet, monkeypatch: Any
) -> None:
    monkeypatch.setattr("console.views.fleet.PAGE_SIZE", 3)
    client = acme.client()

    first = open_fleet(client, "*")
    second = client.get(first.context["next_url"])

    seen = [row["uid"] for page in (first, second) for row in page.context["rows"]]
    assert seen == ["mu-0", "sh-0", "sh-1", "sh-2"]
    assert second.context["next_url"] is None
    assert client.get(f"{first.context['next_url']}x").status_code in (200, 302)


def test_find_opens_the_only_device_else_lists_all_that_match(acme: Fleet) -> None:
    acme.add("x-7", serial="SN 77/b", name="Cold store pump")
    acme.settle()
    client = acme.client()

    def found(text: str) -> str | int:
        answer = client.get("/find/", {"text": text})
        page = client.get(answer["Location"])
        return (
            page.context["result"].total
            if "result" in page.context
            else (answer["Location"])
        )

    assert found("sh-1") == "/devices/sh-1/"
    assert found("sh") == 4  # by uid and by site: x-7 is there, too
    assert found("munich-07") == "/devices/mu-0/"
    assert found("SN 77/b") == found("cold") == found("store pump") == "/devices/x-7/"
    assert found("no such") == found('"') == 0


@pytest.mark.parametrize(
    ("q", "meant"),
    [
        ("online", "connectivity:online"),
        ("online AND site:munich-07", "connectivity:online AND site:munich-07"),
        ('"east china"', 'region:"East China"'),
        ("in_repair", "lifecycle:in_repair"),
        ("1.4.2", "firmware:1.4.2"),
        ("sh", ""),
        ("connectivity:online", ""),
    ],
)
def test_a_word_that_is_a_value_offers_the_query_that_was_meant(
    acme: Fleet, q: str, meant: str
) -> None:
    page = open_fleet(acme.client(), q)

    assert [hint["text"] for hint in page.context["hints"]] == (
        [meant] if meant else []
    )


def without_key_list(page: str) -> str:
    """Return a page without the list of its keys, which is closed at first."""
    before, _, rest = page.partition('<dialog class="keys"')
    return before + rest.partition("</dialog>")[2]


def test_one_box_has_the_hint_for_the_slash_key(acme: Fleet) -> None:
    client = acme.client()

    for path in ("/fleet/", "/jobs/"):
        shown = without_key_list(client.get(path).content.decode())
        assert shown.count("<kbd") == 1, path


def test_an_index_on_another_machine_is_reported(
    acme: Fleet, settings: Any, tmp_path: Any
) -> None:
    settings.INDEX_DIR = tmp_path / "nowhere"

    answer = open_fleet(acme.client(), "*")

    assert answer.status_code == 503
    assert "is not on this machine" in answer.content.decode()


def test_a_person_of_two_tenants_chooses_one_and_it_is_remembered(
    acme: Fleet, globex: Fleet
) -> None:
    person = acme.person(Role.VIEWER)
    MembershipFactory.create(user=person, tenant=globex.tenant, role=Role.VIEWER)
    client = Client()
    client.force_login(person)

    both = open_fleet(client, "*").context["result"].total
    chosen = open_fleet(client, "*", tenant="globex").context["result"].total
    remembered = open_fleet(client, "*").context["result"].total

    assert (both, chosen, remembered) == (5, 1, 1)
    assert open_fleet(client, "*", tenant="").context["result"].total == 5


def test_a_viewer_sees_no_checkboxes(acme: Fleet) -> None:
    page = open_fleet(acme.client(Role.VIEWER), "*").content.decode()

    assert "sh-1" in page
    assert 'type="checkbox"' not in without_key_list(page)


def test_a_person_without_a_tenant_sees_why_and_can_do_nothing(acme: Fleet) -> None:
    client = Client()
    client.force_login(UserFactory.create())

    answer = open_fleet(client, "*")

    assert "You are not a member of any tenant" in answer.content.decode()
    assert client.post("/cohorts/", {"name": "x", "q": "*"}).status_code == 403
    assert client.post("/jobs/new/", {"q": "*"}).status_code == 403
