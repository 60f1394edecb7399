"""A chat: who is in it and what was said."""

from __future__ import annotations

from dataclasses import dataclass, field

from sandbox.bot_api.values import Json

PRIVATE = "private"
CHANNEL = "channel"
PRESENT = frozenset({"member", "administrator", "creator", "restricted"})
NEVER_STARTED = "never"
"""The bot's standing in a private chat whose user has not said anything yet."""
BLOCKED = "kicked"
"""The bot's standing in a private chat whose user blocked it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A message and the id of who wrote it, which the message itself does not always tell."""

    message: Json
    author: int


@dataclass(slots=True, kw_only=True)
class Chat:
    """`about` is the Bot API's own chat object; `bot` is the bot's standing; `topics` is None where there are none."""

    about: Json
    bot: str = "member"
    members: dict[int, str] = field(default_factory=dict)
    topics: dict[int, str] | None = None
    entries: dict[int, Entry] = field(default_factory=dict)
    """In order of their message ids."""

    @property
    def id(self) -> int:
        number: int = self.about["id"]
        return number

    @property
    def kind(self) -> str:
        kind: str = self.about["type"]
        return kind

    @property
    def is_private(self) -> bool:
        return self.kind == PRIVATE

    @property
    def is_channel(self) -> bool:
        return self.kind == CHANNEL

    @property
    def is_group(self) -> bool:
        return self.kind in {"group", "supergroup"}

    @property
    def bot_is_in(self) -> bool:
        return self.bot in PRESENT

    def as_row(self) -> Json:
        """All but the messages, to be kept."""
        return {
            "about": self.about,
            "bot": self.bot,
            "members": list(self.members.items()),
            "topics": self.topics and list(self.topics.items()),
        }

    @classmethod
    def from_row(cls, row: Json) -> Chat:
        topics = row["topics"]
        return cls(about=row["about"], bot=row["bot"], members=dict(row["members"]), topics=None if topics is None else dict(topics))
