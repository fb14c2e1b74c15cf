"""If-Match in all the forms that clients use."""

from __future__ import annotations

import pytest

from iotplatform.common.etags import check_if_match, if_match, quoted
from iotplatform.common.problems import BadInput, PreconditionFailed


@pytest.mark.parametrize(
    ("header", "version"),
    [('"7"', "7"), ("7", "7"), ('W/"7"', "7"), ("*", None), ("", None)],
)
def test_if_match_is_parsed(header: str, version: str | None) -> None:
    assert if_match({"If-Match": header}) == version


@pytest.mark.parametrize("header", ['"7', '"1", "2"', "a b"])
def test_an_invalid_if_match_is_refused(header: str) -> None:
    with pytest.raises(BadInput):
        if_match({"If-Match": header})


def test_only_the_current_version_is_accepted() -> None:
    check_if_match({"If-Match": quoted(7)}, 7)
    check_if_match({}, 7)
    with pytest.raises(PreconditionFailed):
        check_if_match({"If-Match": quoted(6)}, 7)
