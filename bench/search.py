"""How fast the fleet is searched, indexed and kept fresh, at 1,000,000 documents.

Beside the embedded index stand PostgreSQL, with the same values in one table and an
index on every column that a query names, and Elasticsearch, if ELASTICSEARCH_URL names
one. Each engine answers the same queries, and must find the same before it is measured.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.as_of import at_share
from bench.lab import BASE, Lab, open_lab
from bench.report import Figure, write_report
from bench.risk import timed
from bench.search_fresh import time_lag, time_outbox
from bench.search_rivals import Postgres, significant_terms
from bench.sweep import connect

if TYPE_CHECKING:
    from registry.models import Tenant

QUERIES = {
    "three predicates": 'region:"Region 7" AND firmware:1.1.* AND disconnects_72h:>=5',
    "numbers": "battery:<20 AND connectivity:online",
    "a version range": "firmware:>=1.1.5 AND firmware:<1.2.3",
    "no hit": 'site:site-3 AND region:"Region 9"',
    "everything": "*",
}
FACETS = ["site", "firmware", "connectivity", "product", "lifecycle", "tags"]
MANY_IDS = "battery:<=12"  # some 13 of 101 devices have it
TRAITS = "connectivity:offline AND firmware:1.1.*"
CHANGED_SHARE = 20  # one device in so many is changed, so that the index has deletions


def main() -> None:
    """Measure and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    elastic = os.environ.pop("ELASTICSEARCH_URL", "")
    with open_lab() as lab:
        lab.load_django()
        fill(lab, options.devices)
        report(lab, options.devices, options.rounds, elastic)


def report(lab: Lab, devices: int, rounds: int, elastic: str) -> None:
    """Measure in one lab and write the report."""
    from iotplatform.common.tenant_scope import as_tenants
    from registry.models import Tenant

    rebuild = time_rebuild()
    change_some()
    postgres = Postgres(lab)
    tenant = Tenant.objects.get(slug="large")
    with as_tenants([tenant.pk]):
        answers = {name: ask(tenant, q) for name, q in QUERIES.items()}
        check(answers, postgres, "PostgreSQL")
        ours = time_queries(tenant, rounds)
        kept = [timed(lambda: ask(tenant, "*")) for _ in range(rounds)]
        ids = [timed(lambda: find_ids(tenant)) for _ in range(rounds)]
        traits = statistics.median(timed(lambda: find(tenant)) for _ in range(3))
    theirs = {
        name: statistics.median(timed(partial(postgres.ask, name)) for _ in range(5))
        for name in QUERIES
    }
    figures = [
        *rebuild,
        *query_figures("embedded", ours),
        Figure("the landing page, kept, p95", at_share(sorted(kept), 0.95) * 1e3, "ms"),
        Figure("120,000 of 1,000,000 ids, median", statistics.median(ids) * 1e3, "ms"),
        Figure("traits", traits, "s"),
        *(Figure(f"PostgreSQL: {n}", s * 1e3, "ms") for n, s in theirs.items()),
    ]
    figures += [*time_lag(lab), *time_outbox(lab, tenant)]
    if elastic:
        figures += with_elasticsearch(elastic, tenant, rounds)
    middle = statistics.median([s for found in ours.values() for s in found])
    write_report(
        "search",
        figures=figures,
        ratio=statistics.median(theirs.values()) / middle,
        baseline="indexed PostgreSQL",
        data_dir=Path(os.environ.get("BENCH_DIR", BASE / "var")),
        notes={"devices": devices, "load_average": os.getloadavg()[0]},
    )


def fill(lab: Lab, devices: int) -> None:
    """Insert the fleet, and what its devices report."""
    with connect(lab) as database:
        for name in ("many.sql", "search.sql"):
            script = (Path(__file__).parent / name).read_text()
            script = script.replace("%(count)s", str(devices)).replace("%%", "%")
            database.execute(script.encode())
    with connect(lab) as database:
        database.autocommit = True
        database.execute("VACUUM ANALYZE")


def time_rebuild() -> list[Figure]:
    """Build the index in a process of its own; return its rate and its memory."""
    from django.db import connections

    connections.close_all()
    started = time.perf_counter()
    if not (pid := os.fork()):
        try:
            build_here()
            os._exit(0)
        finally:
            os._exit(1)
    _, status, used = os.wait4(pid, 0)
    if status:
        raise SystemExit("The rebuild failed.")
    seconds = time.perf_counter() - started
    documents = count_documents()
    processor = used.ru_utime + used.ru_stime
    return [
        Figure("rebuild", documents / seconds, "documents/s"),
        Figure("rebuild, processor time", processor / documents * 1e6, "us/document"),
        Figure("rebuild, memory", used.ru_maxrss / 1e3, "MB"),
    ]


def count_documents() -> int:
    from fleet.models import IndexState

    return IndexState.objects.get().documents


def change_some() -> None:
    """Index some devices again, so that the index has deleted documents."""
    from django.conf import settings
    from django.db import connection

    from fleet.services.indexing import Indexer, writer_lock

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM registry_device WHERE id %% %s = 0", [CHANGED_SHARE]
        )
        ids = [pk for (pk,) in cursor.fetchall()]
    with writer_lock():
        indexer = Indexer(settings.INDEX_DIR)
        indexer.open()
        for begin in range(0, len(ids), 5_000):
            indexer.index_devices(ids[begin : begin + 5_000])
        indexer.close()


def ask(tenant: Tenant, q: str) -> Any:
    """Search as the API does: a page of 50 and six facets."""
    from fleet.selectors.search import search

    return search(tenants=[tenant], q=q, limit=50, facets=FACETS)


def find_ids(tenant: Tenant) -> int:
    from fleet.selectors.search import open_search

    return len(open_search([tenant], MANY_IDS).device_ids())


def find(tenant: Tenant) -> Any:
    from fleet.selectors.traits import find_traits

    return find_traits(tenants=[tenant], q=TRAITS)


def time_queries(tenant: Tenant, rounds: int) -> dict[str, list[float]]:
    """Return how long each query takes when its answer is not kept."""
    durations: dict[str, list[float]] = {name: [] for name in QUERIES}
    for _ in range(rounds):
        for name, q in QUERIES.items():
            forget_answers()
            durations[name].append(timed(partial(ask, tenant, q)))
    return durations


def forget_answers() -> None:
    """Do what a commit does to the answers that are kept."""
    from fleet.backends.kept_answers import KeptAnswers
    from fleet.backends.tantivy_index import readers

    for reader in readers._open.values():
        reader.answers = KeptAnswers()


def check(answers: dict[str, Any], rival: Any, whose: str) -> None:
    """Exit unless another engine finds the same."""
    for name, ours in answers.items():
        theirs = rival.ask(name)
        found = (ours.total, [row["uid"] for row in ours.results], counts_of(ours))
        if found != theirs:
            raise SystemExit(f"{name}: {whose} finds {theirs[0]}, we {ours.total}.")


def counts_of(answer: Any) -> dict[str, dict[str, int]]:
    """Return the counts of the most frequent values; ties may end a facet anywhere."""
    counts = {}
    for name, rows in answer.facets.items():
        least = rows[-1]["count"] if len(rows) == 50 else 0
        counts[name] = {r["value"]: r["count"] for r in rows if r["count"] > least}
    return counts


def query_figures(engine: str, found: dict[str, list[float]]) -> list[Figure]:
    every = sorted(seconds for part in found.values() for seconds in part)
    return [
        Figure(f"{engine}: page and facets, p50", at_share(every, 0.5) * 1e3, "ms"),
        Figure(f"{engine}: page and facets, p95", at_share(every, 0.95) * 1e3, "ms"),
        *(
            Figure(f"  {engine}: {name}, median", statistics.median(part) * 1e3, "ms")
            for name, part in found.items()
        ),
    ]


def with_elasticsearch(url: str, tenant: Tenant, rounds: int) -> list[Figure]:
    """Build the same index in Elasticsearch, compare its answers and measure."""
    from django.test import override_settings

    from fleet.backends.choice import current_engine
    from iotplatform.common.tenant_scope import as_tenants

    with as_tenants([tenant.pk]):
        answers = {name: ask(tenant, q) for name, q in QUERIES.items()}
    with override_settings(ELASTICSEARCH_URL=url, ELASTICSEARCH_INDEX="iot-bench"):
        built = timed(build_here)
        try:
            with as_tenants([tenant.pk]):
                for name, q in QUERIES.items():
                    theirs, ours = ask(tenant, q), answers[name]
                    if (theirs.total, theirs.results, theirs.facets) != (
                        *(ours.total, ours.results, ours.facets),
                    ):
                        raise SystemExit(f"{name}: Elasticsearch finds something else.")
                found = time_queries(tenant, rounds)
                traits = significant_terms(tenant, TRAITS, FACETS)
                ids = statistics.median(
                    timed(lambda: find_ids(tenant)) for _ in range(5)
                )
        finally:
            current_engine().drop_others()
    return [
        Figure("Elasticsearch: rebuild", count_documents() / built, "documents/s"),
        *query_figures("Elasticsearch", found),
        Figure("Elasticsearch: 120,000 ids", ids * 1e3, "ms"),
        Figure("Elasticsearch: significant_terms", traits, "s"),
    ]


def build_here() -> None:
    from django.conf import settings

    from fleet.services.indexing import Indexer, writer_lock

    with writer_lock():
        indexer = Indexer(settings.INDEX_DIR)
        indexer.open()
        indexer.close()


if __name__ == "__main__":
    main()
