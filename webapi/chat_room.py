"""What the local chat page shows and does: the messages as they are drawn, and the room that they come from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol

from service.errors import Conflict, NotFound

MediaKind = Literal["photo", "video", "audio", "voice", "animation", "video_note", "document", "sticker"]


class ChatMessageNotFound(NotFound):
    """There is no such message in this chat"""

    code = "chat_message_not_found"


class ChatButtonGone(Conflict):
    """The message has no such button any more"""

    code = "chat_button_gone"


class ChatFileNotFound(NotFound):
    """There is no such file in this chat"""

    code = "chat_file_not_found"


# --- what is shown ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownEntity:
    """A stretch of text that is more than text: `bold`, `code`, `text_link` … as in the Bot API; places in UTF-16 units."""

    type: str
    offset: int
    length: int
    url: str | None = None
    language: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownMedia:
    """A file to look at, listen to or keep. `size` in bytes, sides in pixels, `duration` in seconds; unknown ones are None.

    `file_id` and `thumbnail` are what `/chat/files/{file_id}` knows the file and its small picture by.
    """

    kind: MediaKind
    file_id: str
    name: str
    mime: str
    size: int
    width: int | None = None
    height: int | None = None
    duration: int | None = None
    title: str | None = None
    performer: str | None = None
    thumbnail: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownButton:
    """A button below a message: it sends `data` to the bot, or opens `url`."""

    text: str
    data: str | None = None
    url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownReply:
    """The message that this one answers, as it was then."""

    id: int
    name: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownMessage:
    """A message as it is now. `mine` are those of the person at the page; `text` is the caption where there is `media`.

    Messages with the same `album` belong together.
    """

    id: int
    mine: bool
    date: datetime
    edited: bool = False
    text: str = ""
    entities: Sequence[ShownEntity] = ()
    media: ShownMedia | None = None
    album: str | None = None
    buttons: Sequence[Sequence[ShownButton]] = ()
    reply_to: ShownReply | None = None
    forwarded_from: str | None = None
    reactions: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Something to try: `text` is what a press on `label` sends."""

    label: str
    text: str


# --- what happens -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageShown:
    """A message is new, or is now another than it was."""

    message: ShownMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageGone:
    """A message was deleted."""

    message_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BotActs:
    """What the bot is doing: `typing`, `upload_video` … as in the Bot API. Holds for five seconds, or until it sends something."""

    action: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ButtonAnswered:
    """The bot has heard that a button of this message was pressed; `text` may be empty. With `alert` it wants to be read."""

    message_id: int
    text: str = ""
    alert: bool = False
    url: str | None = None


ChatEvent = MessageShown | MessageGone | BotActs | ButtonAnswered


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomFile:
    """A file's bytes on disk. They never change; `mime` and `name` are its sender's words."""

    path: Path
    mime: str
    name: str


class ChatRoom(Protocol):
    """One conversation between the person at the page and the bot."""

    @property
    def samples(self) -> Sequence[Sample]: ...

    def history(self) -> list[ShownMessage]:
        """All messages as they are now, oldest first."""
        ...

    def subscribe(self, listener: Callable[[ChatEvent], None]) -> Callable[[], None]:
        """Call this at every event, until the function that is returned is called. It must not block."""
        ...

    async def say(self, text: str, reply_to: int | None = None) -> int:
        """Send a text; the id of the new message. Raises `ChatMessageNotFound`."""
        ...

    async def press(self, message_id: int, data: str) -> None:
        """Press the button with this data. Raises `ChatMessageNotFound`, `ChatButtonGone`."""
        ...

    async def forward_sample(self) -> int:
        """Forward the sample channel's post; the id of the new message."""
        ...

    def file(self, file_id: str) -> RoomFile:
        """Raises `ChatFileNotFound`."""
        ...
