"""Secrets that stand for an account: API keys and one-time codes. Only digests of them are kept."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from service.audit import Act, Actor, AuditEntry
from service.errors import ApiKeyNotFound, InvalidAccount, LimitReached
from service.locking import lock_account
from service.model import Account
from service.ports import Clock, Database

PREFIX = "mgp_"
SHOWN = 10
"""How many characters of a key are kept readable."""
MAX_KEYS = 50
MAX_NAME = 100


class Scope(StrEnum):
    """What an API key is good for."""

    ALL = "all"
    READ = "read"
    """Only what changes nothing."""
    METRICS = "metrics"
    """Only the service's own figures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key as it is kept. `start` is what people know it by."""

    id: int | None = None
    account_id: int
    name: str
    start: str
    digest: str
    scope: Scope
    created_at: datetime
    last_used_at: datetime | None = None


class Purpose(StrEnum):
    """What a one-time code is good for, and nothing else."""

    RESET = "reset"
    PAIRING = "pairing"
    SIGN_IN = "sign_in"


@dataclass(frozen=True, slots=True, kw_only=True)
class OneTimeCode:
    """A code as it is kept. `number` has two digits and is shown on both sides of a pairing."""

    digest: str
    purpose: Purpose
    account_id: int
    number: int | None = None
    telegram_id: int | None = None
    """The identity that asked for it in the chat: it is good only while that one belongs to the account."""
    created_at: datetime
    expires_at: datetime


def digest_of(secret: str) -> str:
    """SHA-256: these secrets are long and random, so nothing slower is needed."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


class ApiKeys:
    """An account's own keys."""

    def __init__(self, *, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock
        self._used: dict[int, datetime] = {}

    async def create(self, actor: Actor, account: Account, name: str, scope: Scope = Scope.ALL) -> tuple[ApiKey, str]:
        """The key as it is kept, and the secret, which is never shown again. Raises `InvalidAccount`, `LimitReached`."""
        name = name.strip()
        if not name or len(name) > MAX_NAME or not name.isprintable():
            raise InvalidAccount("name", f"A key needs a name of 1 to {MAX_NAME} printable characters.")
        secret = PREFIX + secrets.token_urlsafe(32)
        now = self._clock.now()
        key = ApiKey(
            account_id=account.id,
            name=name,
            start=secret[:SHOWN],
            digest=digest_of(secret),
            scope=scope,
            created_at=now,
        )
        async with self._database.write() as transaction:
            await lock_account(transaction, account.id)
            if len(await transaction.api_keys.of_account(account.id)) >= MAX_KEYS:
                raise LimitReached(f"An account has at most {MAX_KEYS} keys; revoke one first.")
            key = await transaction.api_keys.add(key)
            entry = AuditEntry(at=now, account_id=actor.account_id, action=Act.KEY_CREATED, subject_id=account.id, details=key.start)
            await transaction.audit.add(entry)
        return key, secret

    async def of_account(self, account_id: int) -> list[ApiKey]:
        async with self._database.read() as transaction:
            return await transaction.api_keys.of_account(account_id)

    async def revoke(self, actor: Actor, account_id: int, key_id: int) -> ApiKey:
        """Raises `ApiKeyNotFound`, also for another account's."""
        async with self._database.write() as transaction:
            key = await transaction.api_keys.remove(account_id, key_id)
            if key is None:
                raise ApiKeyNotFound
            entry = AuditEntry(
                at=self._clock.now(), account_id=actor.account_id, action=Act.KEY_REVOKED, subject_id=account_id, details=key.start
            )
            await transaction.audit.add(entry)
        return key

    async def owner_of(self, secret: str) -> tuple[ApiKey, Account] | None:
        """Whose key this is. Its use is written down later, with others (`flush`)."""
        if not secret.startswith(PREFIX):
            return None
        async with self._database.read() as transaction:
            key = await transaction.api_keys.by_digest(digest_of(secret))
            account = await transaction.accounts.get(key.account_id) if key else None
        if key is None or account is None or not account.is_there:
            return None
        assert key.id is not None
        self._used[key.id] = self._clock.now()
        return key, account

    def forget_uses(self) -> None:
        """Those that are not written down yet: after an import their numbers are other keys'."""
        self._used.clear()

    async def flush(self) -> None:
        """Write down when keys were last used: one statement for all of them."""
        used, self._used = self._used, {}
        if used:
            async with self._database.write() as transaction:
                await transaction.api_keys.used(used)
