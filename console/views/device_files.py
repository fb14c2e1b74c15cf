"""A file that a device uploaded, as text with a search."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import render

from commands.selectors.commands import get_command
from commands.selectors.files import get_file, read_file
from console.presenters.file_text import present_file
from console.scope import ConsoleRequest, page

LONGEST_QUERY = 200


@page
def file(request: ConsoleRequest, command_id: UUID, file_id: UUID) -> HttpResponse:
    """Show the lines of a file, or those that contain ``q``."""
    command = get_command(tenants=request.scope.all_tenants, public_id=command_id)
    found = get_file(command, file_id)
    query = request.GET.get("q", "").strip()[:LONGEST_QUERY]
    context = {
        "command": command,
        "file": found,
        "text": present_file(read_file(found), query),
    }
    return render(request, "console/commands/file.html", context)
