"""Messages of the built-in Bot API server, as the page of the local chat draws them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import cast

from sandbox.bot_api import Json
from sandbox.bot_api.values import media_kind, media_object
from webapi.chat_room import MediaKind, ShownButton, ShownEntity, ShownMedia, ShownMessage, ShownReply

YOU = "You"
_SNIPPET = 200
_WORDS = {
    "photo": "Photo",
    "video": "Video",
    "audio": "Audio",
    "voice": "Voice message",
    "animation": "Animation",
    "video_note": "Video message",
    "document": "File",
    "sticker": "Sticker",
}
_ENDINGS = {"photo": ".jpg", "voice": ".ogg", "video_note": ".mp4", "sticker": ".webp"}


def shown_message(message: Json, *, user_id: int, reactions: Sequence[str]) -> ShownMessage:
    """`user_id` is the person at the page."""
    entities = message.get("entities") or message.get("caption_entities") or ()
    rows = (message.get("reply_markup") or {}).get("inline_keyboard", ())
    return ShownMessage(
        id=message["message_id"],
        mine=_author(message) == user_id,
        date=datetime.fromtimestamp(message["date"], UTC),
        edited="edit_date" in message,
        text=message.get("text") or message.get("caption") or "",
        entities=[_entity(entity) for entity in entities],
        media=_media(message),
        album=message.get("media_group_id"),
        buttons=[[_button(button) for button in row] for row in rows],
        reply_to=_reply(message, user_id),
        forwarded_from=_origin(message.get("forward_origin")),
        reactions=list(reactions),
    )


def file_name(kind: str, name: str) -> str:
    """A name for a file whose sender gave it none."""
    return name or f"{_WORDS.get(kind, kind).lower().replace(' ', '-')}{_ENDINGS.get(kind, '')}"


def _author(message: Json) -> int | None:
    sender: Json = message.get("from") or {}
    return sender.get("id")


def _entity(entity: Json) -> ShownEntity:
    return ShownEntity(
        type=entity["type"], offset=entity["offset"], length=entity["length"], url=entity.get("url"), language=entity.get("language")
    )


def _button(button: Json) -> ShownButton:
    """One of a kind that this page has no use for does nothing."""
    return ShownButton(text=button["text"], data=button.get("callback_data"), url=button.get("url"))


def _media(message: Json) -> ShownMedia | None:
    kind, about = media_kind(message), media_object(message)
    if kind is None or about is None:
        return None
    picture = (about.get("cover") or [about.get("thumbnail")])[-1]
    return ShownMedia(
        kind=cast("MediaKind", kind),
        file_id=about["file_id"],
        name=file_name(kind, about.get("file_name", "")),
        mime=about.get("mime_type", "application/octet-stream"),
        size=about["file_size"],
        width=about.get("width") or about.get("length"),
        height=about.get("height") or about.get("length"),
        duration=about.get("duration"),
        title=about.get("title"),
        performer=about.get("performer"),
        thumbnail=None if picture is None else picture["file_id"],
    )


def _reply(message: Json, user_id: int) -> ShownReply | None:
    answered = message.get("reply_to_message")
    if answered is None:
        return None
    name = YOU if _author(answered) == user_id else (answered.get("from") or {}).get("first_name", "")
    text = answered.get("text") or answered.get("caption") or _WORDS.get(media_kind(answered) or "", "")
    return ShownReply(id=answered["message_id"], name=name, text=text[:_SNIPPET])


def _origin(origin: Json | None) -> str | None:
    match origin:
        case {"chat": {"title": str(title)}} | {"sender_chat": {"title": str(title)}}:
            return title
        case {"sender_user": {"first_name": str(name)}} | {"sender_user_name": str(name)}:
            return name
        case _:
            return None
