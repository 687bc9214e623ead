"""Every name that Slipway writes into other people's objects, in one place."""

from typing import Final

GROUP: Final = "slipway.dev"
API_VERSION: Final = "slipway.dev/v1alpha1"
FIELD_MANAGER: Final = "slipway-reconciler"
"""``fieldManager`` of every write by the reconciler: with its user name, Slipway's identity."""

# Intent: decided by the reconciler (or, for the first hold, at admission), acted on at admission.
HOLD: Final = "slipway.dev/hold"
PIN: Final = "slipway.dev/pin"
SPLIT: Final = "slipway.dev/split"
CONFIG: Final = "slipway.dev/config"
"""Which contents of ConfigMaps and Secrets the template shows, and which were decided on."""

# Memory: what the user asked for where a projection covers it.
ORIGINAL: Final = "slipway.dev/original"
STABLE: Final = "slipway.dev/stable"

INTENT_KEYS: Final = frozenset({HOLD, PIN, SPLIT, CONFIG, ORIGINAL, STABLE})
"""Annotations that only Slipway's own identity may change."""

HELD_BY: Final = "slipway.dev/held-by"
"""Set by the MutatingAdmissionPolicy on a Deployment that it paused, since its template changed."""

# Facts, for people and for tools.
VERSION: Final = "slipway.dev/version"
REVISION: Final = "slipway.dev/revision"
POLICY: Final = "slipway.dev/policy"
"""Set by a user on a Deployment: the policy to use."""
GUARDED_BY: Final = "slipway.dev/guarded-by"
"""Set by Slipway: the policy that was in force when the present template was applied."""
APPLIED_BY: Final = "slipway.dev/applied-by"
APPLIED_AT: Final = "slipway.dev/applied-at"

DECISIONS: Final = "slipway.dev/decisions"
"""On a Release: who changed what, noted at admission; nobody else may change it."""

TRACK: Final = "slipway.dev/track"
TRACK_CANARY: Final = "canary"
TRACK_STABLE: Final = "stable"
TRACK_RETIRING: Final = "retiring"
"""A stable pod that gets no new requests and is the first to go."""

SERVES: Final = "slipway.dev/serves"
"""Label on pods that a fenced Service takes; its value is ``true``."""

TERM: Final = "slipway.dev/term"
"""On a canary Service: the term of the leader who made it, or wrote it last."""
DESIRED_REPLICAS: Final = "deployment.kubernetes.io/desired-replicas"
"""Native annotation on a ReplicaSet: the Deployment's replicas when it was last sized."""

DELETION_COST: Final = "controller.kubernetes.io/pod-deletion-cost"
"""Native annotation on pods: a ReplicaSet that shrinks ends the cheapest first."""

CANARY_OF: Final = "slipway.dev/canary-of"
"""Label on objects that Slipway owns: the name of the user's object they stand beside."""
ROOT_SERVICE: Final = "slipway.dev/root-service"
"""Annotation on a canary Service or Ingress: the user's Service whose traffic it shares."""
PRIMARY_INGRESS: Final = "slipway.dev/primary-ingress"
"""Annotation on a canary Ingress: the user's Ingress that it stands beside."""
SNAPSHOT_OF: Final = "slipway.dev/snapshot-of"
"""Label on an immutable copy of a ConfigMap or Secret: the name of the user's own."""
LIVE: Final = "slipway.dev/live"
"""Set by a user on a ConfigMap or Secret to ``true``: pods read it itself, never a snapshot."""
PRIMARY_ROUTE: Final = "slipway.dev/primary-route"
"""Annotation on a preview HTTPRoute or a canary Mapping: the user's own that it stands beside."""
OF_DEPLOYMENT: Final = "slipway.dev/deployment"
"""Label on a Release: the Deployment that it is about."""

POD_TEMPLATE_HASH: Final = "pod-template-hash"
"""The native label that tells a Deployment's ReplicaSets and pods apart."""

VERSION_LABEL: Final = "app.kubernetes.io/version"

PREFIX: Final = "slipway.dev/"

FACT_KEYS: Final = frozenset({VERSION, REVISION, GUARDED_BY, APPLIED_BY, APPLIED_AT})
"""Annotations on a Deployment about its present template; a full-object write keeps them."""

KUBECTL_ROLLOUT: Final = "kubectl-rollout"
"""``fieldManager`` of ``kubectl rollout pause / resume / restart / undo``."""
