"""What the device must report: a template of reported keys, filled with parameters.

``{"valve": {"position": "{{ params.position }}"}}`` expects the reported key ``valve``
to have the position that was asked for. A text that is one placeholder alone becomes
the parameter with its type; in a longer text it becomes text. A key whose parameter was
not given is not expected. The template ``"{{ params }}"`` stands for all parameters: a
configuration is verified by its own patch.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

ALL_PARAMS = "{{ params }}"
PARAM = re.compile(r"\{\{ *params\.([A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*) *\}\}")
ANY_PLACEHOLDER = re.compile(r"\{\{.*?\}\}", re.DOTALL)
_MISSING = object()


def expected_of(template: Any, params: dict[str, Any]) -> dict[str, Any] | None:
    """Return the part of the reported document that verifies a command; None: none."""
    if template is None:
        return None
    if template == ALL_PARAMS:
        return patch_without_removals(params)
    filled = _filled(template, params)
    return filled or None if isinstance(filled, dict) else None


def patch_without_removals(params: dict[str, Any]) -> dict[str, Any]:
    """Return what a merge patch sets; a removed key need not be reported."""
    kept: dict[str, Any] = {}
    for key, value in params.items():
        if isinstance(value, dict) and value:
            # An object with removals only sets nothing.
            if inner := patch_without_removals(value):
                kept[key] = inner
        elif value is not None:
            kept[key] = value
    return kept


def template_problem(template: Any, schema: dict[str, Any]) -> str:
    """Return what is wrong with a template for parameters of this schema; or empty."""
    if template is None or template == ALL_PARAMS:
        return ""
    if not isinstance(template, dict) or not template:
        return 'Must be an object of reported keys, or the text "{{ params }}".'
    known = schema.get("properties")
    for text in _texts(template):
        for found in ANY_PLACEHOLDER.findall(text):
            match = PARAM.fullmatch(found)
            if match is None:
                return f"{found} is no placeholder: write {{{{ params.name }}}}."
            name = match[1].split(".")[0]
            if isinstance(known, dict) and name not in known:
                return f"{found}: params_schema has no property '{name}'."
    return ""


def _filled(template: Any, params: dict[str, Any]) -> Any:
    if isinstance(template, dict):
        pairs = {key: _filled(value, params) for key, value in template.items()}
        kept = {key: value for key, value in pairs.items() if value is not _MISSING}
        return kept if kept or not template else _MISSING
    if isinstance(template, list):
        values = [_filled(value, params) for value in template]
        return _MISSING if _MISSING in values else values
    return _filled_text(template, params) if isinstance(template, str) else template


def _filled_text(template: str, params: dict[str, Any]) -> Any:
    if alone := PARAM.fullmatch(template):
        return _param(params, alone[1])
    values = {found[0]: _param(params, found[1]) for found in PARAM.finditer(template)}
    if any(value is _MISSING for value in values.values()):
        return _MISSING
    return PARAM.sub(lambda found: str(values[found[0]]), template)


def _param(params: Any, path: str) -> Any:
    for name in path.split("."):
        if not isinstance(params, dict) or params.get(name) is None:
            return _MISSING
        params = params[name]
    return params


def _texts(template: Any) -> Iterator[str]:
    if isinstance(template, dict):
        for value in template.values():
            yield from _texts(value)
    elif isinstance(template, list):
        for value in template:
            yield from _texts(value)
    elif isinstance(template, str):
        yield template
