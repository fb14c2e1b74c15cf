"""A tenant's own command definitions: made, changed and deleted, after every check."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from commands.choices import CommandClass, OnFailure
from commands.definitions import DEFINITIONS
from commands.exceptions import DefinitionRefused
from commands.expectations import ALL_PARAMS, template_problem
from commands.models import CommandDefinition
from commands.validation import POLICY_SCHEMA, schema_errors
from iotplatform.common.problems import BadInput
from registry.models import Tenant
from registry.validators import references

Errors = Iterator[dict[str, Any]]
# What the service checks itself, with a better place than the field as a whole.
CHECKED_HERE = ("tenant", "product", "policy", "expectation", "reactions")
# Columns that the API and the admin call otherwise.
CALLED = {
    "command_class": "class",
    "is_repeatable": "repeatable",
    "needs_approval": "approval",
}
MAX_SCHEMA_BYTES = 32_768
REACTIONS_SCHEMA: dict[str, Any] = {
    "type": "object",
    "maxProperties": 200,
    "propertyNames": {"minLength": 1, "maxLength": 64},
    "additionalProperties": {"enum": [answer.value for answer in OnFailure]},
}


def create_definition(*, tenant: Tenant, **fields: Any) -> CommandDefinition:
    """Make a definition; refusals as in ``save_definition``."""
    return save_definition(CommandDefinition(tenant=tenant, **fields))


@transaction.atomic
def change_definition(row: CommandDefinition, **fields: Any) -> CommandDefinition:
    """Change a definition; commands and jobs that exist already keep the old one."""
    rows = CommandDefinition.objects.select_related("tenant", "product")
    locked = rows.select_for_update(of=("self",)).get(pk=row.pk)
    for name, value in fields.items():
        setattr(locked, name, value)
    return save_definition(locked)


def save_definition(row: CommandDefinition) -> CommandDefinition:
    """Save a definition.

    Raises BadInput naming each wrong field, and DefinitionRefused naming ``name`` if it
    is built in, or taken for the same products.
    """
    if row.name in DEFINITIONS:
        raise _refused_name(f"'{row.name}' is a built-in command.")
    if errors := list(_errors(row)):
        raise BadInput(errors=errors)
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError as error:
        if "commands_definition_once" not in str(error):
            raise
        for_what = row.product.slug if row.product else "all products"
        raise _refused_name(f"'{row.name}' is defined for {for_what}.") from error
    return row


def delete_definition(row: CommandDefinition) -> None:
    """Delete a definition; commands and jobs that exist already go on with it."""
    row.delete()


def _refused_name(message: str) -> DefinitionRefused:
    return DefinitionRefused(message, errors=[{"field": "name", "message": message}])


def _errors(row: CommandDefinition) -> Errors:
    wrong = list(_field_errors(row))
    yield from wrong
    has_schema = all(error["field"] != "params_schema" for error in wrong)
    if row.product is not None and row.product.tenant_id != row.tenant_id:
        yield {"field": "product", "message": "There is no such product."}
    if has_schema:
        yield from _schema_errors(row.params_schema)
    yield from schema_errors(POLICY_SCHEMA, row.policy, field="policy")
    yield from schema_errors(REACTIONS_SCHEMA, row.reactions, field="reactions")
    if row.command_class == CommandClass.CONFIG and row.expectation is not None:
        if row.expectation != ALL_PARAMS:
            text = "Configuration is verified by its own patch: leave it out."
            yield {"field": "expectation", "message": text}
    elif has_schema:
        if text := template_problem(row.expectation, row.params_schema):
            yield {"field": "expectation", "message": text}


def _field_errors(row: CommandDefinition) -> Errors:
    try:
        row.clean_fields(exclude=CHECKED_HERE)
    except ValidationError as error:
        for field, messages in error.message_dict.items():
            name = CALLED.get(field, field)
            yield from ({"field": name, "message": text} for text in messages)


def _schema_errors(schema: dict[str, Any]) -> Errors:
    """Check what the meta-schema does not: that it fits parameters, and resolves."""
    kinds = schema.get("type", "object")
    if kinds != "object" and "object" not in kinds:
        text = "Parameters are an object: its type must be 'object'."
        yield {"field": "params_schema", "message": text}
    if len(json.dumps(schema)) > MAX_SCHEMA_BYTES:
        text = f"At most {MAX_SCHEMA_BYTES:,} bytes."
        yield {"field": "params_schema", "message": text}
    with suppress(Unresolvable):  # named below
        try:
            list(Draft202012Validator(schema).iter_errors({}))
        except RecursionError:
            text = "The schema refers to itself endlessly."
            yield {"field": "params_schema", "message": text}
    root = DRAFT202012.create_resource(schema)
    resolver = Registry().with_resource("", root).resolver()
    for reference in references(schema):
        try:
            resolver.lookup(reference)
        except (Unresolvable, ValueError, KeyError, TypeError):
            text = f"There is no part {reference} in the schema."
            yield {"field": "params_schema", "message": text}
