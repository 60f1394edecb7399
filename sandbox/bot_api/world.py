"""Everybody and everything there is: users, chats, messages."""

from __future__ import annotations

import time
from collections.abc import Iterator

from sandbox.bot_api.chat import NEVER_STARTED, PRIVATE, Chat, Entry
from sandbox.bot_api.errors import bad_request
from sandbox.bot_api.events import Events
from sandbox.bot_api.store import Store
from sandbox.bot_api.values import Json

_SHARED = "message"
"""Private chats and small groups share one count of message ids; supergroups and channels have their own."""

_OF_ONE_BOT = ("update", "updates", "webhook", "query", "about")
"""Kinds of kept objects that mean nothing to another bot."""


class World:
    """Looks up by id; every change is kept and told."""

    def __init__(self, *, me: Json, store: Store, events: Events) -> None:
        self.me = me
        self.users: dict[int, Json] = {me["id"]: me}
        self.chats: dict[int, Chat] = {}
        self._store, self._events = store, events
        self._names: dict[str, int] = {}
        self._counts: dict[str, int] = {}
        self._load()

    @property
    def my_id(self) -> int:
        number: int = self.me["id"]
        return number

    def next(self, what: str) -> int:
        """The next number of this count, from 1 on."""
        self._counts[what] = number = self._counts.get(what, 0) + 1
        self._store.put("count", what, number)
        return number

    # users and chats

    def add_user(self, about: Json) -> None:
        """Add the user, or change what is known of them; their private chat is there from now on."""
        self.users[about["id"]] = about
        self._store.put("user", about["id"], about)
        shown = {"id": about["id"], "type": PRIVATE} | {k: about[k] for k in ("first_name", "last_name", "username") if k in about}
        known = self.chats.get(about["id"])
        if known is None:
            known = Chat(about=shown, bot=NEVER_STARTED)
        known.about = shown
        self.add_chat(known)

    def add_chat(self, chat: Chat) -> None:
        self.chats[chat.id] = chat
        if "username" in chat.about and not chat.is_private:
            self._names[chat.about["username"].lower()] = chat.id
        self.chat_changed(chat)

    def chat_changed(self, chat: Chat) -> None:
        """Keep what changed about the chat itself."""
        self._store.put("chat", chat.id, chat.as_row())
        self._events.changed()

    def chat(self, wanted: object) -> Chat:
        """By id, or by the `@name` of a public group or channel. Raises `Refused`."""
        if wanted is None or wanted == "":
            raise bad_request("chat_id is empty")
        number = self._names.get(wanted[1:].lower()) if isinstance(wanted, str) and wanted.startswith("@") else wanted
        found = self.chats.get(int(number)) if isinstance(number, (int, str)) and str(number).lstrip("-").isdigit() else None
        if found is None:
            raise bad_request("chat not found")
        return found

    # messages

    def add(self, chat: Chat, message: Json, *, author: int) -> Json:
        """The message with its id and date."""
        count = f"{_SHARED} {chat.id}" if chat.kind in {"supergroup", "channel"} else _SHARED
        full = {"message_id": self.next(count), "date": int(time.time()), "chat": chat.about, **message}
        self._put(chat, Entry(message=full, author=author))
        self._events.tell("message", full)
        return full

    def replace(self, chat: Chat, message: Json) -> Json:
        """Put the changed message in the place of the one with the same id."""
        before = chat.entries[message["message_id"]]
        self._put(chat, Entry(message=message, author=before.author))
        self._events.tell("edit", message)
        return message

    def remove(self, chat: Chat, message_id: int) -> None:
        del chat.entries[message_id]
        self._store.drop("message", f"{chat.id}/{message_id}")
        self._events.tell("delete", {"chat_id": chat.id, "message_id": message_id})

    def entry(self, chat_id: int, message_id: int) -> Entry | None:
        chat = self.chats.get(chat_id)
        return chat.entries.get(message_id) if chat is not None else None

    def messages(self, chat_id: int) -> Iterator[Entry]:
        chat = self.chats.get(chat_id)
        return iter(chat.entries.values() if chat is not None else ())

    def _put(self, chat: Chat, entry: Entry) -> None:
        number = entry.message["message_id"]
        chat.entries[number] = entry
        self._store.put("message", f"{chat.id}/{number}", {"message": entry.message, "author": entry.author})

    def _load(self) -> None:
        self._counts = {key: int(value) for key, value in self._store.rows("count")}
        self.users |= {about["id"]: about for _, about in self._store.rows("user")}
        for _, row in self._store.rows("chat"):
            chat = Chat.from_row(row)
            self.chats[chat.id] = chat
            if "username" in chat.about and not chat.is_private:
                self._names[chat.about["username"].lower()] = chat.id
        for key, row in self._store.rows("message"):
            chat = self.chats[int(key.partition("/")[0])]
            chat.entries[row["message"]["message_id"]] = Entry(message=row["message"], author=row["author"])
        self._meet_new_bot()

    def _meet_new_bot(self) -> None:
        """With another token it is another bot: nobody has started it. Groups and channels are taken to have added it."""
        before = dict(self._store.rows("bot")).get("id", self.my_id)
        self._store.put("bot", "id", self.my_id)
        if before == self.my_id:
            return
        for kind in _OF_ONE_BOT:
            self._store.drop_all(kind)
        for chat in self.chats.values():
            if chat.is_private:
                chat.bot = NEVER_STARTED
                self.chat_changed(chat)
