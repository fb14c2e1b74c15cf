"""What the search is measured beside: indexed PostgreSQL, and significant_terms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.lab import Lab
from bench.risk import timed
from bench.sweep import connect

if TYPE_CHECKING:
    from registry.models import Tenant

TABLE = """
    CREATE UNLOGGED TABLE flat AS
    SELECT d.id, d.tenant_id, d.uid, s.slug AS site, s.region, p.slug AS product,
        d.lifecycle, d.tags, pr.connectivity, pr.disconnects_72h, tw.firmware,
        string_to_array(tw.firmware, '.')::int[] AS version,
        (ts.indexed ->> 'battery')::float AS battery, d.*::text AS rest
    FROM registry_device d JOIN registry_site s ON s.id = d.site_id
    JOIN registry_product p ON p.id = d.product_id
    JOIN state_presence pr ON pr.device_id = d.id
    JOIN state_twin tw ON tw.device_id = d.id
    JOIN state_telemetrysummary ts ON ts.device_id = d.id
"""
INDEXED = "uid site region version battery connectivity disconnects_72h lifecycle"
WHERE = {
    "three predicates": "region = 'Region 7' AND firmware LIKE '1.1.%%'"
    " AND disconnects_72h >= 5",
    "numbers": "battery < 20 AND connectivity = 'online'",
    "a version range": "version >= '{1,1,5}' AND version < '{1,2,3}'",
    "no hit": "site = 'site-3' AND region = 'Region 9'",
    "everything": "true",
}
COLUMNS = ("site", "firmware", "connectivity", "product", "lifecycle")


class Postgres:
    """The same values in one table, with an index on each column."""

    def __init__(self, lab: Lab) -> None:
        self._database = connect(lab)
        self._database.autocommit = True
        self._database.execute(TABLE)
        for column in INDEXED.split():
            self._database.execute(f"CREATE INDEX ON flat ({column})".encode())
        self._database.execute("CREATE INDEX ON flat (firmware text_pattern_ops)")
        self._database.execute("VACUUM ANALYZE flat")

    def ask(self, name: str) -> tuple[int, list[str], dict[str, dict[str, int]]]:
        """Return total, the uids of the first page, and the counts of the facets."""
        among = (
            "FROM flat WHERE tenant_id = (SELECT id FROM registry_tenant"
            f" WHERE slug = 'large') AND {WHERE[name]}"
        )
        total = self._rows(f"SELECT count(*) {among}")[0][0]
        page = self._rows(f"SELECT uid, rest {among} ORDER BY uid LIMIT 50")
        facets = {
            column: self._counts(f"SELECT {column} {among}") for column in COLUMNS
        }
        facets["tags"] = self._counts(f"SELECT unnest(tags) {among}")
        return total, [uid for uid, _ in page], facets

    def _counts(self, values: str) -> dict[str, int]:
        rows = self._rows(
            f"SELECT value, count(*) FROM ({values}) found (value)"
            " GROUP BY value ORDER BY 2 DESC LIMIT 50"
        )
        least = rows[-1][1] if len(rows) == 50 else 0
        return {value: count for value, count in rows if count > least}

    def _rows(self, statement: str) -> list[tuple[Any, ...]]:
        statement = statement.replace("%%", "%")
        return self._database.execute(statement.encode()).fetchall()


def significant_terms(tenant: Tenant, q: str, fields: list[str]) -> float:
    """Return how long Elasticsearch takes for the significant terms of these fields."""
    from fleet.selectors.lag import current_reader
    from fleet.selectors.search import open_search

    found: Any = open_search([tenant], q)
    body = {
        "size": 0,
        "query": found.query.to_dict(),
        "aggs": {f: {"significant_terms": {"field": f}} for f in fields},
    }
    index = current_reader().generation
    return timed(lambda: found.moment.client.search(index=index, body=body))
