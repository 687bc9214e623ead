"""One lab for all tests of the lab that only use it; those that end labs start their own."""

from collections.abc import Callable, Iterator

import pytest

from lab import requirements
from lab.cluster import Lab
from lab.shop import Shop


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    requirements.require(requirements.missing())
    with Lab.start() as running:
        yield running


@pytest.fixture
def shop(lab: Lab) -> Callable[..., Shop]:
    def make(**options: object) -> Shop:
        return Shop.open(lab, lab.namespace("shop"), **options)

    return make
