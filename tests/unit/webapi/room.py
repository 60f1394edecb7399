"""A conversation that a test writes itself, and its page's endpoints."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp

from service.health import ServiceState
from webapi.chat import ChatPage
from webapi.chat_events import ChatEvents
from webapi.chat_room import (
    ChatButtonGone,
    ChatEvent,
    ChatFileNotFound,
    ChatMessageNotFound,
    MessageShown,
    RoomFile,
    Sample,
    ShownButton,
    ShownMessage,
)
from webapi.contract import Api

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def a_message(number: int, text: str = "Hello", **about: Any) -> ShownMessage:
    return ShownMessage(id=number, mine=about.pop("mine", False), date=NOON, text=text, **about)


@dataclass
class FakeRoom:
    """Keeps what is said in it; `listeners` are those who hear of it now."""

    messages: list[ShownMessage] = field(default_factory=list)
    samples: tuple[Sample, ...] = (Sample(label="A video", text="https://example.org/video"),)
    files: dict[str, RoomFile] = field(default_factory=dict)
    pressed: list[tuple[int, str]] = field(default_factory=list)
    replies: list[int | None] = field(default_factory=list)
    listeners: list[Callable[[ChatEvent], None]] = field(default_factory=list)

    def history(self) -> list[ShownMessage]:
        return list(self.messages)

    def subscribe(self, listener: Callable[[ChatEvent], None]) -> Callable[[], None]:
        self.listeners.append(listener)
        return lambda: self.listeners.remove(listener)

    def tell(self, event: ChatEvent) -> None:
        for listener in list(self.listeners):
            listener(event)

    def add(self, message: ShownMessage) -> None:
        self.messages.append(message)
        self.tell(MessageShown(message=message))

    async def say(self, text: str, reply_to: int | None = None) -> int:
        if reply_to is not None and self._find(reply_to) is None:
            raise ChatMessageNotFound
        self.replies.append(reply_to)
        self.add(a_message(len(self.messages) + 1, text, mine=True))
        return len(self.messages)

    async def press(self, message_id: int, data: str) -> None:
        message = self._find(message_id)
        if message is None:
            raise ChatMessageNotFound
        if all(button.data != data for row in message.buttons for button in row):
            raise ChatButtonGone
        self.pressed.append((message_id, data))

    async def forward_sample(self) -> int:
        return await self.say("A post")

    def file(self, file_id: str) -> RoomFile:
        if file_id not in self.files:
            raise ChatFileNotFound
        return self.files[file_id]

    def put(self, path: Path, content: bytes, mime: str = "") -> None:
        path.write_bytes(content)
        self.files[path.stem] = RoomFile(path=path, mime=mime, name=path.name)

    def _find(self, number: int) -> ShownMessage | None:
        return next((message for message in self.messages if message.id == number), None)


WITH_BUTTONS = a_message(
    7, "Choose", buttons=[[ShownButton(text="720p · 4 MB", data="a:1")], [ShownButton(text="Site", url="https://a.example")]]
)


def chat_api(room: FakeRoom, state: ServiceState, **about: Any) -> Api:
    api = Api(title="Magpie", version="0")
    ChatPage(room, state=state, events=ChatEvents(room, state, **about)).register(api)
    return api


class Stream:
    """The events of one page, one at a time. A comment is an event called `comment`."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self.answer = answer

    async def next(self) -> tuple[str, Any]:
        """The name and the object of the next event; `("end", None)` when there are no more."""
        name, data = "comment", None
        while line := await self.answer.content.readline():
            field_name, _, value = line.decode().rstrip("\n").partition(": ")
            match field_name:
                case "event":
                    name = value
                case "data":
                    data = json.loads(value)
                case "":
                    if data is not None or value:
                        return name, data
        return "end", None


@asynccontextmanager
async def listening(http: aiohttp.ClientSession) -> AsyncIterator[Stream]:
    """A page that listens, and has heard nothing yet."""
    async with http.get("/chat/events") as answer:
        assert answer.status == 200
        assert answer.content_type == "text/event-stream"
        yield Stream(answer)
