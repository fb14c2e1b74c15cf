"""Django admin as an installed app, with our site as the default."""

from django.contrib.admin.apps import AdminConfig


class PlatformAdminConfig(AdminConfig):
    default_site = "iotplatform.admin_site.PlatformAdminSite"
