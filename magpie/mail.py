"""Letters to account holders, over SMTP; without it, a line on the terminal of whoever started the service."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from urllib.parse import parse_qs, unquote, urlsplit

import aiosmtplib

from service.model import Account

log = logging.getLogger("magpie.mail")
TIMEOUT = 30.0
"""Seconds for a letter."""


class SmtpMail:
    """`smtp://user:password@host:587?from=magpie@example.org`, or `smtps://…`. `public_url` is where the links lead."""

    def __init__(self, url: str, *, public_url: str | None) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or (465 if parts.scheme == "smtps" else 587)
        self._is_tls = parts.scheme == "smtps"
        self._user = unquote(parts.username) if parts.username else None
        self._password = unquote(parts.password) if parts.password else None
        self._sender = parse_qs(parts.query).get("from", [f"magpie@{self._host}"])[0]
        self._public_url = public_url

    async def send_reset(self, account: Account, token: str) -> None:
        """What cannot be sent is logged, without the address."""
        if account.email is None:
            return
        letter = EmailMessage()
        letter["From"], letter["To"], letter["Subject"] = self._sender, account.email, "A new password for Magpie"
        letter["Date"], letter["Message-ID"] = formatdate(), make_msgid(domain=self._sender.rpartition("@")[2] or "magpie")
        letter["Auto-Submitted"] = "auto-generated"
        letter.set_content(_words(account, token, self._public_url))
        try:
            await aiosmtplib.send(
                letter,
                hostname=self._host,
                port=self._port,
                username=self._user,
                password=self._password,
                use_tls=self._is_tls,
                timeout=TIMEOUT,
            )
        except (aiosmtplib.SMTPException, OSError) as failed:
            log.error("a letter could not be sent: %s", type(failed).__name__)  # noqa: TRY400 - the message may hold the address


def _words(account: Account, token: str, public_url: str | None) -> str:
    how = (
        f"Open {public_url}/app/reset?token={token}" if public_url else f"Enter this on the page /app/reset of your Magpie:\n\n    {token}"
    )
    return (
        f"Hello {account.username},\n\n"
        f"somebody, probably you, asks for a new password for your Magpie account. {how}\n\n"
        "It works once, for an hour. If it was not you, nothing has to be done.\n"
    )


class TerminalMail:
    """Shows the link to whoever started the service, on a terminal and nowhere else."""

    def __init__(self, say: Callable[[str], None], *, address: str) -> None:
        """`say` writes to standard error."""
        self._say, self._address = say, address

    async def send_reset(self, account: Account, token: str) -> None:
        if sys.stderr is None or not sys.stderr.isatty():  # None: it was closed before the start
            log.warning("a password reset was asked for, and there is no way to send it: set MAGPIE_SMTP_URL")
            return
        self._say(f"New password for {account.username}: {self._address}/app/reset?token={token} (works once, for an hour)")
