"""Which devices run which firmware: a matrix of versions and products."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from fleet.query.clauses import field_clause
from fleet.selectors.search import search
from iotplatform.common.version_key import version_key
from registry.models import Tenant

# Of devices that are out of service nobody asks what they run.
IN_SERVICE = "NOT lifecycle:retired AND NOT lifecycle:replaced"
MOST_PRODUCTS = 50  # each is one search


@dataclass(frozen=True)
class FirmwareCount:
    """How many devices of a product run a version; ``query`` finds them."""

    product: str
    firmware: str | None  # None: it has reported none
    count: int
    query: str


@dataclass(frozen=True)
class FirmwareMatrix:
    """The counts by product and version; products with the most devices first."""

    products: list[str] = field(default_factory=list)
    versions: list[str | None] = field(default_factory=list)  # the newest first
    counts: list[FirmwareCount] = field(default_factory=list)
    index_lag_seconds: float = 0.0


def get_firmware_matrix(*, tenants: Iterable[Tenant]) -> FirmwareMatrix:
    """Count the devices in service by firmware and product; raises IndexUnavailable.

    From the index, so that each number is the total of its query.
    """
    tenants = list(tenants)
    found = search(tenants=tenants, q=IN_SERVICE, limit=1, facets=["product"])
    products = [str(row["value"]) for row in found.facets["product"]][:MOST_PRODUCTS]
    counts: list[FirmwareCount] = []
    for product in products:
        counts += _of_product(tenants, product)
    versions = {row.firmware for row in counts}
    known = sorted(
        (v for v in versions if v is not None), key=version_key, reverse=True
    )
    ordered: list[str | None] = [*known, *([None] if None in versions else [])]
    return FirmwareMatrix(products, ordered, counts, found.index_lag_seconds)


def _of_product(tenants: list[Tenant], product: str) -> list[FirmwareCount]:
    base = f"{field_clause('product', product).text} AND {IN_SERVICE}"
    found = search(tenants=tenants, q=base, limit=1, facets=["firmware"])
    rows = []
    for row in found.facets["firmware"]:
        version = str(row["value"])
        if version:
            query = f"{field_clause('firmware', version).text} AND {base}"
            rows.append(FirmwareCount(product, version, row["count"], query))
    silent = found.total - sum(row.count for row in rows)
    if silent:
        query = f"{base} AND NOT firmware:*"
        rows.append(FirmwareCount(product, None, silent, query))
    return rows
