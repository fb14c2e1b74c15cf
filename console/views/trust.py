"""The trust strip, polled by every page."""

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import conditional_page

from console.scope import ConsoleRequest, page
from console.selectors.trust import get_trust


@conditional_page
@page
def trust(request: ConsoleRequest) -> HttpResponse:
    """The strip as it stands; 304 while nothing changed."""
    return render(request, "console/_parts/_trust.html", {"trust": get_trust()})
