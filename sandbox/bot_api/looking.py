"""What tests and pages look at: messages, calls, answers, and whatever happens next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from sandbox.bot_api.events import Listener
from sandbox.bot_api.files import StoredFile
from sandbox.bot_api.incoming import Incoming
from sandbox.bot_api.journal import Call, Refusal
from sandbox.bot_api.media import IgnoredThumbnail
from sandbox.bot_api.scene import Scene
from sandbox.bot_api.values import Json

_Found = TypeVar("_Found")


class Looking:
    """The reading half of `BotApi`. Messages are never changed in place: an edit is another object."""

    def __init__(self, *, scene: Scene, incoming: Incoming) -> None:
        self.scene, self._incoming = scene, incoming

    def messages(self, chat_id: int) -> list[Json]:
        """All messages of the chat, oldest first."""
        return [entry.message for entry in self.scene.world.messages(chat_id)]

    def message(self, chat_id: int, message_id: int) -> Json | None:
        """The message as it is now; None if it is not there."""
        entry = self.scene.world.entry(chat_id, message_id)
        return None if entry is None else entry.message

    def sent(self, chat_id: int) -> list[Json]:
        """The bot's messages in the chat as they are now, oldest first."""
        return [entry.message for entry in self.scene.world.messages(chat_id) if entry.author == self.scene.world.my_id]

    @property
    def calls(self) -> Sequence[Call]:
        """The bot's requests but `getUpdates`, oldest first; the last 50,000."""
        return self.scene.journal.calls

    @property
    def refusals(self) -> Sequence[Refusal]:
        """The requests that were refused, by the rules or on script."""
        return self.scene.journal.refusals

    @property
    def answers(self) -> dict[str, Json]:
        """Answers to pressed buttons by query id: `text`, `show_alert`, `url` where given, and `chat_id, message_id, user_id`."""
        return self.scene.journal.answers

    @property
    def reactions(self) -> dict[tuple[int, int], list[str]]:
        """The bot's emoji by chat id and message id."""
        return self.scene.journal.reactions

    @property
    def actions(self) -> Sequence[Json]:
        """What `sendChatAction` said: `chat_id`, `action`."""
        return self.scene.journal.actions

    @property
    def ignored_thumbnails(self) -> list[IgnoredThumbnail]:
        """Thumbnails that Telegram would leave out silently."""
        return self.scene.media.ignored_thumbnails

    @property
    def spent_codes(self) -> set[str]:
        """The digits of login codes that somebody sent in a message: Telegram cancels those."""
        return self._incoming.spent_codes

    @property
    def pending_updates(self) -> list[Json]:
        """Updates that the bot has not confirmed."""
        return list(self.scene.updates.pending)

    @property
    def polling(self) -> bool:
        """Whether the bot is waiting for an update in a long poll now."""
        return self.scene.updates.polling

    @property
    def webhook_url(self) -> str:
        """Empty where none is set."""
        return self.scene.webhook.url

    def texts(self) -> list[str]:
        """All that the bot ever showed, each once: texts, captions, alerts, buttons with their data and addresses, names of files."""
        return self.scene.journal.texts()

    def file(self, file_id: str) -> StoredFile:
        """What is known of a file; `said` is what its sender said of it. Raises `LookupError`."""
        stored = self.scene.files.find(file_id)
        if stored is None:
            raise LookupError(f"there is no file {file_id}")
        return stored

    def file_path(self, file_id: str) -> Path:
        """Where its bytes lie."""
        return self.scene.files.on_disk(self.file(file_id))

    def file_bytes(self, file_id: str) -> bytes:
        return self.file_path(file_id).read_bytes()

    async def until(self, predicate: Callable[[], _Found], timeout: float = 20) -> _Found:  # noqa: ASYNC109 - the limit is the point
        """Wait until this is true and return it; looked at after every change, without polling. Raises `TimeoutError`."""
        return await self.scene.events.until(predicate, timeout)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Hear of every `message`, `edit`, `delete`, `reaction`, `answer` and `action`, until the returned function is called."""
        return self.scene.events.subscribe(listener)
