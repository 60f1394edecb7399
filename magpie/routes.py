"""Every HTTP route of the service, and whom a request is from."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

from aiohttp import web

from bot.application import ChatState, TelegramChat
from magpie.chat import webhook_secret
from magpie.checks import make_checks, program_checks, queue_check
from magpie.config import Config
from magpie.equipment import Machine, Programs
from magpie.local_chat import LocalChat
from magpie.metrics import Meters, Parts, ServiceReports
from magpie.people import People
from scraper.fetcher import YtDlpFetcher
from service.backup import Backups
from service.chat import TelegramCopy
from service.downloads import Downloads
from service.exports import Exports
from service.feeds import Feeds
from service.health import ServiceState
from service.history import Histories
from service.job_pages import SeenJobs
from service.links import Links
from service.model import Account
from service.opened_sessions import OpenedSessions
from service.ports import Clock, Media
from service.selection import MediaType
from service.signed_links import SignedLinks
from service.watched import Link
from service.watching import Watching
from service.webhooks import OwnWebhooks
from storage.backup import SqlBackups
from storage.database import SqlDatabase
from storage.gallery_archives import gallery_archive
from storage.job_pages import SqlJobPages
from storage.metrics import SqlFigures
from storage.vault import MultiFernetVault
from webapi.accounts import UsersEndpoints
from webapi.auth import Authenticator, LocalTrust, caller_address, local_trust
from webapi.chat import ChatPage
from webapi.contract import Api
from webapi.credentials import RequestCredentials
from webapi.database import DatabaseEndpoints
from webapi.docs_pages import DocsPages
from webapi.download_sessions import DownloadSessionsEndpoints
from webapi.downloads import add_auto_download
from webapi.exports import ExportEndpoint
from webapi.feeds import FeedAddresses, FeedFiles, FeedsEndpoints
from webapi.health import HealthEndpoints
from webapi.history import HistoryEndpoints
from webapi.job_events import JobEventsEndpoints
from webapi.job_views import JobViews
from webapi.jobs import JobsEndpoints
from webapi.links import LinksEndpoints
from webapi.logins import LoginEndpoints
from webapi.media import MediaFilesEndpoint
from webapi.metrics import MetricsEndpoints
from webapi.opened_sessions import OpenedSessionsEndpoints
from webapi.own import OwnEndpoints
from webapi.pages import Pages
from webapi.settings import SettingsEndpoints
from webapi.telegram import add_webhook
from webapi.webhooks import WebhookEndpoints


def machine_trust(config: Config) -> LocalTrust | None:
    """Tells who sits at this machine; None where the world reaches the service."""
    return local_trust(enabled=True, listen=config.hosts, public_urls=(config.public_url, config.webhook_url))


def trust_of(config: Config) -> LocalTrust | None:
    """Whom a request without a credential is from; None where nobody is trusted without one."""
    return machine_trust(config) if config.trust_local else None


@dataclass(kw_only=True)
class Routes:
    """The parts that requests reach. `chat` is the chat of the moment: an import takes another one."""

    config: Config
    state: ServiceState
    database: SqlDatabase
    vault: MultiFernetVault
    media: Media
    clock: Clock
    fetcher: YtDlpFetcher
    programs: Programs
    meters: Meters
    downloads: Downloads
    sessions: OpenedSessions
    job_rows: SqlJobPages
    watching: Watching
    people: People
    watched: Links
    feeds: Feeds
    addresses: FeedAddresses
    links: SignedLinks
    webhooks: OwnWebhooks
    backups: Backups
    dumps: SqlBackups
    local_chat: LocalChat | None
    chat: Callable[[], TelegramChat | None]
    empty_vaults: Callable[[Sequence[TelegramCopy]], Awaitable[None]]

    def __post_init__(self) -> None:
        people = self.people
        self._credentials = RequestCredentials(
            logins=people.logins, keys=people.keys, mini_app=people.mini_app, vault=self.vault, public_url=self.config.public_url
        )
        self._proxies: list[IPv4Network | IPv6Network] = [ip_network(network, strict=False) for network in self.config.trusted_proxies]

    def authenticator(self) -> Authenticator:
        """Of every request."""
        return Authenticator(trust=trust_of(self.config), credentials=self._credentials, trusted_proxies=self._proxies)

    def api(self) -> Api:
        """All routes, each with what the document says of it."""
        api = Api(title="Magpie", version=version("magpie-bot"), description="Fetches media from a link, keeps it and hands it back.")
        self._add_downloads(api)
        self._add_kept(api)
        self._add_health(api)
        self._add_people(api)
        self._add_own(api)
        self._add_administration(api)
        self._add_chat(api)
        DocsPages(api, has_chat=self.local_chat is not None).register()
        return api

    def _add_downloads(self, api: Api) -> None:
        config = self.config
        add_auto_download(
            api,
            downloads=self.downloads,
            accounts=self.people.accounts,
            addresses=self.addresses,
            state=self.state,
            hosts=frozenset(config.auto_download_hosts),
            anonymous=config.anonymous_downloads,
        )
        OpenedSessionsEndpoints(self.sessions, self.clock, anonymous=config.anonymous_downloads).register(api)
        jobs = SeenJobs(rows=self.job_rows, database=self.database, downloads=self.downloads, media=self.media, vaults=self.empty_vaults)
        JobEventsEndpoints(
            jobs=jobs, sessions=self.sessions, watching=self.watching, links=self.links, state=self.state, clock=self.clock
        ).register(api)
        JobsEndpoints(
            downloads=self.downloads,
            jobs=jobs,
            sessions=self.sessions,
            views=JobViews(self.addresses, width=config.workers),
            links=self.links,
            hosts=frozenset(config.auto_download_hosts),
            anonymous=config.anonymous_downloads,
            max_items=config.max_items,
            webhooks=self.webhooks,
        ).register(api)

    def _add_kept(self, api: Api) -> None:
        MediaFilesEndpoint(database=self.database, media=self.media, links=self.links, opens=self.sessions.shown).register(api)
        HistoryEndpoints(histories=Histories(self.database), addresses=self.addresses, clock=self.clock).register(api)
        files = FeedFiles(database=self.database, media=self.media, links=self.links)
        FeedsEndpoints(feeds=self.feeds, files=files, addresses=self.addresses).register(api)
        LinksEndpoints(self.watched, webhooks=self.webhooks, feed=self._feed_of, gallery_archive=gallery_archive).register(api)

    def _feed_of(self, request: web.Request, link: Link) -> str | None:
        if link.selection.media_type is not MediaType.AUDIO:
            return None
        return self.addresses.feed(request, self.feeds.feed_path(link.id, link.feed_epoch))

    def _add_health(self, api: Api) -> None:
        config, figures = self.config, SqlFigures(self.database)
        checks = [
            *make_checks(
                database=self.database, media=self.media, fetcher=self.fetcher, min_free_disk=config.min_free_disk, chat=self._chat_state
            ),
            queue_check(figures, self.clock),
            *program_checks(self.programs, self.clock),
        ]
        HealthEndpoints(state=self.state, checks=checks).register(api)
        parts = Parts(
            state=self.state,
            checks=checks,
            rows=figures,
            programs=self.programs,
            machine=Machine(config.data_dir.absolute()),
            clock=self.clock,
            chat=self._chat_state,
            free_bytes=self.media.free_bytes,
            readers=lambda: self.watching.readers,
            width=lambda: self.people.settings.width,
            processes=lambda: len(self.fetcher.pool.pids()),
            version=api.version,
            database="sqlite" if config.is_sqlite else "postgresql",
        )
        MetricsEndpoints(ServiceReports(self.meters, parts)).register(api)

    def _chat_state(self) -> ChatState | None:
        chat = self.chat()
        return chat.state if chat is not None else None

    def _add_people(self, api: Api) -> None:
        people = self.people
        UsersEndpoints(people.accounts, forget=self._forget, machine=machine_trust(self.config)).register(api)
        LoginEndpoints(people.logins, self._address_of).register(api)
        Pages(
            logins=people.logins,
            credentials=self._credentials,
            address_of=self._address_of,
            is_secure=(self.config.public_url or "").startswith("https://"),
        ).register(api)

    def _add_own(self, api: Api) -> None:
        people = self.people
        OwnEndpoints(
            accounts=people.accounts,
            keys=people.keys,
            pairing=people.pairing,
            jars=people.jars,
            database=self.database,
            bot_name=self._bot_name,
            part=self._part,
        ).register(api)
        WebhookEndpoints(self.webhooks, people.accounts).register(api)
        DownloadSessionsEndpoints(people.sessions, people.accounts).register(api)
        ExportEndpoint(exports=Exports(self.database), accounts=people.accounts, media=self.media).register(api)

    def _add_administration(self, api: Api) -> None:
        SettingsEndpoints(self.people.settings, self.people.trail).register(api)
        DatabaseEndpoints(self.backups, self.clock, self.dumps.new_file).register(api)

    def _add_chat(self, api: Api) -> None:
        config = self.config
        by_webhook = self.chat() is not None and config.webhook_url is not None
        add_webhook(api, take=self._take_update if by_webhook else None, secret=webhook_secret(self.vault, config.bot_token or ""))
        if self.local_chat is not None:
            ChatPage(self.local_chat, state=self.state).register(api)

    def _address_of(self, request: web.Request) -> str:
        return caller_address(request, self._proxies)

    def _bot_name(self) -> str | None:
        chat = self.chat()
        return chat.name if chat is not None else None

    async def _take_update(self, body: dict[str, Any]) -> None:
        chat = self.chat()
        assert chat is not None, "a webhook is only registered with a bot"
        await chat.take(body)

    async def _part(self, account_id: int, telegram_id: int) -> None:
        if (chat := self.chat()) is not None:
            await chat.part_from_identity(account_id, telegram_id)

    async def _forget(self, account: Account) -> None:
        """As `/forget` in the chat does it."""
        await self.people.forgetting.check(account)
        if (chat := self.chat()) is not None:
            await chat.part_from(account.id)
        await self.people.forgetting.forget(account)
