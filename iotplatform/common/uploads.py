"""Uploaded files: none is received that is longer than any file of ours."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.core.files.uploadhandler import FileUploadHandler

ENVELOPE_BYTES = 1_000_000  # what a form may say beside its file


class UploadTooBig(RequestDataTooBig):
    """The whole form is longer than the longest file."""


class BoundedUploadHandler(FileUploadHandler):
    """Refuses by what the header announces, before anything is kept.

    The view cannot: a form is read for its CSRF token before any view has a say.
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
        if content_length > settings.FIRMWARE_MAX_BYTES + ENVELOPE_BYTES:
            most = settings.FIRMWARE_MAX_BYTES
            raise UploadTooBig(f"The file is too long: at most {most} bytes are taken.")

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes:
        """Hand the piece on."""
        return raw_data

    def file_complete(self, file_size: int) -> None:
        """Another handler keeps the file."""
