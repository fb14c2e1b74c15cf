"""A real SMTP server for tests, which keeps what it gets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller

from tests.waiting import PATIENCE


@dataclass
class MailServer:
    """Answers every recipient with ``answer``; keeps the mails that it takes."""

    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    answer: str = "250 OK"

    @property
    def subjects(self) -> list[str]:
        return [str(mail["Subject"]) for mail in self.mails]

    async def handle_RCPT(
        self, server: Any, session: Any, envelope: Any, address: str, options: Any
    ) -> str:
        if self.answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.answer

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        mail = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        return "250 OK"


class _AnyPort(Controller):
    """Listens on the port that the system gives it, unless it is told one."""

    def _trigger_server(self) -> None:
        assert self.server is not None
        sockets = self.server.sockets  # type: ignore[attr-defined]
        self.port = sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call]


@contextmanager
def receiving_mail(*, port: int = 0) -> Iterator[MailServer]:
    """Listen on the loopback."""
    kept = MailServer()
    controller = _AnyPort(kept, hostname="127.0.0.1", port=port, ready_timeout=PATIENCE)
    controller.start()
    kept.port = controller.port
    try:
        yield kept
    finally:
        controller.stop()
