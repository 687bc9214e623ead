"""The floor: Slipway's HTTP server with a handler that answers ``allowed`` and nothing else."""

import ssl

import orjson

from bench.serving import serve, serve_one_route
from webhook.admission.answer import Answer

ALLOWED = (
    b'{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview",'
    b'"response":{"uid":"%b","allowed":true}}'
)


def allow(body: bytes) -> Answer:
    """Echo the uid; for that the review has to be decoded."""
    uid: str = orjson.loads(body)["request"]["uid"]
    return Answer(200, ALLOWED % uid.encode())


async def start(context: ssl.SSLContext) -> int:
    """Start the server."""
    return await serve_one_route(allow, context)


if __name__ == "__main__":
    serve(start, core=0)
