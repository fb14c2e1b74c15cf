"""Alarm rules: create, test on the last week, enable, disable, delete."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST

from console.forms.alarm_rules import RuleForm
from console.paging import page_of
from console.scope import ConsoleRequest, page
from iotplatform.common.problems import BadInput
from registry.selectors.products import list_products
from state.selectors.rule_trial import try_rule
from state.selectors.rules import get_rule, list_rules
from state.services.alarms.rules import (
    change_rule,
    create_rule,
    delete_rule,
)

if TYPE_CHECKING:
    from registry.models import Product
    from state.models import AlarmRule


@page
def rules(request: ConsoleRequest) -> HttpResponse:
    """The rules of the shown tenants, the newest first."""
    all_rules = list_rules(tenants=request.scope.tenants)
    found = page_of(request, all_rules)
    context = {
        "headline": _headline(
            all_rules.filter(enabled=True).count(), all_rules.count()
        ),
        "rules": found.rows,
        "next_url": found.next_url,
        "first_url": found.first_url,
        "manageable": {r.pk for r in found.rows if request.scope.manages(r.tenant)},
        "may_write": any(request.scope.manages(row) for row in request.scope.tenants),
    }
    return render(request, "console/rules/list.html", context)


@page
def new_rule(request: ConsoleRequest) -> HttpResponse:
    """Create a rule; it is disabled until somebody enables it."""
    tenants = [row for row in request.scope.tenants if request.scope.manages(row)]
    if not tenants:
        raise request.scope.refusal_to_manage()
    products = list(list_products(tenants=tenants).order_by("tenant__slug", "slug"))
    form = RuleForm(request.POST or None, products=products, is_fixed=False)
    if request.method != "POST" or not form.is_valid():
        return _answer(request, form)
    if "try" in request.POST:
        return _answer(request, form, tried_for=form.chosen())
    try:
        product = form.chosen()
        row = create_rule(
            tenant=product.tenant, product=product, **form.fields_to_save()
        )
    except BadInput as error:
        return _answer(request, _with_errors(form, error))
    messages.success(request, f"The rule “{row.name}” is saved. Enable it to start it.")
    return redirect("console:rules")


@page
def rule(request: ConsoleRequest, rule_id: UUID) -> HttpResponse:
    """One rule: show it, test it on the last week, change it."""
    row = get_rule(tenants=request.scope.all_tenants, rule_id=rule_id)
    may_manage = request.scope.manages(row.tenant)
    if request.method == "POST" and not may_manage:
        raise request.scope.refusal_to_manage([row.tenant])
    names = (*RuleForm.base_fields,)
    initial = {name: getattr(row, name) for name in names if name != "product"}
    form = RuleForm(
        request.POST or None, initial=initial, products=[row.product], is_fixed=True
    )
    context: dict[str, Any] = {"rule": row, "may_manage": may_manage}
    if request.method != "POST" or not form.is_valid():
        return _answer(request, form, **context)
    if "try" in request.POST:
        return _answer(request, form, tried_for=row.product, **context)
    try:
        change_rule(row, by=request.user, **form.fields_to_save())
    except BadInput as error:
        return _answer(request, _with_errors(form, error), **context)
    messages.success(request, f"The rule “{form.cleaned_data['name']}” is changed.")
    return redirect("console:rules")


@require_POST
@page
def act(request: ConsoleRequest, rule_id: UUID, action: str) -> HttpResponse:
    row = get_rule(tenants=request.scope.all_tenants, rule_id=rule_id)
    if not request.scope.manages(row.tenant):
        raise request.scope.refusal_to_manage([row.tenant])
    if action == "delete":
        delete_rule(row, by=request.user)
        messages.success(request, f"The rule “{row.name}” is deleted.")
    elif action in ("enable", "disable"):
        change_rule(row, by=request.user, enabled=action == "enable")
        messages.success(request, f"The rule “{row.name}” is {action}d.")
    else:
        raise Http404(f"There is no action {action}.")
    return redirect("console:rules")


def _answer(
    request: ConsoleRequest,
    form: RuleForm,
    *,
    rule: AlarmRule | None = None,
    may_manage: bool = True,
    tried_for: Product | None = None,
) -> HttpResponse:
    context: dict[str, Any] = {"form": form, "rule": rule, "may_manage": may_manage}
    if tried_for is not None:
        found = try_rule(tried_for, form.trial(), now=timezone.now())
        context["trial"] = found
        context["max_per_day"] = max(day["raises"] for day in found["per_day"])
        context["severity"] = form.cleaned_data["severity"]
    status = 422 if form.errors else 200
    return render(request, "console/rules/rule.html", context, status=status)


def _with_errors(form: RuleForm, error: BadInput) -> RuleForm:
    for row in error.errors:
        field = str(row["field"])
        form.add_error(field if field in form.fields else None, str(row["message"]))
    return form


def _headline(enabled: int, total: int) -> str:
    if not total:
        return "Alarm rules"
    if not enabled:
        return "All alarm rules are disabled"
    rules = "1 active alarm rule" if enabled == 1 else f"{enabled:,} active alarm rules"
    disabled = total - enabled
    return f"{rules}, {disabled:,} disabled" if disabled else rules
