"""The obvious version: stock json and a whole-object ``jsonpatch.make_patch`` on aiohttp.

The decision is the same as the webhook's, so what is compared is everything around it.
"""

import base64
import ssl

import jsonpatch
from aiohttp import web

from bench.serving import serve, start_app
from bench.webhook import decide
from webhook.mutation.request import Request


async def mutate(request: web.Request) -> web.Response:
    """Answer a review as most tutorials would."""
    asked = (await request.json())["request"]
    outcome = decide(
        Request(
            uid=asked["uid"],
            operation=asked["operation"],
            kind=asked["kind"]["kind"],
            group=asked["kind"]["group"],
            namespace=asked.get("namespace", ""),
            name=asked.get("name", ""),
            object=asked["object"],
            old=asked["oldObject"],
            username=asked["userInfo"]["username"],
            field_manager=asked["options"].get("fieldManager", ""),
            dry_run=asked.get("dryRun", False),
        )
    )
    patch = jsonpatch.make_patch(asked["object"], outcome.object)
    response = {
        "uid": asked["uid"],
        "allowed": outcome.denied is None,
        "patchType": "JSONPatch",
        "patch": base64.b64encode(patch.to_string().encode()).decode(),
        "warnings": list(outcome.warnings),
        "auditAnnotations": dict(outcome.audit),
    }
    return web.json_response(
        {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}
    )


async def start(context: ssl.SSLContext) -> int:
    """Start the server."""
    return await start_app(mutate, context)


if __name__ == "__main__":
    serve(start, core=0)
