"""How often something may be tried."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Protocol


class Rate(StrEnum):
    """What is counted so that it cannot be tried without end."""

    LOGIN_NAME = "login_name"
    LOGIN_ADDRESS = "login_address"
    RESET_ADDRESS = "reset_address"
    RESET_NAME = "reset_name"
    CODE = "code"
    REQUESTS = "requests"
    ANONYMOUS_REQUESTS = "anonymous_requests"


class Rates(Protocol):
    """Counts tries within a moving stretch of time."""

    async def hit(self, rate: Rate, who: str) -> timedelta | None:
        """Count one; when it is one too many, how long to wait."""
        ...

    async def clear(self, rate: Rate, who: str) -> None: ...
