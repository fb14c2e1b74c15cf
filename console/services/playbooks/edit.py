"""Playbooks: made, changed and deleted, after every check of their steps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from django.db import IntegrityError, transaction

from commands.exceptions import InvalidCommand
from commands.selectors.definitions import list_definitions_of_tenant
from commands.validation import check_params, check_policy
from console.definitions import BUILT_IN
from console.exceptions import PlaybookRefused
from console.models import Playbook, PlaybookVersion
from console.validation import Error, step_errors, walk_steps
from fleet.exceptions import QueryError
from fleet.selectors.search import validate_query
from iotplatform.common.problems import BadInput

if TYPE_CHECKING:
    from registry.models import Tenant, User

LONGEST_NAME, LONGEST_DESCRIPTION = 200, 2_000


class PlaybookFields(TypedDict, total=False):
    """What a playbook has; what is left out of a change stays."""

    name: str
    description: str
    steps: list[dict[str, Any]]


def create_playbook(
    *, tenant: Tenant, actor: User | None, **fields: Unpack[PlaybookFields]
) -> Playbook:
    """Make a playbook, version 1.

    Raises BadInput naming each wrong field (``steps.n`` for a step), PlaybookRefused
    for a name that is taken.
    """
    row = Playbook(tenant=tenant, created_by=actor, version=0)
    return _save(row, fields, actor)


@transaction.atomic
def change_playbook(
    row: Playbook, *, actor: User | None, **fields: Unpack[PlaybookFields]
) -> Playbook:
    """Make a new version of a playbook; runs go on with the one that they began with.

    Raises what ``create_playbook`` raises.
    """
    rows = Playbook.objects.select_related("tenant", "created_by")
    locked = rows.select_for_update(no_key=True, of=("self",)).get(pk=row.pk)
    return _save(locked, fields, actor)


def delete_playbook(row: Playbook) -> None:
    """Delete a playbook with its versions; its runs stay and go on."""
    row.delete()


def check_steps(steps: Any, *, tenant: Tenant) -> list[Error]:
    """Return what is wrong with steps, their queries and commands among it."""
    if errors := step_errors(steps):
        return errors
    return list(_query_errors(steps, tenant)) + list(_command_errors(steps, tenant))


def _save(row: Playbook, fields: PlaybookFields, actor: User | None) -> Playbook:
    errors = []
    if "name" in fields:
        row.name = fields["name"].strip()
    if not row.name or len(row.name) > LONGEST_NAME or "\0" in row.name:
        text = f"1 to {LONGEST_NAME} characters."
        errors.append({"field": "name", "message": text})
    if "description" in fields:
        row.description = fields["description"].strip()
        if len(row.description) > LONGEST_DESCRIPTION or "\0" in row.description:
            text = f"At most {LONGEST_DESCRIPTION:,} characters."
            errors.append({"field": "description", "message": text})
    if "steps" in fields:
        row.steps = fields["steps"]
        errors += check_steps(row.steps, tenant=row.tenant)
    if errors:
        raise BadInput(errors=errors)
    with transaction.atomic():
        row.version += 1
        with _name_free(row.name):
            row.save()
        PlaybookVersion.objects.create(
            tenant_id=row.tenant_id,
            playbook=row,
            number=row.version,
            name=row.name,
            steps=row.steps,
            made_by=actor,
        )
    return row


def _query_errors(steps: list[dict[str, Any]], tenant: Tenant) -> Iterator[Error]:
    for place, step in walk_steps(steps):
        if "query" not in step:
            continue
        try:
            validate_query(step["query"], tenants=[tenant])
        except QueryError as error:
            # With its position, and what was meant.
            yield error.about(f"{place}.query").errors[0]


def _command_errors(steps: list[dict[str, Any]], tenant: Tenant) -> Iterator[Error]:
    sent = [(place, s["command"]) for place, s in walk_steps(steps) if "command" in s]
    if not sent:
        return
    known = list_definitions_of_tenant(tenant).every()
    for place, command in sent:
        within = f"{place}.command."
        definition = known.get(command["name"])
        if definition is None:
            text = f"There is no command '{command['name'][:64]}'."
            yield {"field": f"{within}name", "message": text}
            continue
        try:
            check_params(definition, command.get("params", {}), within=within)
            check_policy(command.get("policy"), within=within)
        except InvalidCommand as error:
            yield from error.errors


@contextmanager
def _name_free(name: str) -> Iterator[None]:
    """Refuse a name that another playbook of the tenant, or a built-in one, has."""
    if any(each.name == name for each in BUILT_IN.values()):
        raise _taken(f"'{name}' is a built-in playbook.")
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        if "console_playbook_name_once" not in str(error):
            raise
        raise _taken("A playbook with this name already exists.") from error


def _taken(message: str) -> PlaybookRefused:
    return PlaybookRefused(message, errors=[{"field": "name", "message": message}])
