"""Django admin as an installed app, with our site for the default one."""

from django.contrib.admin.apps import AdminConfig


class PlatformAdminConfig(AdminConfig):
    """Configuration of the admin app; iotplatform/admin_site.py is the site."""

    default_site = "iotplatform.admin_site.PlatformAdminSite"
