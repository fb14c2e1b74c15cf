"""Data of the frame around every page: tenants, navigation, platform status."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import SimpleLazyObject, cached_property

from console.auth.openid_connect import is_switched_on
from console.presenters.open_counts import open_counts
from console.presenters.platform_status import PlatformStatus, get_platform_status
from console.scope import ConsoleScope, scope_of
from registry.permissions import Right

if TYPE_CHECKING:
    from console.selectors.open_counts import OpenCounts
    from registry.models import Tenant

# URL name (also the icon), label, prefixes of the paths that belong to the entry
PAGES = (
    ("queue", "Queue", ("/queue/",)),
    ("fleet", "Fleet", ("/fleet/", "/devices/")),
    ("cohorts", "Cohorts", ("/cohorts/", "/policies/")),
    ("jobs", "Jobs", ("/jobs/",)),
    ("commands", "Commands", ("/commands/",)),
    ("alarms", "Alarms", ("/alarms/", "/maintenance/")),
)


# After "g", the letter that goes to the page.
KEYS = {
    "queue": "q",
    "fleet": "f",
    "cohorts": "o",
    "jobs": "j",
    "commands": "c",
    "alarms": "a",
    "incidents": "i",
    "playbooks": "p",
}


@dataclass(frozen=True)
class NavItem:
    label: str
    icon: str
    url: str
    is_here: bool = False
    divided: bool = False
    open_count: int = 0
    key: str = ""  # goes there after "g"


class Shell:
    """The data of the frame, read only when a template uses it."""

    def __init__(self, request: HttpRequest) -> None:
        self._request = request

    @property
    def frame(self) -> str:
        user = getattr(self._request, "user", None)
        signed_in = user is not None and user.is_authenticated
        return "base.html" if signed_in else "gate.html"

    @cached_property
    def scope(self) -> ConsoleScope:
        """The request's scope; it is built here for pages that have none."""
        known = getattr(self._request, "scope", None)
        return known if isinstance(known, ConsoleScope) else scope_of(self._request)

    @property
    def tenants(self) -> list[Tenant]:
        return self.scope.all_tenants

    @property
    def tenant(self) -> Tenant | None:
        return self.scope.tenant

    @property
    def tenant_name(self) -> str:
        """The slug of the chosen tenant, or "all tenants"."""
        return self.scope.tenant.slug if self.scope.tenant else "all tenants"

    @property
    def tenant_links(self) -> list[tuple[str, str, Tenant | None]]:
        """Links that switch the tenant: name, address, tenant; the filters are kept."""
        kept = self._request.GET.copy()
        for name in ("tenant", "cursor", "before", "after"):
            kept.pop(name, None)

        def link(slug: str) -> str:
            state = kept.copy()
            state["tenant"] = slug
            return f"?{state.urlencode()}"

        links: list[tuple[str, str, Tenant | None]] = [("All my tenants", "", None)]
        links += [(row.name, row.slug, row) for row in self.tenants]
        return [(name, link(slug), row) for name, slug, row in links]

    @property
    def administers(self) -> bool:
        """Whether the person manages the members of any tenant."""
        scope = self.scope
        return any(scope.may(Right.ADMINISTER, row.pk) for row in scope.all_tenants)

    @property
    def manages(self) -> bool:
        """Whether the person may change devices and places of any tenant."""
        return any(self.scope.may(Right.MANAGE, row.pk) for row in self.tenants)

    @property
    def has_single_sign_on(self) -> bool:
        """Whether an account of an identity provider can be connected."""
        return is_switched_on()

    @cached_property
    def platform_status(self) -> PlatformStatus:
        known = getattr(self._request, "platform_status", None)
        return known if isinstance(known, PlatformStatus) else get_platform_status()

    @cached_property
    def open_counts(self) -> OpenCounts:
        return open_counts(self.scope)

    @property
    def daily(self) -> list[NavItem]:
        """The pages of every day; the queue says how much is in it."""
        path, count = self._request.path, self.open_counts.queue
        return [
            NavItem(
                label=label,
                icon=name,
                url=reverse(f"console:{name}"),
                is_here=path.startswith(prefixes),
                open_count=count if name == "queue" else 0,
                key=KEYS[name],
            )
            for name, label, prefixes in PAGES
        ]

    @property
    def further(self) -> list[NavItem]:
        """The other pages that the person may open; a phone shows them in a menu."""
        path, user = self._request.path, self._request.user
        url = reverse("console:attention")
        items = [NavItem("Attention", "attention", url, path.startswith(url))]
        url = reverse("console:incidents")
        here, count = path.startswith(url), self.open_counts.incidents
        key = KEYS["incidents"]
        items.append(
            NavItem("Incidents", "incidents", url, here, open_count=count, key=key)
        )
        url = reverse("console:sla-report")
        items.append(NavItem("SLA report", "reports", url, path.startswith(url)))
        url = reverse("console:playbooks")
        here = path.startswith(("/playbooks/", "/playbook-runs/"))
        key = KEYS["playbooks"]
        items.append(NavItem("Playbooks", "playbooks", url, here, key=key))
        if any(self.scope.manages(row) for row in self.tenants):
            url = reverse("console:notification-rules")
            here = path.startswith(url)
            items.append(NavItem("Notifications", "notifications", url, here))
            url = reverse("console:webhooks")
            items.append(NavItem("Webhooks", "webhooks", url, path.startswith(url)))
        url = reverse("console:dead-letters")
        items.append(NavItem("Rejected messages", "letters", url, path.startswith(url)))
        if self.manages:
            url = reverse("console:registry-sites")
            here = path.startswith("/registry/")
            items.append(NavItem("Registry", "registry", url, here))
        if any(self.scope.may(Right.AUDIT, row.pk) for row in self.tenants):
            url = reverse("console:audit")
            items.append(NavItem("Audit log", "audit", url, path.startswith(url)))
        if user.is_superuser:
            url = reverse("console:platform")
            here = path.startswith(url)
            items.append(NavItem("Platform", "platform", url, here, divided=True))
        if user.is_staff:
            url = reverse("admin:index")
            items.append(
                NavItem("Administration", "admin", url, divided=not user.is_superuser)
            )
        return items

    @property
    def pages_with_keys(self) -> list[NavItem]:
        """The pages of the navigation that a key goes to."""
        return [item for item in [*self.daily, *self.further] if item.key]


def console(request: HttpRequest) -> dict[str, Any]:
    """Context processor: ``shell``, lazy, so that other pages cost nothing."""
    return {"shell": SimpleLazyObject(lambda: Shell(request))}
