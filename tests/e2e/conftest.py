"""One media site for all tests; services that several tests share, and services of a test's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.running import BotApiProcess, MediaSiteProcess, Running, running_bot_api, running_site

StartService = Callable[..., Running]


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MediaSiteProcess]:
    yield from running_site(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="session")
def service(site: MediaSiteProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """As it comes: nothing set but where YouTube's stand-in is."""
    with Running.beside(site, tmp_path_factory.mktemp("service")) as running:
        yield running


@pytest.fixture(scope="session")
def open_service(site: MediaSiteProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One that takes links of every host."""
    with Running.beside(site, tmp_path_factory.mktemp("open"), auto_download_hosts="*") as running:
        yield running


@pytest.fixture
def start(site: MediaSiteProcess, tmp_path: Path) -> Iterator[StartService]:
    """Starts a service of the test's own, which takes links of every host unless it is told otherwise."""
    with ExitStack() as stack:

        def start(**settings: str) -> Running:
            running = Running.beside(site, tmp_path / "service", **{"auto_download_hosts": "*", **settings})
            return stack.enter_context(running)

        yield start


@pytest.fixture
def telegram(tmp_path: Path) -> Iterator[BotApiProcess]:
    """The sandbox's Bot API server, a test's own: it goes on while the service is killed and started again."""
    yield from running_bot_api(tmp_path / "telegram")
