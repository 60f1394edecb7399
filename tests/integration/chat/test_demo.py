"""The settings and the media site of `magpie demo`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from magpie.config import Config
from magpie.demo import DATA_DIR, Demo, demo_config, demo_samples
from scraper.egress import EgressPolicy
from webapi.auth import local_trust

REAL = {
    "bot_token": "123456789:AAExampleExampleExampleExampleExamp",
    "bot_api_url": "https://bots.example.org",
    "database_url": "postgresql://magpie@db.example.org/magpie",
    "media_url": "s3://bucket/media",
    "public_url": "https://magpie.example.org",
    "webhook_url": "https://magpie.example.org",
    "host": ("0.0.0.0",),
    "trust_local": False,
    "secret_keys": ("a" * 32,),
}
"""What somebody has in `.env` who tries the demonstration beside their real service."""


def configured(**settings: object) -> Config:
    return demo_config(Config(_env_file=None, **settings), site="http://127.0.0.1:8901", plugins=Path("/plugins"))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shared, as the site's media take some seconds to make."""
    return tmp_path_factory.mktemp("demo") / "data"


@pytest.fixture
async def demo(data: Path) -> AsyncIterator[Demo]:
    async with Demo(Config(_env_file=None, data_dir=data)) as demo:
        yield demo


def test_it_never_touches_telegram_or_the_real_database_and_store() -> None:
    config = configured(**REAL)
    assert (config.bot_token, config.bot_api_url, config.webhook_url) == (None, None, None)
    assert config.database == f"sqlite:///{DATA_DIR.absolute()}/magpie.db"
    assert config.media == str(DATA_DIR.absolute() / "media")


def test_it_is_for_this_machine_only_whatever_the_real_service_is_for() -> None:
    config = configured(**REAL)
    assert config.listens_on_loopback_only
    assert local_trust(enabled=config.trust_local, listen=config.hosts, public_urls=(config.public_url, config.webhook_url))


def test_its_data_lie_in_a_directory_of_its_own_unless_one_is_named(tmp_path: Path) -> None:
    assert configured().data_dir == Path("demo-data")
    assert configured(data_dir=tmp_path).data_dir == tmp_path


def test_it_reaches_its_media_site_and_nothing_else_in_the_private_network() -> None:
    config = configured(egress_allow=("10.0.0.1:80",))
    assert config.egress_allow == ("10.0.0.1:80", "127.0.0.1:8901")
    assert EgressPolicy(allow=config.egress_allow)
    assert config.auto_download_hosts == ("*",)


def test_there_is_a_sample_of_every_kind() -> None:
    texts = [sample.text for sample in demo_samples("http://127.0.0.1:8901", pictures=True)]
    for part in ("/watch?v=", "youtu.be/", "/shorts/", "playlist?list=", " 0:02-0:06", ".m3u8", "/post/", "PRIVATE"):
        assert any(part in text for text in texts), part
    assert len(texts) == len(set(texts))


def test_pictures_are_not_offered_where_they_cannot_be_fetched() -> None:
    assert not any("/post/" in sample.text for sample in demo_samples("http://127.0.0.1:8901", pictures=False))


async def test_the_site_is_up_and_its_plugins_know_the_sizes(demo: Demo, data: Path) -> None:
    site = f"http://{demo.config.egress_allow[-1]}"
    async with aiohttp.ClientSession(site) as http, http.get("/media/clip.mp4") as got:
        assert (got.status, len(await got.read()) > 500_000) == (200, True)
    plugins = Path(demo.config.ytdlp_plugin_dirs[-1])
    (youtube,) = plugins.glob("*/yt_dlp_plugins/extractor/*.py")
    assert site in youtube.read_text()
    assert "media/v1080.mp4" in youtube.read_text()
    assert list(plugins.glob("*/gallery_dl_plugins/*.py"))
    assert data in plugins.parents


async def test_the_site_keeps_its_port_so_that_old_links_still_work(demo: Demo, data: Path) -> None:
    site = demo.config.egress_allow[-1]
    await demo._site.stop()
    async with Demo(Config(_env_file=None, data_dir=data)) as again:
        assert again.config.egress_allow[-1] == site


async def test_a_port_that_somebody_else_has_by_now_is_let_go(demo: Demo, data: Path) -> None:
    async with Demo(Config(_env_file=None, data_dir=data)) as second:
        assert second.config.egress_allow[-1] != demo.config.egress_allow[-1]
