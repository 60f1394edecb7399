"""Groups and channels that are acted in on script."""

from __future__ import annotations

from pathlib import Path

from sandbox.bot_api.chat import Chat
from sandbox.bot_api.incoming import Incoming
from sandbox.bot_api.origins import content_of, origin_of
from sandbox.bot_api.scene import Scene
from sandbox.bot_api.values import Json

ANONYMOUS_ADMIN: Json = {"id": 1087968824, "is_bot": True, "first_name": "Group", "username": "GroupAnonymousBot"}
CHANNEL_SENDER: Json = {"id": 136817688, "is_bot": True, "first_name": "Channel", "username": "Channel_Bot"}
TELEGRAM: Json = {"id": 777000, "is_bot": False, "first_name": "Telegram"}
"""The users that Telegram names in place of an anonymous administrator, of a channel, and of itself."""
_ICON = 7322096


class Place:
    """A group or channel; `id` is its chat id."""

    def __init__(self, scene: Scene, incoming: Incoming, chat: Chat) -> None:
        self._scene, self._incoming, self._chat = scene, incoming, chat

    @property
    def id(self) -> int:
        return self._chat.id

    @property
    def about(self) -> Json:
        """The Bot API's own chat object."""
        return self._chat.about

    @property
    def bot(self) -> str:
        """The bot's standing here: member, administrator, left, kicked."""
        return self._chat.bot

    async def adds_bot(self, status: str = "member", *, by: Json = TELEGRAM) -> None:
        self._incoming.member_changed(self._chat, status, by)

    async def removes_bot(self, *, by: Json = TELEGRAM) -> None:
        self._incoming.member_changed(self._chat, "kicked", by)

    async def appoints(self, user_id: int, status: str) -> None:
        """Give a user this standing: creator, administrator, member, left, kicked."""
        self._chat.members[user_id] = status
        self._scene.world.chat_changed(self._chat)


class Group(Place):
    """A group or supergroup, perhaps with topics."""

    async def topic(self, name: str) -> int:
        """Open a topic; the id of its thread."""
        if self._chat.topics is None:
            raise ValueError("this group has no topics")
        body = {"forum_topic_created": {"name": name, "icon_color": _ICON}}
        message = self._incoming.put(self._chat, sender={"from": TELEGRAM}, author=TELEGRAM["id"], body=body)
        number: int = message["message_id"]
        self._chat.topics[number] = name
        self._scene.world.chat_changed(self._chat)
        return number

    async def says_as_anonymous(self, text: str, *, thread: int | None = None) -> Json:
        """An administrator who hides behind the group says it."""
        sender = {"from": ANONYMOUS_ADMIN, "sender_chat": self._chat.about}
        return self._incoming.put(self._chat, sender=sender, author=self.id, body=self._incoming.text(text), thread=thread)

    async def says_as_channel(self, channel: Channel, text: str) -> Json:
        """Somebody says it in the name of a channel."""
        sender = {"from": CHANNEL_SENDER, "sender_chat": channel.about}
        return self._incoming.put(self._chat, sender=sender, author=channel.id, body=self._incoming.text(text))

    async def auto_forwards(self, channel: Channel, post: Json) -> Json:
        """Telegram itself brings a post of the linked channel into this group."""
        sender = {"from": TELEGRAM, "sender_chat": channel.about, "is_automatic_forward": True}
        body = content_of(post, self._scene.files) | {"forward_origin": origin_of(post)}
        return self._incoming.put(self._chat, sender=sender, author=channel.id, body=body)


class Channel(Place):
    """A channel. The bot hears its posts only where it is in it."""

    async def posts(
        self,
        text: str | None = None,
        *,
        kind: str | None = None,
        content: Path | bytes | None = None,
        caption: str = "",
        name: str | None = None,
        mime: str = "",
        said: Json | None = None,
    ) -> Json:
        """Post a text, or a medium with a caption."""
        if kind is not None and content is not None:
            body = self._incoming.medium(kind, content, caption=caption, name=name, mime=mime, said=said or {})
        else:
            body = self._incoming.text(text or "")
        return self._incoming.put(self._chat, sender={"sender_chat": self._chat.about}, author=self.id, body=body)

    async def edits(self, post: Json, text: str) -> Json:
        """Another text for a post."""
        kept = {name: value for name, value in post.items() if name != "entities"}
        return self._incoming.change(self._chat, kept | self._incoming.text(text))
