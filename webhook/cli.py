"""The programs: `slipway webhook`, `slipway reconciler`, `slipway run`, `slipway detach`."""

import asyncio
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Literal, TypeVar

import click

from webhook import __version__
from webhook.config import (
    Address,
    Common,
    ConfigError,
    DetachConfig,
    ReconcilerConfig,
    RunConfig,
    WebhookConfig,
)

F = TypeVar("F", bound=Callable[..., Any])

_SETTINGS = {
    "auto_envvar_prefix": "SLIPWAY",
    "help_option_names": ["-h", "--help"],
    "show_default": True,
    "max_content_width": 100,
}


class _AddressType(click.ParamType[Address]):
    name = "ip:port"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Address:
        if isinstance(value, Address):
            return value
        try:
            return Address.parse(str(value))
        except ConfigError as error:
            self.fail(str(error), param, ctx)


ADDRESS = _AddressType()


def _common(command: F) -> F:
    """Options that every program has."""
    for option in reversed(
        (
            click.option(
                "--namespace",
                default="slipway-system",
                help="Slipway's own namespace, of its Secret and Lease.",
            ),
            click.option(
                "--identity",
                default="",
                help="User name of the reconciler, the only one that may change intent. "
                "Default: the ServiceAccount slipway of --namespace; "
                "for `run`, the kubeconfig's user.",
            ),
            click.option(
                "--kubeconfig",
                type=click.Path(exists=True, dir_okay=False, path_type=Path),
                help="File that says how to reach the cluster. Default: $KUBECONFIG, "
                "else the pod's own ServiceAccount, else ~/.kube/config.",
            ),
            click.option(
                "--config-guard/--no-config-guard",
                default=False,
                help="Take a change of ConfigMaps and Secrets for a new version where a policy "
                "asks for it. Needs the right to read them, and for the reconciler to write.",
            ),
            click.option("--context", help="Context of the kubeconfig. Default: its current one."),
            click.option(
                "--log-level",
                type=click.Choice(["debug", "info", "warning", "error"]),
                default="info",
                help="Least important events to log.",
            ),
            click.option(
                "--log-format",
                type=click.Choice(["json", "console"]),
                default="json",
                help="One JSON object a line, or lines for people.",
            ),
        )
    ):
        command = option(command)
    return command


_METRICS = click.option(
    "--metrics-listen",
    type=ADDRESS,
    help="Serve /metrics, /healthz and /readyz without TLS here.",
)
_LEASE = click.option(
    "--lease",
    default="slipway-reconciler",
    help="Lease by which one reconciler of several leads.",
)
_POD_METRICS = click.option(
    "--pod-metrics/--no-pod-metrics",
    default=True,
    help="Read the request counters of pods in a release, where they offer them (annotation "
    "prometheus.io/scrape or a port named metrics), to prove that traffic moved.",
)


@click.group(context_settings=_SETTINGS)
@click.version_option(__version__, prog_name="slipway")
def main() -> None:
    """Guarded releases for plain Kubernetes Deployments.

    Every change of a Deployment's pods is deployed first, gets traffic in measured steps, and is
    taken back if it fails. In a cluster, the chart runs `webhook` and `reconciler`; to try
    Slipway from a laptop, use `run`.

    Every option can also be given as an environment variable, for example
    SLIPWAY_WEBHOOK_LOG_LEVEL=debug for `slipway webhook --log-level debug`.
    """


@main.command()
@click.option(
    "--listen", type=ADDRESS, default="0.0.0.0:8443", help="Where the API server sends its reviews."
)
@_METRICS
@click.option("--service", default="slipway-webhook", help="Service by which it is called.")
@click.option("--secret", default="slipway-webhook-certs", help="Secret that keeps the CA.")
@click.option(
    "--webhook-configuration",
    default="slipway",
    help="Name of the webhook configurations whose caBundle it writes.",
)
@click.option("--tls-minimum", type=click.Choice(["1.2", "1.3"]), default="1.3")
@_common
def webhook(
    listen: Address,
    metrics_listen: Address | None,
    service: str,
    secret: str,
    webhook_configuration: str,
    tls_minimum: Literal["1.2", "1.3"],
    **common: Any,
) -> None:
    """Serve the admission webhook.

    It holds every real change of a managed Deployment, and keeps pins and splits in place
    whoever writes the object. It needs no leader: run as many as you like.
    """
    config = WebhookConfig(
        common=Common(**common),
        listen=listen,
        metrics_listen=metrics_listen,
        service=service,
        secret=secret,
        webhook_configuration=webhook_configuration,
        tls_minimum=tls_minimum,
    )
    from webhook.compose import serve_webhook  # noqa: PLC0415 --help must not load everything

    _run(serve_webhook(config), config.common)


@main.command()
@_METRICS
@_LEASE
@_POD_METRICS
@_common
def reconciler(
    metrics_listen: Address | None, lease: str, pod_metrics: bool, **common: Any
) -> None:
    """Run the releases: pin Services, move weights, promote, roll back.

    Several may run; the one that holds the Lease works, the others wait to take over.
    """
    config = ReconcilerConfig(
        common=Common(**common),
        metrics_listen=metrics_listen,
        lease=lease,
        pod_metrics=pod_metrics,
    )
    from webhook.compose import run_reconciler  # noqa: PLC0415 --help must not load everything

    _run(run_reconciler(config), config.common)


@main.command()
@click.option(
    "--listen",
    type=ADDRESS,
    default="127.0.0.1:8443",
    help="Where the cluster's API server reaches this process; it is put into the webhook's URL.",
)
@_METRICS
@_LEASE
@click.option(
    "--default-policy/--no-default-policy",
    default=True,
    help="Make a policy for all Deployments if the cluster has none.",
)
@_POD_METRICS
@_common
def run(
    listen: Address,
    metrics_listen: Address | None,
    lease: str,
    default_policy: bool,
    pod_metrics: bool,
    **common: Any,
) -> None:
    """Run webhook and reconciler in one process, against any cluster.

    Installs the CRDs, a certificate and a webhook configuration that points to --listen, and
    takes the configuration away again at the end. For development and for trying it out.
    """
    config = RunConfig(
        common=Common(**common),
        listen=listen,
        metrics_listen=metrics_listen,
        lease=lease,
        default_policy=default_policy,
        pod_metrics=pod_metrics,
    )
    from webhook.compose import run_both  # noqa: PLC0415 --help must not load everything

    _run(run_both(config), config.common)


@main.command()
@_LEASE
@click.option(
    "--reconciler",
    default="",
    help="Slipway's own Deployment in --namespace, to be scaled to 0 first. Empty: there is none.",
)
@click.option(
    "--webhook-configuration",
    default="slipway",
    help="Name of the webhook configurations to take away; `slipway run` has slipway-run.",
)
@click.option(
    "--admission-policy",
    default="",
    help="Name of the MutatingAdmissionPolicy to take away. Empty: there is none.",
)
@click.option("--timeout", type=click.FloatRange(min=1), default=240, help="Seconds for all of it.")
@_common
def detach(
    lease: str,
    reconciler: str,
    webhook_configuration: str,
    admission_policy: str,
    timeout: float,
    **common: Any,
) -> None:
    """Take Slipway out of a cluster, in the middle of releases or not.

    Every release is taken back, traffic first; then the rollout goes on natively. At the end
    nothing is held, pinned or split. A Deployment whose release was aborted stays paused. What
    could not be taken back is listed, with exit code 1. The chart runs this before an uninstall.
    """
    config = DetachConfig(
        common=Common(**common),
        lease=lease,
        reconciler=reconciler,
        webhook_configuration=webhook_configuration,
        admission_policy=admission_policy,
        timeout=timeout,
    )
    from webhook.compose import run_detach  # noqa: PLC0415 --help must not load everything

    _run(run_detach(config), config.common)


def _run(program: Coroutine[Any, Any, None], common: Common) -> None:
    """Run a program until it ends or is told to; the exit code says whether it went well."""
    from webhook.cluster.errors import ApiError, NotConfigured  # noqa: PLC0415 as above
    from webhook.collector import relax  # noqa: PLC0415 as above
    from webhook.reconciler.detach import NotDetached  # noqa: PLC0415 as above
    from webhook.telemetry.log import configure  # noqa: PLC0415 as above

    configure(common.log_level, common.log_format)
    relax()
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(program)
    except (ApiError, NotConfigured, ConfigError, NotDetached) as error:
        click.echo(f"slipway: {error}", err=True)
        sys.exit(1)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415 not on every platform
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory
