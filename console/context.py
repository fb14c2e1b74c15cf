"""What the frame of every page shows: tenants, navigation, the trust strip."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import SimpleLazyObject, cached_property

from console.auth.openid_connect import is_switched_on
from console.presenters.platform_status import Trust, get_trust
from console.scope import Scope, scope_of
from registry.permissions import Right

if TYPE_CHECKING:
    from registry.models import Tenant

# name of the URL, label and icon, prefixes of the paths that belong to it
PAGES = (
    ("fleet", "Fleet", ("/fleet/", "/devices/")),
    ("cohorts", "Cohorts", ("/cohorts/",)),
    ("jobs", "Jobs", ("/jobs/",)),
    ("commands", "Commands", ("/commands/",)),
    ("alarms", "Alarms", ("/alarms/", "/maintenance/")),
)


@dataclass(frozen=True)
class NavItem:
    """One entry of the navigation."""

    label: str
    icon: str
    url: str
    is_here: bool = False
    divided: bool = False


class Shell:
    """The frame's data; nothing is read before a template asks."""

    def __init__(self, request: HttpRequest) -> None:
        self._request = request

    @property
    def frame(self) -> str:
        """The template that an error page stands in."""
        user = getattr(self._request, "user", None)
        signed_in = user is not None and user.is_authenticated
        return "base.html" if signed_in else "gate.html"

    @cached_property
    def scope(self) -> Scope:
        """The page's scope, or the person's where the page has none."""
        known = getattr(self._request, "scope", None)
        return known if isinstance(known, Scope) else scope_of(self._request)

    @property
    def tenants(self) -> list[Tenant]:
        """Every tenant that the person may choose."""
        return self.scope.all_tenants

    @property
    def tenant(self) -> Tenant | None:
        """The chosen one."""
        return self.scope.tenant

    @property
    def tenant_name(self) -> str:
        """The chosen tenant's slug, or what stands for all of them."""
        return self.scope.tenant.slug if self.scope.tenant else "all tenants"

    @property
    def tenant_links(self) -> list[tuple[str, str, Tenant | None]]:
        """The ways to each tenant, and to all; the page's own state is kept."""
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
        """Whether the person manages the people of some tenant."""
        scope = self.scope
        return any(scope.may(Right.ADMINISTER, row.pk) for row in scope.all_tenants)

    @property
    def has_single_sign_on(self) -> bool:
        """Whether an account elsewhere can be connected."""
        return is_switched_on()

    @cached_property
    def trust(self) -> Trust:
        """Whether we listen, and how far behind we are."""
        return get_trust()

    @property
    def daily(self) -> list[NavItem]:
        """The pages of the daily work."""
        path = self._request.path
        return [
            NavItem(
                label=label,
                icon=name,
                url=reverse(f"console:{name}"),
                is_here=path.startswith(prefixes),
            )
            for name, label, prefixes in PAGES
        ]

    @property
    def further(self) -> list[NavItem]:
        """The other pages that this person may open; a phone has them in a menu."""
        path, user = self._request.path, self._request.user
        url = reverse("console:dead-letters")
        items = [NavItem("Dead letters", "letters", url, path.startswith(url))]
        if any(self.scope.may(Right.AUDIT, row.pk) for row in self.tenants):
            url = reverse("console:audit")
            items.append(NavItem("Audit", "audit", url, path.startswith(url)))
        if user.is_superuser:
            url = reverse("console:platform")
            here = path.startswith(url)
            items.append(NavItem("Platform", "platform", url, here, divided=True))
        if user.is_staff:
            url = reverse("admin:index")
            items.append(
                NavItem("Registry", "admin", url, divided=not user.is_superuser)
            )
        return items


def console(request: HttpRequest) -> dict[str, Any]:
    """Context processor: ``shell``, read lazily, so that other pages pay nothing."""
    return {"shell": SimpleLazyObject(lambda: Shell(request))}
