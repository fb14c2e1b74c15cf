"""REST paths of the registry, under /api/v1/."""

from django.urls import include, path
from rest_framework.routers import SimpleRouter

from registry.api import openapi  # noqa: F401  (it registers our authentication)
from registry.api.audit import AuditListView
from registry.api.credentials import CredentialListView, CredentialView
from registry.api.devices import DeviceDetailView, DeviceListView
from registry.api.enrolment import (
    EnrolmentKeyListView,
    EnrolmentKeyView,
    EnrolView,
)
from registry.api.firmware import (
    ReleaseDetailView,
    ReleaseFileView,
    ReleaseListView,
)
from registry.api.imports import DeviceExportView, DeviceImportView
from registry.api.keys import TokenListView, TokenRevokeView
from registry.api.memberships import MembershipListView, MembershipView
from registry.api.places import ProjectViewSet, SiteViewSet, SpaceViewSet
from registry.api.products import (
    BatchViewSet,
    HardwareRevisionViewSet,
    ProductViewSet,
)
from registry.api.tenants import TenantViewSet
from registry.api.tokens import TokenView

router = SimpleRouter()
router.register("tenants", TenantViewSet, basename="tenant")
router.register("projects", ProjectViewSet, basename="project")
router.register("sites", SiteViewSet, basename="site")
router.register("spaces", SpaceViewSet, basename="space")
router.register("products", ProductViewSet, basename="product")
router.register(
    "hardware-revisions", HardwareRevisionViewSet, basename="hardware-revision"
)
router.register("batches", BatchViewSet, basename="batch")

urlpatterns = [
    path("audit/", AuditListView.as_view()),
    path("auth/token/", TokenView.as_view()),
    path("devices/", DeviceListView.as_view()),
    path("devices/import/", DeviceImportView.as_view()),
    path("devices/export/", DeviceExportView.as_view()),
    path("devices/<str:uid>/", DeviceDetailView.as_view()),
    path("devices/<str:uid>/credentials/", CredentialListView.as_view()),
    path(
        "devices/<str:uid>/credentials/<uuid:credential_id>/",
        CredentialView.as_view(),
    ),
    path("firmware-releases/", ReleaseListView.as_view()),
    path("firmware-releases/<uuid:release_id>/", ReleaseDetailView.as_view()),
    path("firmware-releases/<uuid:release_id>/file/", ReleaseFileView.as_view()),
    path("enrolment-keys/", EnrolmentKeyListView.as_view()),
    path("enrolment-keys/<uuid:key_id>/", EnrolmentKeyView.as_view()),
    path("enrol/", EnrolView.as_view()),
    path("memberships/", MembershipListView.as_view()),
    path("memberships/<uuid:membership_id>/", MembershipView.as_view()),
    path("tokens/", TokenListView.as_view()),
    path("tokens/<uuid:token_id>/", TokenRevokeView.as_view()),
    path("", include(router.urls)),
]
