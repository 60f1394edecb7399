"""Where a forwarded message came from, and what of it goes on."""

from __future__ import annotations

from sandbox.bot_api.files import Files
from sandbox.bot_api.values import Json, media_kind, media_object

_CONTENT = (
    "text", "entities", "link_preview_options", "caption", "caption_entities", "show_caption_above_media", "has_media_spoiler",
)  # fmt: skip


def origin_of(message: Json, *, hidden: bool = False) -> Json:
    """The Bot API's MessageOrigin; `hidden` if its sender does not want to be found."""
    if "forward_origin" in message:
        known: Json = message["forward_origin"]
        return known
    date, sender, chat = message["date"], message.get("from"), message.get("sender_chat")
    if chat is not None and chat["type"] == "channel" and message["chat"]["id"] == chat["id"]:
        return {"type": "channel", "date": date, "chat": chat, "message_id": message["message_id"]}
    if chat is not None:
        return {"type": "chat", "date": date, "sender_chat": chat}
    assert sender is not None
    if hidden:
        name = f"{sender['first_name']} {sender.get('last_name', '')}".strip()
        return {"type": "hidden_user", "date": date, "sender_user_name": name}
    return {"type": "user", "date": date, "sender_user": sender}


def content_of(message: Json, files: Files) -> Json:
    """Text, caption and media, the media with the file ids of the bot that sees it now. Empty for a service message."""
    content = {name: message[name] for name in _CONTENT if name in message}
    medium, kind = media_object(message), media_kind(message)
    if medium is not None and kind is not None:
        content |= files.fields(files.renewed(medium))
    return content
