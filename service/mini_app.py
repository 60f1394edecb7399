"""Telegram's word for who opened a Mini App.

Source: Bot API, "Validating data received via the Mini App": the data is signed with a key made of the bot's token.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl

from service.model import Account
from service.ports import Clock, Database

LIFE = timedelta(hours=24)
"""How long Telegram's word counts: the page may stay open."""
SKEW = timedelta(minutes=1)
LONGEST = 8192


class MiniApp:
    """Of one bot."""

    def __init__(self, *, database: Database, clock: Clock, token: str) -> None:
        self._database, self._clock = database, clock
        self._key = hmac.new(b"WebAppData", token.encode(), hashlib.sha256).digest()

    async def account_of(self, init_data: str) -> Account | None:
        """The account of whoever opened it; None when the data is not Telegram's, too old, or of somebody unknown or blocked."""
        telegram_id = self.user_in(init_data)
        if telegram_id is None:
            return None
        async with self._database.read() as transaction:
            user = await transaction.telegram_users.get(telegram_id)
            account = await transaction.accounts.get(user.account_id) if user else None
        return account if account is not None and account.is_there else None

    def user_in(self, init_data: str) -> int | None:
        """The Telegram id that Telegram itself vouches for."""
        if len(init_data) > LONGEST:
            return None
        try:
            pairs = parse_qsl(init_data, keep_blank_values=True, strict_parsing=True, encoding="utf-8", errors="strict")
        except (ValueError, UnicodeDecodeError):
            return None
        fields = dict(pairs)
        signature = fields.pop("hash", "")
        if len(fields) + 1 != len(pairs) or not self._is_signed(fields, signature):
            return None
        try:
            signed_at = datetime.fromtimestamp(int(fields["auth_date"]), UTC)
            user = json.loads(fields["user"])
            number = user["id"]
        except (KeyError, ValueError, TypeError, OverflowError, OSError, RecursionError):
            return None
        age = self._clock.now() - signed_at
        return number if isinstance(number, int) and not isinstance(number, bool) and -SKEW <= age <= LIFE else None

    def _is_signed(self, fields: dict[str, str], signature: str) -> bool:
        text = "\n".join(f"{name}={fields[name]}" for name in sorted(fields))
        expected = hmac.new(self._key, text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()
        return hmac.compare_digest(expected.encode(), signature.encode("utf-8", "surrogatepass"))
