"""Brings updates to the bot's own address."""

from __future__ import annotations

import asyncio
import re
import time
from urllib.parse import urlsplit

import aiohttp

from sandbox.bot_api.errors import bad_request
from sandbox.bot_api.store import Store
from sandbox.bot_api.updates import Updates
from sandbox.bot_api.values import Json, present

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
"""Seconds until a refused update is brought again; Telegram's own begin at 1 and end at 60."""
_ANSWER_WITHIN = 30.0
_OK = range(200, 300)


class Webhook:
    """One update after the other; one that is not answered with 2xx is brought again. Not set while `url` is empty."""

    def __init__(self, *, updates: Updates, store: Store) -> None:
        self.url = ""
        self._secret = ""
        self._error: Json = {}
        self._updates, self._store = updates, store
        self._task: asyncio.Task[None] | None = None
        kept = dict(store.rows("webhook"))
        self.url, self._secret = kept.get("url", ""), kept.get("secret", "")

    def set(self, url: str, secret: str) -> None:
        """Bring them there from now on; an empty address ends it. Raises `Refused`."""
        if url and urlsplit(url).scheme not in {"http", "https"}:
            raise bad_request("bad webhook: An HTTPS URL must be provided for webhook")
        if secret and not re.fullmatch(r"[A-Za-z0-9_\-]{1,256}", secret):
            raise bad_request("secret token contains unallowed characters")
        self._cancel()
        self.url, self._secret, self._error = url, secret, {}
        self._store.put("webhook", "url", url)
        self._store.put("webhook", "secret", secret)
        self.resume()

    def resume(self) -> None:
        """Begin, if an address is set."""
        if self.url:
            self._updates.interrupt()
            self._task = asyncio.get_running_loop().create_task(self._bring(), name="webhook")

    async def stop(self) -> None:
        """Bring no more; the address is kept."""
        task = self._task
        self._cancel()
        if task is not None:
            await asyncio.wait([task])

    def as_json(self) -> Json:
        """The Bot API's WebhookInfo."""
        told = {"url": self.url, "has_custom_certificate": False, "pending_update_count": len(self._updates.pending)}
        return told | present({"max_connections": 40 if self.url else None, **self._error})

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _bring(self) -> None:
        headers = {"X-Telegram-Bot-Api-Secret-Token": self._secret} if self._secret else {}
        timeout = aiohttp.ClientTimeout(total=_ANSWER_WITHIN)
        async with aiohttp.ClientSession(headers=headers, timeout=timeout) as client:
            pause = _FIRST_PAUSE
            while True:
                update = await self._updates.arrived()
                trouble = await self._post(client, update)
                if trouble is None:
                    self._updates.confirm(update["update_id"])
                    pause = _FIRST_PAUSE
                    continue
                self._error = {"last_error_date": int(time.time()), "last_error_message": trouble}
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)

    async def _post(self, client: aiohttp.ClientSession, update: Json) -> str | None:
        """What went wrong, None if nothing."""
        try:
            async with client.post(self.url, json=update) as answer:
                await answer.read()
                return None if answer.status in _OK else f"Wrong response from the webhook: {answer.status} {answer.reason}"
        except (aiohttp.ClientError, TimeoutError) as error:
            return f"Connection failed: {type(error).__name__}"
