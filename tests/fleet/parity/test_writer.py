"""Writing to Elasticsearch: late batches lose, a busy node is waited for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.request import Request, urlopen

import pytest

from fleet.backends import elastic_search, elastic_writer
from fleet.backends.documents import FleetDocument
from fleet.backends.elastic_engine import ElasticEngine
from fleet.backends.engine import IndexFault, Turn
from fleet.fields import BY_NAME
from fleet.query.tree import All
from tests.fleet.both_engines import elastic_engine, elasticsearch_url
from tests.fleet.parity.engines import opened


@pytest.fixture
def elastic() -> Iterator[ElasticEngine]:
    with elastic_engine() as engine:
        yield engine


def named(number: int, name: str) -> FleetDocument:
    return FleetDocument(number, 1, {"uid": f"dev-{number}", "name": name})


def names_in(elastic: ElasticEngine, generation: str) -> dict[int, str]:
    elastic.swap_to(generation)
    found = elastic.reader().stored_documents([1, 2, 3])
    return {device_id: rows[0]["name"] for device_id, rows in found.items()}


def test_a_batch_of_an_earlier_turn_neither_overwrites_nor_brings_back(
    elastic: ElasticEngine,
) -> None:
    generation = elastic.new_generation()
    first = elastic.writer(generation, Turn(epoch=1))
    second = elastic.writer(generation, Turn(epoch=2))
    first.put([named(1, "old"), named(2, "old"), named(3, "old")])
    second.put([named(1, "new")])
    second.remove([2])

    for number in (1, 2):
        with pytest.raises(IndexFault, match="version_conflict"):
            first.put([named(number, "late")])
    with pytest.raises(IndexFault, match="version_conflict"):
        first.remove([1])
    second.commit()

    assert names_in(elastic, generation) == {1: "new", 3: "old"}


def test_a_batch_may_be_sent_twice_and_a_dropped_generation_stays_away(
    elastic: ElasticEngine,
) -> None:
    generation = elastic.new_generation()
    writer = elastic.writer(generation, turn := Turn(epoch=1))
    writer.put([named(1, "once")])
    turn.batch -= 1
    writer.put([named(1, "twice")])
    writer.commit()
    assert names_in(elastic, generation) == {1: "twice"}

    elastic.drop(generation)
    with pytest.raises(IndexFault):
        writer.put([named(1, "late")])

    assert not elastic.client.indices.exists(index=generation)


def test_a_turn_that_is_over_is_noticed_before_a_request(
    elastic: ElasticEngine,
) -> None:
    def over() -> None:
        raise IndexFault("over")

    writer = elastic.writer(elastic.new_generation(), Turn(1, over))

    with pytest.raises(IndexFault, match="over"):
        writer.put([named(1, "late")])
    with pytest.raises(IndexFault, match="over"):
        writer.commit()


def test_what_is_held_stays_as_it_was_while_others_write(
    elastic: ElasticEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(elastic_search, "MOST_HITS", 2)
    generation = elastic.new_generation()
    writer = elastic.writer(generation, Turn(epoch=1))
    writer.put([named(number, "one") for number in range(1, 6)])
    writer.commit()
    elastic.swap_to(generation)
    before = opened(elastic.reader(), All())
    held = before.same_moment(before.compiler.for_tenants(All(), {1: None}))

    writer.put([named(number, "two") for number in range(4, 9)])
    writer.remove([1])
    writer.commit()

    for search in (before, held):
        assert search.count() == 5
        assert search.device_ids() == [1, 2, 3, 4, 5]
        page = search.page(BY_NAME["name"], descending=True, after=None, limit=3)
        rest = search.page(BY_NAME["name"], descending=True, after=page.last, limit=3)
        assert [d["uid"] for d in page.documents] == ["dev-1", "dev-2", "dev-3"]
        assert [d["uid"] for d in rest.documents] == ["dev-4", "dev-5"]
    assert opened(elastic.reader(), All()).device_ids() == list(range(2, 9))


def test_a_busy_node_gets_the_same_documents_again(
    elastic: ElasticEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(elastic_writer, "WAITS_SECONDS", (0.01, 0.01))
    generation = elastic.new_generation()

    with busy_node(refusals=2) as url:
        through = ElasticEngine(url, alias=elastic.alias)
        writer = through.writer(generation, Turn(epoch=1))
        writer.put([named(1, "once"), named(2, "once")])
        writer.commit()
    assert names_in(elastic, generation) == {1: "once", 2: "once"}

    with busy_node(refusals=3) as url:
        through = ElasticEngine(url, alias=elastic.alias)
        with pytest.raises(IndexFault, match="too busy for 1 documents"):
            through.writer(generation, Turn(epoch=1)).put([named(3, "late")])


class busy_node:
    """The node behind a proxy that refuses the first bulk requests with 429."""

    def __init__(self, refusals: int) -> None:
        left = [refusals]

        class Proxy(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"] or 0))
                if "_bulk" in self.path and left[0]:
                    left[0] -= 1
                    self._answer(429, b'{"error":"busy","status":429}')
                else:
                    self._forward(body)

            do_PUT = do_POST

            def do_GET(self) -> None:
                self._forward(None)

            def _forward(self, body: bytes | None) -> None:
                url = elasticsearch_url() + self.path
                kept = {k: v for k, v in self.headers.items() if k != "Host"}
                request = Request(url, body, kept, method=self.command)
                with urlopen(request) as answer:
                    self._answer(answer.status, answer.read())

            def _answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("X-Elastic-Product", "Elasticsearch")
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)

    def __enter__(self) -> str:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
