"""Expressions of a policy, as routers get them."""

import pytest

from webhook.objects.steps import StringMatch
from webhook.traffic.patterns import Inexpressible, cookie_pattern, text_pattern

GOOD = ["v[0-9]+", "[*+]+", r"\[+", "a|b", "(?i:x)", "(?P<n>x)", "[]+]+", r"[\]+]x", r"\\d"]
BAD = ["(", "[", "*a", "(?=x)", "(?!x)", "(?<=x)y", "(?<!x)y", r"(a)\1", "(?P<n>x)(?P=n)", "a++",
       "(?>a)", "(a)?(?(1)b|c)"]  # fmt: skip


@pytest.mark.parametrize("regex", GOOD)
def test_an_expression_of_re2_is_taken_as_it_is(regex: str) -> None:
    """Between anchors."""
    assert text_pattern(StringMatch(regex=regex)) == f"^(?:{regex})$"


@pytest.mark.parametrize("regex", BAD)
def test_an_expression_that_proxies_can_not_read_is_refused(regex: str) -> None:
    """Before it can cost one its whole configuration."""
    for pattern in (text_pattern, lambda value: cookie_pattern("who", value)):
        with pytest.raises(Inexpressible):
            pattern(StringMatch(regex=regex))
