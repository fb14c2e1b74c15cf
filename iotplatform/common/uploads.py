"""Refuse uploads that are longer than the longest allowed file."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.core.files.uploadhandler import FileUploadHandler

ENVELOPE_BYTES = 1_000_000  # for the other fields of the form


def longest_body() -> int:
    """Return the bytes that the body of any request may have."""
    return int(settings.FIRMWARE_MAX_BYTES) + ENVELOPE_BYTES


class UploadTooBig(RequestDataTooBig):
    """The whole form is longer than the longest file."""


class BoundedUploadHandler(FileUploadHandler):
    """Refuses a form by its Content-Length, before anything is stored.

    A view cannot do that: the form is read for its CSRF token before any view runs.
    """

    def handle_raw_input(
        self,
        input_data: Any,
        META: dict[str, str],
        content_length: int,
        boundary: str,
        encoding: str | None = None,
    ) -> None:
        """Raise UploadTooBig, or leave the form to the other handlers."""
        if content_length > longest_body():
            most = settings.FIRMWARE_MAX_BYTES
            raise UploadTooBig(f"The file is too long: at most {most} bytes.")

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes:
        return raw_data

    def file_complete(self, file_size: int) -> None:
        """Leave the file to another handler."""
