"""The floor: a stock aiohttp application whose handler answers ``allowed`` and nothing else."""

import ssl

import orjson
from aiohttp import web

from bench.serving import serve, start_app

ALLOWED = (
    b'{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview",'
    b'"response":{"uid":"%b","allowed":true}}'
)


async def allow(request: web.Request) -> web.Response:
    """Echo the uid; for that the review has to be decoded."""
    uid: str = orjson.loads(await request.read())["request"]["uid"]
    return web.Response(body=ALLOWED % uid.encode(), content_type="application/json")


async def start(context: ssl.SSLContext) -> int:
    """Start the server."""
    return await start_app(allow, context)


if __name__ == "__main__":
    serve(start, core=0)
