"""The client against a real HTTP server: what is sent, what comes back, what goes wrong."""

import asyncio
from contextlib import aclosing
from pathlib import Path

import pytest
from fake_api import CUT, FakeApi, line, status, write_kubeconfig
from virtual_time import VirtualTime, eventually

from webhook import names
from webhook.cluster import client as client_module
from webhook.cluster import errors
from webhook.cluster.client import Client, PatchType, WatchEvent
from webhook.cluster.kinds import DEPLOYMENTS, HTTPROUTES, NAMESPACES, PODS
from webhook.telemetry.metrics import REGISTRY


async def test_an_object_comes_back_as_the_api_server_sent_it(api: FakeApi, client: Client) -> None:
    """Fields that nobody here has heard of are kept."""
    sent = api.put(DEPLOYMENTS, "web", spec={"fieldOfTheFuture": {"x": [1, None, "ü"]}})
    assert await client.get(DEPLOYMENTS, "web", "shop") == sent


async def test_a_long_list_is_read_in_pages_and_arrives_whole(api: FakeApi, client: Client) -> None:
    """1,201 objects take three requests; each item says what it is."""
    for number in range(1201):
        api.put(PODS, f"pod-{number}")
    page = await client.list(PODS, "shop")
    assert len({item["metadata"]["name"] for item in page.items}) == 1201
    assert {(item["apiVersion"], item["kind"]) for item in page.items} == {("v1", "Pod")}
    assert page.resource_version == str(api.version)
    assert api.count("GET") == 3


async def test_a_list_whose_snapshot_expires_between_pages_is_read_in_one(
    api: FakeApi, client: Client
) -> None:
    """An expired continue token costs one more request, not the list."""
    for number in range(600):
        api.put(PODS, f"pod-{number}")
    api.page_tokens_expired = True
    page = await client.list(PODS)
    assert len(page.items) == 600
    assert "limit" not in api.seen[-1].query


async def test_selectors_reach_the_server(api: FakeApi, client: Client) -> None:
    """Labels and fields narrow a list on the server's side."""
    await client.list(PODS, "shop", labels="app=web", fields="spec.nodeName=n1")
    query = api.seen[-1].query
    assert (query["labelSelector"], query["fieldSelector"]) == ("app=web", "spec.nodeName=n1")


@pytest.mark.parametrize(
    ("code", "reason", "expected"),
    [
        (401, "Unauthorized", errors.Unauthorized),
        (403, "Forbidden", errors.Forbidden),
        (404, "NotFound", errors.NotFound),
        (409, "Conflict", errors.Conflict),
        (409, "AlreadyExists", errors.AlreadyExists),
        (410, "Gone", errors.Gone),
        (410, "Expired", errors.Gone),
        (422, "Invalid", errors.Invalid),
        (429, "TooManyRequests", errors.TooManyRequests),
        (500, "InternalError", errors.Unavailable),
        (503, "ServiceUnavailable", errors.Unavailable),
        (504, "Timeout", errors.Timeout),
        (400, "BadRequest", errors.ApiError),
    ],
)
async def test_an_error_says_what_happened_to_which_object(
    api: FakeApi, client: Client, code: int, reason: str, expected: type[errors.ApiError]
) -> None:
    """Each answer has a type of its own, with the object and the server's words in its text."""
    api.fail("PATCH", code, reason, times=2)
    with pytest.raises(errors.ApiError) as caught:
        await client.patch(DEPLOYMENTS, "web", {}, "shop")
    error = caught.value
    assert type(error) is expected
    assert (error.status, error.reason) == (code, reason)
    assert (error.kind, error.namespace, error.name) == ("Deployment", "shop", "web")
    assert f"patch Deployment shop/web: {code} {reason}: it was {reason}" in str(error)


async def test_a_read_waits_as_long_as_an_overloaded_server_asks(
    api: FakeApi, client: Client, time: VirtualTime
) -> None:
    """429 and 503 with Retry-After are tried again after that time."""
    api.put(DEPLOYMENTS, "web")
    api.fail("GET", 429, "TooManyRequests", headers={"Retry-After": "2"})
    api.fail("GET", 503, "ServiceUnavailable", headers={"Retry-After": "1"})
    await client.get(DEPLOYMENTS, "web", "shop")
    assert time.slept == [2.0, 1.0]


async def test_a_read_does_not_wait_past_its_deadline(
    api: FakeApi, client: Client, time: VirtualTime
) -> None:
    """A server that asks for a minute is reported at once."""
    api.fail("GET", 429, "TooManyRequests", headers={"Retry-After": "60"})
    with pytest.raises(errors.TooManyRequests) as caught:
        await client.get(DEPLOYMENTS, "web", "shop")
    assert caught.value.retry_after == 60.0
    assert time.slept == []


async def test_a_write_is_never_repeated_by_the_client(api: FakeApi, client: Client) -> None:
    """Whoever wrote decides whether the write is still wanted."""
    api.fail("PATCH", 429, "TooManyRequests", headers={"Retry-After": "1"})
    with pytest.raises(errors.TooManyRequests):
        await client.patch(DEPLOYMENTS, "web", {}, "shop")
    assert api.count("PATCH") == 1


async def test_a_server_that_hangs_ends_in_a_timeout(api: FakeApi, tmp_path: Path) -> None:
    """Every call has a deadline."""
    api.hang = True
    path = write_kubeconfig(tmp_path / "config", api.url, {"token": "x"})
    async with await Client.connect(path, deadline=0.1) as client:
        with pytest.raises(errors.Timeout, match=r"get Deployment shop/web: no answer within 0.1"):
            await client.get(DEPLOYMENTS, "web", "shop")


async def test_a_server_that_is_away_is_unavailable(tmp_path: Path) -> None:
    """A refused connection has the same type as a broken one."""
    path = write_kubeconfig(tmp_path / "config", "http://127.0.0.1:1", {})
    async with await Client.connect(path) as client:
        with pytest.raises(errors.Unavailable, match="no answer"):
            await client.get(DEPLOYMENTS, "web", "shop")


async def test_an_answer_that_is_not_json_is_not_taken_for_an_object(
    api: FakeApi, client: Client
) -> None:
    """A proxy's login page with status 200 is an error."""
    api.fail("GET", 200, body="<html>log in</html>")
    with pytest.raises(errors.Unavailable, match="not JSON"):
        await client.get(DEPLOYMENTS, "web", "shop")


async def test_every_write_says_who_wrote(api: FakeApi, client: Client) -> None:
    """Create, replace and patch carry the field manager."""
    made = await client.create(DEPLOYMENTS, {"metadata": {"name": "web"}}, "shop")
    await client.replace(DEPLOYMENTS, made, "shop")
    await client.patch(DEPLOYMENTS, "web", {"spec": {}}, "shop", dry_run=True)
    managers = [request.query.get("fieldManager") for request in api.seen]
    assert managers == [names.FIELD_MANAGER] * 3
    assert api.seen[-1].query["dryRun"] == "All"
    assert api.seen[-1].path.endswith("/namespaces/shop/deployments/web")


@pytest.mark.parametrize("content", list(PatchType))
async def test_a_patch_names_its_kind_of_patch(
    api: FakeApi, client: Client, content: PatchType
) -> None:
    """JSON, merge, strategic and apply patches differ in the content type."""
    api.put(DEPLOYMENTS, "web")
    api.fail("PATCH", 200, body={"kind": "Deployment"})
    await client.patch(DEPLOYMENTS, "web", [], "shop", content=content, subresource="status")
    sent = api.seen[-1]
    assert sent.headers["Content-Type"] == content.value
    assert sent.path.endswith("/web/status")
    assert ("force" in sent.query) == (content is PatchType.APPLY)


async def test_a_delete_is_of_one_object_and_not_of_its_successor(
    api: FakeApi, client: Client
) -> None:
    """The uid is a precondition."""
    obj = api.put(DEPLOYMENTS, "web")
    with pytest.raises(errors.Conflict):
        await client.delete(DEPLOYMENTS, "web", "shop", uid="another")
    uid = obj["metadata"]["uid"]
    await client.delete(DEPLOYMENTS, "web", "shop", uid=uid, propagation="Foreground")
    assert api.seen[-1].body["propagationPolicy"] == "Foreground"
    assert not api.collections["deployments"].objects


async def test_a_stale_replace_is_a_conflict(api: FakeApi, client: Client) -> None:
    """The resourceVersion in the object is the precondition of a replace."""
    stale = api.put(DEPLOYMENTS, "web")
    api.put(DEPLOYMENTS, "web", spec={"replicas": 2})
    with pytest.raises(errors.Conflict):
        await client.replace(DEPLOYMENTS, stale, "shop")


async def test_whoami_gives_the_user_name(client: Client) -> None:
    """Slipway recognises its own writes by this name."""
    assert await client.whoami() == "slipway"


async def test_calls_are_counted_without_the_names_of_objects(api: FakeApi, client: Client) -> None:
    """One counter by verb, kind and code."""
    labels = {"verb": "get", "kind": "HTTPRoute", "code": "404"}
    before = REGISTRY.get_sample_value("slipway_api_requests_total", labels) or 0
    with pytest.raises(errors.NotFound, match="404 page not found"):
        await client.get(HTTPROUTES, "web", "shop")
    assert REGISTRY.get_sample_value("slipway_api_requests_total", labels) == before + 1


@pytest.mark.parametrize("name", ["..", "a/b", "", "a%2fb", "a?x=y", "a#b", "a\nb"])
def test_a_name_cannot_lead_to_another_path(name: str) -> None:
    """A hostile reference is refused before anything is sent."""
    with pytest.raises(ValueError, match="cannot be part"):
        DEPLOYMENTS.path("shop", name)


def test_a_path_fits_its_kind() -> None:
    """Groups, the core group, namespaces and subresources, each in its place."""
    assert PODS.path() == "/api/v1/pods"
    assert DEPLOYMENTS.path("shop", "web", "scale") == (
        "/apis/apps/v1/namespaces/shop/deployments/web/scale"
    )
    with pytest.raises(ValueError, match="not in a namespace"):
        NAMESPACES.path("shop")
    with pytest.raises(ValueError, match="needs a namespace"):
        PODS.path(None, "web-1")


# -- watches -----------------------------------------------------------------------------------


async def follow(client: Client, into: list[WatchEvent], version: str, until: float = 30) -> None:
    events = client.watch(PODS, resource_version=version, timeout=until)
    async with aclosing(events):
        async for event in events:
            into.append(event)


async def test_a_watch_yields_changes_and_bookmarks_until_the_server_ends_it(
    api: FakeApi, client: Client
) -> None:
    """The server is asked for bookmarks and for a time to end."""
    seen: list[WatchEvent] = []
    task = asyncio.create_task(follow(client, seen, str(api.version)))
    await eventually(lambda: api.watches)
    api.put(PODS, "web-1")
    api.bookmark()
    api.remove(PODS, "web-1")
    api.end_watches()
    await task
    assert [event.type for event in seen] == ["ADDED", "BOOKMARK", "DELETED"]
    query = api.seen[-1].query
    assert (query["allowWatchBookmarks"], query["timeoutSeconds"]) == ("true", "30")


async def test_a_watch_takes_objects_of_several_megabytes(api: FakeApi, client: Client) -> None:
    """No line is too long; small ones around it in the same chunk are whole."""
    seen: list[WatchEvent] = []
    task = asyncio.create_task(follow(client, seen, str(api.version)))
    await eventually(lambda: api.watches)
    big = {"metadata": {"name": "big", "resourceVersion": "1"}, "data": "x" * 3 * 2**20}
    small = {"metadata": {"name": "small", "resourceVersion": "2"}}
    api.say(line("ADDED", small) + line("ADDED", big) + line("ADDED", small))
    api.end_watches()
    await task
    assert [len(event.object.get("data", "")) for event in seen] == [0, 3 * 2**20, 0]


async def test_a_watch_cut_in_mid_line_gives_what_was_whole(api: FakeApi, client: Client) -> None:
    """Half an object is never taken for one."""
    seen: list[WatchEvent] = []
    task = asyncio.create_task(follow(client, seen, str(api.version)))
    await eventually(lambda: api.watches)
    api.put(PODS, "web-1")
    api.say(b'{"type":"ADDED","object":{"metada')
    await eventually(lambda: seen)
    api.end_watches(CUT)
    with pytest.raises(errors.Unavailable, match="the watch broke"):
        await task
    assert [event.object["metadata"]["name"] for event in seen] == ["web-1"]


async def test_an_old_version_is_gone(api: FakeApi, client: Client) -> None:
    """A 410 inside the stream is an error of its own type."""
    api.compacted = 500
    with pytest.raises(errors.Gone, match="watch Pod"):
        await follow(client, [], "1")


async def test_another_error_in_the_stream_keeps_its_code(api: FakeApi, client: Client) -> None:
    """A 500 in the stream does not pass for an end of the watch."""
    task = asyncio.create_task(follow(client, [], str(api.version)))
    await eventually(lambda: api.watches)
    api.say(line("ERROR", status(500, "InternalError", "etcd is away")))
    with pytest.raises(errors.Unavailable, match="etcd is away"):
        await task


async def test_a_silent_watch_is_given_up(
    api: FakeApi, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that never ends the watch, as behind a dead link, does not blind us."""
    monkeypatch.setattr(client_module, "WATCH_SLACK", 0.05)
    with pytest.raises(errors.Timeout, match="did not end the watch"):
        await follow(client, [], str(api.version), until=0.05)


async def test_a_refused_watch_is_an_error_at_once(api: FakeApi, client: Client) -> None:
    """No rights, no stream."""
    api.fail("WATCH", 403, "Forbidden")
    with pytest.raises(errors.Forbidden, match="RBAC"):
        await follow(client, [], str(api.version))
