"""Buttons that somebody pressed."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable

from sandbox.bot_api.errors import bad_request
from sandbox.bot_api.store import Store
from sandbox.bot_api.values import Json


class Queries:
    """Each press may be answered once, and not too late; `seconds` is how long it waits."""

    def __init__(self, *, store: Store, seconds: float, clock: Callable[[], float] = time.time) -> None:
        self._store, self._seconds, self._clock = store, seconds, clock
        self._open: dict[str, Json] = dict(store.rows("query"))

    def add(self, *, chat_id: int, message_id: int, user_id: int) -> str:
        query_id = str(secrets.randbits(62))
        query = {"chat_id": chat_id, "message_id": message_id, "user_id": user_id, "at": self._clock()}
        self._open[query_id] = query
        self._store.put("query", query_id, query)
        return query_id

    def take(self, query_id: str) -> Json:
        """The press that is answered now. Raises `Refused` for one that is unknown, answered or too old."""
        query = self._open.pop(query_id, None)
        if query is not None:
            self._store.drop("query", query_id)
        if query is None or self._clock() - query["at"] > self._seconds:
            raise bad_request("query is too old and response timeout expired or query ID is invalid")
        return query
