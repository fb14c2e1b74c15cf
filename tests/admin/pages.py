"""Pages of the admin: their addresses, and what opening one costs."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.db import connection
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from tests.admin.rows import FullRows
from tests.factories import UserFactory

STAMP = re.compile(r"SELECT set_config\([^;]*(; *|$)")

# pytest loads this before its session starts if it is asked for tests of the admin.
admin.autodiscover()
MODELS: list[Any] = sorted(admin.site._registry, key=lambda model: str(model._meta))


def url_of(model: Any, page: str, *args: Any) -> str:
    """Return the address of a page of a model's admin."""
    meta = model._meta
    return reverse(f"admin:{meta.app_label}_{meta.model_name}_{page}", args=args)


def addresses(world: FullRows) -> dict[str, str]:
    """Return every page by its name, the pages of one row about the world's."""
    request = RequestFactory().get("/admin/")
    request.user = UserFactory.build(is_superuser=True)
    found = {}
    for model in MODELS:
        page, label = admin.site._registry[model], model._meta.label
        found[f"list of {label}"] = url_of(model, "changelist")
        if page.get_search_fields(request):
            found[f"search of {label}"] = url_of(model, "changelist") + "?q=x"
        if page.has_add_permission(request):
            found[f"add {label}"] = url_of(model, "add")
        row = world.made.get(model) or model.objects.order_by("pk").first()
        found[f"change {label}"] = url_of(model, "change", row.pk)
        found[f"history of {label}"] = url_of(model, "history", row.pk)
        if page.has_delete_permission(request, row):
            found[f"delete {label}"] = url_of(model, "delete", row.pk)
    return found


@dataclass
class Opened:
    """What came of opening a page."""

    status: int
    text: str
    queries: list[str] = field(default_factory=list)
    answer: Any = None

    @property
    def cost(self) -> int:
        """How many statements it took."""
        return len(self.queries)

    @property
    def selects(self) -> list[Select]:
        """Every select of the page."""
        parser = _Selects()
        parser.feed(self.text)
        return parser.found


def open_page(client: Client, url: str) -> Opened:
    """Open a page, and note the statements that it took."""
    with CaptureQueriesContext(connection) as captured:
        answer = client.get(url)
    statements = [str(row["sql"]) for row in captured.captured_queries]
    queries = [sql for sql in statements if _is_of_page(sql)]
    return Opened(answer.status_code, answer.content.decode(), queries, answer)


def _is_of_page(sql: str) -> bool:
    """Whether it is more than what a transaction begins and ends with.

    The tenant stamp is sent in front of a transaction's first statement.
    """
    statement = STAMP.sub("", sql)
    return bool(statement) and not statement.startswith(("SAVEPOINT", "RELEASE"))


@dataclass
class Select:
    """A field of a page that one chooses from."""

    name: str
    options: int = 0
    searches: str = ""  # the URL that it loads its options from


class _Selects(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[Select] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "select":
            names = ("app-label", "model-name", "field-name")
            about = {n.replace("-", "_"): given.get(f"data-{n}") for n in names}
            url = str(given.get("data-ajax--url") or "")
            self.found.append(
                Select(
                    str(given.get("name")),
                    searches=f"{url}?{urlencode(about)}" if url else "",
                )
            )
        elif tag == "option":
            self.found[-1].options += 1
