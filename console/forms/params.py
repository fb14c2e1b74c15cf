"""The form of one command, made from its definition: parameters, and what it risks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django import forms

from commands.choices import CommandClass, Danger
from commands.config_schemas import one_schema, patch_schema
from commands.definitions import Definition
from commands.validation import params_errors
from iotplatform.common.problems import Problem

CLASS_LABELS: dict[str, str] = {
    CommandClass.CONTROL: "Needs an online device; refused at once otherwise.",
    CommandClass.CONFIG: "Waits for an offline device; a newer one replaces it.",
    CommandClass.JOB: "Waits until the deadline; verified by what the device reports.",
    CommandClass.OPERATION: "Waits for an offline device, for a limited time.",
}
APPROVAL_LABEL = "A second person must approve it."
# A schema with one of these says more than fields can ask.
COMPLEX = frozenset(
    {"$ref", "$dynamicRef", "allOf", "anyOf", "oneOf", "not", "if", "patternProperties"}
)
# The box for all other keys of a patch; no key of a schema that a field asks for.
MORE = "params"
SETTINGS_EXAMPLE = '{\n  "interval": 30\n}'
LARGEST_EXACT = 2**53  # from here on a float cannot tell whole numbers apart
YES_OR_NO = [("", "not set"), ("true", "yes"), ("false", "no")]


class JsonField(forms.CharField):
    """A box for a JSON document; what is wrong with it is said with its position."""

    widget = forms.Textarea(attrs={"rows": 4, "spellcheck": "false"})

    def to_python(self, value: Any) -> Any:
        text = super().to_python(value) or ""
        if not text:
            return None
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            message = f"This is not valid JSON: {error}."
            raise forms.ValidationError(message) from error


class NumberField(forms.FloatField):
    """A number; a whole one stays whole: a device gets 30, not 30.0."""

    def to_python(self, value: Any) -> Any:
        number: float | None = super().to_python(value)
        # Infinity and NaN are refused later, and a larger float is not exact.
        if number is None or not abs(number) < LARGEST_EXACT:
            return number
        return int(number) if number.is_integer() else number


class DocumentField(JsonField):
    """A box for all parameters: a JSON object."""

    def __init__(self, *, may_be_empty: bool, **kwargs: Any) -> None:
        self.may_be_empty = may_be_empty
        super().__init__(**kwargs)

    def to_python(self, value: Any) -> Any:
        document = super().to_python(value)
        if document is None:
            return None
        if not isinstance(document, dict):
            raise forms.ValidationError('Enter an object, such as {"interval": 30}.')
        if not document and not self.may_be_empty:
            raise forms.ValidationError(
                'Enter an object with at least one key, such as {"interval": 30}.'
            )
        return document


class ChosenField(forms.ChoiceField):
    """One of the values that a schema lists, with its JSON type."""

    def __init__(self, values: list[Any], *, required: bool, **kwargs: Any) -> None:
        self.by_text = {_text(value): value for value in values}
        empty = [] if required else [("", "not set")]
        choices = [*empty, *((text, text) for text in self.by_text)]
        super().__init__(choices=choices, required=required, **kwargs)

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        return self.by_text[text] if text else None


class ParamsForm(forms.Form):
    """Parameters of one command, made from its JSON Schema.

    A schema with named properties gets one field for each; what is nested is asked for
    as JSON. An open schema (a merge patch) and one that says more than fields can ask
    get one box for all, and a closed one without properties gets none. Where products
    declare their configuration, a merge patch gets fields, and a box for other keys.
    """

    def __init__(self, definition: Definition, *args: Any, **kwargs: Any) -> None:
        # Fields of commands that are not chosen are hidden and must not block the form.
        kwargs["use_required_attribute"] = False
        kwargs["prefix"] = definition.name
        super().__init__(*args, **kwargs)
        self.definition = definition
        declared = _declared(definition)
        found = schema_fields(declared or definition.params_schema)
        self.is_document = found is None
        self.fields.update(
            {"params": _document(definition)} if found is None else found
        )
        if declared and found is not None:
            self.fields[MORE] = _document(definition, has_fields=True)

    def clean(self) -> dict[str, Any]:
        """Check all parameters by the schema; each error stands at its field."""
        cleaned = super().clean() or self.cleaned_data
        if self.errors:
            return cleaned
        more = self._more()
        if self.definition.config_schemas and not self.params():
            self.add_error(None, "Enter at least one setting.")
            return cleaned
        for name in more.keys() & self._given().keys():
            self.add_error(MORE, f"{name} is given above, too.")
        for error in params_errors(self.definition, self.params(), field="params"):
            self._show(error, more)
        return cleaned

    def refuse(self, error: Problem) -> None:
        """Show what a service refused at its field, else above the fields."""
        if not self.errors:
            for row in error.errors or [{"field": "", "message": error.detail}]:
                self._show(row, self._more())

    def _show(self, error: dict[str, Any], more: dict[str, Any]) -> None:
        name = error["field"].split(".")[1] if "." in error["field"] else ""
        place = "params" if self.is_document or name in more else name
        has_place = error["field"].startswith("params") and place in self.fields
        self.add_error(place if has_place else None, error["message"])

    def params(self) -> dict[str, Any]:
        """Return the parameters of the command, without empty fields."""
        return self._given() | self._more()

    def _given(self) -> dict[str, Any]:
        """What the fields say, without the box for a document."""
        return {
            name: value
            for name, value in self.cleaned_data.items()
            if value is not None and value != "" and not self._is_box(name)
        }

    def _more(self) -> dict[str, Any]:
        """What the box for a document says; nothing where there is none."""
        if not self._is_box(MORE):
            return {}
        return dict(self.cleaned_data.get(MORE) or {})

    def _is_box(self, name: str) -> bool:
        return name == MORE and isinstance(self.fields.get(MORE), DocumentField)


class DangerForm(forms.Form):
    """What a person must do before a dangerous command goes to one device."""

    def __init__(self, definition: Definition, *args: Any, **kwargs: Any) -> None:
        kwargs["use_required_attribute"] = False
        kwargs["prefix"] = f"danger-{definition.name}"
        super().__init__(*args, **kwargs)
        if definition.danger == Danger.CONFIRM:
            self.fields["confirmed"] = confirmed_field()
        elif definition.danger == Danger.TYPE_COUNT:
            self.fields["typed_count"] = forms.IntegerField(
                label="Number of devices", help_text="Type 1 to confirm."
            )

    def clean_typed_count(self) -> int:
        """Refuse any other number: it goes to one device."""
        typed = int(self.cleaned_data["typed_count"])
        if typed != 1:
            raise forms.ValidationError(f"The command goes to 1 device, not {typed}.")
        return typed


def confirmed_field() -> forms.BooleanField:
    """Return the box in which a person says that they mean it."""
    return forms.BooleanField(
        label="I have checked that this is safe now.",
        error_messages={"required": "Confirm that you mean it."},
    )


def command_choices(
    known: Mapping[str, Definition], chosen: str, data: Any = None
) -> list[dict[str, Any]]:
    """Return all commands with their forms; only the chosen one is bound to data."""
    choices = []
    for definition in known.values():
        own = data if definition.name == chosen else None
        choices.append(
            {
                "name": definition.name,
                "description": definition.description,
                "class_label": CLASS_LABELS[definition.command_class],
                "approval_label": APPROVAL_LABEL if definition.needs_approval else "",
                "is_chosen": definition.name == chosen,
                "form": ParamsForm(definition, own),
                "danger": DangerForm(definition, own),
            }
        )
    return choices


def chosen_form(
    known: Mapping[str, Definition], name: str, data: Any
) -> ParamsForm | None:
    """Return the bound form of the chosen command; None for an unknown name."""
    definition = known.get(name)
    return ParamsForm(definition, data) if definition else None


def _declared(definition: Definition) -> dict[str, Any] | None:
    """Return the one schema that fields can be made of, for a patch that is open."""
    if definition.params_schema.get("properties"):
        return None  # a tenant's own command asks for what it declares itself
    schema = one_schema(definition.config_schemas)
    properties = schema.get("properties") if schema else None
    # A key that is called like the box has to be given in the box.
    if not schema or not properties or MORE in properties or COMPLEX & schema.keys():
        return None
    declared: dict[str, Any] = patch_schema(schema)
    return declared


def schema_fields(schema: Mapping[str, Any]) -> dict[str, forms.Field] | None:
    """Return a field for each property; None if one box must ask for all of them."""
    properties: dict[str, Any] = schema.get("properties", {})
    required = schema.get("required", [])
    is_open = schema.get("additionalProperties", True) is not False
    if (
        COMPLEX & schema.keys()
        or set(required) - properties.keys()
        or (not properties and is_open)
    ):
        return None
    # The database does not keep the order of an object's keys, but that of a list.
    names = dict.fromkeys([*required, *properties])
    return {n: _field(n, properties[n], is_required=n in required) for n in names}


def shown_value(field: forms.Field, value: Any) -> Any:
    """Return a stored value of a property as its field shows it."""
    if isinstance(field, JsonField):
        return json.dumps(value, ensure_ascii=False)
    return _text(value) if isinstance(field, forms.ChoiceField) else value


def _document(definition: Definition, *, has_fields: bool = False) -> DocumentField:
    if has_fields:
        return DocumentField(
            label="Settings to change, as JSON",
            help_text="Other keys than those above. null removes a key. Optional.",
            required=False,
            may_be_empty=True,
        )
    if definition.command_class == CommandClass.CONFIG:
        return DocumentField(
            label="Settings to change, as JSON",
            initial=SETTINGS_EXAMPLE,
            help_text="Only the keys to change. null removes a key.",
            may_be_empty=False,
        )
    return DocumentField(
        label="Parameters, as JSON", initial="{}", required=False, may_be_empty=True
    )


def _field(name: str, rule: Any, *, is_required: bool) -> forms.Field:
    """Return the field of one property; its schema may be any, also a boolean."""
    rule = rule if isinstance(rule, dict) else {}
    common: dict[str, Any] = {
        "label": _label(name, rule),
        "help_text": _hint(rule, is_required=is_required),
        "required": is_required,
    }
    if "default" in rule:
        common["initial"] = rule["default"]
    if values := _listed(rule):
        if "initial" in common:
            common["initial"] = _text(common["initial"])
        return ChosenField(values, **common)
    kind = _kind(rule)
    if kind == "boolean":
        return _boolean(common, is_required=is_required)
    if kind in ("integer", "number"):
        number = forms.IntegerField if kind == "integer" else NumberField
        limits = {"min_value": rule.get("minimum"), "max_value": rule.get("maximum")}
        return number(**common, **limits)
    if kind == "string":
        lengths = {"min_length": rule.get("minLength")}
        return forms.CharField(**common, **lengths, max_length=rule.get("maxLength"))
    if "initial" in common:
        common["initial"] = json.dumps(common["initial"], ensure_ascii=False)
    common["label"] += ", as JSON"
    return JsonField(**common)


def _boolean(common: dict[str, Any], *, is_required: bool) -> forms.Field:
    """Return a box where one of both is sent, and a choice where none may be."""
    if is_required:
        return forms.BooleanField(**(common | {"required": False}))
    common["initial"] = _text(common["initial"]) if "initial" in common else ""
    coerce = {"true": True, "false": False}.get
    return forms.TypedChoiceField(
        choices=YES_OR_NO, coerce=coerce, empty_value=None, **common
    )


def _kind(rule: dict[str, Any]) -> str:
    """Return the scalar type that a field can ask for; empty: JSON."""
    kinds = rule.get("type", "")
    if isinstance(kinds, list):
        given = [kind for kind in kinds if kind != "null"]
        kinds = given[0] if len(given) == 1 else ""
    scalars = ("integer", "number", "string", "boolean")
    return kinds if kinds in scalars and not COMPLEX & rule.keys() else ""


def _listed(rule: dict[str, Any]) -> list[Any]:
    """Return the values of an enumeration of scalars."""
    values = rule.get("enum", [rule["const"]] if "const" in rule else [])
    scalar = all(isinstance(value, str | int | float | bool) for value in values)
    return list(values) if scalar and all(_text(value) for value in values) else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _label(name: str, rule: dict[str, Any]) -> str:
    plain = name.replace("_seconds", ", seconds").replace("_", " ").capitalize()
    title = rule.get("title")
    return title if isinstance(title, str) and title else plain


def _hint(rule: dict[str, Any], *, is_required: bool) -> str:
    parts = [str(rule["description"])] if rule.get("description") else []
    low, high = rule.get("minimum"), rule.get("maximum")
    if low is not None and high is not None:
        parts.append(f"{low:,} to {high:,}.")
    elif low is not None or high is not None:
        parts.append(f"At least {low:,}." if low is not None else f"At most {high:,}.")
    return " ".join(parts if is_required else [*parts, "Optional."])
