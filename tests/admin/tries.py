"""A person tries everything that the admin offers; deviations are collected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from tests.admin.forms import Body
from tests.admin.parts import World
from tests.admin.roles import Part
from tests.isolation.walk import everything_of

COUNTED = "tries of a role at the admin"
REFUSED = {302, 403, 404}


@dataclass
class Try:
    """A form to send, whether it is allowed, and how to see that it worked."""

    what: str
    url: str
    sent: Body
    is_allowed: bool
    is_done: Callable[[], bool]


@contextmanager
def undone() -> Iterator[None]:
    """Undo everything that is done inside."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


class Tries:
    """The attempts of one person."""

    def __init__(self, world: World, name: str, counted: Counter[str]) -> None:
        self.world = world
        self.person = world.people[name]
        self.counted = counted
        self.wrong: list[Any] = []

    def report(self) -> str:
        """Return the deviations, one line each."""
        return "\n".join(str(one) for one in self.wrong)

    def ask(self, what: str, url: str, sent: Body | None = None) -> Any:
        """Request a page or send a form; no server error, nothing of others shown."""
        client: Any = self.person.client
        answer = client.get(url) if sent is None else client.post(url, sent)
        self.counted[COUNTED] += 1
        text = answer.getvalue().decode(errors="replace") + str(answer.headers)
        answer.text_read = text  # a stream is read once
        if answer.status_code >= 500:
            self.wrong.append((what, url, sent, answer.status_code))
        if self.world.tells(self.person, text):
            self.wrong.append((what, url, sent, "tells of others"))
        return answer

    def look(self, what: str, url: str, expected: bool) -> Any:
        """Open a page: it exists, or the person is refused."""
        answer = self.ask(what, url)
        status = answer.status_code
        if status != 200 if expected else status not in REFUSED:
            self.wrong.append((what, url, status, "expected" if expected else ""))
        return answer

    def write(self, tries: list[Try]) -> None:
        """Send each form: it works where allowed, never on rows of other tenants."""
        with undone():
            for one in tries:
                answer = self.ask(one.what, one.url, one.sent)
                if one.is_done() != one.is_allowed:
                    status, errors = answer.status_code, errors_of(answer)
                    self.wrong.append((one.what, one.url, one.sent, status, errors))
            what = f"{tries[0].what} {tries[0].url}" if tries else ""
            self.compare(what, self.world.theirs)
            if not any(one.is_allowed for one in tries):
                self.compare(what, self.world.near)

    def compare(self, what: str, *parts: Part) -> None:
        """Check that the rows of these tenants are unchanged."""
        if self.person.is_superuser:
            return
        for part in parts:
            before, after = self.world.before(part), everything_of(part.rows)
            for table in before.keys() | after.keys():
                if before.get(table) != after.get(table):
                    changed = {*before.get(table, ())} ^ {*after.get(table, ())}
                    self.wrong.append((what, "changed", table, changed))


def errors_of(answer: Any) -> Any:
    """Return the error messages of an answer, for the report."""
    context = getattr(answer, "context", None) or {}
    form = context["adminform"].form if "adminform" in context else None
    errors = (
        [str(message) for message in context.get("messages", ())] if context else []
    )
    return (form.errors.as_json() if form is not None else "", errors)
