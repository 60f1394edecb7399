"""Users who act on script."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.bot_api.chat import BLOCKED, Chat
from sandbox.bot_api.incoming import Incoming
from sandbox.bot_api.markup import buttons
from sandbox.bot_api.origins import content_of, origin_of
from sandbox.bot_api.places import Channel, Place
from sandbox.bot_api.scene import Scene
from sandbox.bot_api.values import Json, present

ChatRef = int | Place | None
"""A chat by its id or as the group that it is; None is the user's private chat with the bot."""
MessageRef = int | Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One medium of an album."""

    kind: str
    content: Path | bytes
    caption: str = ""
    name: str | None = None
    mime: str = ""
    said: Json = field(default_factory=dict)


class User:
    """Somebody with a Telegram account. What they do happens at once; the bot hears of it in its updates."""

    def __init__(self, scene: Scene, incoming: Incoming, about: Json) -> None:
        self._scene, self._incoming, self.about = scene, incoming, about

    @property
    def id(self) -> int:
        number: int = self.about["id"]
        return number

    async def says(
        self,
        text: str,
        *,
        chat: ChatRef = None,
        reply_to: MessageRef | None = None,
        thread: int | None = None,
        entities: list[Json] | None = None,
    ) -> Json:
        """Send a text. Without `entities`, those are there that Telegram finds by itself."""
        return self._put(chat, self._incoming.text(text, entities), reply_to=reply_to, thread=thread)

    async def sends(
        self,
        kind: str,
        content: Path | bytes,
        *,
        caption: str = "",
        name: str | None = None,
        mime: str = "",
        chat: ChatRef = None,
        reply_to: MessageRef | None = None,
        thread: int | None = None,
        said: Json | None = None,
    ) -> Json:
        """Send a photo, audio, video, document, animation, voice, video_note or sticker; `said` are its width, duration and so on."""
        body = self._incoming.medium(kind, content, caption=caption, name=name, mime=mime, said=said or {})
        return self._put(chat, body, reply_to=reply_to, thread=thread)

    async def sends_album(self, items: Sequence[Item], *, chat: ChatRef = None, thread: int | None = None) -> list[Json]:
        """Send several media as one album."""
        group = {"media_group_id": f"{self._scene.world.next('album'):017d}"}
        bodies = [
            self._incoming.medium(item.kind, item.content, caption=item.caption, name=item.name, mime=item.mime, said=item.said)
            for item in items
        ]
        return [self._put(chat, body | group, thread=thread) for body in bodies]

    async def forwards(self, message: Json, *, chat: ChatRef = None, hidden: bool = False, thread: int | None = None) -> Json:
        """Forward any message; `hidden` if who wrote it does not want to be found."""
        body = content_of(message, self._scene.files) | {"forward_origin": origin_of(message, hidden=hidden)}
        return self._put(chat, body, thread=thread)

    async def forwards_post(
        self,
        channel: Channel,
        message: Json | None = None,
        *,
        text: str | None = None,
        kind: str | None = None,
        content: Path | bytes | None = None,
        caption: str = "",
        name: str | None = None,
        said: Json | None = None,
        chat: ChatRef = None,
    ) -> Json:
        """Forward a post of the channel, which is made now unless it is given."""
        post = (
            message if message is not None else await channel.posts(text, kind=kind, content=content, caption=caption, name=name, said=said)
        )
        return await self.forwards(post, chat=chat)

    async def presses(self, message: MessageRef, button: str | None = None, *, data: str | None = None, chat: ChatRef = None) -> str:
        """Press the button with this text, data, or part of its text. With `data`, that comes, button or not. The query's id."""
        place, number = self._chat_of(message, chat), _number(message)
        entry = place.entries.get(number)
        if data is None:
            data = _data_of([] if entry is None else buttons(entry.message), button)
        query = self._scene.queries.add(chat_id=place.id, message_id=number, user_id=self.id)
        shown = entry.message if entry is not None else {"chat": place.about, "message_id": number, "date": 0}
        about = {"id": query, "from": self.about, "chat_instance": str(place.id), "message": shown, "data": data}
        self._scene.updates.add("callback_query", about)
        return query

    async def reacts(self, message: MessageRef, *emoji: str, chat: ChatRef = None) -> None:
        """React so; with no emoji, take it back. The bot hears of it if it asked for such updates."""
        place, number = self._chat_of(message, chat), _number(message)
        now = [{"type": "emoji", "emoji": one} for one in emoji]
        about = {"chat": place.about, "message_id": number, "user": self.about, "date": int(time.time()), "old_reaction": []}
        self._scene.updates.add("message_reaction", about | {"new_reaction": now})
        told = {"chat_id": place.id, "message_id": number, "emoji": list(emoji), "by_bot": False, "user_id": self.id}
        self._scene.events.tell("reaction", told)

    async def blocks_bot(self) -> None:
        self._incoming.member_changed(self._chat(None), BLOCKED, self.about)

    async def unblocks_bot(self) -> None:
        self._incoming.member_changed(self._chat(None), "member", self.about)

    async def deletes(self, message: MessageRef, *, chat: ChatRef = None) -> None:
        """Delete it for both. The bot is not told, as at Telegram."""
        self._scene.world.remove(self._chat_of(message, chat), _number(message))

    async def edits(self, message: MessageRef, text: str, *, chat: ChatRef = None) -> Json:
        """Another text, or another caption, for an own message."""
        place = self._chat_of(message, chat)
        before = place.entries[_number(message)].message
        fields = self._incoming.text(text)
        if "text" not in before:
            fields = {"caption": fields["text"], **({"caption_entities": fields["entities"]} if "entities" in fields else {})}
        kept = {name: value for name, value in before.items() if name not in {"entities", "caption_entities"}}
        return self._incoming.change(place, kept | fields)

    async def opens_link(self, start: str) -> Json:
        """Open `t.me/BOT?start=…` and press Start."""
        return await self.says(f"/start {start}")

    def _put(self, chat: ChatRef, body: Json, *, reply_to: MessageRef | None = None, thread: int | None = None) -> Json:
        place = self._chat(chat)
        if not place.is_private and place.members.setdefault(self.id, "member") == "member":
            self._scene.world.chat_changed(place)
        replied = None if reply_to is None else _number(reply_to)
        return self._incoming.put(place, sender={"from": self.about}, author=self.id, body=body, reply_to=replied, thread=thread)

    def _chat(self, chat: ChatRef) -> Chat:
        number = self.id if chat is None else chat if isinstance(chat, int) else chat.id
        return self._scene.world.chats[number]

    def _chat_of(self, message: MessageRef, chat: ChatRef) -> Chat:
        if chat is None and isinstance(message, dict):
            return self._scene.world.chats[message["chat"]["id"]]
        return self._chat(chat)


def user_json(*, number: int, first_name: str, last_name: str | None, username: str | None, language_code: str | None) -> Json:
    """The Bot API's User."""
    named = present({"last_name": last_name, "username": username, "language_code": language_code})
    return {"id": number, "is_bot": False, "first_name": first_name, **named}


def _number(message: MessageRef) -> int:
    number: int = message if isinstance(message, int) else message["message_id"]
    return number


def _data_of(offered: list[Json], button: str | None) -> str:
    """The data of the button that is meant. Raises `LookupError` that names those which are there."""
    wanted = button or ""
    exact = [one for one in offered if wanted in {one["text"], one.get("callback_data")}]
    found = exact or [one for one in offered if wanted and wanted in one["text"]]
    if len(found) != 1 or "callback_data" not in found[0]:
        raise LookupError(f"{wanted!r} is not one of the buttons that can be pressed: {[one['text'] for one in offered]}")
    data: str = found[0]["callback_data"]
    return data
