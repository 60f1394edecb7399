"""`/users` and `/stats`, for administrators: who there is and what they use; how the service is doing."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from telegram import CallbackQuery, InlineKeyboardButton, Message

from bot.cards import View
from bot.identity import Visit
from bot.keys import Key, button, keyboard
from bot.outbox import Outbox
from bot.texts import Texts
from bot.turning import turn
from bot.wording import escaped, size
from service.accounts import AccountChange, Accounts
from service.allowances import Role
from service.errors import CardGone
from service.limits import Quotas, Usage
from service.model import Account
from service.ports import Clock, Database
from service.statistics import Statistics, StatisticsRows

KIND = "users"
A_PAGE = 5
A_DAY = timedelta(days=1)
CAUSES_SHOWN = 12
_DIGITS = 18
_CHANGES = {
    "block": AccountChange(is_active=False),
    "unblock": AccountChange(is_active=True),
    "trust": AccountChange(role=Role.TRUSTED),
    "user": AccountChange(role=Role.USER),
}
"""What a button does is said in full: pressed twice, or late, it does the same."""


class PeoplePage:
    """Whoever is no administrator any more finds the buttons dead."""

    def __init__(
        self, *, accounts: Accounts, quotas: Quotas, statistics: StatisticsRows, database: Database, clock: Clock, outbox: Outbox
    ) -> None:
        self._accounts, self._quotas, self._statistics = accounts, quotas, statistics
        self._database, self._clock, self._outbox = database, clock, outbox

    async def show(self, message: Message, visit: Visit) -> None:
        del message
        view = await self._view(visit, 0)
        await self._outbox.say(visit.place, view.text, keyboard=view.keyboard)

    async def show_statistics(self, message: Message, visit: Visit) -> None:
        del message
        statistics = await self._statistics.since(self._clock.now() - A_DAY)
        await self._outbox.say(visit.place, _figures(statistics, visit.texts))

    async def pressed(self, query: CallbackQuery, visit: Visit, key: Key) -> str | None:
        """Another page (`users|5|page`), or a change (`users|17|block|5`, with the page). Raises `LastSuperuser`, `AccountNotFound`."""
        if not visit.member.is_admin:
            raise CardGone
        if key.verb == "page":
            await turn(self._outbox, query, visit, await self._view(visit, _number(key.id)))
            return None
        account_id, change = _number(key.id), _CHANGES.get(key.verb)
        if change is None or account_id == visit.member.account.id:
            raise CardGone
        await self._accounts.change(replace(visit.actor, is_superuser=True), account_id, change)
        await turn(self._outbox, query, visit, await self._view(visit, _number(key.argument or "0")))
        return visit.texts.kept

    async def _view(self, visit: Visit, skip: int) -> View:
        texts = visit.texts
        accounts, count = await self._accounts.page(skip=skip, limit=A_PAGE)
        if not accounts:
            return View(texts.users_none)
        async with self._database.read() as transaction:
            used = [await self._quotas.usage(transaction, account) for account in accounts]
        numbered = list(enumerate(accounts, skip + 1))
        lines = [texts.users_title]
        for (number, account), usage in zip(numbered, used, strict=True):
            lines += [f"{number}. {_line(account, texts)}", _usage_line(usage, texts)]
        lines += ["", texts.page.format(first=skip + 1, last=skip + len(accounts), count=count)]
        changes = [_changes(number, one, skip, texts) for number, one in numbered if one.id != visit.member.account.id]
        return View("\n".join(lines), keyboard(*changes, _turns(skip, len(accounts), count, texts)))


def _changes(number: int, account: Account, skip: int, texts: Texts) -> list[InlineKeyboardButton]:
    def does(label: str, verb: str) -> InlineKeyboardButton:
        return button(label.format(number=number), Key(KIND, str(account.id), verb, str(skip)))

    block = does(texts.users_block, "block") if account.is_active else does(texts.users_unblock, "unblock")
    if account.is_superuser:  # has no limits, whatever the role
        return [block]
    return [block, does(texts.users_untrust, "user") if account.role is Role.TRUSTED else does(texts.users_trust, "trust")]


def _turns(skip: int, shown: int, count: int, texts: Texts) -> list[InlineKeyboardButton]:
    turns = []
    if skip > 0:
        turns.append(button(texts.back, Key(KIND, str(max(0, skip - A_PAGE)), "page")))
    if skip + shown < count:
        turns.append(button("›", Key(KIND, str(skip + A_PAGE), "page")))
    return turns


def _line(account: Account, texts: Texts) -> str:
    roles = {Role.USER: texts.users_user, Role.TRUSTED: texts.users_trusted}
    about = [f"<b>{escaped(account.username, 64)}</b>", texts.users_superuser if account.is_superuser else roles[account.role]]
    return " · ".join(about if account.is_active else [*about, texts.users_blocked])


def _usage_line(usage: Usage, texts: Texts) -> str:
    allowed = usage.allowance
    used = {"jobs": usage.jobs_today, "bytes": _amount(usage.bytes_today), "stored": _amount(usage.stored_bytes)}
    if allowed.jobs_a_day is None and allowed.bytes_a_day is None and allowed.stored_bytes is None:
        return texts.users_used_freely.format(**used)
    return texts.users_used.format(
        **used,
        max_jobs="∞" if allowed.jobs_a_day is None else allowed.jobs_a_day,
        max_bytes=_limit(allowed.bytes_a_day),
        max_stored=_limit(allowed.stored_bytes),
    )


def _figures(now: Statistics, texts: Texts) -> str:
    lines = [
        texts.stats_title,
        texts.stats_jobs.format(running=now.running, queued=now.queued),
        texts.stats_stored.format(size=_amount(now.stored_bytes), files=now.files),
        texts.stats_accounts.format(count=now.accounts),
        "",
    ]
    if not now.failures:
        return "\n".join([*lines, texts.stats_no_failures])
    causes = [f"{count} × {texts.failure(code)} <code>{escaped(code, 40)}</code>" for code, count in now.failures.items()]
    return "\n".join([*lines, texts.stats_failures, *causes[:CAUSES_SHOWN]])


def _amount(count: int) -> str:
    return size(count) if count else "0"


def _limit(count: int | None) -> str:
    return "∞" if count is None else size(count)


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS):
        raise CardGone
    return int(text)
