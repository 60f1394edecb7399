"""What the bot asked for and what it showed: for tests to look at."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from sandbox.bot_api.errors import Refused
from sandbox.bot_api.events import Events
from sandbox.bot_api.markup import buttons
from sandbox.bot_api.store import Store
from sandbox.bot_api.values import Json, media_object

_KEPT = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request of the bot, uploads as name and size in bytes. `at` is in seconds of `time.monotonic`."""

    method: str
    args: Json
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A request that was refused, by the rules or on script."""

    method: str
    args: Json
    code: int
    description: str
    at: float


class Journal:
    """The last 50,000 calls (without `getUpdates`) and refusals, every answer and reaction, and all text that was ever shown."""

    def __init__(self, *, store: Store, events: Events) -> None:
        self.calls: deque[Call] = deque(maxlen=_KEPT)
        self.refusals: deque[Refusal] = deque(maxlen=_KEPT)
        self.actions: deque[Json] = deque(maxlen=_KEPT)
        self.answers: dict[str, Json] = dict(store.rows("answer"))
        self.reactions: dict[tuple[int, int], list[str]] = {}
        for key, value in store.rows("reaction"):
            chat, _, message = key.partition("/")
            self.reactions[int(chat), int(message)] = value
        self._shown: dict[str, None] = {key: None for key, _ in store.rows("shown")}
        self._store, self._events = store, events

    def called(self, method: str, args: Json) -> None:
        self.calls.append(Call(method=method, args=args, at=time.monotonic()))
        self._events.changed()

    def refused(self, method: str, args: Json, refusal: Refused) -> None:
        found = Refusal(method=method, args=args, code=refusal.code, description=refusal.description, at=time.monotonic())
        self.refusals.append(found)
        self._events.changed()

    def texts(self) -> list[str]:
        """All that the bot ever showed, each once: texts, captions, names, button texts and addresses, alerts."""
        return list(self._shown)

    def show(self, *texts: str) -> None:
        for text in texts:
            if text and text not in self._shown:
                self._shown[text] = None
                self._store.put("shown", text, "")

    def show_message(self, message: Json) -> None:
        self.show(*_texts_of(message))

    def answer(self, query_id: str, about: Json) -> None:
        self.answers[query_id] = about
        self._store.put("answer", query_id, about)
        self.show(about.get("text", ""), about.get("url", ""))
        self._events.tell("answer", about)

    def react(self, chat_id: int, message_id: int, emoji: list[str]) -> None:
        """The bot's own reactions to a message; none takes them back."""
        self.reactions[chat_id, message_id] = emoji
        self._store.put("reaction", f"{chat_id}/{message_id}", emoji)
        self._events.tell("reaction", {"chat_id": chat_id, "message_id": message_id, "emoji": emoji, "by_bot": True})

    def act(self, about: Json) -> None:
        self.actions.append(about)
        self._events.tell("action", about)


def _texts_of(message: Json) -> Iterator[str]:
    yield message.get("text", "")
    yield message.get("caption", "")
    for entity in (*message.get("entities", ()), *message.get("caption_entities", ())):
        yield entity.get("url", "")
    medium = media_object(message) or {}
    for name in ("file_name", "title", "performer"):
        yield medium.get(name, "")
    for button in buttons(message):
        yield button["text"]
        yield button.get("url", "")
        yield button.get("callback_data", "")
