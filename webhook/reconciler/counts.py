"""What Prometheus sees of releases: how many are where, how long phases took, how they ended."""

from collections import Counter
from datetime import datetime

from webhook.cluster.kinds import RELEASES
from webhook.cluster.store import Store
from webhook.objects.release import Phase, Release
from webhook.release.actions import Plan, Record
from webhook.telemetry import metrics


class PhaseClock:
    """Times the phases of the releases that this process moves on."""

    def __init__(self) -> None:
        self._since: dict[tuple[str, str], tuple[Phase, datetime]] = {}

    def passed(self, release: Release | None, decided: Plan, now: datetime) -> None:
        """Note the phases that a plan leaves; a release that was taken over starts anew here."""
        if release is None:
            return
        key = (release.namespace, release.name)
        for action in decided.actions:
            if isinstance(action, Record):
                self._moved(key, action.status.phase, now)

    def _moved(self, key: tuple[str, str], phase: Phase, now: datetime) -> None:
        known = self._since.get(key)
        if known and known[0] is phase:
            return
        if known:
            spent = (now - known[1]).total_seconds()
            metrics.RELEASE_STEP_DURATION.labels(known[0].value.lower()).observe(spent)
        if phase.finished:
            self._since.pop(key, None)
            metrics.RELEASES_FINISHED.labels(phase.value.lower()).inc()
        else:
            self._since[key] = (phase, now)


def count_releases(store: Store) -> None:
    """Set the gauge of running releases by phase."""
    found = Counter(
        str((obj.get("status") or {}).get("phase") or Phase.PENDING)
        for obj in store.table(RELEASES).all()
    )
    for phase in Phase:
        if not phase.finished:
            metrics.RELEASES.labels(phase.value.lower()).set(found[phase.value])
