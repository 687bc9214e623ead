"""Releases without end at every kind of route at once; `make soak` makes a thousand."""

import pytest

from lab.cluster import Lab
from lab.slipway import Slipway
from tests.soak.play import KINDS, soak

pytestmark = pytest.mark.e2e

RELEASES = 20


def test_twenty_releases_at_every_kind_of_route_at_once_lose_no_request(
    lab: Lab, guarded: Slipway
) -> None:
    """There and back, with pods killed and replicas changed in between; all is as applied."""
    outcome = soak(lab, RELEASES)
    assert outcome.releases == RELEASES
    assert outcome.failed == 0
    assert {share.app for share in outcome.shares} == set(KINDS)
