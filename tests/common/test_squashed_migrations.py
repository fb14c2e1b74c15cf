"""The squashed migrations make the same models as the files that they replace."""

from __future__ import annotations

from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.loader import MigrationLoader

from tests.common.test_migrations import APPS


def test_an_empty_database_gets_the_models_of_the_replaced_files() -> None:
    short = MigrationLoader(None)
    long = MigrationLoader(None, replace_migrations=False)
    squashed = short.replacements

    before = long.project_state([each.replaces[-1] for each in squashed.values()])
    after = short.project_state(list(squashed))

    for was, now in ((before, after), (after, before)):
        assert MigrationAutodetector(was, now).changes(graph=long.graph) == {}
    assert {app for app, _ in before.models} >= set(APPS)


def test_each_file_up_to_the_last_replaced_one_is_replaced_once() -> None:
    loader = MigrationLoader(None)
    replaced = [key for each in loader.replacements.values() for key in each.replaces]
    last = {app: name for app, name in sorted(replaced)}

    expected = [
        (app, name)
        for app, name in loader.disk_migrations or ()
        if app in APPS and name <= last[app] and (app, name) not in loader.replacements
    ]

    assert sorted(replaced) == sorted(expected)
