"""As what a stored file goes to Telegram: playable video or audio, picture, or document."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import IO, Any

from telegram import (
    InlineKeyboardMarkup,
    InputFile,
    InputMedia,
    InputMediaAnimation,
    InputMediaAudio,
    InputMediaDocument,
    InputMediaPhoto,
    InputMediaVideo,
    Message,
)
from telegram.constants import ParseMode
from telegram.ext import ExtBot

from bot.lanes import Within
from bot.outbox import UPLOAD_TIMEOUTS, reply_parameters
from service.chat import Place, TelegramCopy
from service.model import JobFile
from service.selection import MediaType

PHOTO_LIMIT = 10 * 10**6
"""Bytes. Larger pictures, and those of odd formats, go as documents."""
_PHOTOS = frozenset({"jpg", "jpeg", "png", "webp"})
_PLAYABLE_VIDEO = frozenset({"mp4"})
_PLAYABLE_AUDIO = frozenset({"mp3", "m4a"})
_MAX_SIDES, _MAX_RATIO = 10_000, 20
_ALBUM = 10


class Shape(StrEnum):
    """Telegram's words for the kinds of media. A `file_id` cannot change its kind."""

    VIDEO = "video"
    AUDIO = "audio"
    PHOTO = "photo"
    DOCUMENT = "document"
    ANIMATION = "animation"
    """What Telegram makes of a video without sound; never our own choice."""

    @property
    def has_thumbnail(self) -> bool:
        return self in {Shape.VIDEO, Shape.AUDIO}

    @classmethod
    def of_copy(cls, file: JobFile, copy: TelegramCopy) -> Shape:
        """As what Telegram has it."""
        return cls(copy.kind) if copy.kind in set(cls) else shape_of(file)


_FAMILIES: dict[Shape, str] = {Shape.PHOTO: "seen", Shape.VIDEO: "seen", Shape.AUDIO: "heard", Shape.DOCUMENT: "kept"}
"""What may stand together in an album."""
AlbumItem = InputMediaAudio | InputMediaDocument | InputMediaPhoto | InputMediaVideo


def shape_of(file: JobFile) -> Shape:
    media, extension = file.media, file.media.extension.lower()
    if extension in _PLAYABLE_VIDEO and media.kind is not MediaType.DOCUMENT:
        return Shape.VIDEO
    if media.kind is MediaType.AUDIO and extension in _PLAYABLE_AUDIO:
        return Shape.AUDIO
    if media.kind is MediaType.PICTURE and extension in _PHOTOS and media.size <= PHOTO_LIMIT and _fits(media.width, media.height):
        return Shape.PHOTO
    return Shape.DOCUMENT


def _fits(width: int | None, height: int | None) -> bool:
    """Telegram's own bounds for photos: the sides' sum and their ratio."""
    if not width or not height:
        return True
    return width + height <= _MAX_SIDES and max(width, height) <= _MAX_RATIO * min(width, height)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A file for one call: Telegram's own copy, or an open file to upload."""

    shape: Shape
    file: JobFile
    copy: TelegramCopy | None = None
    upload: IO[bytes] | None = None
    thumbnail: bytes | None = None

    @property
    def content(self) -> str | InputFile:
        """What goes into the call."""
        if self.copy is not None:
            return self.copy.file_id
        assert self.upload is not None
        return InputFile(self.upload, filename=self.file.name, attach=True, read_file_handle=False)

    @property
    def details(self) -> dict[str, Any]:
        """What Telegram would find out by itself only for small files."""
        media = self.file.media
        length = round(media.duration.total_seconds()) if media.duration else None
        thumbnail = InputFile(self.thumbnail, filename="thumbnail.jpg", attach=True) if self.thumbnail and self.copy is None else None
        match self.shape:
            case Shape.VIDEO:
                return {
                    "width": media.width,
                    "height": media.height,
                    "duration": length,
                    "supports_streaming": True,
                    "thumbnail": thumbnail,
                }
            case Shape.AUDIO:
                return {
                    "duration": length,
                    "title": media.title[:200],
                    "performer": (media.artist or "")[:100] or None,
                    "thumbnail": thumbnail,
                }
            case _:
                return {}


_INPUTS: dict[Shape, type[InputMedia]] = {
    Shape.VIDEO: InputMediaVideo,
    Shape.AUDIO: InputMediaAudio,
    Shape.PHOTO: InputMediaPhoto,
    Shape.DOCUMENT: InputMediaDocument,
    Shape.ANIMATION: InputMediaAnimation,
}


def input_media(attachment: Attachment, caption: str | None) -> InputMedia:
    """For turning a message into the file."""
    maker: Any = _INPUTS[attachment.shape]
    made: InputMedia = maker(attachment.content, caption=caption, parse_mode=ParseMode.HTML, **attachment.details)
    return made


def album_item(attachment: Attachment, caption: str | None) -> AlbumItem:
    """One of an album's."""
    item = input_media(attachment, caption)
    assert isinstance(item, InputMediaAudio | InputMediaDocument | InputMediaPhoto | InputMediaVideo)
    return item


def how_many_together(shapes: Sequence[Shape]) -> int:
    """How many of these, from the first on, make one message: an album of two to ten that go together, else a single one."""
    family = _FAMILIES.get(shapes[0])
    if family is None:
        return 1
    run = next((number for number, shape in enumerate(shapes) if _FAMILIES.get(shape) != family), len(shapes))
    return _ALBUM - 1 if run == _ALBUM + 1 else min(run, _ALBUM)


def send_call(
    attachment: Attachment,
    place: Place,
    *,
    caption: str | None,
    keyboard: InlineKeyboardMarkup | None,
    reply_to: int | None,
    quietly: bool,
    within: Within | None = None,
) -> Callable[[ExtBot[Any]], Awaitable[Message]]:
    """The call that sends it as a message of its own."""
    shared: dict[str, Any] = {
        "caption": caption,
        "parse_mode": ParseMode.HTML,
        "reply_markup": keyboard,
        "message_thread_id": place.thread_id,
        "disable_notification": quietly,
        "reply_parameters": reply_parameters(reply_to),
        **attachment.details,
        **UPLOAD_TIMEOUTS,
        "rate_limit_args": within,
    }

    def call(bot: ExtBot[Any]) -> Awaitable[Message]:
        made: Any = {
            Shape.VIDEO: bot.send_video,
            Shape.AUDIO: bot.send_audio,
            Shape.PHOTO: bot.send_photo,
            Shape.DOCUMENT: bot.send_document,
            Shape.ANIMATION: bot.send_animation,
        }[attachment.shape]
        sent: Awaitable[Message] = made(place.chat_id, attachment.content, **shared)
        return sent

    return call


def copy_in(file: JobFile, message: Message, bot_id: int) -> TelegramCopy | None:
    """How Telegram calls the file in this message."""
    found = {
        "video": message.video,
        "animation": message.animation,
        "audio": message.audio,
        "photo": message.photo[-1] if message.photo else None,
        "document": message.document,
    }
    kind, what = next(((kind, what) for kind, what in found.items() if what is not None), ("", None))
    if what is None or file.media.id is None:
        return None
    return TelegramCopy(media_file_id=file.media.id, bot_id=bot_id, kind=kind, file_id=what.file_id)
