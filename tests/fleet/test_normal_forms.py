"""What every index keeps of a value: folding, spellings of versions, words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.normal_forms import (
    HIGHEST_NUMBER,
    LOWEST_NUMBER,
    indexed_tokens,
    number_of,
    scalar_form,
    searched_tokens,
    sortable_number,
    words_of,
)
from fleet.query.tree import Wild
from iotplatform.common.folding import fold
from iotplatform.common.version_key import (
    normal_pattern,
    version_key,
    version_spellings,
)

numbers = st.floats(allow_nan=False, allow_infinity=False)
VERSIONS = st.text("0123.v-rc ", max_size=10)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("\u039f\u0394\u039f\u03a3", "\u03bf\u03b4\u03bf\u03c2"),  # final sigma
        ("STRASSE", "straße"),
        ("\uff21\uff11", "a1"),  # wide letters and digits
        ("Zu\u0308rich", "zürich"),  # a combining mark
        ("so\u00adlar", "solar"),  # a soft hyphen
    ],
)
def test_texts_that_read_the_same_fold_to_the_same(one: str, other: str) -> None:
    assert fold(one) == fold(other)


@given(st.text())
def test_folding_again_changes_nothing(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@given(VERSIONS, VERSIONS)
def test_versions_have_the_same_spellings_exactly_if_they_are_equal(
    one: str, other: str
) -> None:
    for text in (f"v{one}.0", f" {one}", one.upper()):
        is_equal = version_key(text) == version_key(one)
        assert (version_spellings(text) == version_spellings(one)) == is_equal
    is_equal = version_key(one) == version_key(other)
    assert (version_spellings(one) == version_spellings(other)) == is_equal


def test_a_number_beside_a_wildcard_keeps_its_zeros() -> None:
    assert normal_pattern(("v1.04.0", Wild.MANY)) == ("1.4.0", Wild.MANY)
    assert normal_pattern((Wild.ONE, ".04-RC_01")) == (Wild.ONE, ".4-rc.1")


@given(st.integers(-(10**6), 10**6))
def test_a_number_and_its_text_are_compared_as_one(number: int) -> None:
    forms = {
        scalar_form(v) for v in (number, float(number), str(number), f"{number}.0")
    }
    assert len(forms) == 1


def test_a_part_of_a_run_without_spaces_is_found() -> None:
    words = words_of("上海浦东冷库 3号")

    assert words == ["上海浦东冷库", "3号"]
    assert indexed_tokens(words) == [
        "上海",
        "海浦",
        "浦东",
        "东冷",
        "冷库",
        "库",
        "3",
        "号",
    ]
    assert searched_tokens(["浦东"]) == (["浦东"], False)
    assert searched_tokens(["浦"]) == (["浦"], True)
    assert searched_tokens(["3号"]) == (["3", "号"], True)


@given(first=numbers, second=numbers)
def test_sortable_numbers_sort_as_the_numbers_do(first: float, second: float) -> None:
    low, high = sortable_number(first), sortable_number(second)

    assert (low < high, low == high) == (first < second, first == second)
    assert number_of(low) == first
    assert LOWEST_NUMBER < low < HIGHEST_NUMBER
