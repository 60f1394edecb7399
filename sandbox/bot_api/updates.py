"""The queue of updates, and who fetches them."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque

from sandbox.bot_api.errors import Refused
from sandbox.bot_api.events import Events
from sandbox.bot_api.store import Store
from sandbox.bot_api.values import Json

_ONLY_WHEN_ASKED = frozenset({"chat_member", "message_reaction", "message_reaction_count"})
_MOST = 100
_LONGEST_POLL = 50.0


class Updates:
    """In order of their ids; an update stays until it is confirmed."""

    def __init__(self, *, store: Store, events: Events) -> None:
        self.pending: deque[Json] = deque()
        self.polls = 0
        """How many polls there have been."""
        self._store, self._events = store, events
        self._last_id = 0
        self._allowed: frozenset[str] | None = None
        self._waiting: asyncio.Future[bool] | None = None
        self._arrived = asyncio.Event()
        self._load()

    @property
    def polling(self) -> bool:
        """Whether somebody is waiting for an update now."""
        return self._waiting is not None and not self._waiting.done()

    def allow(self, kinds: list[str] | None) -> None:
        """Queue only these kinds from now on; an empty list means the usual ones, None leaves it as it is."""
        if kinds is None:
            return
        self._allowed = frozenset(kinds) or None
        self._store.put("updates", "allowed", sorted(kinds))

    def add(self, kind: str, about: Json) -> None:
        """Queue it, if the bot wants to hear of such."""
        wanted = kind in self._allowed if self._allowed is not None else kind not in _ONLY_WHEN_ASKED
        if not wanted:
            return
        self._last_id += 1
        update = {"update_id": self._last_id, kind: about}
        self.pending.append(update)
        self._store.put("update", self._last_id, update)
        self._store.put("updates", "last_id", self._last_id)
        self._arrived.set()
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(True)
        self._events.changed()

    def confirm(self, update_id: int) -> None:
        """Forget this update and all before it."""
        while self.pending and self.pending[0]["update_id"] <= update_id:
            self._store.drop("update", self.pending.popleft()["update_id"])
        self._events.changed()

    def drop_all(self) -> None:
        if self.pending:
            self.confirm(self.pending[-1]["update_id"])

    async def poll(self, *, offset: int, limit: int, seconds: float) -> list[Json]:
        """Those from `offset` on, as soon as there are any. A later poll ends an earlier one with 409."""
        self.interrupt()
        self.polls += 1
        if offset > 0:
            self.confirm(offset - 1)
        elif offset < 0 and len(self.pending) > -offset:
            self.confirm(self.pending[offset - 1]["update_id"])
        if not self.pending and seconds > 0:
            await self._wait(min(seconds, _LONGEST_POLL))
        return list(itertools.islice(self.pending, limit if 1 <= limit <= _MOST else _MOST))

    async def _wait(self, seconds: float) -> None:
        waiting = self._waiting = asyncio.get_running_loop().create_future()
        self._events.changed()
        try:
            async with asyncio.timeout(seconds):
                mine = await waiting
        except TimeoutError:
            mine = True
        finally:
            if self._waiting is waiting:
                self._waiting = None
            self._events.changed()
        if not mine:
            words = "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running"
            raise Refused(409, words)

    def interrupt(self) -> None:
        """End the poll that is waiting, with 409."""
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(False)

    def end_polls(self) -> None:
        """Answer the poll that is waiting with what there is."""
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(True)

    async def arrived(self) -> Json:
        """The oldest update, when there is one. It stays until it is confirmed."""
        while not self.pending:
            self._arrived.clear()
            await self._arrived.wait()
        return self.pending[0]

    def _load(self) -> None:
        kept = dict(self._store.rows("updates"))
        self._last_id = int(kept.get("last_id", 0))
        self._allowed = frozenset(kept.get("allowed", ())) or None
        self.pending.extend(update for _, update in self._store.rows("update"))
