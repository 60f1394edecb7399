"""The local chat: `/chat`, a page on which the person at this machine talks to the bot, and what the page is made of."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final, Literal

from aiohttp import web
from pydantic import AfterValidator, BaseModel, Field

from service.health import ServiceState
from webapi.chat_events import ChatEvents
from webapi.chat_files import send_room_file
from webapi.chat_room import ChatButtonGone, ChatFileNotFound, ChatMessageNotFound, ChatRoom
from webapi.contract import TRUSTED, Api, Content
from webapi.docs_pages import StaticFileNotFound
from webapi.parameters import Header, Integer

MAX_TEXT: Final = 4096
"""Characters of a message, as at Telegram."""
MAX_DATA: Final = 64
_HERE: Final = Path(__file__).parent / "static" / "chat"
_TYPES: Final = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_STATIC: Final = ("chat.css", "chat.js", "composer.js", "entities.js", "favicon.svg", "log.js", "media.js", "message.js", "toasts.js")

_PAGE_POLICY: Final = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "media-src": "'self'",
    "connect-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}
_POLICY: Final = "; ".join(f"{what} {where}" for what, where in _PAGE_POLICY.items())


def _holds_something(text: str) -> str:
    if not text.strip():
        raise ValueError("a message cannot be empty")
    return text


class NewMessage(BaseModel):
    """A text for the bot, perhaps as an answer to a message."""

    text: Annotated[str, Field(min_length=1, max_length=MAX_TEXT, pattern=r"\S"), AfterValidator(_holds_something)]
    reply_to: Integer | None = None


class PressedButton(BaseModel):
    """The button below that message with that data."""

    message_id: Integer
    data: Annotated[str, Field(min_length=1, max_length=MAX_DATA)]


class NewPost(BaseModel):
    """Which post to forward: there is one."""

    post: Literal["sample"]


class NewMessageId(BaseModel):
    """What became of it is in the events."""

    message_id: int


class ChatPage:
    """The page and its endpoints, for callers who have local trust only."""

    def __init__(self, room: ChatRoom, *, state: ServiceState, events: ChatEvents | None = None) -> None:
        self._room, self._events = room, events or ChatEvents(room, state)

    def register(self, api: Api) -> None:
        def route(method: str, path: str, **about: Any) -> Any:
            return api.route(method, path, access=TRUSTED, tags=["Local chat"], **about)

        route("GET", "/chat", answers={200: Content("text/html")}, while_not_ready=True)(self.chat_page)
        route(
            "GET", "/chat/static/{name}", answers={200: Content("*/*"), 304: None}, faults=[StaticFileNotFound], failures=[412, 416],
            while_not_ready=True,
        )(self.chat_static)  # fmt: skip
        route("GET", "/chat/events", answers={200: Content("text/event-stream")})(self.chat_events)
        route("POST", "/chat/messages", status=201, faults=[ChatMessageNotFound])(self.say_in_chat)
        route("POST", "/chat/buttons", status=202, faults=[ChatMessageNotFound, ChatButtonGone])(self.press_in_chat)
        route("POST", "/chat/posts", status=201)(self.forward_in_chat)
        parts = {200: Content("*/*"), 206: Content("*/*"), 304: None}
        route("GET", "/chat/files/{file_id}", answers=parts, faults=[ChatFileNotFound], failures=[412, 416])(self.chat_file)

    async def chat_page(self) -> web.StreamResponse:
        """The page."""
        return web.FileResponse(
            _HERE / "chat.html",
            headers={"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": _POLICY, "Cache-Control": "no-cache"},
        )

    async def chat_static(self, name: str) -> web.StreamResponse:
        """Scripts, styles and pictures of the page."""
        if name not in _STATIC:
            raise StaticFileNotFound
        path = _HERE / name
        return web.FileResponse(path, headers={"Content-Type": f"{_TYPES[path.suffix]}; charset=utf-8", "Cache-Control": "no-cache"})

    async def chat_events(self, request: web.Request) -> web.StreamResponse:
        """The conversation, live.

        Server-sent events: first `state` with everything, then `message` (new or changed), `deleted`, `action` and `answer`. Whoever
        comes again after a break gets `state` again.
        """
        return await self._events.serve(request)

    async def say_in_chat(self, body: NewMessage) -> NewMessageId:
        """Say something to the bot."""
        return NewMessageId(message_id=await self._room.say(body.text, body.reply_to))

    async def press_in_chat(self, body: PressedButton) -> None:
        """Press a button. What the bot answers is in the events."""
        await self._room.press(body.message_id, body.data)

    async def forward_in_chat(self, body: NewPost) -> NewMessageId:
        """Forward the sample channel's post to the bot."""
        del body  # there is one post only
        return NewMessageId(message_id=await self._room.forward_sample())

    async def chat_file(
        self, request: web.Request, file_id: str, byte_range: Annotated[str | None, Header("Range")] = None
    ) -> web.StreamResponse:
        """A file of the conversation. Ranges and entity tags work."""
        del byte_range  # read together with the conditions; here for the document
        return await send_room_file(request, self._room.file(file_id), file_id)
