"""The use cases of accounts on real storage, with a quick hash and letters that stay here."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import uuid4

from service.accounts import Accounts, NewAccount, Newcomer
from service.audit import NOBODY, Actor
from service.cookies import CookieJars
from service.credentials import ApiKeys
from service.download_sessions import DownloadSessions
from service.events import JobEventBus
from service.limits import Quotas
from service.logins import Logins
from service.model import LOCAL_ACCOUNT, Account
from service.pairing import Pairing
from service.settings import LiveSettings
from storage.database import SqlDatabase
from storage.password_hashes import Argon2Hashes
from storage.rates import MemoryRates
from storage.tokens import JwtTokens
from storage.vault import MultiFernetVault
from tests.support.fakes import FakeClock
from tests.support.house import RealIds

PASSWORD, OTHER_PASSWORD = "securepassword123", "new_strong_password"
OPERATOR = Actor(account_id=LOCAL_ACCOUNT, is_superuser=True)
HERE = "192.0.2.1"


@dataclass
class Letters:
    """What would have been sent: the account's name and the token."""

    sent: list[tuple[str, str]] = field(default_factory=list)

    async def send_reset(self, account: Account, token: str) -> None:
        self.sent.append((account.username, token))


class Town:
    """Everything that is about accounts."""

    def __init__(self, database: SqlDatabase, clock: FakeClock, *, setup_code: str = "a code of the tests") -> None:
        self.database, self.clock, self.letters = database, clock, Letters()
        self.vault = MultiFernetVault(["a secret key of the tests"])
        self.hashes, self.rates = Argon2Hashes(time_cost=1, memory_cost=8), MemoryRates()
        self.tokens = JwtTokens(self.vault)
        self.accounts = Accounts(database=database, hashes=self.hashes, rates=self.rates, clock=clock, setup_code=setup_code)
        self.logins = Logins(
            database=database, hashes=self.hashes, tokens=self.tokens, rates=self.rates, mail=self.letters, clock=clock, ids=RealIds()
        )
        self.keys = ApiKeys(database=database, clock=clock)
        self.pairing = Pairing(database=database, rates=self.rates, clock=clock)
        self.jars = CookieJars(database=database, clock=clock)
        self.sessions = DownloadSessions(database=database, quota=Quotas(clock), events=JobEventBus(), clock=clock)
        self.settings = LiveSettings(database=database, clock=clock, media_root="/media", width=4)

    async def account(self, name: str, *, is_superuser: bool = False) -> Account:
        """The first one is a superuser whatever is asked for."""
        new = NewAccount(username=name, email=f"{name}@example.com", password=PASSWORD, is_superuser=is_superuser)
        return await self.accounts.create(OPERATOR, new)

    async def first(self, setup_code: str | None = "a code of the tests") -> Account:
        new = NewAccount(username="first", email="first@example.com", password=PASSWORD)
        return await self.accounts.create(NOBODY, new, Newcomer(setup_code=setup_code))


def actor(account: Account) -> Actor:
    return Actor(account_id=account.id, is_superuser=account.is_superuser)


def somewhere() -> str:
    """An address that nobody else has."""
    return f"address {uuid4()}"
