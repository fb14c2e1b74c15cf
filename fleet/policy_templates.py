"""Variables in the texts of a standing policy: plain substitution, no code."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

Document = dict[str, Any]

NAMED = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
# Each with the SQL of its value, as text; never null.
VARIABLES: dict[str, str] = {
    "tenant.slug": "t.slug",
    "tenant.name": "t.name",
    "product.slug": "p.slug",
    "product.name": "p.name",
    "product.kind": "p.kind",
    "site.slug": "s.slug",
    "site.name": "s.name",
    "site.region": "s.region",
    "site.country": "s.country",
    "site.time_zone": "s.time_zone",
    "device.uid": "d.uid",
    "device.name": "d.name",
    "device.serial": "d.serial",
    "device.kind": "d.kind",
    "device.adapter": "d.adapter",
}


def template_errors(document: Any, *, field: str) -> list[dict[str, str]]:
    """Return what is wrong with a template: unknown variables, keys to remove.

    A policy says what a key must be. Only a person's patch removes one.
    """
    errors = []
    for place, value in _leaves(document, field):
        if value is None:
            errors.append({"field": place, "message": "A policy cannot remove a key."})
        elif isinstance(value, str):
            for name in _names(value):
                if name not in VARIABLES:
                    known = ", ".join(VARIABLES)
                    text = f"There is no variable '{name}'. Use one of: {known}."
                    errors.append({"field": place, "message": text})
    return errors


def variables_of(document: Any) -> list[str]:
    """Return the variables of a template, each once, sorted."""
    texts = (value for _, value in _leaves(document, "") if isinstance(value, str))
    return sorted({name for text in texts for name in _names(text)})


def filled(document: Any, values: Mapping[str, str]) -> Any:
    """Return the document with the variables of its texts replaced by these values."""
    if isinstance(document, dict):
        return {key: filled(value, values) for key, value in document.items()}
    if isinstance(document, list):
        return [filled(value, values) for value in document]
    if isinstance(document, str):
        return NAMED.sub(lambda match: values[match[1].strip()], document)
    return document


def _names(text: str) -> Iterator[str]:
    yield from (match[1].strip() for match in NAMED.finditer(text))


def _leaves(value: Any, place: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, f"{place}.{key}")
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            if inner is not None:  # in a list, null is a value as any other
                yield from _leaves(inner, f"{place}.{number}")
    else:
        yield place, value
