"""The plain view: one line for each change, for logs and pipes. Pure."""

from collections.abc import Iterator

from lab.demo.state import Command, State, counted
from lab.demo.view import clock


def lines(before: State | None, after: State) -> list[str]:
    """What to print when ``after`` follows ``before`` (None at first)."""
    typed = list(_typed(before.commands if before else (), after.commands, after.elapsed))
    if before is not None and _key(before) == _key(after):
        return typed
    return [*typed, _line(after)]


def _key(state: State) -> tuple[object, ...]:
    release = state.release
    status = release.status if release else None
    return (
        release.name if release else None,
        (status.phase, status.stage, status.step, status.weight.asked) if status else None,
        _pods(state),
        state.traffic.failed.bit_length(),  # each doubling: a bad version fails many
    )


def _line(state: State) -> str:
    traffic = state.traffic
    share = "  ".join(
        f"{version} {state.asked(version)}/{traffic.shares.get(version, 0.0):.0%}"
        for version in state.versions
    )
    parts = (
        clock(state.elapsed).rjust(5),
        _phase(state),
        f"asked/measured {share}",
        f"pods {_pods(state)}",
        f"requests {traffic.total} failed {traffic.failed}",
        _message(state),
    )
    return " | ".join(part for part in parts if part)


def _phase(state: State) -> str:
    if state.release is None:
        return "no release"
    spec, status = state.release.spec, state.release.status
    stage = f"/{status.stage}" if status.stage and not status.phase.finished else ""
    step = f" step {min(status.step + 1, status.steps)} of {status.steps}" if status.steps else ""
    return f"{spec.version} {status.phase}{stage}{step}"


def _message(state: State) -> str:
    if state.release is None:
        return ""
    status = state.release.status
    return f"{status.reason}: {status.message}" if status.reason else ""


def _pods(state: State) -> str:
    found = []
    for version in state.versions:
        pods = state.pods_of(version)
        ending = sum(pod.ending for pod in pods)
        if pods:
            found.append(f"{version} {counted(pods)}" + (f" (+{ending} ending)" if ending else ""))
    return ", ".join(found) or "none"


def _typed(
    before: tuple[Command, ...], after: tuple[Command, ...], elapsed: float
) -> Iterator[str]:
    for number, command in enumerate(after):
        known = before[number] if number < len(before) else None
        if known is None:
            yield f"{clock(elapsed):>5} $ {command.text}"
        if command.code is not None and (known is None or known.code is None):
            yield from (f"        {line}" for line in command.output)
            if command.code:
                yield f"        exit code {command.code}"
