"""What a device must report: templates filled with the parameters of a command."""

from __future__ import annotations

from typing import Any

import pytest

from commands.definitions import DEFINITIONS
from commands.expectations import expected_of, template_problem

SCHEMA: dict[str, Any] = {"properties": {"position": {}, "mode": {}}}


@pytest.mark.parametrize(
    ("template", "params", "expected"),
    [
        (None, {"position": 4}, None),
        ({"valve": "{{ params.position }}"}, {"position": 4}, {"valve": 4}),
        ({"valve": "{{params.position}}"}, {"position": False}, {"valve": False}),
        ({"valve": "at {{ params.position }} %"}, {"position": 4}, {"valve": "at 4 %"}),
        ({"a": {"b": ["{{ params.m.x }}", 1]}}, {"m": {"x": 2}}, {"a": {"b": [2, 1]}}),
        # What was not given is not expected.
        (
            {"valve": "{{ params.position }}", "mode": "{{ params.mode }}"},
            {"position": 4, "mode": None},
            {"valve": 4},
        ),
        ({"a": {"b": "x{{ params.mode }}"}}, {}, None),
        ({"a": ["{{ params.mode }}", 1]}, {}, None),
        # Only the template is filled: a parameter is never read as one.
        (
            {"a": "{{ params.mode }}"},
            {"mode": "{{ params.x }}", "x": 1},
            {"a": "{{ params.x }}"},
        ),
        ("{{ params }}", {"a": 1, "b": None, "c": {"d": None}}, {"a": 1}),
        ("{{ params }}", {"b": None}, {}),
    ],
)
def test_a_template_is_filled_with_the_parameters(
    template: Any, params: dict[str, Any], expected: Any
) -> None:
    assert expected_of(template, params) == expected


@pytest.mark.parametrize(
    ("template", "said"),
    [
        (None, ""),
        ("{{ params }}", ""),
        ({"a": "{{ params.position.x }} and {{ params.mode }}"}, ""),
        ({"a": "plain"}, ""),
        ("{{ params.position }}", "Must be an object"),
        ({}, "Must be an object"),
        ([1], "Must be an object"),
        ({"a": ["{{ params.size }}"]}, "has no property 'size'"),
        ({"a": {"b": "{{ position }}"}}, "is no placeholder"),
    ],
)
def test_a_template_is_checked_with_the_schema_of_the_parameters(
    template: Any, said: str
) -> None:
    problem = template_problem(template, SCHEMA)

    assert said in problem
    assert bool(said) == bool(problem)


def test_the_built_in_templates_fit_their_schemas() -> None:
    for definition in DEFINITIONS.values():
        schema = definition.params_schema
        assert template_problem(definition.expectation, schema) == "", definition.name
