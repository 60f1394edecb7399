"""The composition root: what the service is made of, and the order in which it starts and stops so that nothing is lost."""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from importlib.metadata import version
from typing import Any
from uuid import UUID

from bot.application import ChatState, TelegramChat
from magpie.chat import House, Reach, make_chat
from magpie.cli import FAILED, OK, say
from magpie.config import Config, ConfigError, unknown_names
from magpie.equipment import Programs
from magpie.extractors import weekly_update
from magpie.local_chat import LocalChat
from magpie.logs import set_up_logs
from magpie.metrics import Meters
from magpie.parts import (
    RandomIds,
    SystemClock,
    lock_file,
    make_data_dir,
    make_fetcher,
    make_media,
    make_policy,
    make_secrets,
)
from magpie.people import make_people
from magpie.routes import Routes, trust_of
from magpie.standstill import ServiceStandstill
from scraper.posting import GuardedPosts
from service.backup import Backups
from service.chat import TelegramCopy
from service.downloads import Downloads
from service.errors import EngineBusy
from service.events import JobEventBus
from service.failing_sites import FailingSite, FailingSites
from service.feeds import Feeds
from service.health import ServiceState, Stage
from service.limits import Quotas
from service.link_ticks import LinkTicks
from service.link_trims import LinkTrims
from service.links import Links
from service.opened_sessions import OpenedSessions
from service.signed_links import SignedLinks
from service.sweeping import Sweeper
from service.watching import Watching
from service.webhooks import Messenger, OwnWebhooks
from storage.backup import BACKUPS, SqlBackups, keeps_any
from storage.database import SqlDatabase
from storage.engine_lock import EngineLock
from storage.feeds import SqlFeeds
from storage.job_pages import SqlJobPages
from storage.migrate import DatabaseUnusable, upgrade
from storage.opened_sessions import SqlOpenedSessions
from storage.queue import JobEngine
from storage.sweeping import SqlSweeping
from webapi.chat_room import Sample
from webapi.feeds import FeedAddresses
from webapi.in_flight import InFlight
from webapi.server import HttpServer, build_app

log = logging.getLogger("magpie")
PATIENCE = timedelta(seconds=5)
"""With downloads that run at a stop. Docker kills after ten seconds, and what follows takes up to three."""


class Service:
    """Everything in one process. `start`, then `stop`; raises `EngineBusy`, `ConfigError` or `OSError` when it cannot start."""

    def __init__(self, config: Config, *, samples: Sequence[Sample] | None = None) -> None:
        """`samples` are what the local chat offers to say first."""
        self.config, self.state, self._clock, self._ids = config, ServiceState(), SystemClock(), RandomIds()
        make_data_dir(config)
        secrets = make_secrets(config)
        self._vault = secrets.vault
        self.local_chat = self._local_chat(samples)
        tokens = [one for one in (config.bot_token, self.local_chat.token if self.local_chat else None) if one]
        set_up_logs(config.log_format, secrets=(*secrets.texts, *tokens), directory=config.log_dir)
        file = lock_file(config)
        self._lock = EngineLock(file) if file else None
        self._keeping: list[asyncio.Task[None]] = []
        self._loops: list[asyncio.Task[None]] = []
        self._chores: asyncio.Task[Any] | None = None
        self._in_flight = InFlight()
        self._make_downloads()
        self._make_webhooks()
        self._make_people()
        self._make_links()
        self._make_chores()
        self.feeds = Feeds(vault=self._vault, rows=SqlFeeds(self._database, self._vault))
        self._links = SignedLinks(self._vault, self._clock)
        self._addresses = FeedAddresses(public_url=config.public_url, listen=self.address, links=self._links, media_ttl=config.link_ttl)
        self.chat = self._telegram_chat()
        self.server = self._server()

    # --- what it is made of ---------------------------------------------------------------------------------------

    def _make_downloads(self) -> None:
        config = self.config
        self._media, self._events, self._fetcher = make_media(config), JobEventBus(), make_fetcher(config)
        self._engine = JobEngine(config.database, self._run, width=config.workers, chores=self._sweep, messenger=self._deliver)
        self._database = SqlDatabase(config.database, self._engine, self._vault)
        self._quotas = Quotas(self._clock)
        self._meters, self.programs = Meters(), Programs(self._fetcher.inventory)
        self._fetcher.pool.on_other_extractors = self.programs.look_again
        self._events.subscribe(self._meters.heard)
        self.downloads = Downloads(
            database=self._database,
            engine=self._engine,
            fetcher=self._fetcher,
            media=self._media,
            events=self._events,
            quota=self._quotas,
            clock=self._clock,
            ids=self._ids,
            policy=make_policy(config),
        )
        self.watching, self._job_rows = Watching(self._events), SqlJobPages(self._database, self._vault)
        self.sessions = OpenedSessions(
            rows=SqlOpenedSessions(self._database),
            database=self._database,
            downloads=self.downloads,
            media=self._media,
            clock=self._clock,
            ids=self._ids,
            vaults=self._empty_vaults,
        )

    def _make_webhooks(self) -> None:
        posts = GuardedPosts(self._fetcher.policy)
        self.webhooks = OwnWebhooks(database=self._database, posts=posts, clock=self._clock)
        self.messenger = Messenger(database=self._database, posts=posts, clock=self._clock)

    def _make_people(self) -> None:
        self.people = make_people(
            self.config,
            database=self._database,
            quota=self._quotas,
            events=self._events,
            downloads=self.downloads,
            media=self._media,
            vault=self._vault,
            clock=self._clock,
            ids=self._ids,
            address=self.address,
            say=say,
        )
        self.people.write_down = self.sessions.flush
        self.people.settings.on_change(lambda _: self._engine.widen(self.people.settings.width))

    def _make_links(self) -> None:
        settings = self.people.settings
        self.watched = Links(
            database=self._database,
            downloads=self.downloads,
            fetcher=self._fetcher,
            events=self._events,
            quota=self._quotas,
            clock=self._clock,
            ids=self._ids,
            interval=lambda: timedelta(minutes=settings.present.link_monitor_interval_minutes),
        )
        trims = LinkTrims(
            rows=self._job_rows,
            database=self._database,
            downloads=self.downloads,
            media=self._media,
            clock=self._clock,
            vaults=self._empty_vaults,
        )
        self._events.subscribe(trims.heard)
        self._ticks = LinkTicks(self.watched.due, trims)
        settings.on_change(lambda changed: self._ticks.set_interval(changed.link_monitor_interval_minutes))

    def _make_chores(self) -> None:
        backups = self.config.data_dir.absolute() / BACKUPS
        self._dumps = SqlBackups(self._database, self._vault, backups, version("magpie-bot"))
        self.backups = self._backups()
        self.sweeper = Sweeper(
            rows=SqlSweeping(self._database, self._vault),
            files=self._media,
            engine=self._engine,
            database=self._database,
            downloads=self.downloads,
            media=self._media,
            clock=self._clock,
            vaults=self._empty_vaults,
            keeps_files=lambda: keeps_any(backups),
        )
        self.failing_sites = FailingSites(
            rows=self._job_rows,
            database=self._database,
            clock=self._clock,
            version=self._ytdlp_version,
            tell=self._tell_of_failing_site,
        )

    def routes(self) -> Routes:
        """What requests reach, whether it is started or not."""
        return Routes(
            config=self.config,
            state=self.state,
            database=self._database,
            vault=self._vault,
            media=self._media,
            clock=self._clock,
            fetcher=self._fetcher,
            programs=self.programs,
            meters=self._meters,
            downloads=self.downloads,
            sessions=self.sessions,
            job_rows=self._job_rows,
            watching=self.watching,
            people=self.people,
            watched=self.watched,
            feeds=self.feeds,
            addresses=self._addresses,
            links=self._links,
            webhooks=self.webhooks,
            backups=self.backups,
            dumps=self._dumps,
            local_chat=self.local_chat,
            chat=lambda: self.chat,
            empty_vaults=self._empty_vaults,
        )

    def _server(self) -> HttpServer:
        routes = self.routes()
        app = build_app(
            routes.api(),
            authenticator=routes.authenticator(),
            state=self.state,
            rates=self.people.rates,
            meter=self._meters,
            in_flight=self._in_flight,
        )
        return HttpServer(app, hosts=self.config.hosts, port=self.config.port)

    async def _empty_vaults(self, copies: Sequence[TelegramCopy]) -> None:
        if self.chat is not None:
            await self.chat.empty_vaults(copies)

    async def _deliver(self, message_id: UUID, number: int) -> None:
        await self.messenger.deliver(message_id, number)

    async def _sweep(self) -> None:
        if self.state.state is Stage.IMPORTING:
            return  # the next hour does it
        self._chores = asyncio.current_task()
        await self.sessions.flush()  # who was used last is told by what is written down
        await self.messenger.recover()
        await self.sweeper.sweep()
        await self.backups.sweep()

    def _backups(self) -> Backups:
        standstill = ServiceStandstill(
            state=self.state,
            engine=self._engine,
            dismiss_readers=self.watching.dismiss_all,
            stop_chat=self._stop_chat,
            end_requests=self._in_flight.end,
            stop_loops=self._stop_loops,
            write_down=self._write_down,
            start_loops=self._start_loops,
            start_chat=self._start_chat_again,
            refresh=self._refresh,
        )
        return Backups(
            dumps=self._dumps,
            standstill=standstill,
            database=self._database,
            downloads=self.downloads,
            media=self._media,
            clock=self._clock,
            ids=self._ids,
        )

    async def _write_down(self) -> None:
        await self.people.keys.flush()
        await self.sessions.flush()

    async def _refresh(self) -> None:
        self.people.keys.forget_uses()
        await self._fetcher.forget()
        await self.people.settings.refresh()

    async def _run(self, job_id: UUID) -> None:
        await self.downloads.run(job_id)

    @property
    def address(self) -> str:
        """Where it listens, for people of this machine."""
        host = "localhost" if self.config.listens_on_loopback_only else self.config.hosts[0]
        return f"http://{f'[{host}]' if ':' in host else host}:{self.config.port}"

    # --- the chat -------------------------------------------------------------------------------------------------

    def _telegram_chat(self) -> TelegramChat | None:
        if self.config.bot_token is None:
            return None
        return make_chat(self.config, Reach(token=self.config.bot_token, api_url=self.config.bot_api_url), self._house(), say)

    def _local_chat(self, samples: Sequence[Sample] | None) -> LocalChat | None:
        """Never beside a token, and only where nobody but this machine's user can reach it."""
        if self.config.bot_token is not None or trust_of(self.config) is None:
            return None
        directory = self.config.data_dir.absolute() / "chat"
        return LocalChat(directory) if samples is None else LocalChat(directory, samples=samples)

    def _can_tell(self) -> bool:
        return self.chat is None or self.chat.state is ChatState.RUNNING

    async def _tell_of_failing_site(self, site: FailingSite, version: str | None) -> None:
        if self.chat is not None:
            await self.chat.tell_of_failing_site(site, version)

    async def _ytdlp_version(self) -> str | None:
        tool = (await self.programs.all()).get("yt-dlp")
        return tool.version if tool is not None else None

    async def _start_chat_again(self) -> None:
        """Everything that it had in memory may be of another database."""
        if self.local_chat is None:
            self.chat = self._telegram_chat()
        await self._start_chat()

    async def _stop_chat(self) -> None:
        if self.chat is not None:
            await self.chat.stop()
        if self.local_chat is not None:
            await self.local_chat.stop()

    async def _start_chat(self) -> None:
        if self.local_chat is not None:
            await self.local_chat.start()
            reach = Reach(
                token=self.local_chat.token, api_url=self.local_chat.api_url, is_built_in=True, local_user=self.local_chat.user_id
            )
            self.chat = make_chat(self.config, reach, self._house(), say)
        if self.chat is not None:
            await self.chat.start()

    def _house(self) -> House:
        return House(
            database=self._database,
            downloads=self.downloads,
            watched=self.watched,
            fetcher=self._fetcher,
            media=self._media,
            events=self._events,
            quota=self._quotas,
            clock=self._clock,
            ids=self._ids,
            vault=self._vault,
            links=lambda file: self._addresses.outside(file.path.split("/")[1], file),
            address=self.address,
            people=self.people,
            meter=self._meters,
        )

    # --- life -----------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Serve; the workers go on heating behind. A start that fails leaves nothing running."""
        if self._lock:
            self._lock.take()
        try:
            await self._start()
        except BaseException:
            await self._stop_chat()
            await self.server.close()
            await self._stop_people()
            await self._fetcher.stop()
            await self._database.close()
            if self._lock:
                self._lock.release()
            raise

    async def _start(self) -> None:
        await self._fetcher.start()
        await upgrade(self.config.database)
        await self.people.settings.refresh()
        await self.server.start()
        # Recovery begins inside: whatever a job needs is there by now, or is waited for.
        await self._engine.start()
        await self.downloads.recover()
        await self._start_chat()
        if self.config.update_extractors == "weekly":
            self._keeping.append(asyncio.create_task(weekly_update(self.config, self._clock).keep(), name="weekly update"))
        await self._start_loops()
        await self._tell_setup_code()
        # The first full collection would stall the loop for a tenth of a second.
        gc.collect()
        gc.freeze()
        self.state.move_to(Stage.READY)

    async def _start_loops(self) -> None:
        """Whatever looks into the database now and then."""
        await self._stop_loops()
        self._loops = [
            asyncio.create_task(self.people.keep(), name="people"),
            asyncio.create_task(self._ticks.keep(), name="links"),
            asyncio.create_task(self.failing_sites.keep(self._can_tell), name="failing sites"),
        ]
        if not self._database.is_sqlite:
            self._loops.append(asyncio.create_task(self.watching.follow(self._job_rows, self._clock), name="news of jobs"))

    async def _stop_loops(self) -> None:
        """The letters that requests have left, and the chores of the hour, too."""
        await self.people.logins.close()
        tasks = [*self._loops, *([self._chores] if self._chores is not None else [])]
        self._loops, self._chores = [], None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _tell_setup_code(self) -> None:
        """Where nobody is trusted without a credential, the first account cannot be made otherwise."""
        if trust_of(self.config) is None and not self.config.setup_code and await self.people.accounts.needs_first_user():
            say(f"Nobody has an account yet. The first one is made with this set-up code: {self.people.setup_code}")

    async def _stop_people(self) -> None:
        for task in self._keeping:
            task.cancel()
        await asyncio.gather(*self._keeping, return_exceptions=True)
        await self._stop_loops()
        await self.people.close()
        with suppress(Exception):  # only last-use times: nothing depends on them
            await self.sessions.flush()

    async def stop(self) -> None:
        """Nothing accepted is lost: running jobs have a moment to end, then they stay in the queue and go on at the next start."""
        await self.backups.close()
        self.state.move_to(Stage.STOPPING)
        await self._stop_chat()
        # Whoever asks meanwhile is told when to come again; whoever waits or looks on hears how it ends.
        if self._engine.running:
            log.info("stopping: downloads have %d seconds to end; stop again to end it at once", PATIENCE.seconds)
        await self._engine.drain(PATIENCE)
        self.state.let_go()
        self.watching.close()
        await self.server.stop_listening()
        let_go = await self._engine.stop()
        await self.server.close()
        await self._stop_people()
        await self._fetcher.stop()
        await self._database.close()
        if self._lock:
            self._lock.release()
        log.info("stopped", extra={"jobs_to_resume": let_go})


async def serve(config: Config, *, samples: Sequence[Sample] | None = None) -> int:
    """`magpie run`: until SIGINT or SIGTERM. A second signal ends the process at once. Returns the exit status."""
    stop = asyncio.Event()

    def asked_to_stop() -> None:
        if stop.is_set():
            os._exit(FAILED)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, asked_to_stop)
    try:
        service = Service(config, samples=samples)
        await service.start()
    except EngineBusy:
        say(f"Another Magpie is already running on {config.data_dir.absolute()}.")
        return FAILED
    except (ConfigError, DatabaseUnusable, OSError) as wrong:
        in_use = isinstance(wrong, OSError) and wrong.errno == errno.EADDRINUSE
        say(f"Magpie cannot start: {f'port {config.port} is in use; set MAGPIE_PORT to another one' if in_use else wrong}")
        return FAILED
    _welcome(service)
    await stop.wait()
    await service.stop()
    return OK


def _welcome(service: Service) -> None:
    for name in unknown_names():
        log.warning("unknown setting %s is ignored", name)
    if service.local_chat is not None:
        log.info("Magpie is ready: chat at %s/chat (the API is described at /docs)", service.address)
        return
    log.info("Magpie is ready: %s (the API is described at /docs)", service.address)
