"""`magpie user …` and `magpie link-sessions`: accounts on the command line. In the database only, so beside a running service too."""

from __future__ import annotations

import asyncio
import getpass
import logging
import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

import email_validator
import sqlalchemy as sa

from magpie.cli import FAILED, OK, USAGE, say, show_json
from magpie.config import Config, ConfigError
from magpie.logs import set_up_logs
from magpie.parts import SystemClock, make_data_dir, make_secrets
from service.accounts import AccountChange, Accounts, NewAccount, checked_username
from service.audit import Actor
from service.download_sessions import DownloadSessions, Unowned
from service.errors import AccountNotFound, DownloadSessionNotFound, InvalidAccount, InvalidInput, MagpieError
from service.events import JobEventBus
from service.limits import NobodyStarts
from service.model import Account
from storage.database import SqlDatabase
from storage.migrate import DatabaseUnusable, upgrade
from storage.password_hashes import Argon2Hashes
from storage.rates import MemoryRates

OPERATOR = Actor(account_id=None, is_superuser=True)
"""Whoever may read the service's database."""
T = TypeVar("T")
PAGE = 500
LONGEST_LINE = 8192
READER_GONE = 128 + signal.SIGPIPE
"""As a shell tells of a program that ended because nobody read on."""
USUAL_HOURS, MOST_HOURS = 24.0, 24.0 * 366 * 100


class InvalidOption(InvalidInput):
    """What stands on the command line is not valid."""

    code = "invalid_option"


class NoPassword(MagpieError):
    """No password was given."""

    code = "no_password"


class NobodyReads(Exception):
    """Whoever read our standard output has read enough."""


def add_account(config: Config, name: str, *, email: str, is_superuser: bool, as_json: bool) -> int:
    """Returns the exit status, as all of these."""

    def ask() -> NewAccount:
        address = _checked(name, email)
        return NewAccount(username=name, email=address, password=_password(), is_superuser=is_superuser)

    async def add(place: _Place, new: NewAccount) -> None:
        account = await place.accounts.create(OPERATOR, new)
        if as_json:
            _print_json(_told(account))
        else:
            say(f"{account.username} is there now{', a superuser' if account.is_superuser else ''}.")

    return _do(config, add, ask)


def list_accounts(config: Config, *, as_json: bool) -> int:
    async def show(place: _Place, _: None) -> None:
        found: list[Account] = []
        count = 1
        while len(found) < count:
            page, count = await place.accounts.page(skip=len(found), limit=PAGE)
            if not page:
                break
            found += page
        if as_json:
            _print_json([_told(account) for account in found])
        else:
            _print_columns([_line(account) for account in found])

    return _do(config, show, lambda: None)


def set_password(config: Config, name: str) -> int:
    async def change(place: _Place, password: str) -> None:
        account = await place.accounts.named(name)
        await place.accounts.change(OPERATOR, account.id, AccountChange(password=password))
        say(f"{account.username} has a new password; all log-ins have ended.")

    return _do(config, change, _password)


def link(config: Config, username: str, *, hours: float | None, session_id: UUID | None, is_dry_run: bool, as_json: bool) -> int:
    def check() -> float | None:
        if hours is None:
            return USUAL_HOURS if session_id is None else None
        if not 0 < hours <= MOST_HOURS:  # not-a-number, too
            raise InvalidOption(f"--hours must be more than 0 and at most {MOST_HOURS:.0f}")
        return hours

    async def claim(place: _Place, within: float | None) -> None:
        account, found = await place.sessions.claim_for(username, hours=within, session_id=session_id, dry_run=is_dry_run)
        if as_json:
            sessions = [_told_session(one) for one in found]
            _print_json({"username": account.username, "dry_run": is_dry_run, "linked": len(found), "sessions": sessions})
            return
        what = "1 session" if len(found) == 1 else f"{len(found)} sessions"
        say(f"{'Would link' if is_dry_run else 'Linked'} {what} to {account.username}{':' if found else '.'}")
        _print_columns([_session_line(one) for one in found])

    return _do(config, claim, check)


# --- the place ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """The use cases on the service's own database."""

    accounts: Accounts
    sessions: DownloadSessions


def _do(config: Config, act: Callable[[_Place, T], Awaitable[None]], ask: Callable[[], T]) -> int:
    """First what needs no database, and whatever is asked for; then the act. What goes wrong is one line."""
    try:
        asked = ask()
        asyncio.run(_act(config, act, asked))
    except InvalidInput as wrong:
        say(wrong.message)
        return FAILED if isinstance(wrong, InvalidAccount) and wrong.field == "password" else USAGE
    except NobodyReads:
        return READER_GONE
    except AccountNotFound:
        say("There is no account of this name.")
    except DownloadSessionNotFound:
        say("There is no download session of this id, or somebody owns it.")
    except sa.exc.SQLAlchemyError as wrong:
        say(f"The database cannot be used: {_reason(wrong)}")
    except (MagpieError, ConfigError, DatabaseUnusable, OSError) as wrong:
        say(" ".join(str(wrong).split()))
    else:
        return OK
    return FAILED


async def _act(config: Config, act: Callable[[_Place, T], Awaitable[None]], asked: T) -> None:
    async with _place(config) as place:
        await act(place, asked)


@asynccontextmanager
async def _place(config: Config) -> AsyncIterator[_Place]:
    make_data_dir(config)
    kept = make_secrets(config)
    set_up_logs(config.log_format, secrets=kept.texts, level=logging.ERROR)
    await upgrade(config.database)
    database, clock = SqlDatabase(config.database, vault=kept.vault), SystemClock()
    try:
        with closing(Argon2Hashes()) as hashes:
            accounts = Accounts(database=database, hashes=hashes, rates=MemoryRates(), clock=clock, setup_code=secrets.token_urlsafe())
            yield _Place(
                accounts=accounts, sessions=DownloadSessions(database=database, quota=NobodyStarts(), events=JobEventBus(), clock=clock)
            )
    finally:
        await database.close()


def _reason(wrong: sa.exc.SQLAlchemyError) -> str:
    """What the database itself says, without the statement."""
    return " ".join(str(getattr(wrong, "orig", None) or type(wrong).__name__).split())


# --- what is asked for --------------------------------------------------------------------------------------------------


def _checked(name: str, email: str) -> str:
    """The address in its usual spelling. Raises `InvalidAccount`, `NameTaken`."""
    checked_username(name)
    try:
        return email_validator.validate_email(email, check_deliverability=False).normalized
    except email_validator.EmailNotValidError as wrong:
        raise InvalidAccount("email", f"{email!r} is not an e-mail address: {wrong}") from None


def _password() -> str:
    """On a terminal without echo, twice; else one line of standard input. Raises `NoPassword`, `InvalidAccount`."""
    if not sys.stdin.isatty():
        return _password_line()
    try:
        password = getpass.getpass("Password: ")
        if password and getpass.getpass("Once more: ") != password:
            raise InvalidAccount("password", "These were two different passwords.")
    except EOFError:
        raise NoPassword from None
    if not password:
        raise NoPassword
    return password


def _password_line() -> str:
    line = sys.stdin.buffer.readline(LONGEST_LINE)
    try:
        password = line.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise InvalidAccount("password", "The password on standard input is not UTF-8.") from None
    if not password:
        raise NoPassword
    return password


# --- what is shown ------------------------------------------------------------------------------------------------------


def _told(account: Account) -> dict[str, Any]:
    return {
        "id": account.id,
        "username": account.username,
        "email": account.email,
        "is_active": account.is_active,
        "is_superuser": account.is_superuser,
        "role": account.role.value,
    }


def _line(account: Account) -> list[str]:
    marks = [mark for mark, holds in (("superuser", account.is_superuser), ("blocked", not account.is_active)) if holds]
    return [str(account.id), account.username, account.email or "-", ", ".join(marks)]


def _told_session(one: Unowned) -> dict[str, Any]:
    # By its folder: the other id is the credential of whoever made it.
    return {"session_id": str(one.session.folder), "created_at": f"{one.session.created_at:%Y-%m-%dT%H:%M:%SZ}", "total_jobs": one.jobs,
            "title": one.title}  # fmt: skip


def _session_line(one: Unowned) -> list[str]:
    jobs = "1 job" if one.jobs == 1 else f"{one.jobs} jobs"
    return [str(one.session.folder), f"{one.session.created_at:%Y-%m-%d %H:%M}", jobs, one.title or ""]


@contextmanager
def _standard_output() -> Iterator[None]:
    """Raises `NobodyReads`: a pipe that breaks here is no failure, unlike one to the database."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        # What is still buffered would be tried, and complained of, once more at the interpreter's end.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
        raise NobodyReads from None


def _print_json(value: Any) -> None:
    with _standard_output():
        show_json(value)


def _print_columns(lines: list[list[str]]) -> None:
    """To standard output; of what came from elsewhere only what can be printed."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    with _standard_output():
        for line in lines:
            clean = ("".join(one if one.isprintable() else " " for one in cell) for cell in line)
            sys.stdout.write("  ".join(cell.ljust(width) for cell, width in zip(clean, widths, strict=True)).rstrip() + "\n")
