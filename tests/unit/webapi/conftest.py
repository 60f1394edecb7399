from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.unit.webapi.toy import Site, served, toy_api


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    """The toy API, called from this machine."""
    async with served(toy_api()) as running:
        yield running
