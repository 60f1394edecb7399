"""`magpie demo`: the local chat beside a media site of our own, so that everything can be tried with no token and no network."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from magpie.cli import say
from magpie.config import Config
from magpie.demo_media import make_demo_media
from sandbox.gallery import write_plugin as write_gallery_plugin
from sandbox.media_site import MediaSite
from sandbox.youtube import write_plugin as write_youtube_plugin
from service.errors import Unavailable
from webapi.chat_room import Sample

DATA_DIR: Final = Path("demo-data")
_VIDEO, _PRIVATE = "sunrise0001", "PRIVATE0001"


class Demo:
    """The settings and samples of a demonstration, while its media site runs.

    async with Demo(config) as demo:
        await serve(demo.config, samples=demo.samples)

    Raises `OSError`. The site's media are made at the first start, which takes some seconds; it keeps its port where it can, so that
    links of an earlier conversation still work.
    """

    def __init__(self, config: Config) -> None:
        self._given = config
        self._directory = _data_dir(config).absolute() / "demo"
        self._site = MediaSite(self._directory / "media")

    async def __aenter__(self) -> Self:
        self._directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._directory.mkdir(exist_ok=True)
        await self._make_media()
        await self._listen()
        plugins = self._directory / "plugins"
        write_youtube_plugin(plugins, self._site.base, self._site.files.sizes())
        write_gallery_plugin(plugins, self._site.base)
        self.config = demo_config(self._given, site=self._site.base, plugins=plugins)
        self.samples = demo_samples(self._site.base, pictures=importlib.util.find_spec("gallery_dl") is not None)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._site.stop()

    async def _make_media(self) -> None:
        media = self._site.files.directory
        if not media.exists():
            say("Making sample media, which takes some seconds (only this once) …")
        with contextlib.suppress(Unavailable):  # then the site's own test pictures have to do
            await make_demo_media(media)
        await self._site.prepare()

    async def _listen(self) -> None:
        kept, port = self._directory / "port", 0
        with contextlib.suppress(OSError, ValueError):
            port = int(kept.read_text())
        try:
            await self._site.start(port=port)
        except (OSError, OverflowError):  # somebody else has it by now
            await self._site.stop()
            await self._site.start()
        kept.write_text(self._site.base.rpartition(":")[2])


def demo_config(config: Config, *, site: str, plugins: Path) -> Config:
    """The settings, made fit for a demonstration.

    It reaches the media site at `site` (`http://127.0.0.1:PORT`), takes it for YouTube, and touches nothing of a real installation but
    a data directory that was named for it: no bot token, no other database or store, nobody but this machine.
    """
    return config.model_copy(
        update={
            "data_dir": _data_dir(config),
            "database_url": None,
            "media_url": None,
            "bot_token": None,
            "bot_api_url": None,
            "host": ("localhost",),
            "public_url": None,
            "webhook_url": None,
            "trust_local": True,
            "egress_allow": (*config.egress_allow, site.removeprefix("http://")),
            "ytdlp_plugin_dirs": (*config.ytdlp_plugin_dirs, str(plugins)),
            "auto_download_hosts": ("*",),
        }
    )


def demo_samples(site: str, *, pictures: bool) -> Sequence[Sample]:
    """Links to try, for every kind of thing that there is; posts of pictures where they can be fetched."""
    youtube = "https://www.youtube.com"
    return (
        Sample(label="A video", text=f"{youtube}/watch?v={_VIDEO}"),
        Sample(label="… its short link", text=f"https://youtu.be/{_VIDEO}"),
        Sample(label="… as a Short", text=f"{youtube}/shorts/{_VIDEO}"),
        Sample(label="Four seconds of it", text=f"{youtube}/watch?v={_VIDEO} 0:02-0:06"),
        Sample(label="A playlist", text=f"{youtube}/playlist?list=PL5"),
        Sample(label="A stream (HLS)", text=f"{site}/hls/index.m3u8"),
        *([Sample(label="A post of pictures", text=f"{site}/post/4")] if pictures else []),
        Sample(label="A private video", text=f"{youtube}/watch?v={_PRIVATE}"),
        Sample(label="What can you do?", text="/help"),
    )


def _data_dir(config: Config) -> Path:
    return config.data_dir if "data_dir" in config.model_fields_set else DATA_DIR
