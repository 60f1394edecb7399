"""The whole bot in one process: real python-telegram-bot over HTTP to the sandbox, real storage and engine, a web that is a dictionary."""

from __future__ import annotations

import asyncio
import hashlib
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa

from bot.application import ChatParts, ChatState, TelegramChat
from bot.connection import ChatOptions
from bot.routing import AccountParts
from sandbox.bot_api import TOKEN, BotApi
from sandbox.bot_api.values import media_object
from service.cards import CardPolicy, ChatCards
from service.deliveries import Deliveries
from service.descriptions import Description, DescriptionKind
from service.fetching import Fetched, FetchedFile, FetchRequest, FetchWatcher, Identified
from service.forgetting import Forgetting
from service.history import Histories
from service.limits import NoQuota, Quotas
from service.link_news import LinkNews
from service.links import Links
from service.media_url import MediaUrl
from service.members import Admission, Members
from service.own_sessions import OwnSessions
from service.posts import Posts
from service.selection import MediaType
from storage import tables
from storage.database import SqlDatabase
from storage.migrate import upgrade
from storage.own_sessions import SqlOwnSessions
from storage.statistics import SqlStatistics
from tests.support.fakes import FakeClock, FakeWeb
from tests.support.house import House, RealIds
from tests.support.people import Town

ALICE, BOB, STRANGER = 1001, 1002, 1666
AT_ONCE = timedelta(0)
_UPLOAD = {"file", "size"}
"""How the sandbox records a file that came with a call."""
_SMALL_THINGS = frozenset({"thumbnail.jpg", "card.jpg"})


class RunningClock(FakeClock):
    """The machine's own, until it is moved ahead of it."""

    def now(self) -> datetime:
        return datetime.now(UTC) + (self.time - FakeClock.time)

    def monotonic(self) -> float:
        return self.now().timestamp()


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One file of a post."""

    content: bytes
    extension: str = "jpg"
    kind: MediaType = MediaType.PICTURE


@dataclass
class ChatWeb(FakeWeb):
    """With posts of pictures as well, and with what a video looks like. `unexpected` is raised by every look and every fetch."""

    posts: dict[str, list[Picture]] = field(default_factory=dict)
    sides: tuple[int, int] | None = None
    thumbnails: bytes | None = None
    unexpected: Exception | None = None
    stops_after: int | None = None
    """So many downloads go through, the next ones wait at a gate."""

    async def describe(self, url: MediaUrl, trust_class: str = "public", cookies: str | None = None) -> Description:
        if self.unexpected is not None:
            raise self.unexpected
        if url.text not in self.posts:
            return await super().describe(url, trust_class, cookies)
        self.described.append(url.text)
        number = url.text.rpartition("/")[2]
        count = len(self.posts[url.text])
        return Description(kind=DescriptionKind.PICTURES, extractor=self.extractor, id=number, title=f"Post {number}", count=count)

    async def _download(self, request: FetchRequest, watcher: FetchWatcher, body: bytes, found: Identified) -> Fetched:
        if self.unexpected is not None:
            raise self.unexpected
        if self.stops_after is not None and len(self.fetched) >= self.stops_after:
            self.gate = self.gate or asyncio.Event()
        pictures = self.posts.get(request.url.text)
        if pictures is None:
            fetched = await super()._download(request, watcher, body, found)
            width, height = self.sides or (None, None)
            return replace(fetched, files=tuple(replace(file, width=width, height=height) for file in fetched.files))
        self.fetched.append(request.url.text)
        self.reached.set()
        if self.gate:
            await self.gate.wait()
        files = []
        for number, picture in enumerate(pictures):
            path = request.directory / f"{number}.{picture.extension}"
            path.write_bytes(picture.content)
            digest = hashlib.sha256(picture.content).hexdigest()
            files.append(FetchedFile(path=path, kind=picture.kind, extension=picture.extension, size=len(picture.content), sha256=digest))
        return Fetched(files=tuple(files), title=f"Post {found.id}", artist=found.artist)

    async def thumbnail(self, file: Path) -> bytes | None:
        del file
        return self.thumbnails


@dataclass
class ChatHouse(House):
    """`start` and `stop` may alternate: the sandbox goes on meanwhile, as Telegram does."""

    api: BotApi = field(kw_only=True)
    web: ChatWeb = field(default_factory=ChatWeb)
    admission: Admission = field(default_factory=lambda: Admission(admins=frozenset({ALICE}), users=frozenset({BOB})))
    start_delay: timedelta = timedelta(seconds=0.5)
    upload_limit: int = 50 * 10**6
    max_items: int = 20
    vault_chat: int | None = None
    public_url: str | None = None
    said: list[str] = field(default_factory=list)
    is_paced: bool = False
    token: str = TOKEN
    chat_clock: RunningClock = field(default_factory=RunningClock)

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
        clock = self.chat_clock
        database, downloads = self.database, self.downloads
        self.watched = Links(
            database=database,
            downloads=downloads,
            fetcher=self.web,
            events=self.events,
            quota=NoQuota(),
            clock=clock,
            ids=RealIds(),
            interval=lambda: timedelta(hours=1),
        )
        parts = ChatParts(
            database=database,
            downloads=downloads,
            watched=self.watched,
            news=LinkNews(database=database, clock=clock),
            members=Members(database=database, clock=clock, ids=RealIds(), admission=self.admission),
            cards=ChatCards(
                database=database,
                downloads=downloads,
                describes=self.web,
                clock=clock,
                policy=CardPolicy(upload_limit=self.upload_limit, max_items=self.max_items, start_delay=self.start_delay),
            ),
            deliveries=Deliveries(database),
            histories=Histories(database),
            posts=Posts(database=database, media=self.media, events=self.events, quota=NoQuota(), clock=clock, policy=self.policy),
            forgetting=Forgetting(database=database, downloads=downloads, media=self.media, clock=clock),
            media=self.media,
            thumbnails=self.web,
            links=lambda file: f"{self.public_url}/{quote(file.path)}" if self.public_url else None,
            events=self.events,
            clock=clock,
            accounts=self._accounts(database, clock),
        )
        options = ChatOptions(
            token=self.token,
            api_url=self.api.base,
            upload_limit=self.upload_limit,
            vault_chat=self.vault_chat,
            is_paced=self.is_paced,
        )
        return TelegramChat(parts, options, self.said.append)

    def _accounts(self, database: SqlDatabase, clock: RunningClock) -> AccountParts:
        self.town = Town(database, clock)
        rows = SqlOwnSessions(database)
        return AccountParts(
            accounts=self.town.accounts,
            logins=self.town.logins,
            pairing=self.town.pairing,
            jars=self.town.jars,
            sessions=self.town.sessions,
            own_sessions=OwnSessions(rows=rows, database=database, downloads=self.downloads, media=self.media),
            statistics=SqlStatistics(database),
            quotas=Quotas(clock),
            address=self.public_url,
        )

    async def restart(self) -> None:
        await self.stop()
        await self.start()

    def add(self, name: int | str, size: int = 4000) -> str:
        """Another page; its address."""
        address, body = page(name, size)
        self.web.pages[address] = body
        return address

    def add_post(self, name: str, pictures: Sequence[Picture]) -> str:
        """A post of pictures; its address."""
        address = self.add(name)
        self.web.posts[address] = list(pictures)
        return address

    # --- looking ----------------------------------------------------------------------------------------------------

    async def count(self, table: sa.Table, *conditions: sa.ColumnElement[bool]) -> int:
        """How many rows there are."""
        async with self.database.reader.connect() as connection:
            found = await connection.execute(sa.select(sa.func.count()).select_from(table).where(*conditions))
            return int(found.scalar_one())

    async def until(self, condition: Callable[[], Awaitable[bool]], what: str) -> None:
        """Look until it is so, for things that tell nobody when they change."""
        try:
            async with asyncio.timeout(20):
                while not await condition():
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise AssertionError(f"never came: {what}") from None

    async def until_known(self, message: dict[str, Any]) -> None:
        """The bot has written down that this message is a card: it may be stopped now."""

        async def is_known() -> bool:
            cards = tables.cards
            return await self.count(cards, cards.c.chat_id == message["chat"]["id"], cards.c.message_id == message["message_id"]) == 1

        await self.until(is_known, "which message the card is, is written down")

    async def settled(self) -> None:
        """Nothing more is to happen by itself: no open card that moves, no delivery under way, no update waiting."""
        moving: list[str] = []

        async def is_quiet() -> bool:
            moving[:] = await self._moving()
            return not moving

        try:
            await self.until(is_quiet, "quiet")
        except AssertionError:
            raise AssertionError(f"still moving: {moving}") from None

    async def _moving(self) -> list[str]:
        cards, deliveries, updates = tables.cards, tables.deliveries, tables.telegram_updates
        over = cards.c.state.in_(["delivered", "failed", "dismissed"])
        states: sa.ColumnElement[bool] = cards.c.state.in_(["looking", "ordered"]) | over & ~cards.c.is_settled
        if self.start_delay < timedelta(seconds=5):  # else nobody waits for it
            states = states | (cards.c.state == "offered") & cards.c.starts_at.is_not(None)
        queries = [
            sa.select(cards.c.url, cards.c.state).where(states),
            sa.select(deliveries.c.id, deliveries.c.state).where(deliveries.c.state.in_(["sending", "announcing"])),
            sa.select(updates.c.update_id).where(updates.c.body.is_not(None)),
        ]
        async with self.database.reader.connect() as connection:
            rows = [str(row) for query in queries for row in await connection.execute(query)]
        # The last looks of a card follow its last state.
        unfinished = [] if self.start_delay >= timedelta(seconds=5) else [f"card {one}" for one in self.chat._attendant._watches]
        return [*rows, *map(str, self.api.pending_updates), *unfinished]

    def files(self, chat_id: int) -> list[dict[str, Any]]:
        """The bot's messages that hold a file."""
        return [message for message in self.api.sent(chat_id) if media_object(message) is not None]

    def uploads(self) -> list[str]:
        """The names of the files that the bot uploaded, one for each time."""
        parts = [value for call in self.api.calls for value in call.args.values() if isinstance(value, dict) and set(value) == _UPLOAD]
        return [part["file"] for part in parts if part["file"] not in _SMALL_THINGS]

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


def jpeg(width: int = 320, height: int = 180) -> bytes:
    """The head of a JPEG, which is all that the sandbox looks at."""
    frame = b"\xff\xc0" + struct.pack(">HBHHB", 11, 8, height, width, 1) + b"\x01\x11\x00"
    return b"\xff\xd8\xff\xe0" + struct.pack(">H", 16) + b"JFIF\0" + bytes(9) + frame + b"\xff\xd9"


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
