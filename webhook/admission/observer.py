"""What the server tells about its work; the composition root decides who listens."""

from typing import Protocol


class Observer(Protocol):
    """Hears of every review. Called on the hot path: it has to be quick and may not raise."""

    def reviewed(self, operation: str, kind: str, result: str, seconds: float) -> None:
        """Count one answered review; both labels come from small fixed sets.

        ``result`` is ``unchanged``, ``patched``, ``denied`` or ``failed``.
        """
        ...

    def failed(self, cause: str) -> None:
        """Count one review that got no decision.

        ``cause`` is ``envelope`` (refused), ``request`` (unreadable, let pass), ``decision``
        (our own bug, let pass) or ``overload`` (429).
        """
        ...


class Silent:
    """An observer that nobody listens to."""

    def reviewed(self, operation: str, kind: str, result: str, seconds: float) -> None:
        """Ignore it."""

    def failed(self, cause: str) -> None:
        """Ignore it."""
