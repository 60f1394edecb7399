"""Makes the chat out of the settings: which Bot API, who may talk, what may be sent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bot.application import ChatParts, TelegramChat
from bot.connection import ChatOptions
from bot.posts import FETCH_LIMIT
from bot.routing import AccountParts
from magpie.config import Config
from magpie.parts import make_policy
from magpie.people import People
from scraper.fetcher import YtDlpFetcher
from service.cards import CardPolicy, ChatCards
from service.deliveries import Deliveries
from service.downloads import Downloads
from service.events import JobEventBus
from service.history import Histories
from service.limits import Quotas
from service.link_news import LinkNews
from service.links import Links
from service.members import Admission, Members
from service.metrics import TelegramMeter
from service.model import JobFile
from service.own_sessions import OwnSessions
from service.ports import Clock, Ids, Media, Quota
from service.posts import Posts
from storage.database import SqlDatabase
from storage.own_sessions import SqlOwnSessions
from storage.statistics import SqlStatistics
from storage.vault import MultiFernetVault

UPLOAD_LIMIT = 50 * 10**6
LOCAL_SERVER_LIMIT = 2000 * 10**6
"""Bytes: what Telegram's own server takes from a bot, and what a local Bot API server takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """How the bot reaches a Bot API server. `local_user` is who talks in the built-in chat."""

    token: str
    api_url: str | None
    is_built_in: bool = False
    local_user: int | None = None

    @property
    def upload_limit(self) -> int:
        return UPLOAD_LIMIT if self.api_url is None else LOCAL_SERVER_LIMIT

    @property
    def fetch_limit(self) -> int:
        return FETCH_LIMIT if self.api_url is None else LOCAL_SERVER_LIMIT


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """What the service is made of, as far as the chat needs it."""

    database: SqlDatabase
    downloads: Downloads
    watched: Links
    fetcher: YtDlpFetcher
    media: Media
    events: JobEventBus
    quota: Quota
    clock: Clock
    ids: Ids
    vault: MultiFernetVault
    links: Callable[[JobFile], str | None]
    address: str
    """Where the service listens, for people of this machine."""
    people: People
    meter: TelegramMeter


def webhook_secret(vault: MultiFernetVault, token: str) -> str:
    """What Telegram shows us with each update. Made of the installation's own secret: the same after a restart."""
    return vault.sign("telegram-webhook", token).translate(str.maketrans("+/=", "-__"))


def make_chat(config: Config, reach: Reach, house: House, say: Callable[[str], None]) -> TelegramChat:
    """Not started yet."""
    admission = Admission(
        admins=frozenset(config.admins),
        users=frozenset(config.allowed_users),
        chats=frozenset(config.allowed_chats),
        open_to_all=config.open_to_all,
        local_user=reach.local_user,
    )
    cards = ChatCards(
        database=house.database,
        downloads=house.downloads,
        describes=house.fetcher,
        clock=house.clock,
        policy=CardPolicy(upload_limit=reach.upload_limit, max_items=config.max_items),
    )
    parts = ChatParts(
        database=house.database,
        downloads=house.downloads,
        watched=house.watched,
        news=LinkNews(database=house.database, clock=house.clock),
        members=Members(database=house.database, clock=house.clock, ids=house.ids, admission=admission),
        cards=cards,
        deliveries=Deliveries(house.database),
        histories=Histories(house.database),
        posts=Posts(
            database=house.database,
            media=house.media,
            events=house.events,
            quota=house.quota,
            clock=house.clock,
            policy=make_policy(config),
        ),
        forgetting=house.people.forgetting,
        media=house.media,
        thumbnails=house.fetcher,
        links=house.links,
        events=house.events,
        clock=house.clock,
        accounts=_accounts(config, reach, house),
    )
    options = ChatOptions(
        token=reach.token,
        api_url=reach.api_url,
        webhook_url=None if reach.is_built_in else config.webhook_url,
        webhook_secret=webhook_secret(house.vault, reach.token),
        upload_limit=reach.upload_limit,
        fetch_limit=reach.fetch_limit,
        vault_chat=config.vault_chat,
        link_life=config.link_ttl,
        is_paced=not reach.is_built_in,
        meter=house.meter,
    )
    return TelegramChat(parts, options, say)


def _accounts(config: Config, reach: Reach, house: House) -> AccountParts:
    """Who talks in the built-in chat sits at this machine, and reaches the pages where the service listens."""
    people = house.people
    return AccountParts(
        accounts=people.accounts,
        logins=people.logins,
        pairing=people.pairing,
        jars=people.jars,
        sessions=people.sessions,
        own_sessions=OwnSessions(
            rows=SqlOwnSessions(house.database), database=house.database, downloads=house.downloads, media=house.media
        ),
        statistics=SqlStatistics(house.database),
        quotas=Quotas(house.clock),
        address=config.public_url or (house.address if reach.is_built_in else None),
    )
