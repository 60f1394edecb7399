"""Forwarded channel posts: their media is fetched from Telegram, kept, and recorded."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import mimetypes
import re
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from telegram import Message, MessageOriginChannel
from telegram.error import BadRequest, InvalidToken, NetworkError, RetryAfter
from telegram.ext import ExtBot

from bot import wording
from bot.identity import Visit
from bot.outbox import NotReached, Outbox
from bot.problems import notice_of
from service.chat import Member
from service.errors import FetchFailed, InvalidUrl, LimitReached
from service.media_url import MediaUrl
from service.posts import PostFile, Posts
from service.selection import MediaType

log = logging.getLogger("magpie.bot")
FETCH_LIMIT = 20 * 10**6
"""Bytes: what Telegram's own server gives to a bot."""
MAX_TRIES = 3
"""How often a post's file is asked for while the network fails."""
_EXTENSION = re.compile(r"[a-z0-9]{1,8}", re.ASCII)
_DEFAULTS = {
    MediaType.VIDEO: "mp4",
    MediaType.AUDIO: "mp3",
    MediaType.PICTURE: "jpg",
    MediaType.DOCUMENT: "bin",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PostMedia:
    """A post's file, as Telegram describes it."""

    kind: MediaType
    file_id: str
    unique_id: str
    size: int | None
    name: str | None = None
    mime_type: str | None = None
    duration: timedelta | None = None
    width: int | None = None
    height: int | None = None


def media_of(message: Message) -> PostMedia | None:
    """What could be kept of this message; stickers could not."""
    kinds: list[tuple[MediaType, Any]] = [
        (MediaType.PICTURE, message.photo[-1] if message.photo else None),
        (MediaType.VIDEO, message.video or message.animation or message.video_note),
        (MediaType.AUDIO, message.audio or message.voice),
        (MediaType.DOCUMENT, message.document),
    ]
    for kind, found in kinds:
        if found is not None:
            length = getattr(found, "duration", None)
            return PostMedia(
                kind=_kind_of_document(found) if kind is MediaType.DOCUMENT else kind,
                file_id=found.file_id,
                unique_id=found.file_unique_id,
                size=found.file_size,
                name=getattr(found, "file_name", None),
                mime_type=getattr(found, "mime_type", None),
                duration=length if isinstance(length, timedelta) else timedelta(seconds=length) if length else None,
                width=getattr(found, "width", None),
                height=getattr(found, "height", None),
            )
    return None


def _kind_of_document(document: Any) -> MediaType:
    kinds = {"video": MediaType.VIDEO, "audio": MediaType.AUDIO, "image": MediaType.PICTURE}
    return kinds.get((document.mime_type or "").partition("/")[0], MediaType.DOCUMENT)


class PostKeeper:
    """Fetches through the Bot API. `fetch_limit` in bytes: a local Bot API server has none."""

    def __init__(self, *, bot: ExtBot[Any], outbox: Outbox, posts: Posts, fetch_limit: int = FETCH_LIMIT) -> None:
        self._bot, self._outbox, self._posts, self._fetch_limit = bot, outbox, posts, fetch_limit
        self._tries: dict[UUID, int] = {}

    async def keep(self, message: Message, visit: Visit) -> bool:
        """Store the post's file and say so. False when there is nothing to keep. A network failure comes out, for another try."""
        media = media_of(message)
        if media is None:
            return False
        await self._outbox.react(visit.place, message.message_id)
        if media.size is not None and media.size > self._fetch_limit:
            text = visit.texts.post_too_big.format(size=wording.size(media.size), limit=wording.size(self._fetch_limit))
            await self._outbox.say(visit.place, text, reply_to=message.message_id)
            return True
        job_id = self._posts.id_of(self._bot.id, visit.place.chat_id, message.message_id)
        try:
            title, size = await self._stored(message, media, visit.member)
        except (LimitReached, FetchFailed) as refused:
            self._tries.pop(job_id, None)
            await self._outbox.say(visit.place, notice_of(refused, visit.texts), reply_to=message.message_id)
            return True
        except (BadRequest, InvalidToken):  # what the library makes of a 400 and of a file's 404
            self._tries.pop(job_id, None)
            await self._outbox.say(visit.place, visit.texts.post_failed, reply_to=message.message_id)
            return True
        except RetryAfter as asked:
            raise NotReached from asked  # tried again, like all that Telegram did not take yet
        except NetworkError:
            if not self._was_last_try(job_id):
                raise
            await self._outbox.say(visit.place, visit.texts.post_failed, reply_to=message.message_id)
            return True
        finally:
            self._posts.clear(job_id)
        self._tries.pop(job_id, None)
        await self._outbox.react(visit.place, message.message_id, "👌")
        if message.media_group_id is None:
            where = _channel_of(message)
            text = visit.texts.saved.format(title=wording.escaped(title), size=wording.size(size))
            from_where = f"\n{visit.texts.saved_where.format(channel=wording.escaped(where))}" if where else ""
            await self._outbox.say(visit.place, text + from_where, reply_to=message.message_id, quietly=True)
        return True

    def _was_last_try(self, job_id: UUID) -> bool:
        """A file that never comes is said, rather than asked for again without end."""
        self._tries[job_id] = self._tries.get(job_id, 0) + 1
        if self._tries[job_id] < MAX_TRIES:
            return False
        del self._tries[job_id]
        return True

    async def _stored(self, message: Message, media: PostMedia, member: Member) -> tuple[str, int]:
        job_id = self._posts.id_of(self._bot.id, message.chat_id, message.message_id)
        title = _title_of(message, media)
        known = await self._posts.known(job_id)
        if known is not None:
            return known.title or title, known.progress.total or 0
        path = self._posts.room_for(job_id, media.size) / "post"
        found = await self._bot.get_file(media.file_id, read_timeout=60)
        await found.download_to_drive(path, read_timeout=120)
        file = PostFile(
            path=path,
            kind=media.kind,
            extension=_extension_of(media),
            size=path.stat().st_size,
            sha256=await asyncio.to_thread(_digest, path),
            unique_id=media.unique_id,
            title=title,
            channel=_channel_of(message),
            duration=media.duration,
            width=media.width,
            height=media.height,
        )
        await self._posts.keep(member, job_id, _address_of(message), file)
        return title, file.size


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _extension_of(media: PostMedia) -> str:
    named = (media.name or "").rpartition(".")[2].lower() if media.name and "." in media.name else ""
    guessed = (mimetypes.guess_extension(media.mime_type or "") or "").removeprefix(".")
    for extension in (named, guessed):
        if _EXTENSION.fullmatch(extension):
            return extension
    return _DEFAULTS[media.kind]


def _title_of(message: Message, media: PostMedia) -> str:
    """The post's first line, the file's name, or whose post it is."""
    first = (message.caption or "").strip().partition("\n")[0][:120]
    named = (media.name or "").rpartition(".")[0]
    origin = message.forward_origin
    number = f" {origin.message_id}" if isinstance(origin, MessageOriginChannel) else ""
    return first or named or f"{_channel_of(message) or media.kind}{number}"


def _channel_of(message: Message) -> str | None:
    origin = message.forward_origin
    return origin.chat.title if isinstance(origin, MessageOriginChannel) else None


def _address_of(message: Message) -> MediaUrl:
    """The post's own address; without a public name, the one that its members can open."""
    origin = message.forward_origin
    assert isinstance(origin, MessageOriginChannel)
    channel = origin.chat.username or f"c/{str(origin.chat.id).removeprefix('-100')}"
    try:
        return MediaUrl.parse(f"https://t.me/{channel}/{origin.message_id}")
    except InvalidUrl:
        return MediaUrl.parse("https://t.me/")
