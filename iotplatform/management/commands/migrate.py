"""``manage.py migrate``: Django's own, which raises the wall around what it made."""

from __future__ import annotations

from typing import Any

from django.core.management.commands import migrate

from iotplatform.database.row_security import prepare_roles, raise_wall


class Command(migrate.Command):
    """Until the wall stands around a new table, it is its owner's alone."""

    def handle(self, *args: Any, **options: Any) -> None:
        """Migrate behind the wall."""
        if options["plan"] or options["check_unapplied"]:
            super().handle(*args, **options)
            return
        super().handle(*args, **options)
        prepare_roles()
        changed = raise_wall()
        if changed and options["verbosity"] > 0:
            self.stdout.write(f"The wall was raised around {changed} tables.")
