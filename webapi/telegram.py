"""Where Telegram sends updates to: `POST /telegram/webhook`."""

from __future__ import annotations

import hmac
import json
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from pydantic import BaseModel

from webapi.contract import EVERYBODY, Api
from webapi.parameters import Header, Raw
from webapi.problems import malformed, not_authenticated, not_found

SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"  # noqa: S105 - a header's name
MAX_UPDATE = 1 << 20
Take = Callable[[dict[str, Any]], Awaitable[None]]
"""Commits an update; what it raises makes Telegram send it again."""


class TelegramUpdate(BaseModel):
    """As the Bot API describes it; only the number is looked at here."""

    update_id: int


class Taken(BaseModel):
    """The update is committed."""

    ok: bool = True


def add_webhook(api: Api, *, take: Take | None, secret: str) -> None:
    """Without a `take` (no bot, or one that polls) the path answers 404 to everybody."""

    @api.route(
        "POST",
        "/telegram/webhook",
        access=EVERYBODY,
        tags=["Telegram"],
        max_size=MAX_UPDATE,
        failures=(401, 404),
    )
    async def telegram_webhook(
        body: Annotated[bytes, Raw(model=TelegramUpdate)],
        token: Annotated[str | None, Header(SECRET_HEADER)] = None,
    ) -> Taken:
        """Telegram's updates, with the secret that it was given.

        Answered only when the update is committed: Telegram sends again what was not.
        """
        if take is None:
            raise not_found()
        if not hmac.compare_digest((token or "").encode(), secret.encode()):
            raise not_authenticated()
        await take(_update(body))
        return Taken()


def _update(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        raise malformed("The body is not JSON") from None
    if not isinstance(found, dict) or type(found.get("update_id")) is not int:
        raise malformed("The body is not an update")
    return found
