"""Django admin as an installed app, with our site as the default."""

from django.contrib.admin.apps import SimpleAdminConfig


class PlatformAdminConfig(SimpleAdminConfig):
    """The admin's pages are loaded with the URLs: most processes serve no pages."""

    default_site = "iotplatform.admin_site.PlatformAdminSite"
