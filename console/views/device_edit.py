"""Add a device, or edit one: the form follows the schema of the chosen product."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from console.forms.devices import AttributesForm, DeviceForm
from console.forms.fields import errors_of, refuse
from console.scope import ConsoleRequest, page
from console.views.device import find
from iotplatform.common.problems import Conflict, Problem
from registry.permissions import Right
from registry.selectors.products import list_products
from registry.services.devices import DeviceDraft, register_device, update_device

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry.models import Device, Product, Tenant

MANAGE = Right.MANAGE


@page
def new(request: ConsoleRequest) -> HttpResponse:
    """Choose a product, then fill in a device of it.

    The address may bring values along, such as the gateway of a new child.
    """
    tenants = [t for t in request.scope.tenants if request.scope.may(MANAGE, t.pk)]
    if not tenants:
        raise request.scope.refusal(MANAGE)
    products = _products(tenants)
    product = products.get(request.GET.get("product", ""))
    if product is None:
        return _draw(request, products, None, None)
    (tenant,) = (row for row in tenants if row.pk == product.tenant_id)
    data = request.POST if request.method == "POST" else None
    form = DeviceForm(data, tenants=[tenant])
    form.initial = {**form.initial, "kind": product.kind, **_brought(request, form)}
    attributes = AttributesForm(data, product=product, present=None)
    if data is not None and form.is_valid() & attributes.is_valid():
        values = form.values() | {"attributes": attributes.document()}
        gateway = values.pop("gateway", None)
        draft = DeviceDraft(
            product=product, gateway=gateway.uid if gateway else None, **values
        )
        try:
            made = register_device(tenant=tenant, draft=draft, actor=request.user)
        except (Problem, ValidationError) as error:
            _refuse(form, attributes, error)
        else:
            messages.success(request, f"The device {made.uid} is registered.")
            return redirect("console:device", made.uid)
    return _draw(request, products, form, attributes, product=product)


@page
def edit(request: ConsoleRequest, uid: str) -> HttpResponse:
    """Change a device; another product in the address brings its attributes."""
    found = find(request, uid)
    request.scope.require(MANAGE, found.tenant_id)
    products = _products([found.tenant])
    chosen = request.GET.get("product", "")
    product = products.get(chosen) or found.product
    data = request.POST if request.method == "POST" else None
    form = DeviceForm(data, tenants=[found.tenant], row=found)
    attributes = AttributesForm(data, product=product, present=found.attributes)
    if data is not None and form.is_valid() & attributes.is_valid():
        changes = form.values() | {"attributes": attributes.document()}
        if product.pk != found.product_id:
            changes["product"] = product
        try:
            update_device(found, changes=changes)
        except (Problem, ValidationError) as error:
            _refuse(form, attributes, error)
        else:
            messages.success(request, f"The device {uid} is changed.")
            return redirect("console:device", uid)
    return _draw(request, products, form, attributes, product=product, device=found)


def _products(tenants: Sequence[Tenant]) -> dict[str, Product]:
    """Return the products by tenant and slug, as the address names them."""
    rows = list_products(tenants=tenants).order_by("tenant__slug", "slug")
    return {f"{row.tenant.slug}/{row.slug}": row for row in rows}


def _brought(request: ConsoleRequest, form: DeviceForm) -> dict[str, str]:
    names = request.GET.keys() & form.fields.keys()
    return {name: request.GET[name] for name in names}


def _refuse(
    form: DeviceForm, attributes: AttributesForm, error: Problem | ValidationError
) -> None:
    """Show each refusal of the service at the field that it names."""
    own: dict[str, list[str]] = {}
    for name, texts in errors_of(error).items():
        head, _, path = name.partition(".")
        if head != "attributes":
            own[name] = texts
            continue
        for text in texts:
            attributes.refuse(path, text)
    refuse(form, own)
    form.status = 409 if isinstance(error, Conflict) else 422


def _draw(
    request: ConsoleRequest,
    products: dict[str, Product],
    form: DeviceForm | None,
    attributes: AttributesForm | None,
    *,
    product: Product | None = None,
    device: Device | None = None,
) -> HttpResponse:
    back = reverse("console:device", args=[device.uid]) if device else ""
    is_wrong = form and attributes and (form.errors or attributes.errors)
    context: dict[str, Any] = {
        "products": [
            (key, row.pk == getattr(product, "pk", 0)) for key, row in products.items()
        ],
        "product": product,
        "form": form,
        "attributes": attributes,
        "device": device,
        "is_wrong": is_wrong,
        "kept": [pair for pair in request.GET.items() if pair[0] != "product"],
        "back_url": back or reverse("console:fleet"),
    }
    status = form.status if form else 200
    if is_wrong and status == 200:
        status = 422
    return render(request, "console/registry/device.html", context, status=status)
