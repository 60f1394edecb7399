"""Passwords, hashed with argon2id: in threads, since a hash takes a fifth of a second, and only so many at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from service.errors import Unavailable

T = TypeVar("T")
AT_ONCE = 1
"""Threads. One: the rest of the service needs the processor too, and whoever logs in can wait."""
MOST_WAITING = 100
"""Whoever came after so many would wait for longer than a client does."""
RETRY_AFTER = timedelta(seconds=10)
"""By then half of those who wait have had their turn, on a machine with nothing else to do."""


class Argon2Hashes:
    """`close` it when done. RFC 9106's second choice of parameters, with one lane: 64 MB, three passes."""

    def __init__(self, *, time_cost: int = 3, memory_cost: int = 65536) -> None:
        """`memory_cost` in KiB."""
        self._hasher = PasswordHasher(time_cost=time_cost, memory_cost=memory_cost, parallelism=1)
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="argon2")
        self._under_way = 0
        self._of_nobody: str | None = None
        self.verified = 0
        """How many passwords were looked at."""

    async def hash(self, password: str) -> str:
        """Raises `Unavailable`, as does `verify`."""
        return await self._in_turn(lambda: self._hasher.hash(password))

    async def verify(self, password_hash: str | None, password: str) -> bool:
        return await self._in_turn(lambda: self._verify(password_hash, password))

    def is_outdated(self, password_hash: str) -> bool:
        return self._hasher.check_needs_rehash(password_hash)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _in_turn(self, work: Callable[[], T]) -> T:
        if self._under_way >= AT_ONCE + MOST_WAITING:
            raise Unavailable("Too many people log in just now; try again in a moment.", retry_after=RETRY_AFTER)
        self._under_way += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._under_way -= 1

    def _verify(self, password_hash: str | None, password: str) -> bool:
        self.verified += 1
        if self._of_nobody is None:
            self._of_nobody = self._hasher.hash("nobody has this password")
        try:
            self._hasher.verify(password_hash or self._of_nobody, password.encode("utf-8", "surrogatepass"))
        except (VerificationError, InvalidHashError):
            return False
        return password_hash is not None
