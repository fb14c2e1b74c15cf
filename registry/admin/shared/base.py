"""What the admin classes share: they show the refusals of services to the person."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar, cast

from django import forms
from django.contrib import admin, messages
from django.db.models import JSONField, Model
from django.forms.fields import InvalidJSONInput
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from rest_framework.exceptions import ParseError

from iotplatform.common.parsers import check_text
from iotplatform.common.problems import Problem
from registry.admin.shared.large_lists import Bounded

if TYPE_CHECKING:
    from registry.models import User

Row = TypeVar("Row", bound=Model)
FEWEST_LINES, MOST_LINES = 4, 24
# What a form begins and ends with; between them, the order of the model.
FIRST = ("uid", "slug", "username", "tenant", "name")
LAST = ("public_id", "created_at", "updated_at")


class DocumentWidget(forms.Textarea):
    """A box for JSON: a fixed-width face, and as many lines as the document has."""

    def __init__(self) -> None:
        super().__init__({"class": "vLargeTextField", "spellcheck": "false"})

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context(name, value, attrs)
        lines = str(context["widget"]["value"] or "").count("\n") + 2
        own = context["widget"]["attrs"]
        own["rows"] = min(max(lines, FEWEST_LINES), MOST_LINES)
        return context


class DocumentField(forms.JSONField):
    """A JSON document that a table can store; REST's parser has the same rules."""

    widget = DocumentWidget

    def prepare_value(self, value: Any) -> Any:
        """Return the document over several lines; refused text as it was typed."""
        if isinstance(value, InvalidJSONInput):
            return value
        return json.dumps(value, indent=2, ensure_ascii=False, cls=self.encoder)

    def to_python(self, value: Any) -> Any:
        """Return the document; refuse NUL, lone surrogates and deep nesting."""
        try:
            document = super().to_python(value)
            check_text(document)
        except RecursionError as error:
            raise forms.ValidationError("The JSON is nested too deeply.") from error
        except ParseError as error:
            raise forms.ValidationError(str(error.detail)) from error
        except Problem as refusal:
            raise forms.ValidationError(refusal.detail) from refusal
        return document

    def bound_data(self, data: Any, initial: Any) -> Any:
        """Return the value to show again: unchanged if it was refused."""
        try:
            self.to_python(data)
        except forms.ValidationError:
            return InvalidJSONInput(data)
        return super().bound_data(data, initial)


class ServiceAdmin(Bounded, admin.ModelAdmin[Row]):
    """The admin of rows that services save and delete, or refuse to."""

    formfield_overrides = {JSONField: {"form_class": DocumentField}}

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """Show a refusal beside the fields that it names; nothing was written."""
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except Problem as refusal:
            if request.method != "POST":
                return refused(self, request, refusal)
            request.refusal = refusal  # type: ignore[attr-defined]
        return super().changeform_view(request, object_id, form_url, extra_context)

    def get_form(
        self,
        request: HttpRequest,
        obj: Row | None = None,
        change: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Return the form; after a refusal, one that shows it and keeps the input."""
        form: Any = super().get_form(request, obj, change, **kwargs)
        refusal = getattr(request, "refusal", None)
        return form if refusal is None else _showing(form, refusal)

    def get_fields(self, request: HttpRequest, obj: Row | None = None) -> Any:
        """Begin with what identifies a row, also where it is fixed."""
        given = list(super().get_fields(request, obj))
        if self.fields:
            return given
        model = [
            field.name for field in self.opts.get_fields() if field.name not in LAST
        ]
        order = list(dict.fromkeys([*FIRST, *model, *given]))
        return sorted(given, key=lambda name: (name in LAST, order.index(name)))

    def delete_view(
        self,
        request: HttpRequest,
        object_id: str,
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show a refusal instead of failing; nothing was deleted."""
        try:
            return super().delete_view(request, object_id, extra_context)
        except Problem as refusal:
            return refused(self, request, refusal)

    def get_actions(self, request: HttpRequest) -> Any:
        """Leave out bulk deletion: it bypasses the services."""
        actions = super().get_actions(request)
        actions.pop("delete_selected", None)
        return actions


def _showing(form: Any, refusal: Problem) -> Any:
    """Return the form with the refusal of a service as its errors."""

    class RefusedForm(form):  # type: ignore[misc]
        def _post_clean(self) -> None:
            super()._post_clean()
            if refusal.errors:
                add_errors(self, refusal.errors)
            else:
                self.add_error(None, refusal.detail)

    return RefusedForm


def actor_of(request: HttpRequest) -> User:
    """Return the actor: the admin serves only signed-in people."""
    return cast("User", request.user)


def refused(
    view: admin.ModelAdmin[Any], request: HttpRequest, refusal: Problem
) -> HttpResponseRedirect:
    """Show the refusal on the same page."""
    view.message_user(request, refusal_text(refusal), messages.ERROR)
    return HttpResponseRedirect(request.get_full_path())


def refusal_text(refusal: Problem) -> str:
    rows = [f"{row.get('field')}: {row['message']}" for row in refusal.errors]
    return "; ".join(rows) or refusal.detail


def add_errors(form: forms.BaseForm, errors: Iterable[dict[str, Any]]) -> None:
    """Show a service's refusals at the fields that they name."""
    for row in errors:
        field = str(row["field"]).split(".")[0]
        form.add_error(field if field in form.fields else None, row["message"])


def for_each(
    view: admin.ModelAdmin[Any],
    request: HttpRequest,
    rows: Iterable[Row],
    act: Callable[[Row], Any],
    done: str,
) -> None:
    """Act on each selected row; show how many worked, and why the others failed."""
    worked = 0
    for row in rows:
        try:
            act(row)
        except Problem as refusal:
            view.message_user(
                request, f"{row}: {refusal_text(refusal)}", messages.ERROR
            )
        else:
            worked += 1
    if worked:
        view.message_user(request, f"{worked} {done}.", messages.SUCCESS)


def show_once(
    view: admin.ModelAdmin[Any],
    request: HttpRequest,
    *,
    what: str,
    secret: str,
    back_url: str,
) -> TemplateResponse:
    """Show a secret on a page that no cache, log or message store keeps."""
    context = view.admin_site.each_context(request) | {
        "title": "Copy it now",
        "what": what,
        "secret": secret,
        "back_url": back_url,
        "opts": view.opts,
    }
    answer = TemplateResponse(request, "admin/secret_once.html", context)
    answer["Cache-Control"] = "no-store"
    return answer
