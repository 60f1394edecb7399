"""How a message of a person, group or channel comes into a chat, and to the bot."""

from __future__ import annotations

import re
import time
from pathlib import Path

from sandbox.bot_api.chat import Chat
from sandbox.bot_api.formatting import trimmed
from sandbox.bot_api.media import facts_of
from sandbox.bot_api.outgoing import without_reply
from sandbox.bot_api.scene import Scene
from sandbox.bot_api.values import MEDIA_KINDS, Json

_CODE = re.compile(r"(?<!\d)(?<!\d[ \-])\d(?:[ \-]?\d){4,5}(?![ \-]?\d)")
_DEFAULT_NAMES = {"document": "file.bin", "audio": "song.mp3", "video": "video.mp4", "animation": "animation.mp4"}


class Incoming:
    """Puts messages of others into chats and tells the bot of them."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self.spent_codes: set[str] = {key for key, _ in scene.store.rows("spent")}
        """Login codes that somebody sent in a message: Telegram cancels them at once."""

    def text(self, text: str, entities: list[Json] | None = None) -> Json:
        """As fields of a message."""
        shown = trimmed(text, entities or [])
        if not shown.text:
            raise ValueError("a message cannot be empty")
        return shown.fields("text")

    def medium(self, kind: str, content: Path | bytes, *, caption: str = "", name: str | None = None, mime: str = "", said: Json) -> Json:
        """As fields of a message; `said` are width, height, duration, title and the like."""
        if kind not in MEDIA_KINDS:
            raise ValueError(f"{kind} is none of {', '.join(MEDIA_KINDS)}")
        named = name if name is not None else (content.name if isinstance(content, Path) else _DEFAULT_NAMES.get(kind, ""))
        path = self._scene.files.take_in(content)
        facts = facts_of(path, kind, name=named, mime=mime, said=said)
        stored = self._scene.files.add(path, kind=kind, name=named, facts=facts, said=said)
        return self._scene.files.fields(stored) | trimmed(caption, []).fields("caption")

    def put(self, chat: Chat, *, sender: Json, author: int, body: Json, reply_to: int | None = None, thread: int | None = None) -> Json:
        """Add the message, and tell the bot if it may hear it."""
        if chat.is_private and chat.bot == "kicked":
            raise ValueError("who has blocked the bot cannot write to it")
        if chat.is_private and not chat.bot_is_in:
            chat.bot = "member"
            self._scene.world.chat_changed(chat)
        message = self._scene.world.add(chat, sender | self._place(chat, reply_to, thread) | body, author=author)
        self._notice_codes(message)
        self._tell(chat, "channel_post" if chat.is_channel else "message", message)
        return message

    def change(self, chat: Chat, message: Json) -> Json:
        changed = self._scene.world.replace(chat, message | {"edit_date": int(time.time())})
        self._notice_codes(changed)
        self._tell(chat, "edited_channel_post" if chat.is_channel else "edited_message", changed)
        return changed

    def member_changed(self, chat: Chat, status: str, by: Json) -> None:
        """The bot's own standing there becomes another."""
        me = self._scene.world.me
        user = {name: me[name] for name in ("id", "is_bot", "first_name", "username")}
        before, chat.bot = chat.bot, status
        self._scene.world.chat_changed(chat)
        about = {"chat": chat.about, "from": by, "date": int(time.time())}
        members = {"old_chat_member": _member(user, before), "new_chat_member": _member(user, status)}
        self._scene.updates.add("my_chat_member", about | members)

    def _place(self, chat: Chat, reply_to: int | None, thread: int | None) -> Json:
        """Thread and reply. Who writes into a topic without replying replies to the message that made the topic."""
        answered = None if reply_to is None else chat.entries[reply_to].message
        if chat.topics is not None:
            if thread is None and answered is not None and answered.get("is_topic_message"):
                thread = answered["message_thread_id"]
            if thread is None:
                return {} if answered is None else {"reply_to_message": without_reply(answered)}
            if thread not in chat.topics:
                chat.topics[thread] = f"Topic {thread}"
                self._scene.world.chat_changed(chat)
            if answered is None and thread in chat.entries:
                answered = chat.entries[thread].message
            place: Json = {"message_thread_id": thread, "is_topic_message": True}
            return place if answered is None else place | {"reply_to_message": without_reply(answered)}
        if answered is None:
            return {}
        root = {"message_thread_id": answered.get("message_thread_id", answered["message_id"])} if chat.kind == "supergroup" else {}
        return {"reply_to_message": without_reply(answered), **root}

    def _notice_codes(self, message: Json) -> None:
        for found in _CODE.findall(f"{message.get('text', '')}\n{message.get('caption', '')}"):
            code = re.sub(r"\D", "", found)
            self.spent_codes.add(code)
            self._scene.store.put("spent", code, "")

    def _tell(self, chat: Chat, kind: str, message: Json) -> None:
        if chat.is_private or (chat.bot_is_in and self._hears(chat, message)):
            self._scene.updates.add(kind, message)

    def _hears(self, chat: Chat, message: Json) -> bool:
        if not self._scene.privacy or chat.is_channel or chat.bot == "administrator":
            return True
        text, me = message.get("text") or message.get("caption") or "", self._scene.world.me
        replied = message.get("reply_to_message", {}).get("from", {}).get("id") == me["id"]
        command = re.match(r"/\w+(?:@(\w+))?", text)
        meant = command is not None and (command.group(1) or me["username"]).lower() == me["username"].lower()
        return replied or meant or f"@{me['username']}".lower() in text.lower()


def _member(user: Json, status: str) -> Json:
    if status == "kicked":
        return {"status": "kicked", "user": user, "until_date": 0}
    return {"status": status if status in {"member", "left"} else "left", "user": user}
