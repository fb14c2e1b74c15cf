"""The keys of ``attr.``, ``reported.`` and ``metric.`` that a query may name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import cached_property

from fleet.exceptions import QueryError
from fleet.fields import FieldRef
from fleet.query.tree import Exists, Node, conditions_of

Declared = Mapping[str, Sequence[str]]  # "attr" → the keys that products declare


class Keys:
    """The declared keys; they are read when a query first names a key."""

    def __init__(self, read: Callable[[], Declared]) -> None:
        self._read = read

    @cached_property
    def declared(self) -> dict[str, frozenset[str]]:
        return {name: frozenset(keys) for name, keys in self._read().items()}

    def check(
        self,
        ref: FieldRef,
        *,
        position: int = 0,
        is_existence: bool = False,
        source: str = "q",
    ) -> None:
        """Raise QueryError unless the key is declared, or lies below a declared one.

        What lies below one without declared properties is only known from devices. A
        key above declared ones has no value of its own: one can ask whether it exists.
        """
        declared = self.declared[ref.name]
        if ref.path in declared or self.is_below(ref):
            return
        if is_existence and any(key.startswith(f"{ref.path}.") for key in declared):
            return
        near = get_close_matches(ref.path, sorted(declared), n=1, cutoff=0.6)
        raise QueryError(
            f"No product declares '{ref}'.",
            position,
            str(FieldRef(ref.name, near[0])) if near else None,
            field=source,
        )

    def is_below(self, ref: FieldRef) -> bool:
        """Whether a product declares a key above this one, but not this one."""
        if ref.path in self.declared[ref.name]:
            return False
        steps = ref.path.split(".")
        above = (".".join(steps[:count]) for count in range(1, len(steps)))
        return any(key in self.declared[ref.name] for key in above)


def open_keys(tree: Node, keys: Keys) -> Iterator[Exists]:
    """Yield a condition of existence for each key that only devices can know."""
    for node in conditions_of(tree):
        field = node.field
        if field is not None and field.path and keys.is_below(field):
            yield Exists(field, node.position)
