"""Whether the devices of a product fit what its schema is about to say."""

from __future__ import annotations

from django.db.models import Count, Min, Q

from iotplatform.common.problems import Conflict
from registry.choices import Lifecycle
from registry.models import Device, Product
from registry.services.device_rules import attribute_errors

SHOWN = 5  # of what is wrong
MOST_UIDS = 20
DOCUMENTS_AT_ONCE = 2_000


class DevicesDoNotFit(Conflict):
    """Devices have attributes that the new schema refuses; some are named."""

    def __init__(self, count: int, uids: list[str], examples: dict[str, str]) -> None:
        shown = "; ".join(f"{uid}: {why}" for uid, why in examples.items())
        message = f"{count} of the product's devices do not fit: {shown}"
        super().__init__(
            "Change those devices first, or force the change: a device that does not"
            " fit then stays as it is, until somebody changes it.",
            errors=[{"field": "attributes_schema", "message": message}],
            devices=count,
            uids=uids,
        )


def refuse_unfit(product: Product) -> None:
    """Hold the devices to the product's schema as it is in memory.

    Raises DevicesDoNotFit. Each document is checked once, however many devices have
    it. Retired devices are history, and may be what they were.
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
