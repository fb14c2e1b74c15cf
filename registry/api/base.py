"""The base of every REST view: the caller's tenants and rights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, cast

from django.utils.functional import cached_property
from drf_spectacular.utils import OpenApiParameter

from iotplatform.common.problems import BadInput, Forbidden, NotFound
from iotplatform.common.query_parameters import KnownParametersView
from registry.permissions import Right, is_platform_admin, may, tenants_where
from registry.tenant_scope import enter_scope_of

if TYPE_CHECKING:
    from rest_framework.request import Request

    from registry.models import Tenant, User


TENANT = OpenApiParameter("tenant", str, description="One of the caller's tenants.")


class TenantScopedMixin(KnownParametersView):
    """Narrows a DRF view to the tenants that its caller may view.

    ``?tenant=slug`` narrows it to one of them; an unknown slug and another's are the
    same 404.
    """

    query_parameters: ClassVar[Sequence[OpenApiParameter]] = (TENANT,)

    def perform_authentication(self, request: Request) -> None:
        """Enter the caller's tenant scope, whichever scheme found them."""
        super().perform_authentication(request)
        enter_scope_of(self.caller, token_id=getattr(request.auth, "pk", None))

    @property
    def caller(self) -> User:
        """The person, or the owner of the token."""
        return cast("User", self.request.user)

    @cached_property
    def all_tenants(self) -> list[Tenant]:
        """Every tenant that the caller may view."""
        return tenants_where(self.caller, Right.VIEW)

    @cached_property
    def tenants(self) -> list[Tenant]:
        """The tenants whose objects this request is about."""
        slug = self.request.query_params.get("tenant")
        if slug is None:
            return self.all_tenants
        found = [tenant for tenant in self.all_tenants if tenant.slug == slug]
        if not found:
            raise NotFound("There is no such tenant.")
        return found

    def resolve_tenant(self, data: Mapping[str, Any] | None = None) -> Tenant:
        """Return the tenant of a new object.

        The body (or ``?tenant=``) names it, or it is the caller's only one. Raises
        BadInput naming ``tenant`` otherwise.
        """
        body = self.request.data if data is None else data
        slug = body.get("tenant") if isinstance(body, Mapping) else None
        if slug is None:
            if len(self.tenants) == 1:
                return self.tenants[0]
            raise BadInput(tenant="Name the tenant: you belong to none or to several.")
        for tenant in self.tenants:
            if tenant.slug == slug:
                return tenant
        raise BadInput(tenant="There is no such tenant.")

    def require(self, right: Right, tenant_id: int) -> None:
        """Refuse with 403 a caller without this right in the tenant."""
        if not may(self.caller, tenant_id, right):
            raise Forbidden(f"This needs the right to {right} in this tenant.")

    def require_whole_tenant(self, tenant: Tenant) -> None:
        """Refuse with 403 a member who is limited to a part of the tenant."""
        mine = (row for row in self.all_tenants if row.pk == tenant.pk)
        if any(row.limit is not None for row in mine):
            raise Forbidden("This needs access to the whole tenant; yours is limited.")

    def require_platform_admin(self) -> None:
        """Refuse with 403 all but a platform superuser."""
        if not is_platform_admin(self.caller):
            raise Forbidden("Only a platform superuser may do this.")
