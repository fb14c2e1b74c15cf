"""Checks whether the devices of a product match its new schema."""

from __future__ import annotations

from django.db.models import Count, Min, Q

from iotplatform.common.problems import Conflict
from registry.choices import Lifecycle
from registry.models import Device, Product
from registry.services.device_rules import attribute_errors

SHOWN = 5  # examples of errors
MOST_UIDS = 20
DOCUMENTS_AT_ONCE = 2_000


class DevicesDoNotFit(Conflict):
    """Devices have attributes that the new schema refuses; names some of them."""

    def __init__(self, count: int, uids: list[str], examples: dict[str, str]) -> None:
        shown = "; ".join(f"{uid}: {why}" for uid, why in examples.items())
        message = f"{count} of the product's devices do not match: {shown}"
        super().__init__(
            "Change those devices first, or force the change: devices that do not match"
            " then stay as they are until somebody changes them.",
            errors=[{"field": "attributes_schema", "message": message}],
            devices=count,
            uids=uids,
        )


def refuse_unfit(product: Product) -> None:
    """Check the devices against the product's schema in memory.

    Raises DevicesDoNotFit. Each document is checked once, however many devices have
    it. Retired devices are not checked.
    """
    rows = Device.objects.filter(product=product).exclude(lifecycle=Lifecycle.RETIRED)
    documents = rows.values("attributes").annotate(count=Count("pk"), uid=Min("uid"))
    unfit, wrong = 0, Q()
    examples: dict[str, str] = {}
    for row in documents.order_by("uid").iterator(chunk_size=DOCUMENTS_AT_ONCE):
        if errors := attribute_errors(product, row["attributes"]):
            unfit += row["count"]
            if len(examples) < SHOWN:
                wrong |= Q(attributes=row["attributes"])
                examples[row["uid"]] = f"{errors[0]['field']}: {errors[0]['message']}"
    if unfit:
        uids = rows.filter(wrong).order_by("uid").values_list("uid", flat=True)
        raise DevicesDoNotFit(unfit, list(uids[:MOST_UIDS]), examples)
