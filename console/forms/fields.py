"""Fields of the registry's forms: other objects by name, lists of words, documents."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from django import forms
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from console.forms.params import JsonField
from iotplatform.common.problems import BadInput, NotFound
from iotplatform.common.storable import storable_document

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from registry.models import Tenant

PLAIN = {"spellcheck": "false", "autocomplete": "off", "autocapitalize": "none"}
# More would make the page heavy; who has more objects knows their names.
MOST_SUGGESTED = 200


class Listing(Protocol):
    """A selector of objects of some tenants."""

    def __call__(self, *, tenants: Sequence[Tenant]) -> QuerySet[Any]: ...


class SuggestedInput(forms.TextInput):
    """A text box that suggests names while a person types."""

    suggestions: Sequence[str] = ()

    def render(
        self, name: str, value: Any, attrs: Any = None, renderer: Any = None
    ) -> SafeString:
        if not self.suggestions:
            return super().render(name, value, attrs, renderer)
        key = f"{name}-suggestions"
        box = super().render(name, value, {**(attrs or {}), "list": key}, renderer)
        options = format_html_join(
            "", '<option value="{}"></option>', ((word,) for word in self.suggestions)
        )
        return format_html('{}<datalist id="{}">{}</datalist>', box, key, options)


class ReferenceField(forms.CharField):
    """Other objects of the tenant by their names; the form finds them."""

    def __init__(self, *, listing: Listing | None = None, **kwargs: Any) -> None:
        kwargs.setdefault("widget", SuggestedInput(attrs=PLAIN))
        super().__init__(**kwargs)
        self.listing = listing

    def suggest(self, tenants: Sequence[Tenant]) -> None:
        """Offer the names that these tenants have, up to MOST_SUGGESTED."""
        if self.listing is not None and isinstance(self.widget, SuggestedInput):
            slugs = self.listing(tenants=tenants).order_by("slug")
            names = slugs.values_list("slug", flat=True)[:MOST_SUGGESTED]
            self.widget.suggestions = list(dict.fromkeys(names))

    def find(self, tenant: Tenant, text: str) -> Any:
        """Return what the text names; raises forms.ValidationError."""
        raise NotImplementedError


class ObjectField(ReferenceField):
    """One object; an empty box means none."""

    def __init__(
        self, finder: Callable[..., Any], *, key: str = "slug", **kwargs: Any
    ) -> None:
        super().__init__(max_length=64, **kwargs)
        self.finder, self.key = finder, key

    def prepare_value(self, value: Any) -> Any:
        return value if value is None else str(value)

    def has_changed(self, initial: Any, data: Any) -> bool:
        return super().has_changed(self.prepare_value(initial), data)

    def find(self, tenant: Tenant, text: str) -> Any:
        if not text:
            return None
        try:
            return self.finder(tenants=[tenant], **{self.key: text})
        except NotFound as error:
            raise forms.ValidationError(error.detail) from error


class ObjectsField(ReferenceField):
    """Several objects, separated by spaces or commas."""

    def prepare_value(self, value: Any) -> Any:
        return value if isinstance(value, str) else " ".join(map(str, value or ()))

    def has_changed(self, initial: Any, data: Any) -> bool:
        return set(words_of(self.prepare_value(initial))) != set(words_of(data or ""))

    def find(self, tenant: Tenant, text: str) -> Any:
        assert self.listing is not None
        slugs = set(words_of(text))
        rows = list(self.listing(tenants=[tenant]).filter(slug__in=slugs))
        if missing := sorted(slugs - {row.slug for row in rows}):
            raise forms.ValidationError(f"Not found: {', '.join(missing)}.")
        return rows


class WordsField(forms.CharField):
    """A list of words, separated by spaces, commas or lines."""

    def prepare_value(self, value: Any) -> Any:
        return value if isinstance(value, str) else " ".join(map(str, value or ()))

    def to_python(self, value: Any) -> Any:
        return words_of(super().to_python(value) or "")

    def has_changed(self, initial: Any, data: Any) -> bool:
        return list(initial or ()) != words_of(data or "")


class StoredJsonField(JsonField):
    """A stored document or list as JSON; an empty box is an empty one."""

    widget = forms.Textarea(attrs={"rows": 6, "spellcheck": "false"})

    def __init__(self, *, empty: Callable[[], Any], **kwargs: Any) -> None:
        super().__init__(required=False, **kwargs)
        self.empty = empty

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, str):
            return value
        return json.dumps(value, indent=2, ensure_ascii=False) if value else ""

    def to_python(self, value: Any) -> Any:
        found = super().to_python(value)
        if found is None:
            return self.empty()
        if not isinstance(found, type(self.empty())):
            kind = "an object {…}" if self.empty is dict else "a list […]"
            raise forms.ValidationError(f"Enter {kind}.")
        refuse_unstorable(found)
        return found

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool(self.to_python(data) != (initial or self.empty()))
        except forms.ValidationError:
            return True


def refuse_unstorable(document: Any) -> None:
    """Raise ValidationError for JSON that PostgreSQL cannot hold."""
    try:
        json.dumps(document, allow_nan=False)
    except ValueError as error:
        text = "NaN and infinity are not valid JSON."
        raise forms.ValidationError(text) from error
    if storable_document(document) != document:
        raise forms.ValidationError("Text cannot contain NUL or half characters.")


def words_of(text: str) -> list[str]:
    """Return the words of a list, each once."""
    return list(dict.fromkeys(text.replace(",", " ").split()))


def refuse(form: forms.Form, errors: dict[str, list[str]]) -> None:
    """Show what a service refused: at its field, or above the form with its name."""
    for name, messages in errors.items():
        for message in messages:
            if name in form.fields:
                form.add_error(name, message)
            else:
                form.add_error(None, f"{name}: {message}" if name else message)


def errors_of(error: Any) -> dict[str, list[str]]:
    """Return the messages of a Problem or of Django's ValidationError, by field."""
    if isinstance(error, forms.ValidationError):
        if hasattr(error, "error_dict"):
            return error.message_dict
        return {"": error.messages}
    found: dict[str, list[str]] = {}
    for row in error.errors:
        found.setdefault(str(row["field"]), []).append(str(row["message"]))
    said = {message for messages in found.values() for message in messages}
    if not found or not (isinstance(error, BadInput) or error.detail in said):
        found.setdefault("", []).append(error.detail)
    return found
