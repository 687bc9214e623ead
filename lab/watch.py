"""Follows the objects of one kind in one namespace: no state between two looks is missed."""

import json
import threading
from collections.abc import Callable
from contextlib import suppress

from lab.api import Api, Object, Stream
from lab.errors import LabError


class Watch:
    """A thread that is told by the API server; ``told`` is called in it with each object's state.

    Where the server ends the watch, another goes on from the last state.
    """

    def __init__(self, api: Api, kind: str, namespace: str, told: Callable[[Object], None]) -> None:
        self._api, self._told = api, told
        self._path = api.path(kind, namespace)
        self._there: dict[str, Object] = {}
        self._stream: Stream | None = None
        self._closed = threading.Event()
        self._lock = threading.Lock()
        listed = api.request("GET", self._path)
        self._version = str(listed["metadata"]["resourceVersion"])
        for obj in listed["items"]:
            self._note(obj)
        self._thread = threading.Thread(target=self._run, name=f"watch {kind}", daemon=True)
        self._thread.start()

    @property
    def objects(self) -> list[Object]:
        """Those that are there, as they were seen last."""
        with self._lock:
            return list(self._there.values())

    def close(self) -> None:
        """End it; nothing is told any more."""
        self._closed.set()
        if self._stream is not None:
            self._stream.close()
        self._thread.join(5)

    def _run(self) -> None:
        while not self._closed.is_set():
            with suppress(LabError, OSError):
                self._stream = self._api.stream(
                    f"{self._path}?watch=1&allowWatchBookmarks=true&resourceVersion={self._version}"
                )
                for line in self._stream:
                    if self._closed.is_set():
                        return
                    self._heard(json.loads(line))
            self._closed.wait(0.2)

    def _heard(self, event: Object) -> None:
        obj = event["object"]
        if event["type"] == "ERROR":
            raise LabError(f"the watch of {self._path} ended: {obj.get('message')}")
        self._version = str(obj["metadata"]["resourceVersion"])
        if event["type"] in ("ADDED", "MODIFIED"):
            self._note(obj)
        elif event["type"] == "DELETED":
            with self._lock:
                self._there.pop(obj["metadata"]["name"], None)

    def _note(self, obj: Object) -> None:
        self._told(obj)  # first: whoever sees it among those that are there finds it told
        with self._lock:
            self._there[obj["metadata"]["name"]] = obj
