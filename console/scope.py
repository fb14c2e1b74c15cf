"""The tenants that a person works in, and what they may do there."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any, Protocol

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponseBase
from django.utils.functional import cached_property
from django.views.decorators.vary import vary_on_headers

from iotplatform.common.problems import Forbidden, NotFound
from registry.permissions import Right, may, tenants_where
from registry.selectors.people import list_administrators

if TYPE_CHECKING:
    from django_htmx.middleware import HtmxDetails

    from console.presenters.platform_status import PlatformStatus
    from registry.models import Tenant, User

SESSION_KEY = "tenant"


class NotAllowed(PermissionDenied):
    """A right is missing; ``helpers`` are people of the tenant who can give it."""

    def __init__(self, detail: str, helpers: list[str]) -> None:
        super().__init__(detail)
        self.helpers = helpers


class ConsoleScope:
    """The tenants that a user may view, and the chosen one, if any."""

    def __init__(self, user: User, chosen: str) -> None:
        self.user = user
        self._chosen = chosen

    @cached_property
    def all_tenants(self) -> list[Tenant]:
        """Every tenant that the user may view: lookups by id use these."""
        return list(tenants_where(self.user, Right.VIEW))

    @cached_property
    def tenant(self) -> Tenant | None:
        """The chosen tenant, or the only one; None means all."""
        if len(self.all_tenants) == 1:
            return self.all_tenants[0]
        found = [row for row in self.all_tenants if row.slug == self._chosen]
        return found[0] if found else None

    @property
    def tenants(self) -> list[Tenant]:
        """The tenants that lists show."""
        return [self.tenant] if self.tenant else self.all_tenants

    def may(self, right: Right, tenant_id: int) -> bool:
        return may(self.user, tenant_id, right)

    def manages(self, tenant: Tenant) -> bool:
        """Whether the user manages this tenant as a whole, and not a part of it."""
        return tenant.limit is None and self.may(Right.MANAGE, tenant.pk)

    def writable(self) -> list[Tenant]:
        """Return the shown tenants where the user may operate; 403 if there is none."""
        found = [row for row in self.tenants if self.may(Right.OPERATE, row.pk)]
        if not found:
            raise self.refusal(Right.OPERATE)
        return found

    def require(self, right: Right, tenant_id: int) -> None:
        if not self.may(right, tenant_id):
            here = [row for row in self.all_tenants if row.pk == tenant_id]
            raise self.refusal(right, here)

    def refusal(
        self, right: Right, tenants: list[Tenant] | None = None, *, what: str = ""
    ) -> NotAllowed:
        """Return the refusal for a missing right, in any of these tenants."""
        lacking = self.tenants if tenants is None else tenants
        where = lacking[0].slug if len(lacking) == 1 else "a tenant"
        detail = what or f"You need the right to {right} in {where}."
        return NotAllowed(detail, list_administrators(tenants=lacking))

    def refusal_to_manage(self, tenants: list[Tenant] | None = None) -> NotAllowed:
        """Return the refusal of what only a manager of a whole tenant may do."""
        what = "You need the right to manage a whole tenant."
        return self.refusal(Right.MANAGE, tenants, what=what)


class ConsoleRequest(HttpRequest):
    user: User
    scope: ConsoleScope
    htmx: HtmxDetails
    platform_status: PlatformStatus  # where the view has read it


class View(Protocol):
    def __call__(
        self, request: ConsoleRequest, *args: Any, **kwargs: Any
    ) -> HttpResponseBase: ...


def scope_of(request: HttpRequest) -> ConsoleScope:
    """Return the request's scope; ``?tenant=`` is kept in the session."""
    asked = request.GET.get("tenant")
    if asked is not None and request.method == "GET":
        request.session[SESSION_KEY] = asked
    chosen = request.session.get(SESSION_KEY, "")
    return ConsoleScope(request.user, chosen)  # type: ignore[arg-type]


def page(view: View) -> Any:
    """Wrap a view: sign-in required, tenant scope set, refusals become 403 and 404."""

    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        request.scope = scope_of(request)  # type: ignore[attr-defined]
        try:
            return view(request, *args, **kwargs)  # type: ignore[arg-type]
        except NotFound as error:
            raise Http404(error.detail) from error
        except Forbidden as error:
            raise PermissionDenied(error.detail) from error

    return login_required(vary_on_headers("HX-Request", "Cookie")(wrapped))
