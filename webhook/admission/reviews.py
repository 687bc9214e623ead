"""From the bytes of a review to the bytes of its answer, whatever goes wrong in between."""

from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Final, NamedTuple

import structlog

from webhook.admission import failures, review
from webhook.admission.answer import Answer, refusal
from webhook.admission.observer import Observer
from webhook.mutation.request import Outcome, Request
from webhook.projection.diff import diff
from webhook.traffic.routers import ROUTERS

Decide = Callable[[Request], Outcome | Awaitable[Outcome]]
"""Decides at once; for the few writes that something has to be looked up for, later."""

UNGUARDED: Final = "slipway could not read this object; it passed unguarded and will be repaired"
_OPERATIONS: Final = frozenset({"CREATE", "UPDATE", "DELETE", "CONNECT"})
_DECIDED: Final = frozenset({"CREATE", "UPDATE"})
_KINDS: Final = frozenset(
    {
        "ClusterReleasePolicy",
        "Deployment",
        "Release",
        "ReleasePolicy",
        "Service",
        *ROUTERS,
    }
)
"""Kinds that get a metric of their own; a body may not make up label values."""

log = structlog.get_logger(__name__)


class _Verdict(NamedTuple):
    body: bytes
    result: str


class Reviews:
    """Answers reviews. A failure of ours lets the write pass, with a warning and a count."""

    def __init__(self, mutate: Decide, validate: Decide, observer: Observer) -> None:
        self._mutate = mutate
        self._validate = validate
        self._observer = observer

    def mutate(self, body: bytes) -> Answer | Awaitable[Answer]:
        """Answer a review with a patch of what the decision changed."""
        return self._answer(body, self._mutate, patches=True)

    def validate(self, body: bytes) -> Answer | Awaitable[Answer]:
        """Answer a review with allowed or denied, never with a patch."""
        return self._answer(body, self._validate, patches=False)

    def _answer(self, body: bytes, decide: Decide, *, patches: bool) -> Answer | Awaitable[Answer]:
        started = perf_counter()
        try:
            envelope = review.open_envelope(body)
        except review.BadEnvelopeError as error:
            self._observer.failed("envelope")
            return refusal(400, str(error))
        try:
            verdict = _decide(envelope, decide, patches=patches)
        except review.BadRequestError as error:
            verdict = self._let_pass(envelope, "request", error)
        except Exception as error:  # whatever it is, it must not stop the user's write
            verdict = self._let_pass(envelope, "decision", error)
        if isinstance(verdict, _Verdict):
            return self._counted(envelope, verdict, started)
        return self._later(envelope, verdict, started)

    async def _later(
        self, envelope: review.Envelope, verdict: Awaitable[_Verdict], started: float
    ) -> Answer:
        try:
            reached = await verdict
        except Exception as error:  # as above
            reached = self._let_pass(envelope, "decision", error)
        return self._counted(envelope, reached, started)

    def _counted(self, envelope: review.Envelope, verdict: _Verdict, started: float) -> Answer:
        self._observer.reviewed(
            _known(envelope.request.get("operation"), _OPERATIONS),
            _known(_kind(envelope), _KINDS),
            verdict.result,
            perf_counter() - started,
        )
        return Answer(200, verdict.body)

    def _let_pass(self, envelope: review.Envelope, cause: str, error: Exception) -> _Verdict:
        self._observer.failed(cause)
        log.error(
            "review_passed_unguarded",
            cause=cause,
            uid=envelope.uid,
            operation=_known(envelope.request.get("operation"), _OPERATIONS),
            kind=_known(_kind(envelope), _KINDS),
            namespace=_short(envelope.request.get("namespace")),
            name=_short(envelope.request.get("name")),
            **failures.fields(error),
        )
        return _Verdict(review.allow(envelope.uid, warnings=(UNGUARDED,)), "failed")


def _decide(
    envelope: review.Envelope, decide: Decide, *, patches: bool
) -> _Verdict | Awaitable[_Verdict]:
    raw = envelope.request
    operation = raw.get("operation")
    if not isinstance(operation, str) or operation not in _OPERATIONS:
        raise review.BadRequestError("request.operation is unknown")
    if operation not in _DECIDED or raw.get("subResource"):
        return _Verdict(review.allow(envelope.uid), "unchanged")
    request = review.read_request(envelope)
    outcome = decide(request)
    if isinstance(outcome, Outcome):
        return _verdict(envelope, request, outcome, patches=patches)
    return _verdict_later(envelope, request, outcome, patches=patches)


async def _verdict_later(
    envelope: review.Envelope, request: Request, outcome: Awaitable[Outcome], *, patches: bool
) -> _Verdict:
    return _verdict(envelope, request, await outcome, patches=patches)


def _verdict(
    envelope: review.Envelope, request: Request, outcome: Outcome, *, patches: bool
) -> _Verdict:
    if outcome.denied is not None:
        denial = review.deny(envelope.uid, outcome.denied, outcome.warnings, outcome.audit)
        return _Verdict(denial, "denied")
    patch = diff(request.object, outcome.object) if patches else []
    return _Verdict(
        review.allow(envelope.uid, patch, outcome.warnings, outcome.audit),
        "patched" if patch else "unchanged",
    )


def _kind(envelope: review.Envelope) -> object:
    kind = envelope.request.get("kind")
    return kind.get("kind") if isinstance(kind, dict) else None


def _known(value: object, known: frozenset[str]) -> str:
    return value if isinstance(value, str) and value in known else "other"


def _short(value: object) -> str:
    return value[:253] if isinstance(value, str) else ""
