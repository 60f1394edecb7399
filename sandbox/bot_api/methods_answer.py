"""Methods that answer a person without a message: buttons, reactions, actions."""

from __future__ import annotations

import re

from sandbox.bot_api.arguments import Arguments, Method
from sandbox.bot_api.errors import bad_request
from sandbox.bot_api.outgoing import Outgoing
from sandbox.bot_api.scene import Scene
from sandbox.bot_api.values import present, utf16_length

ANSWER_LIMIT = 200
_EMOJI_LINE = (
    "👍 👎 ❤ 🔥 🥰 👏 😁 🤔 🤯 😱 🤬 😢 🎉 🤩 🤮 💩 🙏 👌 🕊 🤡 🥱 🥴 😍 🐳 🌚 🌭 💯 🤣 ⚡ 🍌 🏆 💔 🤨 😐 🍓 🍾 💋 🖕 😈 😴 "
    "😭 🤓 👻 👀 🎃 🙈 😇 😨 🤝 ✍ 🤗 🫡 🎅 🎄 ☃ 💅 🤪 🗿 🆒 💘 🙉 🦄 😘 💊 🙊 😎 👾 🤷 😡"
)
_JOINED = ("❤\u200d🔥", "👨\u200d💻", "🤷\u200d♂", "🤷\u200d♀")
_EMOJI = frozenset({*_EMOJI_LINE.split(), *_JOINED})
_PRESENTATION = "\ufe0f"
"""Telegram looks away from the mark that an emoji is to be shown in colour."""
_RECORDED = ("video", "voice", "audio", "video_note")
_UPLOADED = ("photo", "document", *_RECORDED)
_ACTIONS = frozenset({
    "typing", "choose_sticker", "find_location", *(f"record_{kind}" for kind in _RECORDED), *(f"upload_{kind}" for kind in _UPLOADED),
})  # fmt: skip


class AnswerMethods:
    def __init__(self, scene: Scene, outgoing: Outgoing) -> None:
        self._scene, self._outgoing = scene, outgoing

    def methods(self) -> dict[str, Method]:
        return {
            "answerCallbackQuery": self.answer_callback_query,
            "setMessageReaction": self.set_message_reaction,
            "sendChatAction": self.send_chat_action,
        }

    def answer_callback_query(self, arguments: Arguments) -> bool:
        text, url = arguments.text("text"), arguments.text("url")
        if utf16_length(text) > ANSWER_LIMIT:
            raise bad_request("MESSAGE_TOO_LONG")
        username = re.escape(self._scene.world.me["username"])
        if url and not re.match(rf"(?:https?://)?t\.me/{username}\?start=|tg://", url, re.IGNORECASE):
            raise bad_request("URL_INVALID")
        query_id = arguments.text("callback_query_id")
        query = self._scene.queries.take(query_id)
        shown = present({"text": text, "show_alert": arguments.flag("show_alert"), "url": url})
        where = {name: query[name] for name in ("chat_id", "message_id", "user_id")}
        self._scene.journal.answer(query_id, {"callback_query_id": query_id, **where, **shown})
        return True

    def set_message_reaction(self, arguments: Arguments) -> bool:
        chat = self._scene.world.chat(arguments.given.get("chat_id"))
        self._outgoing.reach(chat)
        number = arguments.whole("message_id") or 0
        if number not in chat.entries:
            raise bad_request("message to react not found")
        wanted = arguments.objects("reaction")
        if len(wanted) > 1:
            raise bad_request("REACTIONS_TOO_MANY")
        emoji = [str(reaction.get("emoji", "")) for reaction in wanted]
        if any(reaction.get("type") != "emoji" for reaction in wanted) or not _EMOJI.issuperset(
            one.replace(_PRESENTATION, "") for one in emoji
        ):
            raise bad_request("REACTION_INVALID")
        self._scene.journal.react(chat.id, number, emoji)
        return True

    def send_chat_action(self, arguments: Arguments) -> bool:
        chat = self._scene.world.chat(arguments.given.get("chat_id"))
        self._outgoing.reach(chat)
        action = arguments.text("action")
        if action not in _ACTIONS:
            raise bad_request("wrong parameter action in request")
        thread = present({"message_thread_id": arguments.whole("message_thread_id")})
        self._scene.journal.act({"chat_id": chat.id, "action": action, **thread})
        return True
