"""The page that confirms an action on the rows chosen in a list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME, AdminForm
from django.contrib.admin.widgets import AdminTextInputWidget
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.response import TemplateResponse

from iotplatform.common.problems import Problem
from registry.admin.shared.base import add_errors

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin

MOST = 10_000  # rows of one request; for more, use the fleet page or REST
SHOWN = 20  # names of chosen rows: as many as a person reads


class ReasonForm(forms.Form):
    """The reason of an action."""

    reason = forms.CharField(
        max_length=500,
        widget=AdminTextInputWidget,
        help_text="Kept in the history of each device.",
    )


class Confirmation:
    """Shows the chosen rows and the consequences, and asks for missing values.

    Rows chosen across pages are read again when the person confirms. If their number
    has changed by then, the page reports it and does not act.
    """

    def __init__(
        self,
        view: ModelAdmin[Any],
        request: HttpRequest,
        rows: QuerySet[Any],
        *,
        form: type[forms.Form],
        consequences: Sequence[str] = (),
        most: int = MOST,
    ) -> None:
        self.view, self.request = view, request
        self.consequences = consequences
        self.ids = list(rows.order_by("pk").values_list("pk", flat=True)[: most + 1])
        self.rows = rows
        is_answer = "confirmed" in request.POST
        self.form = form(request.POST) if is_answer else form()
        self.too_many = most if len(self.ids) > most else 0

    def is_given(self) -> bool:
        """Whether the person has confirmed with valid values."""
        if self.too_many or not self.form.is_bound or not self.form.is_valid():
            return False
        if self.request.POST["confirmed"] != str(len(self.ids)):
            text = (
                f"There were {self.request.POST['confirmed']} when you looked, now"
                f" there are {len(self.ids)}. Check the list, then confirm."
            )
            self.form.add_error(None, text)
            return False
        return True

    def refuse(self, refusal: Problem) -> TemplateResponse:
        """Show the page again, with a service's refusal at the field it names."""
        if refusal.errors:
            add_errors(self.form, refusal.errors)
        else:
            self.form.add_error(None, refusal.detail)
        return self.page()

    def say(self, field: str, message: str) -> TemplateResponse:
        """Show the page again, with an error at a field."""
        self.form.add_error(field, message)
        return self.page()

    def page(self) -> TemplateResponse:
        action = self.request.POST.get("action", "")
        fields = list(self.form.fields)
        fieldsets: Any = [(None, {"fields": fields})]
        context = (
            self.view.admin_site.each_context(self.request)
            | {
                "title": self._title(action),
                "opts": self.view.opts,
                "media": self.view.media + self.form.media,
                "adminform": AdminForm(
                    self.form,  # type: ignore[arg-type]  # any form can be drawn so
                    fieldsets,
                    {},
                    model_admin=self.view,
                ),
                "errors": self.form.non_field_errors() if self.form.is_bound else [],
                "consequences": self.consequences,
                "names": [str(row) for row in self.rows.order_by("pk")[:SHOWN]],
                "count": len(self.ids),
                "more": max(0, len(self.ids) - SHOWN),
                "too_many": self.too_many,
                "checkbox": ACTION_CHECKBOX_NAME,
                "selected": self._selected(),
                "action": action,
                "is_across": self._is_across,
            }
        )
        return TemplateResponse(self.request, "admin/registry/confirm.html", context)

    def _title(self, name: str) -> str:
        action = self.view.get_actions(self.request)[name]
        return action[2] if action else name

    @property
    def _is_across(self) -> bool:
        return self.request.POST.get("select_across") == "1"

    def _selected(self) -> list[str]:
        chosen = self.request.POST.getlist(ACTION_CHECKBOX_NAME)
        return chosen[:1] if self._is_across else chosen
