"""The base of the forms of registry objects: their tenant, references, and changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError

from console.forms.fields import PLAIN, ReferenceField, errors_of, refuse
from iotplatform.common.problems import Conflict, Problem
from registry.validators import validate_slug

if TYPE_CHECKING:
    from registry.models import Tenant

TENANT = "for_tenant"


class RegistryForm(forms.Form):
    """A form of one object; a service saves what it says.

    With ``row`` it changes that object, and the fields in ``fixed`` are left out.
    Without, it makes an object of one of ``tenants``, which a field asks for if there
    are several.
    """

    fixed: ClassVar[frozenset[str]] = frozenset()  # cannot be changed later
    only_later: ClassVar[frozenset[str]] = frozenset()  # only for a change

    def __init__(
        self, *args: Any, tenants: Sequence[Tenant], row: Any = None, **kwargs: Any
    ) -> None:
        self.row, self.tenants = row, {tenant.slug: tenant for tenant in tenants}
        self.status = 200
        if row is not None:
            kwargs["initial"] = self.shown(row)
        super().__init__(*args, **kwargs)
        for name in self.only_later if row is None else self.fixed:
            del self.fields[name]
        if row is None and len(tenants) > 1:
            choices = [(slug, slug) for slug in self.tenants]
            self.fields[TENANT] = forms.ChoiceField(label="Tenant", choices=choices)
            self.order_fields([TENANT])
        for field in self.references().values():
            field.suggest(tenants)

    def shown(self, row: Any) -> dict[str, Any]:
        """Return the present values of an object, by field."""
        return {name: getattr(row, name, None) for name in self.base_fields}

    def references(self) -> dict[str, ReferenceField]:
        fields = self.fields.items()
        return {n: field for n, field in fields if isinstance(field, ReferenceField)}

    def clean(self) -> dict[str, Any]:
        """Find the objects that the form names, in its tenant."""
        cleaned = super().clean() or self.cleaned_data
        if TENANT in self.fields and TENANT not in cleaned:
            return cleaned
        for name, field in self.references().items():
            if name in cleaned:
                try:
                    cleaned[name] = field.find(self.tenant, cleaned[name])
                except ValidationError as error:
                    self.add_error(name, error)
        return cleaned

    @property
    def tenant(self) -> Tenant:
        """The tenant of the object; for a valid form."""
        if TENANT in self.fields:
            return self.tenants[self.cleaned_data[TENANT]]
        (tenant,) = self.tenants.values()
        return tenant

    def values(self) -> dict[str, Any]:
        """Return what the service saves: all of a new object, else only changes."""
        changed = self.cleaned_data if self.row is None else self.changed_data
        return {
            name: value
            for name, value in self.cleaned_data.items()
            if name in changed and name != TENANT
        }

    def refuse(self, error: Problem | ValidationError) -> None:
        """Show a service's refusal at its fields."""
        refuse(self, errors_of(error))
        self.status = 409 if isinstance(error, Conflict) else 422

    @property
    def facts(self) -> list[tuple[str, Any]]:
        """Label and value of each field that has one, for who may not change it."""
        shown = [(str(bound.label), bound.value()) for bound in self]
        return [(label, value) for label, value in shown if value not in (None, "")]


class SluggedForm(RegistryForm):
    """An object with a slug and a name."""

    slug = forms.CharField(
        label="Slug",
        max_length=64,
        strip=False,
        validators=[validate_slug],
        widget=forms.TextInput(attrs=PLAIN),
        help_text="Its name in addresses, imports and searches.",
    )
    name = forms.CharField(
        label="Name", max_length=200, required=False, help_text="Empty: the slug."
    )

    def clean_name(self) -> str:
        return str(self.cleaned_data["name"] or self.cleaned_data.get("slug", ""))
