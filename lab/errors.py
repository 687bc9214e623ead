"""What can go wrong with a lab: each error says what happened, to what, and what to do."""

from pathlib import Path


class LabError(Exception):
    """Base of every error of the lab."""


class ProgramMissingError(LabError):
    """A program that the lab needs is not there and cannot be made."""

    def __init__(self, program: str, advice: str) -> None:
        super().__init__(f"{program} was not found: {advice}")
        self.program = program


class BuildError(LabError):
    """Building the control plane's programs from their Go modules failed."""

    def __init__(self, step: str, output: str) -> None:
        super().__init__(
            f"{step} failed; is the Go module proxy reachable and Go new enough? "
            f"Its last lines:\n{_last_lines(output)}"
        )


class BundleError(LabError):
    """A bundle of programs cannot be used."""

    def __init__(self, bundle: str, what: str) -> None:
        super().__init__(f"the bundle {bundle} cannot be used: {what}")


class NetworkError(LabError):
    """The lab's own network namespace could not be made."""

    def __init__(self, output: str) -> None:
        super().__init__(
            "a network namespace could not be made; be root, or allow user namespaces "
            f"(sysctl user.max_user_namespaces). The programs said:\n{_last_lines(output)}"
        )


class StartError(LabError):
    """A program of the lab ended or did not get ready in time."""

    def __init__(self, program: str, what: str, log: Path) -> None:
        tail = _last_lines(log.read_text(errors="replace")) if log.exists() else "(no log)"
        super().__init__(f"{program} {what}; the end of {log}:\n{tail}")
        self.program = program


class WaitTimeoutError(LabError):
    """A condition did not come true by its deadline."""

    def __init__(self, what: str, timeout: float, last: str = "") -> None:
        seen = f"; last seen: {last}" if last else ""
        super().__init__(f"waited {timeout:g} s in vain for {what}{seen}")


class ApiError(LabError):
    """The API server refused a request of the lab."""

    def __init__(self, method: str, path: str, status: int, message: str) -> None:
        super().__init__(f"{method} {path}: {status} {message}")
        self.status = status


class CommandError(LabError):
    """A command that a lab ran for its user ended with an exit code other than 0."""

    def __init__(self, argv: list[str], code: int, output: str) -> None:
        super().__init__(f"{' '.join(argv)} ended with {code}: {output.strip()}")
        self.code = code


class NoSuchLabError(LabError):
    """No running lab has that name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"no running lab {name!r}; `python -m lab status` lists them")


def _last_lines(text: str, count: int = 15) -> str:
    return "\n".join(text.rstrip().splitlines()[-count:])
