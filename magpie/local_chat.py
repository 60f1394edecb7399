"""The chat of a Magpie without a bot token: the built-in Bot API server, one person at this machine, and a channel with a sample post."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from magpie.sample_post import CAPTION, SAID, make_sample_video
from magpie.shown_messages import file_name, shown_message
from sandbox.bot_api import BotApi, Channel, Json, User
from sandbox.bot_api.markup import buttons
from service.errors import Unavailable
from webapi.chat_room import (
    BotActs,
    ButtonAnswered,
    ChatButtonGone,
    ChatEvent,
    ChatFileNotFound,
    ChatMessageNotFound,
    MessageGone,
    MessageShown,
    RoomFile,
    Sample,
    ShownMessage,
)

USER_ID: Final = 1
"""Telegram's id of the one person who talks here."""
MAX_FILE: Final = 2000 * 10**6
"""Bytes that the server takes from the bot, and gives it."""
MAX_HISTORY: Final = 500
"""Messages that a page is shown; older ones stay stored."""
SAMPLES: Final = (
    Sample(label="A video", text="https://www.youtube.com/watch?v=aqz-KE-bpKQ"),
    Sample(label="Ten seconds of it", text="https://www.youtube.com/watch?v=aqz-KE-bpKQ 0:30-0:40"),
    Sample(label="What can you do?", text="/help"),
)
_FIRST_NAME: Final = "there"
"""So that "Hi there" is what a greeting by name says: nobody has told us theirs."""
_CHANNEL_ID: Final = -1_001_000_000_001


class ChatNotRunning(Unavailable):
    """The local chat is not running yet; try again in a moment."""

    code = "chat_not_running"


class LocalChat:
    """A `ChatRoom` for the page, and a Bot API server for the bot, on 127.0.0.1 and a port that the system chooses.

    The conversation, its files and the bot's token are kept in `directory` over a restart. No limits but `MAX_FILE`.
    """

    user_id: Final = USER_ID

    def __init__(self, directory: Path, *, samples: Sequence[Sample] = SAMPLES) -> None:
        self._directory, self._samples = directory, tuple(samples)
        self._token = ""
        self._api: BotApi | None = None
        self._user: User | None = None
        self._listeners: dict[object, Callable[[ChatEvent], None]] = {}
        self._making = asyncio.Lock()

    # --- for the bot ------------------------------------------------------------------------------------------------

    @property
    def token(self) -> str:
        """The bot's token, made at the first use and kept in a file that only this user may read. Raises `OSError`."""
        if not self._token:
            self._token = _kept_token(self._directory)
        return self._token

    @property
    def api_url(self) -> str:
        """`http://127.0.0.1:PORT`, without `/bot`. Raises `ChatNotRunning`."""
        return self._running().base

    async def start(self) -> None:
        """Listen. Raises `OSError`."""
        api = BotApi(directory=self._directory, token=self.token, keep=True, max_upload=MAX_FILE, max_download=MAX_FILE)
        await api.start()
        self._user = api.user(USER_ID, first_name=_FIRST_NAME, language_code="en")
        api.subscribe(self._hear)
        self._api = api

    async def stop(self) -> None:
        """Stop listening, within half a second. Idempotent."""
        if self._api is not None:
            api, self._api, self._user = self._api, None, None
            await api.stop()

    # --- for the page -----------------------------------------------------------------------------------------------

    @property
    def samples(self) -> Sequence[Sample]:
        return self._samples

    def history(self) -> list[ShownMessage]:
        if self._api is None:
            return []
        return [self._shown(self._api, message) for message in self._api.messages(USER_ID)[-MAX_HISTORY:]]

    def subscribe(self, listener: Callable[[ChatEvent], None]) -> Callable[[], None]:
        key = object()
        self._listeners[key] = listener
        return lambda: self._listeners.pop(key, None) and None

    async def say(self, text: str, reply_to: int | None = None) -> int:
        api, user = self._running(), self._person()
        if reply_to is not None and api.message(USER_ID, reply_to) is None:
            raise ChatMessageNotFound
        return _number(await user.says(text, reply_to=reply_to))

    async def press(self, message_id: int, data: str) -> None:
        message = self._running().message(USER_ID, message_id)
        if message is None:
            raise ChatMessageNotFound
        if all(button.get("callback_data") != data for button in buttons(message)):
            raise ChatButtonGone
        await self._person().presses(message_id, data=data)

    async def forward_sample(self) -> int:
        return _number(await self._person().forwards(await self._sample_post()))

    def file(self, file_id: str) -> RoomFile:
        try:
            stored, path = self._running().file(file_id), self._running().file_path(file_id)
        except LookupError:
            raise ChatFileNotFound from None
        return RoomFile(path=path, mime=stored.facts.get("mime_type", ""), name=file_name(stored.kind, stored.name))

    # --- inside -----------------------------------------------------------------------------------------------------

    def _running(self) -> BotApi:
        if self._api is None:
            raise ChatNotRunning
        return self._api

    def _person(self) -> User:
        if self._user is None:
            raise ChatNotRunning
        return self._user

    def _shown(self, api: BotApi, message: Json) -> ShownMessage:
        reactions = api.reactions.get((USER_ID, message["message_id"]), ())
        return shown_message(message, user_id=USER_ID, reactions=reactions)

    def _hear(self, kind: str, about: Json) -> None:
        event = self._event(kind, about)
        if event is not None:
            for listener in list(self._listeners.values()):
                listener(event)

    def _event(self, kind: str, about: Json) -> ChatEvent | None:
        """None for what happens elsewhere, or is nothing to see."""
        api = self._api
        if api is None or (about["chat"]["id"] if "chat" in about else about.get("chat_id")) != USER_ID:
            return None
        if kind in {"message", "edit", "reaction"}:
            message = api.message(USER_ID, about["message_id"])
            return None if message is None else MessageShown(message=self._shown(api, message))
        return _other_event(kind, about)

    async def _sample_post(self) -> Json:
        """The channel's post, which is made when it is first asked for. Raises `Unavailable`."""
        api = self._running()
        channel: Channel = api.channel(_CHANNEL_ID, "Sample channel", "sample_channel")
        async with self._making:
            posts = api.messages(_CHANNEL_ID)
            if posts:
                return posts[0]
            with tempfile.TemporaryDirectory(dir=self._directory) as directory:
                video = await make_sample_video(Path(directory))
                return await channel.posts(kind="video", content=video, caption=CAPTION, name=video.name, said=SAID)


def _other_event(kind: str, about: Json) -> ChatEvent | None:
    match kind:
        case "delete":
            return MessageGone(message_id=about["message_id"])
        case "action":
            return BotActs(action=about["action"])
        case "answer":
            alert = bool(about.get("show_alert"))
            return ButtonAnswered(message_id=about["message_id"], text=about.get("text", ""), alert=alert, url=about.get("url"))
        case _:
            return None


def _number(message: Json) -> int:
    number: int = message["message_id"]
    return number


def _kept_token(directory: Path) -> str:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = directory / "token"
    with contextlib.suppress(FileNotFoundError):
        return path.read_text().strip()
    beside = directory / f".{secrets.token_hex(8)}"
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(f"{1_000_000_000 + secrets.randbelow(9_000_000_000)}:{secrets.token_urlsafe(32)}")
    beside.replace(path)  # never half written
    return path.read_text().strip()
