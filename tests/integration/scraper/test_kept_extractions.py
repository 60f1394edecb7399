"""What a description learned is not asked of the site again, for ten minutes, and never beyond its use."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

import pytest

from service.errors import FetchFailed
from service.selection import Selection
from tests.integration.scraper.conftest import Bench, Watcher, bench_on

pytestmark = pytest.mark.asyncio(loop_scope="session")

PAGE = "/page/jsonld"
SELECTIONS = [("video", "mp4"), ("video", "mkv", "480"), ("audio", "mp3"), ("audio", "m4a", "128k")]


def kept_by(bench: Bench) -> list[Path]:
    return sorted((bench.fetcher.pool.config.state_directory / "extractions").iterdir())


@pytest.fixture
def fresh(bench: Bench) -> Bench:
    """Nothing kept, nothing logged."""
    for path in kept_by(bench):
        path.unlink()
    bench.site.log.clear()
    return bench


@pytest.mark.parametrize("selection", SELECTIONS, ids=":".join)
async def test_a_fetch_of_any_selection_does_not_ask_for_the_page_again(fresh: Bench, selection: tuple[str, ...]) -> None:
    await fresh.describe(PAGE)
    fetched = await fresh.fetch(PAGE, *selection)
    assert fetched.title == "A JSON-LD video"
    assert fresh.asked(PAGE) == 1


async def test_what_is_kept_serves_several_fetches(fresh: Bench) -> None:
    await fresh.describe(PAGE)
    for selection in SELECTIONS:
        await fresh.fetch(PAGE, *selection)
    assert fresh.asked(PAGE) == 1


async def test_without_a_description_each_fetch_asks_and_nothing_is_kept(fresh: Bench) -> None:
    await fresh.fetch(PAGE, "video", "mp4")
    await fresh.fetch(PAGE, "video", "mp4")
    assert fresh.asked(PAGE) == 2
    assert kept_by(fresh) == []


async def test_another_trust_class_asks_for_itself(fresh: Bench) -> None:
    await fresh.describe(PAGE)
    await fresh.fetch(PAGE, "video", "mp4", trust_class="account-7")
    assert fresh.asked(PAGE) == 2


async def test_nobody_else_may_read_what_is_kept(fresh: Bench) -> None:
    await fresh.describe(PAGE)
    (path,) = kept_by(fresh)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_what_is_kept_is_used_after_a_restart(fresh: Bench) -> None:
    await fresh.describe(PAGE)
    other = await bench_on(fresh.site, fresh.root / "restarted", state_directory=fresh.fetcher.pool.config.state_directory)
    try:
        await other.fetch(PAGE, "video", "mp4")
    finally:
        await other.fetcher.stop()
    assert fresh.asked(PAGE) == 1


async def test_what_has_expired_is_not_used(fresh: Bench) -> None:
    await fresh.describe(PAGE)
    (path,) = kept_by(fresh)
    os.utime(path, (time.time() - 601, time.time() - 601))
    await fresh.fetch(PAGE, "video", "mp4")
    assert fresh.asked(PAGE) == 2


async def test_what_has_expired_is_removed_with_the_next_description(fresh: Bench) -> None:
    await fresh.describe(PAGE)
    (old,) = kept_by(fresh)
    os.utime(old, (time.time() - 601, time.time() - 601))
    await fresh.describe("/page/og")
    assert old not in kept_by(fresh)
    assert len(kept_by(fresh)) == 1


def make_stale(path: Path, address: str) -> None:
    text = path.read_text()
    assert "/media/clip.mp4" in text
    path.write_text(text.replace("/media/clip.mp4", address))


@pytest.mark.parametrize("address", ["/status/403", "/status/404", "/html-as-mp4.mp4", "/truncated/media/clip.mp4"])
async def test_a_stale_one_is_dropped_and_the_site_asked_anew(fresh: Bench, address: str) -> None:
    await fresh.describe(PAGE)
    (path,) = kept_by(fresh)
    make_stale(path, address)
    watcher = Watcher()
    fetched = await fresh.fetch(PAGE, "video", "mp4", watcher=watcher)
    assert fetched.files[0].height == 360
    assert fresh.asked(PAGE) == 2
    assert len(watcher.found) == 1
    assert kept_by(fresh) == []


async def test_one_that_cannot_be_read_is_as_none(fresh: Bench) -> None:
    await fresh.describe(PAGE)
    (path,) = kept_by(fresh)
    path.write_text("{nothing")
    await fresh.fetch(PAGE, "video", "mp4")
    assert fresh.asked(PAGE) == 2


async def test_the_site_is_asked_anew_only_once(fresh: Bench) -> None:
    # Its media are cut short whenever they are asked for.
    page = "/truncated/media/clip.mp4"
    await fresh.describe(page)
    before = fresh.asked(page)
    with pytest.raises(FetchFailed) as failure:
        await fresh.fetch(page, "video", "mp4")
    assert failure.value.code == "truncated"
    # The kept one's download, then a fresh look and its download; each download may go on where it broke off.
    looks = [asked for asked in fresh.site.log.of(page) if asked.range is None]
    assert before == 1
    assert len(looks) == 2


async def test_a_bound_that_is_reached_does_not_make_it_stale(fresh: Bench) -> None:
    await fresh.describe(PAGE)
    with pytest.raises(FetchFailed) as failure:
        await fresh.fetch(PAGE, "video", "mp4", max_bytes=10_000)
    assert failure.value.code == "too_large"
    assert fresh.asked(PAGE) == 1
    assert len(kept_by(fresh)) == 1


async def test_a_kept_address_is_guarded_as_any_other(fresh: Bench) -> None:
    await fresh.describe(PAGE)
    (path,) = kept_by(fresh)
    path.write_text(path.read_text().replace(f"{fresh.site.base}/media/clip.mp4", "http://127.0.0.2:1/x.mp4"))
    with pytest.raises(FetchFailed) as failure:
        await fresh.fetch(PAGE, "video", "mp4")
    assert failure.value.code == "address_not_allowed"


async def test_a_watcher_that_says_stop_is_obeyed_with_a_kept_one_too(fresh: Bench) -> None:
    await fresh.describe(PAGE)
    request = fresh.request(fresh.address(PAGE), Selection.of())
    assert await fresh.fetcher.fetch(request, Watcher(go=False)) is None
    assert fresh.asked(PAGE) == 1
