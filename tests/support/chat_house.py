"""The whole bot in one process: real python-telegram-bot over HTTP to the sandbox, real storage and engine, a web that is a dictionary."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bot.application import ChatOptions, ChatParts, ChatState, TelegramChat
from sandbox.bot_api import TOKEN, BotApi
from service.accounts import Admission, Members
from service.cards import CardPolicy, ChatCards
from service.deliveries import Deliveries
from service.forgetting import Forgetting
from service.history import Histories
from service.limits import NoQuota
from service.posts import Posts
from storage.migrate import upgrade
from tests.support.house import House, RealIds

ALICE, BOB, STRANGER = 1001, 1002, 1666


class RunningClock:
    """The machine's own."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return datetime.now(UTC).timestamp()


@dataclass
class ChatHouse(House):
    """`start` and `stop` may alternate: the sandbox goes on meanwhile, as Telegram does."""

    api: BotApi = field(kw_only=True)
    admission: Admission = field(default_factory=lambda: Admission(admins=frozenset({ALICE}), users=frozenset({BOB})))
    start_delay: timedelta = timedelta(seconds=0.5)
    upload_limit: int = 50 * 10**6
    vault_chat: int | None = None
    public_url: str | None = None
    said: list[str] = field(default_factory=list)
    is_paced: bool = False
    token: str = TOKEN

    async def start(self) -> None:
        await super().start()
        self.chat = self._chat()
        await self.chat.start()
        await self.running()

    async def stop(self) -> None:
        await self.chat.stop()
        await super().stop()

    async def running(self) -> None:
        """The bot is connected and listens."""
        async with asyncio.timeout(20):
            while self.chat.state is not ChatState.RUNNING:
                await asyncio.sleep(0.01)

    def _chat(self) -> TelegramChat:
        clock = RunningClock()
        database, downloads = self.database, self.downloads
        parts = ChatParts(
            database=database,
            downloads=downloads,
            members=Members(database=database, clock=clock, ids=RealIds(), admission=self.admission),
            cards=ChatCards(
                database=database,
                downloads=downloads,
                describes=self.web,
                clock=clock,
                policy=CardPolicy(upload_limit=self.upload_limit, max_items=20, start_delay=self.start_delay),
            ),
            deliveries=Deliveries(database),
            histories=Histories(database),
            posts=Posts(database=database, media=self.media, events=self.events, quota=NoQuota(), clock=clock),
            forgetting=Forgetting(database=database, downloads=downloads, media=self.media),
            media=self.media,
            thumbnails=self.web,
            links=lambda file: f"{self.public_url}/{file.path}" if self.public_url else None,
            events=self.events,
            clock=clock,
        )
        options = ChatOptions(
            token=self.token,
            api_url=self.api.base,
            upload_limit=self.upload_limit,
            vault_chat=self.vault_chat,
            is_paced=self.is_paced,
        )
        return TelegramChat(parts, options, self.said.append)

    # --- looking ----------------------------------------------------------------------------------------------------

    async def until_sent(self, chat_id: int, words: str = "", *, kind: str | None = None, timeout: float = 20) -> dict[str, Any]:  # noqa: ASYNC109
        """The newest message of the bot with these words, or of this kind (video, audio, …), once it is there."""

        def find() -> dict[str, Any] | None:
            for message in reversed(self.api.sent(chat_id)):
                text = message.get("text") or message.get("caption") or ""
                if words in text and (kind is None or kind in message):
                    return message
            return None

        found = await self.api.until(find, timeout=timeout)
        assert found is not None
        return found


def labels(message: dict[str, Any]) -> list[str]:
    """What stands on a message's buttons."""
    rows = message.get("reply_markup", {}).get("inline_keyboard", [])
    return [button["text"] for row in rows for button in row]


def page(number: int | str, size: int = 4000) -> tuple[str, bytes]:
    """An address of the dictionary's web and what is there."""
    return f"https://example.com/{number}", bytes(str(number), "ascii") * (size // max(1, len(str(number))))


@asynccontextmanager
async def chatting(root: Path, pages: Sequence[int | str] = (1, 2, 3), **settings: Any) -> AsyncIterator[ChatHouse]:
    """A house with a sandbox and some pages, started."""
    async with BotApi(directory=root / "api", **settings.pop("api", {})) as api:
        house = ChatHouse(url=f"sqlite:///{root}/magpie.db", root=root, api=api, **settings)
        house.web.pages.update(dict(page(number) for number in pages))
        await prepare(house)
        await house.start()
        try:
            yield house
        finally:
            if house.web.gate:
                house.web.gate.set()
            await house.stop()


async def prepare(house: ChatHouse) -> None:
    (house.root / "media").mkdir(parents=True, exist_ok=True)
    await upgrade(house.url)
