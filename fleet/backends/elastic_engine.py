"""The Elasticsearch engine: an index for each generation, and an alias to one.

The alias names the generation that is current. A generation's name ends with the
fingerprint of its mapping.
"""

from __future__ import annotations

import re

from elasticsearch import NotFoundError

from fleet.backends.columns import ALL_FIELDS
from fleet.backends.elastic_client import client, faults
from fleet.backends.elastic_schema import (
    SETTINGS,
    build_mapping,
    fingerprint,
    known_fields,
)
from fleet.backends.elastic_search import ElasticReader
from fleet.backends.elastic_writer import Writer, writer_alias
from fleet.backends.engine import IndexFault, Turn
from fleet.exceptions import IndexUnavailable, IndexUnreachable
from iotplatform.common.ids import new_public_id

GENERATION = r"-[0-9a-f]{32}-[0-9a-f]{12}"


class ElasticEngine:
    """The index in Elasticsearch."""

    def __init__(self, url: str, *, alias: str, ca_file: str = "") -> None:
        self.client = client(url, ca_file)
        self.alias = alias
        self._ours = re.compile(re.escape(alias) + GENERATION)

    def reader(self, named: str | None = None) -> ElasticReader:
        try:
            found = [named] if named else self._aliased()
            fields = self._fields_of(found[0]) if found else frozenset()
        except IndexFault as fault:
            if isinstance(fault.__cause__, NotFoundError):
                raise IndexUnavailable from fault
            raise IndexUnreachable from fault
        if not fields:
            raise IndexUnavailable
        return ElasticReader(self.client, found[0], fields)

    def _fields_of(self, generation: str) -> frozenset[str]:
        """Return the fields that can be searched in a generation; none if foreign."""
        if not self._ours.fullmatch(generation):
            return frozenset()
        if generation.endswith(f"-{fingerprint()}"):
            return ALL_FIELDS
        with faults():
            found = self.client.indices.get_mapping(index=generation)
        return known_fields(found[generation]["mappings"])

    def adopt(self, generation: str) -> str:
        return generation  # versions keep writers apart

    def writer(
        self, generation: str, turn: Turn | None = None, *, create: bool = False
    ) -> Writer:
        with faults():
            self.client.indices.get_settings(index=generation)  # it must exist
        return Writer(self.client, generation, turn)

    def new_generation(self) -> str:
        name = f"{self.alias}-{new_public_id().hex}-{fingerprint()}"
        with faults():
            self.client.indices.create(
                index=name,
                settings=SETTINGS,
                mappings=build_mapping(),
                aliases={writer_alias(name): {}},
            )
        return name

    def current_generation(self) -> str | None:
        found = self._aliased()
        usable = [name for name in found if name.endswith(f"-{fingerprint()}")]
        return usable[0] if len(found) == 1 and usable else None

    def swap_to(self, generation: str) -> None:
        actions = [
            {"remove": {"index": name, "alias": self.alias}} for name in self._aliased()
        ]
        actions.append({"add": {"index": generation, "alias": self.alias}})
        with faults():
            self.client.indices.update_aliases(actions=actions)

    def clear_current(self) -> None:
        if found := self._aliased():
            with faults():
                self.client.indices.delete_alias(index=found, name=self.alias)

    def drop(self, generation: str) -> None:
        with faults():
            self.client.options(ignore_status=404).indices.delete(index=generation)

    def drop_others(self, *kept: str | None) -> None:
        with faults():
            found = self.client.indices.get(index=f"{self.alias}-*", features="aliases")
        for name in found:
            if self._ours.fullmatch(name) and name not in kept:
                self.drop(name)

    def _aliased(self) -> list[str]:
        try:
            with faults():
                found = self.client.indices.get_alias(name=self.alias)
        except IndexFault as fault:
            if isinstance(fault.__cause__, NotFoundError):
                return []
            raise
        return [name for name in found if self._ours.fullmatch(name)]
