"""Every role with every model of the admin: what it may do, and with whose rows.

The pages are generated from the admin's registry; what is expected of each is in
``tests/admin/roles.py`` and, by role, in ``registry.permissions`` alone.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib import admin
from django.db import transaction
from django.test import override_settings
from django.urls import reverse

from registry.models import Device
from tests.admin.forms import (
    CHANGES,
    REFERENCES,
    TAKEN,
    Body,
    body_for,
    with_others_rows,
)
from tests.admin.pages import MODELS, url_of
from tests.admin.parts import World, make_world, newest
from tests.admin.roles import ADD, CHANGE, DELETE, TABLE, Act, AdminRules, Part, Person
from tests.admin.tries import REFUSED, Tries, Try, errors_of, undone

pytestmark = pytest.mark.django_db
# The roles with the fewest and the most rights; at full size all of them.
INSIDE = [
    *("manager of a site", "admin"),
    *(
        pytest.param(name, marks=pytest.mark.long)
        for name in ("superuser", "manager", "manager of a project")
    ),
]
EVERYWHERE = ("approver", "admin who is no staff")  # all are refused in one place
OUTSIDE = [
    *(*EVERYWHERE, "staff of nothing", "approver of a site"),
    *(f"{role}{of}" for role in ("viewer", "operator") for of in ("", " of a site")),
]
# Addresses beside the stock ones of each model, which show something of a row.
MORE = {"registry_firmwarerelease_file", "auth_user_password_change"}
STOCK = {"changelist", "add", "history", "delete", "change"}


@pytest.fixture(scope="module")
def world(
    django_db_setup: None, django_db_blocker: Any, tmp_path_factory: Any
) -> Iterator[World]:
    """One world for all attempts; their changes are undone."""
    media: Path = tmp_path_factory.mktemp("media")
    request_log = logging.getLogger("django.request")
    request_log.disabled = True  # most tries are refused, each with a traceback
    with (
        override_settings(MEDIA_ROOT=media),
        django_db_blocker.unblock(),
        transaction.atomic(),
    ):
        yield make_world()
        transaction.set_rollback(True)
    request_log.disabled = False


def admin_rules() -> Iterator[tuple[Any, AdminRules]]:
    for model in MODELS:
        yield model, TABLE[model._meta.label]


def test_every_admin_action_and_url_is_in_the_table() -> None:
    registered = {
        model._meta.label: page for model, page in admin.site._registry.items()
    }
    assert sorted(TABLE.keys() ^ registered.keys()) == []

    for label, page in registered.items():
        base: Any = page
        named = {name for _, name, _ in base._get_base_actions()} - {"delete_selected"}
        assert named == TABLE[label].actions.keys() - {"delete_selected"}, label
        info = page.opts.app_label, page.opts.model_name
        stock = {"{}_{}_{}".format(*info, end) for end in STOCK}
        addresses = {url.name for url in page.get_urls() if url.name}
        assert addresses - stock <= MORE, label


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_person_who_does_not_manage_is_refused(
    world: World, name: str, counted: Counter[str]
) -> None:
    tries = Tries(world, name, counted)
    with undone():
        for model, _ in admin_rules():
            urls = [url_of(model, "changelist")]
            if name in EVERYWHERE:
                pk = world.near.row(model).pk
                pages = ("change", "delete", "history")
                urls += [url_of(model, "add"), *(url_of(model, p, pk) for p in pages)]
            for url in urls:
                tries.look("closed", url, expected=False)
                if name in EVERYWHERE:
                    answer = tries.ask("closed", url, {"post": "yes"})
                    assert answer.status_code in REFUSED, url
        tries.compare("closed", world.near, world.theirs)
    tries.look("closed", reverse("admin:index"), expected=False)

    assert tries.report() == ""


@pytest.mark.parametrize("name", INSIDE)
def test_pages_show_what_a_role_may_access_and_nothing_else(
    world: World, name: str, counted: Counter[str]
) -> None:
    tries = Tries(world, name, counted)
    person = tries.person
    for model, rules in admin_rules():
        label, sees = model._meta.label, person.sees(rules)
        answer = tries.look(f"list {label}", url_of(model, "changelist"), sees)
        tries.look(f"add {label}", url_of(model, "add"), person.may(rules, ADD))
        listed = set(answer.context["cl"].result_list) if sees else set()
        for part in world.parts:
            row = part.rows.made.get(model)
            is_of_tenant = row is not None and rules.right is not None
            is_accessible = sees and not (
                is_of_tenant and world.is_beyond(person, part, rules)
            )
            row = row or part.row(model)
            if sees and (row in listed) != is_accessible:
                tries.wrong.append(("in list", label, row, is_accessible))
            deletes = is_accessible and person.may(rules, DELETE)
            for page, expected in (
                *(("change", is_accessible), ("history", is_accessible)),
                ("delete", deletes),
            ):
                tries.look(f"{page} {label}", url_of(model, page, row.pk), expected)

    assert tries.report() == ""


@pytest.mark.parametrize("name", INSIDE)
def test_fields_find_what_a_role_may_access_and_nothing_else(
    world: World, name: str, counted: Counter[str]
) -> None:
    tries = Tries(world, name, counted)
    person = tries.person
    for model, _ in admin_rules():
        for key in model._meta.fields:
            page = admin.site._registry.get(key.related_model)
            if key.related_model is None or page is None or not page.search_fields:
                continue
            rules = TABLE[key.related_model._meta.label]
            about = f"app_label={model._meta.app_label}&field_name={key.name}"
            about += f"&model_name={model._meta.model_name}&term="
            url = f"{reverse('admin:autocomplete')}?{about}"
            answer = tries.look(f"field {key}", url, person.sees(rules))
            tries.ask(f"field {key}", url + world.theirs.rows.text[:-2])
            if not person.sees(rules) or rules.right is None:
                continue
            found = {int(row["id"]) for row in json.loads(answer.content)["results"]}
            for part in world.parts:
                row, beyond = (
                    part.rows.made[key.related_model],
                    world.is_beyond(person, part, rules),
                )
                if (row.pk in found) == beyond:
                    tries.wrong.append(("found", str(key), row, not beyond))

    assert tries.report() == ""


@pytest.mark.parametrize("name", INSIDE)
def test_a_role_writes_its_own_rows_and_no_others(
    world: World, name: str, counted: Counter[str]
) -> None:
    tries = Tries(world, name, counted)
    for model, rules in admin_rules():
        found = [*_adding(tries, model, rules)]
        for part in world.parts:
            found += [*_changing(tries, model, rules, part)]
            found += [_deleting(tries, model, rules, part)]
        tries.write([one for one in found if not one.is_allowed])
        for one in found:
            if one.is_allowed:
                tries.write([one])

    assert tries.report() == ""


def _adding(tries: Tries, model: Any, rules: AdminRules) -> Iterator[Try]:
    world, person, url = tries.world, tries.person, url_of(model, "add")
    last = newest(model)

    def add(body: Body, *, is_allowed: bool) -> Try:
        return Try("add", url, body, is_allowed, lambda: newest(model) != last)

    if ADD not in rules.writes | rules.platform_writes:
        yield add({}, is_allowed=False)
        return
    may = person.may(rules, ADD)
    own = _own_body(tries, model)
    yield add(own, is_allowed=may)
    if rules.right is not None:
        there = body_for(model, world.theirs.rows)
        yield add(there, is_allowed=person.is_superuser)
    if may:
        for others in [world.theirs, world.far][: 2 if person.limit else 1]:
            for body in with_others_rows(_own_body(tries, model), others.rows):
                yield add(body, is_allowed=_is_all_of_one(person, body))


def _own_body(tries: Tries, model: Any) -> Body:
    """Return the form that makes a row, with names of rows that the person sees."""
    body = body_for(model, tries.world.near.rows)
    if tries.person.limit == "site":
        body |= {name: "" for name in ("project", "projects") if name in body}
    return body


def _is_all_of_one(person: Person, body: Body) -> bool:
    """Whether the form only names another tenant, which a superuser may do."""
    return person.is_superuser and not REFERENCES.keys() & body.keys() - {"tenant"}


def _changing(tries: Tries, model: Any, rules: AdminRules, part: Part) -> Iterator[Try]:
    world, person = tries.world, tries.person
    row = world.row_for(person, part, model)
    changed = CHANGES.get(model._meta.label, {})
    url, sent = world.form_of(model, row)
    if person.limit == "site":  # to whom the project of a site is not offered
        sent = {name: values for name, values in sent.items() if name != "project"}
    beyond = rules.right is not None and world.is_beyond(person, part, rules)
    may = bool(changed) and person.may(rules, CHANGE) and not beyond

    def change(body: Body, *, is_allowed: bool) -> Try:
        found = model._default_manager.filter(pk=row.pk, **changed)
        return Try(
            "change", url, body, is_allowed, lambda: bool(changed) and found.exists()
        )

    yield change(sent | changed, is_allowed=may)
    if may and part is world.near:
        for body in with_others_rows(sent | changed, world.theirs.rows):
            yield change(body, is_allowed=False)
        name = TAKEN.get(model._meta.label, "slug")
        if name in sent:
            rows = {part.rows.made[model], part.spare[model]} - {row}
            taken = {name: getattr(rows.pop(), name)}
            yield change(sent | changed | taken, is_allowed=False)


def _deleting(tries: Tries, model: Any, rules: AdminRules, part: Part) -> Try:
    person, row = tries.person, tries.world.row_for(tries.person, part, model)
    found = model._default_manager.filter(pk=row.pk)
    beyond = rules.right is not None and tries.world.is_beyond(person, part, rules)
    return Try(
        "delete",
        url_of(model, "delete", row.pk),
        {"post": "yes"},
        person.may(rules, DELETE) and not beyond,
        lambda: not found.exists(),
    )


@pytest.mark.parametrize("name", INSIDE)
def test_a_role_acts_on_its_own_rows_and_no_others(
    world: World, name: str, counted: Counter[str]
) -> None:
    tries = Tries(world, name, counted)
    for model, rules in admin_rules():
        if not tries.person.sees(rules):
            continue
        page = tries.person.client.get(url_of(model, "changelist"))
        form = page.context["action_form"]
        offered = {name for name, _ in form.fields["action"].choices} if form else set()
        allowed = {
            name for name, act in rules.actions.items() if tries.person.holds(act.right)
        }
        if offered - {""} != allowed:
            tries.wrong.append((model._meta.label, offered, allowed))
        for act_name in rules.actions:
            for part in world.parts:
                _try_acting(tries, model, rules, part, act_name)
        if "delete_selected" not in rules.actions:
            _try_acting(tries, model, rules, world.near, "delete_selected")

    assert tries.report() == ""


def _try_acting(
    tries: Tries, model: Any, rules: AdminRules, part: Part, name: str
) -> None:
    world, person = tries.world, tries.person
    act = rules.actions.get(name, Act(None, changes=False))
    row = part.rows.made[model] if act.lifecycle else part.row(model)
    beyond = rules.right is not None and world.is_beyond(person, part, rules)
    is_there_already = name == "transfer" and part is world.theirs
    may = name in rules.actions and person.holds(act.right) and not beyond
    sent: Body = {"action": name, "_selected_action": [row.pk]}
    if act.says:
        sent |= {"confirmed": "0" if beyond else "1", **act.says(part, world.theirs)}
    with undone():
        if act.lifecycle:
            Device.objects.filter(pk=row.pk).update(lifecycle=act.lifecycle)
        # All that was tried before is undone, so it is as it was before that.
        was = world.everything() if act.lifecycle else world.before_all()
        before = was, list(model._default_manager.values_list())
        answer = tries.ask(name, url_of(model, "changelist"), sent)
        after = world.everything(), list(model._default_manager.values_list())
    what = f"{name} of {model._meta.label}"
    if (before != after) != (may and act.changes and not is_there_already):
        tries.wrong.append((what, "changes" if before != after else "does nothing"))
        tries.wrong.append((answer.status_code, errors_of(answer)))
    if before[0][1] != after[0][1] and not person.is_superuser:
        tries.wrong.append((what, "changes another tenant's rows"))
    if may and not act.changes and part.rows.text not in answer.text_read:
        tries.wrong.append((what, answer.status_code, "gives nothing"))
