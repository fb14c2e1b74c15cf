"""Every role × every model of the admin × what one may try there, and with whose rows.

The doors are generated from the admin's registry; what is expected of each stands in
``tests/admin/roles.py`` and, by role, in ``registry.permissions`` alone.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.contrib import admin
from django.db import transaction
from django.test import override_settings
from django.urls import reverse

from registry.lifecycle import Role
from registry.models import Device
from tests.admin.forms import CHANGES, Body, body_for, sent_by, with_others_rows
from tests.admin.pages import MODELS, url_of
from tests.admin.parts import World, make_world, newest
from tests.admin.roles import ADD, CHANGE, DELETE, TABLE, Act, Door, Part, Person

pytestmark = pytest.mark.django_db
INSIDE = ["superuser", "manager", "manager of a site", "manager of a project", "admin"]
OUTSIDE = [
    *("staff of nothing", "admin who is no staff"),
    *(f"{r}{of}" for r in list(Role.values)[:3] for of in ("", " of a site")),
]
COUNTED = "tries of a role at the admin"
# Addresses beside the stock ones of each model, which show something of a row.
MORE = {"registry_firmwarerelease_file", "auth_user_password_change"}
STOCK = {"changelist", "add", "history", "delete", "change"}
REFUSED = {302, 403, 404}


@pytest.fixture(scope="module")
def world(
    django_db_setup: None, django_db_blocker: Any, tmp_path_factory: Any
) -> Iterator[World]:
    """One world for all tries; what they change is undone."""
    media: Path = tmp_path_factory.mktemp("media")
    said = logging.getLogger("django.request")
    said.disabled = True  # most tries are refused, each with a traceback
    with (
        override_settings(MEDIA_ROOT=media),
        django_db_blocker.unblock(),
        transaction.atomic(),
    ):
        yield make_world()
        transaction.set_rollback(True)
    said.disabled = False


@contextmanager
def undone() -> Iterator[None]:
    """Whatever is done inside has not been done afterwards."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


class Tries:
    """Somebody tries, and what was not as the tables say is kept."""

    def __init__(self, world: World, name: str, counted: Counter[str]) -> None:
        self.world = world
        self.person = world.people[name]
        self.counted = counted
        self.wrong: list[Any] = []

    def ask(self, what: str, url: str, sent: Body | None = None) -> Any:
        """Ask for a page, or send a form; no failure, and nothing told."""
        client = self.person.client
        answer = client.get(url) if sent is None else client.post(url, sent)
        self.counted[COUNTED] += 1
        text = answer.getvalue().decode(errors="replace") + str(answer.headers)
        if answer.status_code >= 500:
            self.wrong.append((what, url, sent, answer.status_code))
        if self.world.tells(self.person, text):
            self.wrong.append((what, url, sent, "tells"))
        return answer

    def look(self, what: str, url: str, expected: bool) -> Any:
        """Open a page: it is there, or the person is refused."""
        answer = self.ask(what, url)
        status = answer.status_code
        if status != 200 if expected else status not in REFUSED:
            self.wrong.append((what, url, status, "expected" if expected else ""))
        return answer

    def write(
        self,
        what: str,
        expected: bool,
        send: Callable[[], Any],
        done: Callable[[], bool],
    ) -> None:
        """Send, and see whether it was done, to ours alone."""
        with undone():
            before = self.world.everything() if not self.person.is_superuser else []
            answer = send()
            if done() != expected:
                self.wrong.append((what, answer.status_code, _errors_of(answer)))
            after = self.world.everything() if before else []
            if before[1:] != after[1:] or (not expected and before != after):
                self.wrong.append((what, "changed", _difference(before, after)))


def _errors_of(answer: Any) -> Any:
    context = getattr(answer, "context", None) or {}
    form = context["adminform"].form if "adminform" in context else None
    said = [str(m) for m in context["messages"]] if "messages" in context else []
    return (form.errors.as_json() if form is not None else "", said)


def _difference(before: Any, after: Any) -> list[Any]:
    return [
        (table, sorted(set(one.get(table, [])) ^ set(two.get(table, []))))
        for one, two in zip(before, after, strict=True)
        for table in one.keys() | two.keys()
        if one.get(table) != two.get(table)
    ]


def doors() -> Iterator[tuple[Any, Door]]:
    for model in MODELS:
        yield model, TABLE[model._meta.label]


def test_every_admin_and_action_and_address_stands_in_the_table() -> None:
    registered = {
        model._meta.label: page for model, page in admin.site._registry.items()
    }
    assert sorted(TABLE.keys() ^ registered.keys()) == []

    for label, page in registered.items():
        named = {name for _, name, _ in page._get_base_actions()} - {"delete_selected"}
        assert named == TABLE[label].actions.keys() - {"delete_selected"}, label
        info = page.opts.app_label, page.opts.model_name
        stock = {"{}_{}_{}".format(*info, end) for end in STOCK}
        addresses = {url.name for url in page.get_urls() if url.name}
        assert addresses - stock <= MORE, label


@pytest.mark.parametrize("name", OUTSIDE)
def test_who_does_not_manage_is_not_let_in(
    world: World, name: str, counted: Counter[str]
) -> None:
    tries = Tries(world, name, counted)
    before = world.everything()
    with undone():
        for model, _ in doors():
            row = world.near.row(model)
            urls = [url_of(model, page) for page in ("changelist", "add")]
            urls += [url_of(model, p, row.pk) for p in ("change", "delete", "history")]
            for url in urls:
                tries.look("closed", url, expected=False)
                answer = tries.ask("closed", url, {"post": "yes"})
                assert answer.status_code in REFUSED, url
        assert world.everything() == before
    tries.look("index", reverse("admin:index"), expected=False)

    assert tries.wrong == []


@pytest.mark.parametrize("name", INSIDE)
def test_pages_show_what_a_role_sees_and_nothing_of_others(
    world: World, name: str, counted: Counter[str]
) -> None:
    tries = Tries(world, name, counted)
    person = tries.person
    for model, door in doors():
        label, sees = model._meta.label, person.sees(door)
        answer = tries.look(f"list {label}", url_of(model, "changelist"), sees)
        tries.look(f"add {label}", url_of(model, "add"), person.may(door, ADD))
        listed = set(answer.context["cl"].result_list) if sees else set()
        for part in world.parts:
            row = part.rows.made.get(model)
            is_of_tenant = row is not None and door.right is not None
            reached = sees and not (
                is_of_tenant and world.is_beyond(person, part, door)
            )
            row = row or part.row(model)
            if sees and (row in listed) != reached:
                tries.wrong.append(("in list", label, row, reached))
            deletes = reached and person.may(door, DELETE)
            for page, expected in (
                *(("change", reached), ("history", reached)),
                ("delete", deletes),
            ):
                tries.look(f"{page} {label}", url_of(model, page, row.pk), expected)

    assert tries.wrong == []


@pytest.mark.parametrize("name", INSIDE)
def test_fields_find_what_a_role_sees_and_nothing_of_others(
    world: World, name: str, counted: Counter[str]
) -> None:
    tries = Tries(world, name, counted)
    person = tries.person
    for model, _ in doors():
        for key in model._meta.fields:
            page = admin.site._registry.get(key.related_model)
            if key.related_model is None or page is None or not page.search_fields:
                continue
            door = TABLE[key.related_model._meta.label]
            about = f"app_label={model._meta.app_label}&field_name={key.name}"
            about += f"&model_name={model._meta.model_name}&term="
            url = f"{reverse('admin:autocomplete')}?{about}"
            answer = tries.look(f"field {key}", url, person.sees(door))
            tries.ask(f"field {key}", url + world.theirs.rows.text[:-2])
            if not person.sees(door) or door.right is None:
                continue
            found = {int(row["id"]) for row in json.loads(answer.content)["results"]}
            for part in world.parts:
                row, beyond = (
                    part.row(key.related_model),
                    world.is_beyond(person, part, door),
                )
                if (row.pk in found) == beyond:
                    tries.wrong.append(("found", str(key), row, not beyond))

    assert tries.wrong == []


@pytest.mark.parametrize("name", INSIDE)
def test_a_role_writes_its_own_rows_and_no_others(
    world: World, name: str, counted: Counter[str]
) -> None:
    tries = Tries(world, name, counted)
    for model, door in doors():
        if model._meta.label in CHANGES or ADD in door.writes | door.platform_writes:
            _try_adding(tries, model, door)
        for part in world.parts:
            _try_changing(tries, model, door, part)
            _try_deleting(tries, model, door, part)

    assert tries.wrong == []


def _try_adding(tries: Tries, model: Any, door: Door) -> None:
    world, person, url = tries.world, tries.person, url_of(model, "add")
    last = newest(model)

    def add(what: str, expected: bool, body: Body) -> None:
        tries.write(
            f"{what} {model._meta.label} {body}",
            expected,
            lambda: tries.ask(what, url, body),
            lambda: newest(model) != last,
        )

    may = person.may(door, ADD)
    add("add", may, body_for(model, world.near.rows))
    if door.right is not None:
        there = body_for(model, world.theirs.rows)
        add("add there", person.is_superuser, there)
    if may:
        for others in [world.theirs, world.far][: 2 if person.limit else 1]:
            own = body_for(model, world.near.rows)
            for body in with_others_rows(own, others.rows):
                if others is world.theirs or body != own:
                    add("add with others'", False, body)


def _try_changing(tries: Tries, model: Any, door: Door, part: Part) -> None:
    world, person, label = tries.world, tries.person, model._meta.label
    row = part.row(model)
    url = url_of(model, "change", row.pk)
    boss = world.people["superuser"].client
    page = boss.get(url).content.decode()
    own = sent_by(page, f"{model._meta.model_name}_form")
    changed = CHANGES.get(label, {})
    beyond = door.right is not None and world.is_beyond(person, part, door)

    def done() -> bool:
        found = model._default_manager.filter(pk=row.pk, **changed)
        return bool(changed) and found.exists()

    expected = bool(changed) and person.may(door, CHANGE) and not beyond
    tries.write(
        f"change {label}",
        expected,
        lambda: tries.ask(f"change {label}", url, own | changed),
        done,
    )
    if expected and part is world.near:
        for body in with_others_rows(own | changed, world.theirs.rows):
            tries.write(
                f"change {label} to others' {body}",
                False,
                lambda body=body: tries.ask("change", url, body),  # type: ignore[misc]
                done,
            )


def _try_deleting(tries: Tries, model: Any, door: Door, part: Part) -> None:
    person, label, row = tries.person, model._meta.label, part.row(model)
    beyond = door.right is not None and tries.world.is_beyond(person, part, door)
    url = url_of(model, "delete", row.pk)
    tries.write(
        f"delete {label}",
        person.may(door, DELETE) and not beyond,
        lambda: tries.ask(f"delete {label}", url, {"post": "yes"}),
        lambda: not model._default_manager.filter(pk=row.pk).exists(),
    )


@pytest.mark.parametrize("name", INSIDE)
def test_a_role_acts_on_its_own_rows_and_no_others(
    world: World, name: str, counted: Counter[str]
) -> None:
    tries = Tries(world, name, counted)
    for model, door in doors():
        if not tries.person.sees(door):
            continue
        page = tries.person.client.get(url_of(model, "changelist"))
        form = page.context["action_form"]
        offered = {name for name, _ in form.fields["action"].choices} if form else set()
        allowed = {
            name for name, act in door.actions.items() if tries.person.holds(act.right)
        }
        if offered - {""} != allowed:
            tries.wrong.append((model._meta.label, offered, allowed))
        for act_name in [*door.actions, "delete_selected"]:
            for part in world.parts:
                _try_acting(tries, model, door, part, act_name)

    assert tries.wrong == []


def _try_acting(tries: Tries, model: Any, door: Door, part: Part, name: str) -> None:
    world, person = tries.world, tries.person
    act = door.actions.get(name, Act(None, changes=False))
    row = part.rows.made[model] if act.lifecycle else part.row(model)
    beyond = door.right is not None and world.is_beyond(person, part, door)
    allowed = name in door.actions and person.holds(act.right) and not beyond
    sent: Body = {"action": name, "_selected_action": [row.pk]}
    if act.says:
        sent |= {"confirmed": "0" if beyond else "1", **act.says(part, world.theirs)}

    def everything() -> list[Any]:
        return [*world.everything(), list(model._default_manager.values_list())]

    with undone():
        if act.lifecycle:
            Device.objects.filter(pk=row.pk).update(lifecycle=act.lifecycle)
        before = everything()
        answer = tries.ask(name, url_of(model, "changelist"), sent)
        after = everything()
    what = f"{name} of {model._meta.label}"
    is_there_already = name == "transfer" and part is world.theirs
    expected = allowed and act.changes and not is_there_already
    if (before != after) != expected:
        tries.wrong.append((what, expected, answer.status_code, _errors_of(answer)))
    if before[1] != after[1] and not person.is_superuser:
        tries.wrong.append((what, "changed", _difference(before[1:2], after[1:2])))
    if allowed and not act.changes and part.rows.text not in answer.getvalue().decode():
        tries.wrong.append((what, answer.status_code, "gives nothing"))
