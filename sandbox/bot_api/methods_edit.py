"""Methods that change or remove what is there."""

from __future__ import annotations

import time

from sandbox.bot_api.arguments import Arguments, Method
from sandbox.bot_api.chat import Chat
from sandbox.bot_api.errors import bad_request
from sandbox.bot_api.formatting import read_caption, read_text
from sandbox.bot_api.markup import check_markup
from sandbox.bot_api.methods_send import SendMethods
from sandbox.bot_api.outgoing import Outgoing
from sandbox.bot_api.scene import Scene
from sandbox.bot_api.values import MEDIA_KINDS, Json, media_kind, present

_TEXT = ("text", "entities", "link_preview_options")
_CAPTION = ("caption", "caption_entities", "show_caption_above_media")
_CAPTIONED = frozenset({"animation", "audio", "document", "photo", "video", "voice"})
_EDITABLE = frozenset({"animation", "audio", "document", "photo", "video"})
_DELETABLE_FOR = 48 * 3600
"""Seconds after which no bot may delete a message any more."""
_MOST_AT_ONCE = 100
_NOT_MODIFIED = (
    "message is not modified: specified new message content and reply markup are exactly the same as a current content and reply markup "
    "of the message"
)


class EditMethods:
    def __init__(self, scene: Scene, outgoing: Outgoing, sending: SendMethods) -> None:
        self._scene, self._outgoing, self._sending = scene, outgoing, sending

    def methods(self) -> dict[str, Method]:
        return {
            "editMessageText": self.edit_text,
            "editMessageCaption": self.edit_caption,
            "editMessageMedia": self.edit_media,
            "editMessageReplyMarkup": self.edit_markup,
            "deleteMessage": self.delete_message,
            "deleteMessages": self.delete_messages,
        }

    def edit_text(self, arguments: Arguments) -> Json:
        chat, entry = self._outgoing.own(arguments)
        text = read_text(arguments, too_long="MESSAGE_TOO_LONG")
        if "text" not in entry.message:
            raise bad_request("there is no text in the message to edit")
        preview = present({"link_preview_options": arguments.object("link_preview_options")})
        return self._change(chat, entry.message, arguments, dropped=_TEXT, fields=text.fields("text") | preview)

    def edit_caption(self, arguments: Arguments) -> Json:
        chat, entry = self._outgoing.own(arguments)
        caption = read_caption(arguments, too_long="MEDIA_CAPTION_TOO_LONG")
        if media_kind(entry.message) not in _CAPTIONED:
            raise bad_request("there is no caption in the message to edit")
        above = present({"show_caption_above_media": arguments.flag("show_caption_above_media")})
        return self._change(chat, entry.message, arguments, dropped=_CAPTION, fields=caption.fields("caption") | above)

    def edit_media(self, arguments: Arguments) -> Json:
        chat, entry = self._outgoing.own(arguments)
        item = arguments.item(arguments.object("media") or {})
        kind, before = item.text("type"), media_kind(entry.message)
        if kind not in _EDITABLE:
            raise bad_request("can't parse InputMedia: type must be one of the known types")
        if "text" not in entry.message and before not in _EDITABLE:
            raise bad_request("there is no media in the message to edit")
        if "media_group_id" in entry.message and (kind != before if before in {"audio", "document"} else kind not in {"photo", "video"}):
            raise bad_request("can't use the media of the specified type in the album")
        fields = self._sending.body(item, kind, "media")
        return self._change(chat, entry.message, arguments, dropped=(*_TEXT, *_CAPTION, *MEDIA_KINDS, "has_media_spoiler"), fields=fields)

    def edit_markup(self, arguments: Arguments) -> Json:
        chat, entry = self._outgoing.own(arguments)
        return self._change(chat, entry.message, arguments, dropped=(), fields={})

    def _change(self, chat: Chat, before: Json, arguments: Arguments, *, dropped: tuple[str, ...], fields: Json) -> Json:
        markup = present({"reply_markup": check_markup(arguments.object("reply_markup"))})
        kept = {name: value for name, value in before.items() if name not in {*dropped, "reply_markup"}}
        after = kept | fields | markup
        if after == before:
            raise bad_request(_NOT_MODIFIED)
        message = self._scene.world.replace(chat, after | {"edit_date": int(time.time())})
        self._scene.journal.show_message(message)
        return message

    def delete_message(self, arguments: Arguments) -> bool:
        chat = self._scene.world.chat(arguments.given.get("chat_id"))
        self._outgoing.reach(chat)
        number = arguments.whole("message_id") or 0
        if number not in chat.entries:
            raise bad_request("message to delete not found")
        if not self._may_delete(chat, number):
            raise bad_request("message can't be deleted")
        self._scene.world.remove(chat, number)
        return True

    def delete_messages(self, arguments: Arguments) -> bool:
        """Those that are not there, or are not the bot's to delete, are passed over."""
        chat = self._scene.world.chat(arguments.given.get("chat_id"))
        self._outgoing.reach(chat)
        numbers = arguments.numbers("message_ids")
        if not numbers:
            raise bad_request("message identifiers are not specified")
        if len(numbers) > _MOST_AT_ONCE:
            raise bad_request("too many messages to delete")
        for number in numbers:
            if number in chat.entries and self._may_delete(chat, number):
                self._scene.world.remove(chat, number)
        return True

    def _may_delete(self, chat: Chat, number: int) -> bool:
        if time.time() - chat.entries[number].message["date"] > _DELETABLE_FOR:
            return False
        own = chat.entries[number].author == self._scene.world.my_id
        return own or chat.is_private or chat.bot in {"administrator", "creator"}
