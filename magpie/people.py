"""Who is who: the use cases of accounts, put together."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from magpie.config import Config
from magpie.mail import SmtpMail, TerminalMail
from service.accounts import Accounts
from service.allowances import DAY
from service.audit import AuditTrail
from service.cookies import CookieJars
from service.credentials import ApiKeys
from service.download_sessions import DownloadSessions
from service.downloads import Downloads
from service.forgetting import Forgetting
from service.logins import Logins
from service.mini_app import MiniApp
from service.pairing import Pairing
from service.ports import Clock, Ids, JobEvents, Media, Quota
from service.settings import LiveSettings
from storage.database import SqlDatabase
from storage.password_hashes import Argon2Hashes
from storage.rates import MemoryRates
from storage.tokens import JwtTokens
from storage.vault import MultiFernetVault

log = logging.getLogger("magpie")
LOOK_AGAIN = 2.0
"""Seconds after which settings that another process changed are seen."""
WRITE_USES = 60.0
"""Seconds within which the use of keys is written down in one statement."""


@dataclass(kw_only=True)
class People:
    """`keep` runs as long as the service does; `close` at its end."""

    database: SqlDatabase
    hashes: Argon2Hashes
    rates: MemoryRates
    accounts: Accounts
    logins: Logins
    keys: ApiKeys
    pairing: Pairing
    jars: CookieJars
    sessions: DownloadSessions
    trail: AuditTrail
    settings: LiveSettings
    mini_app: MiniApp | None
    forgetting: Forgetting
    setup_code: str
    clock: Clock
    downloads: Downloads

    async def keep(self) -> None:
        """Settings are looked at again, and uses of keys are written down."""
        loop = asyncio.get_running_loop()
        written = loop.time()
        await self._finish_forgetting()
        while True:
            await asyncio.sleep(LOOK_AGAIN)
            try:
                await self.settings.refresh()
                if loop.time() - written > WRITE_USES:
                    written = loop.time()
                    await self._write_down()
            except Exception:
                # The task's outermost loop: a database that does not answer for a moment must not end it.
                log.exception("settings could not be looked at")

    async def _finish_forgetting(self) -> None:
        try:
            await self.forgetting.finish()
        except Exception:
            # Tried again at the next start: it must not keep everybody else out.
            log.exception("an account that is being deleted could not be deleted")

    async def _write_down(self) -> None:
        await self.keys.flush()
        await self.downloads.fill_places()
        async with self.database.write() as transaction:
            await transaction.one_time_codes.drop_expired(self.clock.now())
            await transaction.ended_logins.drop_expired(self.clock.now())
            await transaction.charges.drop_before(self.clock.now() - DAY)

    async def close(self) -> None:
        await self.logins.close()
        with suppress(Exception):  # only last-use times: nothing depends on them
            await self.keys.flush()
        self.hashes.close()


def make_people(
    config: Config,
    *,
    database: SqlDatabase,
    quota: Quota,
    events: JobEvents,
    downloads: Downloads,
    media: Media,
    vault: MultiFernetVault,
    clock: Clock,
    ids: Ids,
    address: str,
    say: Callable[[str], None],
) -> People:
    """`address` is where the service listens, for people of this machine."""
    hashes, rates = Argon2Hashes(), MemoryRates()
    mail = SmtpMail(config.smtp_url, public_url=config.public_url) if config.smtp_url else TerminalMail(say, address=address)
    setup_code = config.setup_code or secrets.token_urlsafe(12)
    return People(
        database=database,
        hashes=hashes,
        rates=rates,
        accounts=Accounts(database=database, hashes=hashes, rates=rates, clock=clock, setup_code=setup_code),
        logins=Logins(database=database, hashes=hashes, tokens=JwtTokens(vault), rates=rates, mail=mail, clock=clock, ids=ids),
        keys=ApiKeys(database=database, clock=clock),
        pairing=Pairing(database=database, rates=rates, clock=clock),
        jars=CookieJars(database=database, clock=clock),
        sessions=DownloadSessions(database=database, quota=quota, events=events, clock=clock),
        trail=AuditTrail(database),
        settings=LiveSettings(database=database, clock=clock, media_root=config.media, width=config.workers),
        mini_app=MiniApp(database=database, clock=clock, token=config.bot_token) if config.bot_token else None,
        forgetting=Forgetting(database=database, downloads=downloads, media=media, clock=clock),
        setup_code=setup_code,
        clock=clock,
        downloads=downloads,
    )
