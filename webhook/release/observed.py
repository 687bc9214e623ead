"""What one decision looks at: a Deployment with its pods, Services and routes, as frozen values."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from webhook.objects.counted import Sample
from webhook.objects.intent import Hold, Share
from webhook.objects.policy import Policy
from webhook.objects.release import Feature, Release
from webhook.projection.template import Stable


@dataclass(frozen=True, slots=True)
class PodView:
    """One pod of the Deployment."""

    name: str
    uid: str
    ready: bool
    """Its Ready condition is True and it is not being deleted."""
    terminating: bool
    lost_readiness: bool
    """It was ready once, still runs, and is not ready any more."""
    track: str | None
    """Value of the label ``slipway.dev/track``."""
    serves: bool = False
    """Fenced Services take it."""
    trouble: str = ""
    """Why it does not get ready, as Kubernetes calls it: ``ImagePullBackOff``."""
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Side:
    """The pods of one ReplicaSet: the stable or the new version."""

    name: str
    """Name of the ReplicaSet."""
    hash: str
    wanted: int
    """``spec.replicas`` of the ReplicaSet."""
    pods: tuple[PodView, ...]
    sized_for: int | None = None
    """The Deployment's replicas for which its controller made it as large as it is."""

    @property
    def ready(self) -> frozenset[str]:
        """Uids of the pods that are ready to serve."""
        return frozenset(pod.uid for pod in self.pods if pod.ready)

    @property
    def all(self) -> frozenset[str]:
        """Uids of all its pods."""
        return frozenset(pod.uid for pod in self.pods)


@dataclass(frozen=True, slots=True)
class DeploymentView:
    """The Deployment behind whatever hold is shown in it."""

    namespace: str
    name: str
    uid: str
    generation: int
    observed_generation: int
    replicas: int
    """What its user or autoscaler wants."""
    hold: Hold | None
    stable: Stable | None
    """What was released when the hold began."""
    revision: str
    """Digest of the user's present template."""
    version: str
    pod_labels: dict[str, str]
    progress_deadline: int
    """The user's own, in seconds."""
    paused_by_user: bool
    complete: bool
    """The native rollout has nothing left to do."""
    marked_failed: bool
    """Its Progressing condition says that the progress deadline was exceeded."""
    projected: bool = True
    """It shows what its hold says; False after a write that passed without the webhook."""
    total: int = 0
    """How many pods its controller knows of."""
    replica_failure: str = ""
    """Why the controllers can't make pods: a quota, an admission webhook."""
    held_by_policy: bool = False
    """The MutatingAdmissionPolicy paused it while no webhook ran."""


@dataclass(frozen=True, slots=True)
class RootView:
    """A user's Service whose own selector takes in the Deployment's pods."""

    name: str
    pin: str | None
    """The hash that it is pinned to."""
    endpoints: frozenset[str]
    """Uids of the pods that its EndpointSlices offer: ready and not terminating."""
    shared: bool
    """It also serves pods of other workloads, so it can't be pinned."""
    routed: bool
    """A route that can be split sends to it."""
    projected: bool = True
    """It shows what its pin says."""
    fenced: bool = False
    """Of the pods that it is pinned to, it takes only those that are labelled as serving."""
    selector: Mapping[str, str] = field(default_factory=dict)
    """Its user's own."""
    foreign: bool = False
    """Its selector leaves out the released pods: the user changed it with the template."""

    @property
    def free(self) -> bool:
        """Whether it can't be pinned to the released version."""
        return self.shared or self.foreign


@dataclass(frozen=True, slots=True)
class CanaryView:
    """A canary Service that Slipway made."""

    name: str
    root: str
    hash: str
    endpoints: frozenset[str]


@dataclass(frozen=True, slots=True, order=True)
class RouteRef:
    """Names a route object."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class RouteView:
    """A route that sends to one or more of the Deployment's Services."""

    ref: RouteRef
    roots: frozenset[str]
    """Names of those Services."""
    shares: dict[str, Share]
    """By root Service: the split that it carries now."""
    unprogrammed: str | None
    """Why what it says is not known to be live; None if its controller reports it."""
    projected: bool = True
    """It shows what its split says."""
    lacks: str | None = None
    """Why it can't carry what the release's steps ask for; None if it can."""
    lacking: tuple[tuple[Feature, str], ...] = ()
    """Of that, each kind of thing that it can't carry even alone, and why."""
    notes: tuple[str, ...] = ()
    """What it leaves out of that, and what else it affects, for people."""


@dataclass(frozen=True, slots=True)
class Observed:
    """Everything that `plan` may depend on, but the policy and the time."""

    deployment: DeploymentView
    stable: Side | None
    """The ReplicaSet to return to."""
    canary: Side | None
    """The ReplicaSet of the present template, once the controller has made it."""
    leftovers: tuple[Side, ...] = ()
    """ReplicaSets that are neither and still want or have pods."""
    younger: tuple[str, ...] = ()
    """Empty ReplicaSets that were made after the stable one."""
    roots: tuple[RootView, ...] = ()
    canaries: tuple[CanaryView, ...] = ()
    routes: tuple[RouteView, ...] = ()
    left_out: tuple[RouteRef, ...] = ()
    """Routes to the Services that the policy does not want divided."""
    strays: tuple[RouteRef, ...] = ()
    """Objects made for a route that does not need them any more."""
    release: Release | None = None
    """The release in flight."""
    finished: tuple[Release, ...] = ()
    """Earlier releases of this Deployment, newest first."""
    policy: Policy | None = None
    serving: Stable | None = None
    """What serves beside the present template: of all versions the one with the most ready pods."""
    serves_more: bool = False
    """It has more of them than the version that the hold remembers as released."""
    taken: frozenset[str] = frozenset()
    """Names of the namespace's Services that are not Slipway's."""
    counted: tuple[Sample, ...] = ()
    """What the pods say they answered, the newest last; empty where they don't."""
    detaching: bool = False
    """Slipway is being taken out of the cluster: every release ends, and nothing is held."""
