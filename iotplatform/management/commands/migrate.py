"""``manage.py migrate``: Django's own, which then applies row security."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError
from django.core.management.commands import migrate
from django.db import connection

from iotplatform.database.rights import missing_rights
from iotplatform.database.row_security import ROLES, apply_row_security, prepare_roles


class Command(migrate.Command):
    """Until row security is applied to a new table, only the owner may use it."""

    def handle(self, *args: Any, **options: Any) -> None:
        """Migrate, then apply row security to every table.

        Raises CommandError, and changes nothing, if the server would refuse.
        """
        if options["plan"] or options["check_unapplied"]:
            super().handle(*args, **options)
            return
        with connection.cursor() as cursor:
            refused = missing_rights(cursor, ROLES)
        if refused:
            raise CommandError(refused)
        super().handle(*args, **options)
        prepare_roles()
        changed = apply_row_security()
        if changed and options["verbosity"] > 0:
            self.stdout.write(f"Row security was applied to {changed} tables.")
