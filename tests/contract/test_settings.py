"""Settings and cookies: kept in the database, the same for every process."""

from __future__ import annotations

import json

import pytest

from service.audit import Act
from service.cookies import cookies_for
from service.errors import CookiesNotFound, InvalidCookies, InvalidSettings, MediaRootFixed
from service.media_url import MediaUrl
from service.settings import LiveSettings, SettingsChange
from storage import tables
from storage.database import SqlDatabase
from tests.support.fakes import FakeClock
from tests.support.people import OPERATOR, Town, actor

COOKIES_TXT = "# Netscape HTTP Cookie File\n.example.com\tTRUE\t/\tTRUE\t2000000000\tsid\ts3cr3t\n.other.org\tTRUE\t/\tTRUE\t0\ta\tb\n"


@pytest.fixture
def town(database: SqlDatabase, clock: FakeClock) -> Town:
    return Town(database, clock)


# --- settings ---------------------------------------------------------------------------------------------------------


async def test_a_change_is_seen_by_every_process(town: Town) -> None:
    other = LiveSettings(database=town.database, clock=town.clock, media_root="/media", width=4)
    told: list[int] = []
    other.on_change(lambda _: told.append(other.width))
    await town.settings.change(OPERATOR, SettingsChange(max_concurrent_downloads=9))
    await other.refresh()
    await other.refresh()
    assert (town.settings.width, other.width, told) == (9, 9, [9])


@pytest.mark.parametrize(
    "change",
    [
        SettingsChange(max_concurrent_downloads=0),
        SettingsChange(max_concurrent_downloads=65),
        SettingsChange(link_monitor_interval_minutes=0),
        SettingsChange(site_cookies_json="no JSON"),
        SettingsChange(site_cookies_json="[]"),
        SettingsChange(site_cookies_json=json.dumps({"pixiv": "../../etc/passwd"})),
        SettingsChange(site_cookies_json=json.dumps({"pixiv": "/etc/passwd"})),
        SettingsChange(site_cookies_json=json.dumps({"pixiv": 1})),
    ],
    ids=str,
)
async def test_what_is_not_valid_changes_nothing(town: Town, change: SettingsChange) -> None:
    before = await town.settings.refresh()
    with pytest.raises(InvalidSettings):
        await town.settings.change(OPERATOR, change)
    assert await town.settings.refresh() == before


@pytest.mark.parametrize("path", ["pixiv.txt", "/srv/magpie/data/cookies/pixiv.txt"])
async def test_files_of_cookies_lie_below_their_folder(town: Town, path: str) -> None:
    settings = await town.settings.change(OPERATOR, SettingsChange(site_cookies_json=json.dumps({"pixiv": path})))
    assert settings.cookie_files() == {"pixiv": "pixiv.txt"}


async def test_the_media_root_is_only_shown(town: Town) -> None:
    await town.settings.change(OPERATOR, SettingsChange(media_root="/media"))
    with pytest.raises(MediaRootFixed):
        await town.settings.change(OPERATOR, SettingsChange(media_root="/elsewhere"))


async def test_a_change_is_in_the_trail_without_its_values(town: Town) -> None:
    await town.settings.change(OPERATOR, SettingsChange(max_concurrent_downloads=2))
    async with town.database.read() as transaction:
        (entry, *_), _ = await transaction.audit.page()
    assert (entry.action, entry.details) == (Act.SETTINGS_CHANGED, "max_concurrent_downloads")


# --- cookies ----------------------------------------------------------------------------------------------------------


async def kept_for(town: Town, account_id: int | None, address: str) -> str | None:
    async with town.database.read() as transaction:
        return await cookies_for(transaction, account_id, MediaUrl.parse(address))


@pytest.mark.parametrize("given", [COOKIES_TXT, '{"sid": "s3cr3t"}', '[{"name": "sid", "value": "s3cr3t", "domain": ".example.com"}]'])
async def test_cookies_are_kept_for_their_site_alone(town: Town, given: str) -> None:
    ann = await town.account("ann")
    await town.jars.put(actor(ann), ann.id, "www.Example.com", given)
    kept = await kept_for(town, ann.id, "https://video.example.com/1")
    assert kept is not None
    assert "\tsid\ts3cr3t" in kept
    assert "other.org" not in kept
    assert await kept_for(town, ann.id, "https://example.org/1") is None
    assert await kept_for(town, ann.id, "https://notexample.com/1") is None


async def test_cookies_are_their_givers_alone(town: Town) -> None:
    ann, ben = await town.account("ann"), await town.account("ben")
    await town.jars.put(actor(ann), ann.id, "example.com", COOKIES_TXT)
    assert await kept_for(town, ben.id, "https://example.com/1") is None
    assert await kept_for(town, None, "https://example.com/1") is None
    with pytest.raises(CookiesNotFound):
        await town.jars.remove(actor(ben), ben.id, "example.com")


@pytest.mark.parametrize(
    "given",
    [
        "",
        "nonsense",
        "{",
        '{"a": 1}',
        '{"a\\tb": "x"}',
        '{"a": "x\\ny"}',
        '["a"]',
        ".other.org\tTRUE\t/\tTRUE\t0\ta\tb\n",
        "a\tb\n",
        "x" * 300_000,
    ],
)
async def test_what_is_no_cookie_of_the_site_is_refused(town: Town, given: str) -> None:
    ann = await town.account("ann")
    with pytest.raises(InvalidCookies):
        await town.jars.put(actor(ann), ann.id, "example.com", given)


@pytest.mark.parametrize("site", ["", "com", "a b.com", "../x", "exa\u0000mple.com", "x" * 300 + ".com"])
async def test_a_site_is_named_by_its_host(town: Town, site: str) -> None:
    ann = await town.account("ann")
    with pytest.raises(InvalidCookies):
        await town.jars.put(actor(ann), ann.id, site, COOKIES_TXT)


async def test_cookies_stand_encrypted(database_url: str, database: SqlDatabase, clock: FakeClock) -> None:
    sealed = SqlDatabase(database_url, vault=Town(database, clock).vault)
    town = Town(sealed, clock)
    ann = await town.account("ann")
    await town.jars.put(actor(ann), ann.id, "example.com", COOKIES_TXT)
    async with sealed.reader.connect() as connection:
        rows = (await connection.execute(tables.site_cookies.select())).all()
    assert "s3cr3t" not in str(rows)
    assert "s3cr3t" in str(await kept_for(town, ann.id, "https://example.com/1"))
    await sealed.close()
