"""Which devices run which firmware: each number is a search."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.shortcuts import render

from console.presenters.search_results import fleet_url
from console.scope import ConsoleRequest, page
from fleet.exceptions import IndexUnavailable
from fleet.selectors.firmware import FirmwareMatrix, get_firmware_matrix


@page
def firmware(request: ConsoleRequest) -> HttpResponse:
    """The matrix of versions and products."""
    try:
        found = get_firmware_matrix(tenants=request.scope.tenants)
    except IndexUnavailable as error:
        context: dict[str, Any] = {"detail": error.detail}
        return render(request, "console/fleet/unavailable.html", context, status=503)
    context = {"matrix": found, "rows": _rows(found)}
    return render(request, "console/firmware/page.html", context)


def _rows(found: FirmwareMatrix) -> list[dict[str, Any]]:
    """Return a row for each version, with a cell for each product; None: no device."""
    cells = {
        (row.product, row.firmware): {"count": row.count, "url": fleet_url(q=row.query)}
        for row in found.counts
    }
    return [
        {
            "version": version,
            "cells": [cells.get((product, version)) for product in found.products],
        }
        for version in found.versions
    ]
