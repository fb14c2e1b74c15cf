"""Which commands there are: the built-in ones, and those that a tenant defined.

A name means the same for every tenant if it is built in, and is never read from the
database then. Otherwise a definition for one product goes before one for all.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from commands.choices import CommandClass
from commands.definitions import CLASS_POLICIES, DEFINITIONS, Definition
from commands.exceptions import InvalidCommand, NoSuchDefinition
from commands.expectations import ALL_PARAMS
from commands.models import Command, CommandDefinition, Job
from commands.validation import policy_over
from iotplatform.common import bulk_sql
from iotplatform.common.problems import BadInput
from registry.models import Device, Tenant
from registry.selectors.access import attach_caller_tenant
from registry.selectors.products import list_config_schemas, list_declared_configs

# One array parameter: a job may have a million devices.
_PRODUCTS = """
    SELECT DISTINCT product_id FROM registry_device WHERE id = ANY(%s::bigint[])
"""


def list_definitions(*, tenants: Sequence[Tenant]) -> QuerySet[CommandDefinition]:
    """Return the tenants' own definitions."""
    rows = CommandDefinition.objects.filter(tenant__in=tenants)
    return rows.select_related("tenant", "product")


def get_definition(
    *, tenants: Sequence[Tenant], name: str, product: str | None = None
) -> CommandDefinition:
    """Return a tenant's own definition; the one for all products unless one is named.

    Raises NoSuchDefinition; BadInput naming ``tenant`` or ``product`` where several
    have this name.
    """
    if "\0" in name or "\0" in (product or ""):
        raise NoSuchDefinition("There is no such command definition.")
    rows = list(list_definitions(tenants=tenants).filter(name=name).order_by("pk"))
    if len({row.tenant_id for row in rows}) > 1:
        raise BadInput(tenant=f"Several of your tenants define '{name}': name one.")
    if product is not None:
        rows = [row for row in rows if row.product and row.product.slug == product]
    found = [row for row in rows if row.product is None] or rows
    if not found:
        raise NoSuchDefinition("There is no such command definition.")
    if len(found) > 1:
        raise BadInput(product=f"'{name}' is defined for several products: name one.")
    attach_caller_tenant(found[0], tenants)
    return found[0]


def get_definition_by_id(
    *, tenants: Sequence[Tenant], definition_id: UUID
) -> CommandDefinition:
    """Return a tenant's own definition; raises NoSuchDefinition."""
    rows = list_definitions(tenants=tenants)
    row = rows.filter(public_id=definition_id).first()
    if row is None:
        raise NoSuchDefinition("There is no such command definition.")
    attach_caller_tenant(row, tenants)
    return row


def get_definition_of_device(device: Device, name: str) -> Definition:
    """Return what a command is for this device; raises InvalidCommand."""
    products = [device.product_id]
    if name in DEFINITIONS:
        return _with_schemas(DEFINITIONS[name], lambda: products)
    own = _own_by_product(device.tenant_id, products, name=name)
    if name in own[device.product_id]:
        return _with_schemas(own[device.product_id][name], lambda: products)
    known = list_definitions_of(device.tenant_id, [device.product_id])
    raise _unknown(known, name)


def get_definition_of_devices(
    tenant: Tenant, device_ids: Collection[int], name: str, *, within: str = ""
) -> tuple[Definition, set[int]]:
    """Return what a command is for these devices, and the products without it.

    Raises InvalidCommand if no product of them has it, or if two have different ones:
    one job sends one command.
    """
    if name in DEFINITIONS:
        built_in = DEFINITIONS[name]
        return _with_schemas(built_in, lambda: find_products(device_ids)), set()
    products = find_products(device_ids)
    by_product = _own_by_product(tenant.pk, products, name=name)
    found = {product: own[name] for product, own in by_product.items() if name in own}
    different = list(found.values())
    if any(each != different[0] for each in different):
        text = f"'{name}' is not the same command for all of these products."
        raise InvalidCommand(errors=[{"field": f"{within}name", "message": text}])
    if not different:
        known = list_definitions_of(tenant.pk, products)
        raise _unknown(known, name, within=within)
    return _with_schemas(different[0], lambda: set(found)), products - set(found)


def list_definitions_of(
    tenant_id: int, product_ids: Collection[int]
) -> dict[str, Definition]:
    """Return the commands that devices of these products take; the built-in ones first.

    Where two products have different ones of the same name, it is the first product's.
    """
    own = _own_by_product(tenant_id, product_ids)
    return _known(own, list_config_schemas(product_ids))


def _known(
    by_product: dict[int, dict[str, Definition]], schemas: dict[str, dict[str, Any]]
) -> dict[str, Definition]:
    found = dict(DEFINITIONS)
    for own in by_product.values():
        found |= {name: own[name] for name in sorted(own.keys() - found.keys())}
    return {
        name: replace(each, config_schemas=schemas)
        if each.command_class == CommandClass.CONFIG
        else each
        for name, each in found.items()
    }


@dataclass(frozen=True)
class TenantDefinitions:
    """All definitions of a tenant, with what its products declare, read once."""

    rows: list[CommandDefinition]
    schemas: list[tuple[int, str, dict[str, Any]]]  # product, its slug, declared

    @property
    def depend_on_product(self) -> bool:
        return bool(self.schemas) or any(row.product_id for row in self.rows)

    def every(self) -> dict[str, Definition]:
        """Return the tenant's commands by name."""
        for_all = [row for row in self.rows if row.product_id is None]
        of_products = [row for row in self.rows if row.product_id]
        own = {row.name: as_definition(row) for row in [*of_products, *for_all]}
        return {**DEFINITIONS, **own}

    def of_products(self, product_ids: Collection[int]) -> dict[str, Definition]:
        """Return what ``list_definitions_of`` returns for these products."""
        rows = [r for r in self.rows if r.product_id in {None, *product_ids}]
        schemas = {slug: each for pk, slug, each in self.schemas if pk in product_ids}
        return _known(_by_product(rows, product_ids), schemas)


def list_definitions_of_tenant(tenant: Tenant) -> TenantDefinitions:
    """Return a tenant's definitions for all its products."""
    rows = list_definitions(tenants=[tenant]).order_by("name", "pk")
    return TenantDefinitions(list(rows), list_declared_configs(tenant=tenant))


def list_command_names(*, tenants: Sequence[Tenant]) -> list[str]:
    """Return the names of all commands that these tenants may have sent, sorted."""
    own = list_definitions(tenants=tenants).values_list("name", flat=True)
    return sorted({*DEFINITIONS, *own.order_by("name").distinct()})


def find_products(device_ids: Collection[int]) -> set[int]:
    """Return the products of these devices."""
    return {pk for (pk,) in bulk_sql.fetch(_PRODUCTS, [list(device_ids)])}


def definition_of_job(job: Job) -> Definition:
    """Return the command's definition as it was when the job was created."""
    if job.definition:
        return Definition(**job.definition)
    return DEFINITIONS[job.command_name]  # a job from before definitions were rows


def definition_of_command(command: Command) -> Definition:
    """Return what a command keeps of its definition, for a command in its place."""
    return Definition(
        name=command.name,
        command_class=command.command_class,
        description="",
        is_repeatable=command.is_repeatable,
        params_schema={},
        policy=command.policy,
        is_disconnecting=command.is_disconnecting,
    )


def as_definition(row: CommandDefinition) -> Definition:
    """Return a tenant's row in the form of the built-in ones, its policy complete."""
    return Definition(
        name=row.name,
        command_class=row.command_class,
        description=row.description,
        is_repeatable=row.is_repeatable,
        params_schema=row.params_schema,
        policy=policy_over(CLASS_POLICIES[row.command_class], row.policy),
        # Configuration is always verified by its own patch.
        expectation=ALL_PARAMS
        if row.command_class == CommandClass.CONFIG
        else row.expectation,
        danger=row.danger,
        needs_approval=row.needs_approval,
        reactions=row.reactions,
    )


def _with_schemas(
    definition: Definition, products: Callable[[], Collection[int]]
) -> Definition:
    """Add what these products declare; only configuration needs it, and asks for them.

    To find the products of 100,000 devices takes a while.
    """
    if definition.command_class != CommandClass.CONFIG:
        return definition
    return replace(definition, config_schemas=list_config_schemas(products()))


def _own_by_product(
    tenant_id: int, product_ids: Collection[int], *, name: str | None = None
) -> dict[int, dict[str, Definition]]:
    """Return the tenant's own definitions that each of these products has."""
    rows = CommandDefinition.objects.filter(
        Q(product__isnull=True) | Q(product__in=product_ids), tenant=tenant_id
    )
    if name is not None:
        rows = rows.filter(name=name.replace("\0", ""))
    return _by_product(rows, product_ids)


def _by_product(
    rows: Iterable[CommandDefinition], product_ids: Collection[int]
) -> dict[int, dict[str, Definition]]:
    own: dict[int, dict[str, Definition]] = {pk: {} for pk in sorted(product_ids)}
    for row in sorted(rows, key=lambda row: row.product_id is not None):
        definition = as_definition(row)
        for pk in [row.product_id] if row.product_id else own:
            own[pk][row.name] = definition
    return own


def _unknown(
    known: dict[str, Definition], name: str, *, within: str = ""
) -> InvalidCommand:
    text = f"There is no command '{name}'. Choose one of: {', '.join(sorted(known))}."
    return InvalidCommand(errors=[{"field": f"{within}name", "message": text}])
