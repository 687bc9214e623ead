"""`docs/interruptions.md` and the end-to-end tests name each other."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
TESTS = ROOT / "tests" / "e2e"
PAGE = (ROOT / "docs" / "interruptions.md").read_text()
OF_INTERRUPTIONS = ("templates", "scaling", "pods", "services", "people")


def functions_of(file: Path) -> set[str]:
    return set(re.findall(r"^def (test_\w+)\(", file.read_text(), re.MULTILINE))


@pytest.mark.parametrize("group", OF_INTERRUPTIONS)
def test_every_test_of_an_interruption_has_a_row(group: str) -> None:
    """Who adds a test says on the page what a user sees."""
    missing = {name for name in functions_of(TESTS / f"test_{group}.py") if name not in PAGE}
    assert not missing


def test_every_test_that_the_page_names_is_there() -> None:
    """A test that was renamed or dropped leaves no promise behind."""
    files = set(re.findall(r"\btest_\w+(?=\.py)", PAGE))
    there = {file.stem: functions_of(file) for file in TESTS.glob("test_*.py")}
    assert files <= there.keys()
    known = set[str]().union(*there.values())
    named = set(re.findall(r"\btest_\w+(?!\w|\.py)", PAGE)) - files
    assert named
    assert named <= known, named - known
