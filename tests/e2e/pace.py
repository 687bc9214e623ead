"""How long the tests let traffic settle and drain: short in CI, as users have it on request.

``SLIPWAY_E2E_PACE=production`` runs everything at the defaults of a policy and with the time for
which Traefik gathers changes by default; that takes several times as long.
"""

import os
from typing import Any, Final

from lab import traefik

PRODUCTION: Final = os.environ.get("SLIPWAY_E2E_PACE") == "production"

TRAFFIC: Final[dict[str, Any]] = {} if PRODUCTION else {"settle": "1s", "drain": "1s"}
"""``spec.traffic``. Settle is well over the time for which the lab's Traefik gathers changes."""
THROTTLE: Final = "2s" if PRODUCTION else traefik.QUICK
SYNC: Final = 1.0 if PRODUCTION else 0.2
"""Seconds for which a balancer of Services gathers changes; kube-proxy's default is 1."""
PATIENCE: Final = 8 if PRODUCTION else 1
"""Deadlines are longer by this factor."""
LINGER: Final = 5 if PRODUCTION else 2
"""Seconds for which a pod that is told to end serves on, where its application cares: longer than
the proxy gathers changes, or it still sends requests to pods that are gone."""
