"""The trail of security-relevant acts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from service.ports import Database


class Act(StrEnum):
    """What was done. Written in the transaction that does it."""

    ACCOUNT_CREATED = "account_created"
    ACCOUNT_CHANGED = "account_changed"
    ACCOUNT_DELETED = "account_deleted"
    BLOCKED = "blocked"
    UNBLOCKED = "unblocked"
    RIGHTS_CHANGED = "rights_changed"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - no password
    PASSWORD_RESET = "password_reset"  # noqa: S105 - no password
    RESET_REQUESTED = "reset_requested"
    WEBHOOK_SET = "webhook_set"
    WEBHOOK_REMOVED = "webhook_removed"
    LOGGED_IN = "logged_in"
    LOGIN_FAILED = "login_failed"
    KEY_CREATED = "key_created"
    KEY_REVOKED = "key_revoked"
    PAIRED = "paired"
    UNPAIRED = "unpaired"
    SESSION_CLAIMED = "session_claimed"
    SETTINGS_CHANGED = "settings_changed"
    LINK_ADDED = "link_added"
    LINK_REMOVED = "link_removed"
    COOKIES_STORED = "cookies_stored"
    COOKIES_REMOVED = "cookies_removed"
    SIGN_IN_LINK = "sign_in_link"
    DATABASE_EXPORTED = "database_exported"
    IMPORT_BEGUN = "import_begun"
    IMPORT_FAILED = "import_failed"
    DATABASE_IMPORTED = "database_imported"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One act: who did it (None: nobody known, or the system) and to whose account. `details` never hold a secret."""

    id: int | None = None
    at: datetime
    account_id: int | None
    action: Act
    subject_id: int | None = None
    details: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who does something: an account, and whether with a superuser's rights. None: nobody known."""

    account_id: int | None
    is_superuser: bool = False


NOBODY = Actor(account_id=None)


class AuditTrail:
    """Newest first."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, *, skip: int = 0, limit: int = 100) -> tuple[list[AuditEntry], int]:
        async with self._database.read() as transaction:
            return await transaction.audit.page(skip=skip, limit=limit)
