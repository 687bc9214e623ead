"""The chart as helm renders it."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from webhook.cli import main
from webhook.cluster.kinds import ROUTES
from webhook.traffic.routers import ROUTERS

CHART = Path(__file__).parents[3] / "charts" / "slipway"
Helm = Callable[..., subprocess.CompletedProcess[str]]
Render = Callable[..., Any]

READ = {"get", "list", "watch"}
OWN = READ | {"create", "patch", "delete"}
SLIPWAY = "slipway.dev"
GATEWAY = "gateway.networking.k8s.io"
ADMISSION = "admissionregistration.k8s.io"
V1 = "v1"

RECONCILER = {
    ("apps", "deployments"): READ | {"patch"},
    ("apps", "deployments/status"): {"patch"},
    ("apps", "replicasets"): READ | {"patch", "delete"},
    ("", "pods"): READ | {"patch"},
    ("", "services"): OWN,
    ("discovery.k8s.io", "endpointslices"): READ,
    ("networking.k8s.io", "ingresses"): OWN,
    ("networking.k8s.io", "ingressclasses"): READ,
    (GATEWAY, "httproutes"): OWN,
    (GATEWAY, "grpcroutes"): READ | {"patch"},
    ("traefik.io", "ingressroutes"): READ | {"patch"},
    ("traefik.io", "traefikservices"): READ | {"patch"},
    ("projectcontour.io", "httpproxies"): READ | {"patch"},
    ("networking.istio.io", "virtualservices"): READ | {"patch"},
    ("apisix.apache.org", "apisixroutes"): READ | {"patch"},
    ("getambassador.io", "mappings"): OWN,
    (GATEWAY, "gateways"): READ,
    (GATEWAY, "gatewayclasses"): READ,
    ("", "namespaces"): READ,
    ("events.k8s.io", "events"): {"create"},
    (SLIPWAY, "releases"): OWN,
    (SLIPWAY, "releases/status"): {"patch"},
    (SLIPWAY, "clusterreleasepolicies"): READ,
    (SLIPWAY, "releasepolicies"): READ,
}
WEBHOOK = {
    (SLIPWAY, "clusterreleasepolicies"): READ,
    (SLIPWAY, "releasepolicies"): READ,
    (SLIPWAY, "releases"): READ,
    ("", "namespaces"): READ,
    (ADMISSION, "mutatingwebhookconfigurations", "slipway"): {"get", "patch"},
    (ADMISSION, "validatingwebhookconfigurations", "slipway"): {"get", "patch"},
}
IN_OWN_NAMESPACE = {
    "slipway-reconciler": {
        ("coordination.k8s.io", "leases"): {"create"},
        ("coordination.k8s.io", "leases", "slipway-reconciler"): {"get", "update"},
    },
    "slipway-webhook": {
        ("", "secrets"): {"create"},
        ("", "secrets", "slipway-webhook-certs"): {"get", "patch"},
    },
}


ONLY_BEFORE_AN_UNINSTALL = {
    (ADMISSION, "mutatingadmissionpolicies", "slipway"): {"delete"},
    (ADMISSION, "mutatingadmissionpolicybindings", "slipway"): {"delete"},
    (ADMISSION, "mutatingwebhookconfigurations", "slipway"): {"delete"},
    (ADMISSION, "validatingwebhookconfigurations", "slipway"): {"delete"},
}


def rights(role: dict[str, Any]) -> dict[tuple[str, ...], set[str]]:
    """A role as a table: (group, resource[, name]) -> verbs."""
    table: dict[tuple[str, ...], set[str]] = {}
    for rule in role["rules"]:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                key = (group, resource, *rule.get("resourceNames", ()))
                assert key not in table, f"{key} twice"
                table[key] = set(rule["verbs"])
    return table


def container(render: Render, component: str, *args: str) -> dict[str, Any]:
    deployment = render(*args).one("Deployment", f"slipway-{component}")
    (only,) = deployment["spec"]["template"]["spec"]["containers"]
    found: dict[str, Any] = only
    return found


def test_helm_finds_nothing_to_complain_about(helm: Helm) -> None:
    """`helm lint --strict` on the chart as it is."""
    done = helm("lint", "--strict", str(CHART))
    assert done.returncode == 0, done.stdout


def test_slipway_may_do_what_it_does_and_nothing_more(render: Render) -> None:
    """Every right is in this file's table; a new one is a decision, seen in a review."""
    chart = render()
    assert rights(chart.one("ClusterRole", "slipway-reconciler")) == RECONCILER
    assert rights(chart.one("ClusterRole", "slipway-webhook")) == WEBHOOK
    assert rights(chart.one("ClusterRole", "slipway-detach")) == ONLY_BEFORE_AN_UNINSTALL
    assert len(chart.all("ClusterRole")) == 3
    own = {role["metadata"]["name"]: rights(role) for role in chart.all("Role")}
    assert own == IN_OWN_NAMESPACE
    assert {role["metadata"]["namespace"] for role in chart.all("Role")} == {"slipway-system"}


def test_config_is_read_only_where_an_administrator_allows_it(render: Render) -> None:
    """The rights, and the option that uses them, come and go together."""
    allowed = "--set=configGuard.enabled=true"
    chart = render(allowed)
    reconciler, webhook = (
        {("", "configmaps"): verbs, ("", "secrets"): verbs} for verbs in (OWN, {"get"})
    )
    assert rights(chart.one("ClusterRole", "slipway-reconciler")) == RECONCILER | reconciler
    assert rights(chart.one("ClusterRole", "slipway-webhook")) == WEBHOOK | webhook
    for component in ("webhook", "reconciler"):
        for args, expected in (((allowed,), True), ((), False)):
            name, *given = container(render, component, *args)["args"]
            parsed = main.commands[name].make_context(name, list(given)).params
            assert parsed["config_guard"] is expected


def test_every_right_is_bound_to_slipways_one_identity(render: Render) -> None:
    """No role without its binding, and no binding to anybody else."""
    chart = render()
    account = {"kind": "ServiceAccount", "name": "slipway", "namespace": "slipway-system"}
    bindings = [*chart.all("ClusterRoleBinding"), *chart.all("RoleBinding")]
    assert [binding["subjects"] for binding in bindings] == [[account]] * 5
    bound = {(each["roleRef"]["kind"], each["roleRef"]["name"]) for each in bindings}
    roles = [*chart.all("ClusterRole"), *chart.all("Role")]
    assert bound == {(role["kind"], role["metadata"]["name"]) for role in roles}


@pytest.mark.parametrize("component", ["webhook", "reconciler"])
def test_the_programs_know_the_options_that_the_chart_starts_them_with(
    render: Render, component: str
) -> None:
    """Chart and command line cannot drift apart."""
    name, *args = container(render, component)["args"]
    parsed = main.commands[name].make_context(name, list(args)).params
    assert parsed["identity"] == "system:serviceaccount:slipway-system:slipway"
    assert parsed["metrics_listen"].port == 9090


def test_the_webhook_is_told_the_names_that_the_chart_gives(render: Render) -> None:
    """Under any release name, options, objects and rights speak of the same Secret and Service."""
    chart = render(release="ship")
    (program,) = chart.one("Deployment", "ship-slipway-webhook")["spec"]["template"]["spec"][
        "containers"
    ]
    parsed = main.commands["webhook"].make_context("webhook", program["args"][1:]).params
    assert chart.one("Service", parsed["service"])
    assert chart.one("MutatingWebhookConfiguration", parsed["webhook_configuration"])
    assert chart.one("ValidatingWebhookConfiguration", parsed["webhook_configuration"])
    assert ("", "secrets", parsed["secret"]) in rights(chart.one("Role", "ship-slipway-webhook"))
    (program,) = chart.one("Deployment", "ship-slipway-reconciler")["spec"]["template"]["spec"][
        "containers"
    ]
    lease = main.commands["reconciler"].make_context("reconciler", program["args"][1:])
    table = rights(chart.one("Role", "ship-slipway-reconciler"))
    assert ("coordination.k8s.io", "leases", lease.params["lease"]) in table


def test_an_uninstall_first_takes_every_release_back(render: Render) -> None:
    """By a Job whose options name the chart's own objects; it gives up before Helm does."""
    chart = render("--api-versions=admissionregistration.k8s.io/v1/MutatingAdmissionPolicy")
    job = chart.one("Job", "slipway-detach")
    (only,) = job["spec"]["template"]["spec"]["containers"]
    command, *args = only["args"]
    parsed = main.commands[command].make_context(command, args).params
    assert chart.one("Deployment", parsed["reconciler"])
    assert chart.one("MutatingAdmissionPolicy", parsed["admission_policy"])
    assert chart.one("MutatingAdmissionPolicyBinding", parsed["admission_policy"])
    assert chart.one("MutatingWebhookConfiguration", parsed["webhook_configuration"])
    assert chart.one("ValidatingWebhookConfiguration", parsed["webhook_configuration"])
    other = container(render, "reconciler")["args"]
    assert {f"--lease={parsed['lease']}", f"--identity={parsed['identity']}"} <= {*other}
    assert parsed["timeout"] < job["spec"]["activeDeadlineSeconds"] < 300


def test_what_an_uninstall_needs_is_there_only_then(render: Render) -> None:
    """Rights before the Job, nothing left after it, and all of it can be switched off."""
    chart = render()
    kinds = ("ClusterRole", "ClusterRoleBinding", "Job")
    notes = [chart.one(kind, "slipway-detach")["metadata"]["annotations"] for kind in kinds]
    assert {note["helm.sh/hook"] for note in notes} == {"pre-delete"}
    policies = {note["helm.sh/hook-delete-policy"] for note in notes}
    assert policies == {"before-hook-creation,hook-succeeded"}
    weights = [int(note["helm.sh/hook-weight"]) for note in notes]
    assert weights == sorted(set(weights))
    off = render("--set=detach.enabled=false")
    assert not [each for each in off.objects if each["metadata"]["name"] == "slipway-detach"]


def test_the_job_of_an_uninstall_reaches_the_api_server_and_is_reached_by_nobody(
    render: Render,
) -> None:
    """Also where the namespace denies everything else."""
    chart = render()
    spec = chart.one("NetworkPolicy", "slipway-detach")["spec"]
    pod = chart.one("Job")["spec"]["template"]["metadata"]
    assert spec["podSelector"]["matchLabels"].items() <= pod["labels"].items()
    assert "ingress" not in spec
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert spec["egress"] == chart.one("NetworkPolicy", "slipway-webhook")["spec"]["egress"]


def test_only_the_reconciler_reaches_pods_and_only_to_read_their_counters(render: Render) -> None:
    """Without podMetrics it neither asks them nor could."""
    to_pods = {"to": [{"namespaceSelector": {}}]}
    on, off = render(), render("--set=podMetrics.enabled=false")
    for chart, component, reaches in (
        (on, "reconciler", True),
        (on, "webhook", False),
        (off, "reconciler", False),
    ):
        policy = chart.one("NetworkPolicy", f"slipway-{component}")
        assert (to_pods in policy["spec"]["egress"]) is reaches
    for chart, args in ((on, False), (off, True)):
        pod = chart.one("Deployment", "slipway-reconciler")["spec"]["template"]["spec"]
        assert ("--no-pod-metrics" in pod["containers"][0]["args"]) is args


@pytest.mark.parametrize(
    ("kind", "component"),
    [("Deployment", "webhook"), ("Deployment", "reconciler"), ("Job", "detach")],
)
def test_pods_keep_to_the_restricted_standard(render: Render, kind: str, component: str) -> None:
    """Not root, no privileges, no capabilities, nothing writable but memory."""
    pod = render().one(kind, f"slipway-{component}")["spec"]["template"]["spec"]
    (only,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert only["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "capabilities": {"drop": ["ALL"]},
    }
    (volume,) = pod["volumes"]
    assert volume["emptyDir"]["medium"] == "Memory"


@pytest.mark.parametrize("component", ["webhook", "reconciler"])
def test_an_update_of_slipway_never_leaves_fewer_replicas(render: Render, component: str) -> None:
    """A new pod is ready before an old one goes, and the old one is forgotten before it stops."""
    spec = render().one("Deployment", f"slipway-{component}")["spec"]
    assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    (only,) = spec["template"]["spec"]["containers"]
    sleep = only["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert 0 < sleep < spec["template"]["spec"]["terminationGracePeriodSeconds"]


@pytest.mark.parametrize("kind", ["PodDisruptionBudget", "NetworkPolicy"])
def test_budgets_and_network_policies_select_the_pods_they_are_for(
    render: Render, kind: str
) -> None:
    """A selector that selects nothing protects nothing."""
    chart = render()
    for component in ("webhook", "reconciler"):
        pod = chart.one("Deployment", f"slipway-{component}")["spec"]["template"]["metadata"]
        spec = chart.one(kind, f"slipway-{component}")["spec"]
        selector = spec.get("selector") or spec["podSelector"]
        assert selector["matchLabels"].items() <= pod["labels"].items()


def test_slipway_never_calls_itself_and_never_kube_system(render: Render) -> None:
    """A webhook that guards its own Deployment could lock itself out; users may add to these."""
    values = (
        "--set=webhook.excludedNamespaces={monitoring}",
        "--set=webhook.namespaceSelector.matchLabels.guarded=yes",
    )
    for webhook in render(*values).one("MutatingWebhookConfiguration")["webhooks"]:
        (only,) = webhook["namespaceSelector"]["matchExpressions"]
        assert (only["key"], only["operator"]) == ("kubernetes.io/metadata.name", "NotIn")
        assert only["values"] == ["slipway-system", "kube-system", "monitoring"]
        assert webhook["namespaceSelector"]["matchLabels"] == {"guarded": "yes"}


def test_webhooks_do_not_stand_in_the_way_by_default(render: Render) -> None:
    """Their failure is ignored, they answer soon, and an upgrade does not drop their caBundle."""
    chart = render()
    mutating = chart.one("MutatingWebhookConfiguration")["webhooks"]
    for webhook in [*mutating, *chart.one("ValidatingWebhookConfiguration")["webhooks"]]:
        assert webhook["failurePolicy"] == "Ignore"
        assert webhook["timeoutSeconds"] == 5
        assert webhook["sideEffects"] == "None"
        assert "caBundle" not in webhook["clientConfig"]
    assert {webhook["reinvocationPolicy"] for webhook in mutating} == {"IfNeeded"}
    resources = {rule["resources"][0] for each in mutating for rule in each["rules"]}
    routes = {ROUTES[router.kind].plural for router in ROUTERS.values()}
    assert resources == {"deployments", "services", *routes, "releases"}


def test_no_filter_by_content_can_let_a_deployment_past(render: Render) -> None:
    """A condition that errs skips the call, so Deployments have none of the chart's own.

    Nor have Releases: who decided what is noted whatever the write looks like. Canary Mappings
    are told from users' own by their label.
    """
    found = {w["name"]: w for w in render().one("MutatingWebhookConfiguration")["webhooks"]}
    free = {name for name, webhook in found.items() if "matchConditions" not in webhook}
    owned = {
        f"{ROUTES[router.kind].plural}.slipway.dev"
        for router in ROUTERS.values()
        if not router.shown
    }
    assert free == {"deployments.slipway.dev", *owned, "releases.slipway.dev"}
    assert {name for name, each in found.items() if "objectSelector" in each} == owned
    assert all(len(found[name]["matchConditions"]) == 1 for name in found.keys() - free)
    extra = '--set-json=webhook.matchConditions=[{"name":"mine","expression":"true"}]'
    webhooks = render(extra).one("MutatingWebhookConfiguration")["webhooks"]
    assert {each["matchConditions"][-1]["name"] for each in webhooks} == {"mine"}


def test_the_admission_policy_is_rendered_only_where_the_cluster_has_it(render: Render) -> None:
    """An older cluster would refuse the whole installation."""
    wanted, has = "--set=admissionPolicy.enabled=true", f"--api-versions={ADMISSION}/{V1}"
    kind = "MutatingAdmissionPolicy"
    assert not render(wanted).all(kind)
    assert not render("--set=admissionPolicy.enabled=false", f"{has}/{kind}").all(kind)
    policy = render(wanted, f"{has}/{kind}").one(kind)
    assert policy["spec"]["reinvocationPolicy"] == "Never"


def test_a_default_policy_is_there_unless_it_is_not_wanted(render: Render) -> None:
    """By value, with any spec."""
    assert render().one("ClusterReleasePolicy", "default")["spec"] == {}
    named = render("--set=defaultPolicy.spec.traffic.drain=1m").one("ClusterReleasePolicy")
    assert named["spec"] == {"traffic": {"drain": "1m"}}
    assert not render("--set=defaultPolicy.enabled=false").all("ClusterReleasePolicy")


def test_one_number_can_scale_both_programs(render: Render) -> None:
    """Zero is a number too."""
    assert [each["spec"]["replicas"] for each in render().all("Deployment")] == [2, 2]
    none = render("--set=replicaCount=0").all("Deployment")
    assert [each["spec"]["replicas"] for each in none] == [0, 0]
    webhook = render("--set=webhook.replicaCount=5").one("Deployment", "slipway-webhook")
    assert webhook["spec"]["replicas"] == 5


def test_a_digest_wins_over_a_tag(render: Render) -> None:
    """What was verified is what runs."""
    digest = "sha256:" + "a" * 64
    assert container(render, "webhook")["image"] == "slipway:0.1.0"
    assert container(render, "webhook", "--set=image.tag=v9")["image"] == "slipway:v9"
    found = container(render, "webhook", "--set=image.tag=v9", f"--set=image.digest={digest}")
    assert found["image"] == f"slipway@{digest}"


@pytest.mark.parametrize(
    "wrong",
    [
        "replicaCount=two",
        "webhook.failurePolcy=Fail",
        "webhook.failurePolicy=Maybe",
        "webhook.timeoutSeconds=31",
        "image.digest=latest",
        "defaultPolicy.name=",
        "typo=1",
    ],
)
def test_a_wrong_value_is_refused_before_anything_is_installed(helm: Helm, wrong: str) -> None:
    """Misspelt or out of range, with the place in the message."""
    done = helm("template", "slipway", str(CHART), "--set", wrong)
    assert done.returncode != 0
    *path, last = wrong.split("=", maxsplit=1)[0].split(".")
    assert (path[0] if path else last) in done.stderr


def test_every_value_is_known_to_the_schema(helm: Helm, render: Render) -> None:
    """The defaults themselves pass, and optional parts render with all options on."""
    full = render(
        "--set=serviceMonitor.enabled=true",
        "--set=configGuard.enabled=true",
        "--set=networkPolicy.extraEgress[0].ports[0].port=9090",
        "--set=extraEnv[0].name=SLIPWAY_WEBHOOK_LOG_LEVEL",
        "--set=extraEnv[0].value=debug",
        "--set=webhook.extraArgs={--log-level=debug}",
        "--set=imagePullSecrets[0].name=key",
        "--set=priorityClassName=system-cluster-critical",
        "--set=podLabels.team=platform",
        "--set=preStopSleepSeconds=0",
    )
    assert full.one("ServiceMonitor")
    (only,) = full.one("Deployment", "slipway-webhook")["spec"]["template"]["spec"]["containers"]
    assert only["args"][-2:] == ["--config-guard", "--log-level=debug"]
    assert "lifecycle" not in only
