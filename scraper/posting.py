"""Sends webhooks: through the egress policy, without redirects, within a short time."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Mapping
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from scraper.egress import EgressPolicy
from service.errors import AddressNotAllowed
from service.media_url import MediaUrl

log = logging.getLogger("magpie.webhooks")
PATIENCE = 15.0
"""Seconds for one message, the answer's head included. Its body is not read."""


class _Checked(AbstractResolver):
    """Resolves, and gives out only what may be reached: what is connected to is what was checked."""

    def __init__(self, policy: EgressPolicy) -> None:
        self._policy, self._plain = policy, aiohttp.ThreadedResolver()

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list[ResolveResult]:
        if self._policy.blocks(host):
            raise AddressNotAllowed
        found = await self._plain.resolve(host, port, family)
        if not all(self._policy.permits(entry["host"], port) for entry in found):
            raise AddressNotAllowed
        return found

    async def close(self) -> None:
        await self._plain.close()


class GuardedPosts:
    """One connection a message: nothing is shared between the addresses of different accounts."""

    def __init__(self, policy: EgressPolicy) -> None:
        self._policy = policy

    async def check_address(self, url: MediaUrl) -> None:
        """Raises `AddressNotAllowed`. A name that does not resolve passes: it may do so later."""
        host, port = _place(url)
        if self._policy.blocks(host):
            raise AddressNotAllowed
        try:
            async with asyncio.timeout(PATIENCE):
                found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, TimeoutError, UnicodeError):
            return
        if not all(self._policy.permits(str(entry[4][0]), port) for entry in found):
            raise AddressNotAllowed

    async def post(self, url: MediaUrl, body: bytes, headers: Mapping[str, str]) -> int | None:
        await self.check_address(url)  # literal addresses never come to the resolver
        connector = aiohttp.TCPConnector(resolver=_Checked(self._policy), use_dns_cache=False, force_close=True)
        timeout = aiohttp.ClientTimeout(total=PATIENCE)
        try:
            async with (
                aiohttp.ClientSession(connector=connector, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as client,
                client.post(url.text, data=body, headers=headers, allow_redirects=False) as answer,
            ):
                return answer.status
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as broken:
            log.info("a webhook was not answered", extra={"cause": type(broken).__name__})
            return None


def _place(url: MediaUrl) -> tuple[str, int]:
    parts = urlsplit(url.text)
    return url.host, parts.port or (443 if parts.scheme == "https" else 80)
