"""Links as their users have them: seed 4's examples as written, and channels that grow while the service is killed."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

import feedparser  # type: ignore[import-untyped] # it has no types
import pytest
import requests
import yt_dlp
from gallery_dl import archive as gallery_archives  # type: ignore[import-untyped]

from tests.e2e.conftest import StartService
from tests.support.running import HANG, LIVE, MediaSiteProcess, Running, eventually, playable

LINKS = "/api/v1/links"


def api(service: Running, method: str, path: str, **more: Any) -> Any:
    answer = requests.request(method, f"{service.url}{path}", timeout=HANG, **more)
    assert answer.ok, answer.text
    return answer.json()


def happens(site: MediaSiteProcess, name: str, verb: str, **about: Any) -> None:
    requests.post(site.url(f"_channels/{name}/{verb}"), params=about, timeout=HANG).raise_for_status()


def watch(service: Running, name: str, **about: Any) -> int:
    new = {"url": f"https://www.youtube.com/@{name}", "name": name, "media_type": "audio", **about}
    return int(api(service, "POST", f"{LINKS}/", json=new)["id"])


def look(service: Running, link: int) -> dict[str, Any]:
    """Now, and until all that it found has come; the job as it then is."""
    job = api(service, "POST", f"{LINKS}/{link}/trigger-download")["job_id"]

    def is_over() -> bool:
        return api(service, "GET", f"/api/jobs/{job}")["status"] not in LIVE

    eventually(is_over, "the look is over", within=120)
    now: dict[str, Any] = api(service, "GET", f"/api/jobs/{job}")
    return now


def came(service: Running, link: int) -> list[int]:
    """The numbers of all items that were downloaded, as often as they were: their addresses end in them."""
    rows = service.rows("select url from jobs where link_id = ? and parent_id is not null and status = 'completed'", str(link))
    return sorted(int(row["url"][-6:]) for row in rows)


# --- seed 4 -----------------------------------------------------------------------------------------------------------


def test_the_examples_of_seed_4_work_as_written(start: StartService) -> None:
    service = start()
    example = {
        "url": "https://www.youtube.com/channel/UC-of-nobody",
        "name": "My Favorite Channel",
        "type": "youtube_channel",
        "is_enabled": True,
        "download_automatically": True,
        "tags": ["tag1", "tag2"],
        "cookies": '{ "cookie_name": "cookie_value" }',
    }
    answer = requests.post(f"{service.url}{LINKS}/", json=example, timeout=HANG)
    made = answer.json()
    assert answer.status_code == 200
    assert {name: made[name] for name in ("name", "type", "is_enabled", "download_automatically", "tags")} == {
        name: example[name] for name in ("name", "type", "is_enabled", "download_automatically", "tags")
    }
    assert "cookie_value" not in answer.text
    one = f"{LINKS}/{made['id']}"
    assert [link["id"] for link in api(service, "GET", f"{LINKS}/", params={"skip": 0, "limit": 100})] == [made["id"]]
    assert api(service, "GET", one)["url"] == example["url"]
    assert api(service, "PUT", one, json={**example, "name": "Another name", "tags": []})["name"] == "Another name"
    triggered = api(service, "POST", f"{one}/trigger-download")
    assert triggered["msg"] == f"Download triggered for link {made['id']}"
    assert api(service, "DELETE", one)["id"] == made["id"]
    assert requests.get(f"{service.url}{one}", timeout=HANG).json()["detail"] == "Link not found"


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"schedule": "* * * * * *"}, "schedule"),
        ({"schedule": "@reboot"}, "schedule"),
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"filters": {"min_duration": 9, "max_duration": 8}}, "filters"),
        ({"type": "pixiv_user", "media_type": "audio"}, "media_type"),
        ({"type": "carrier_pigeon"}, "type"),
        ({"url": "ftp://example.com/x"}, "url"),
        ({"quality": "splendid"}, "quality"),
    ],
)
def test_what_makes_no_sense_names_its_field(service: Running, wrong: dict[str, Any], field: str) -> None:
    new = {"url": "https://www.youtube.com/@wrong", **wrong}
    answer = requests.post(f"{service.url}{LINKS}/", json=new, timeout=HANG)
    assert (answer.status_code, answer.json()["detail"][0]["loc"][:2]) == (422, ["body", field])


@pytest.mark.parametrize("cookies", ["no cookies at all", "{", '["a"]', "a\tb\tc", '{"name": 5}'])
def test_cookies_that_are_none_are_refused(service: Running, cookies: str) -> None:
    new = {"url": "https://www.youtube.com/@cookies", "cookies": cookies}
    answer = requests.post(f"{service.url}{LINKS}/", json=new, timeout=HANG)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cookies")


# --- channels ---------------------------------------------------------------------------------------------------------


def test_what_was_there_comes_by_itself_and_can_be_heard_in_the_feed(start: StartService, site: MediaSiteProcess) -> None:
    service = start()
    link = watch(service, "growfeed2")
    eventually(lambda: len(came(service, link)) == 2, "both items have come", within=120)
    shown = api(service, "GET", f"{LINKS}/{link}")
    assert (shown["state"], shown["items"], shown["title"]) == ("ok", 2, "Channel growfeed2 - Videos")
    assert all(playable(file) for file in service.stored())
    feed = feedparser.parse(requests.get(shown["feed_url"], timeout=HANG).content)
    assert (feed.bozo, len(feed.entries)) == (False, 2)
    heard = requests.get(feed.entries[0].enclosures[0].href, timeout=HANG)
    assert (heard.status_code, heard.headers["Content-Type"]) == (200, "audio/mpeg")


def test_a_channel_that_grows_comes_whole_and_once_over_kills(start: StartService, site: MediaSiteProcess) -> None:
    """The service is killed again and again while it looks and downloads."""
    chance = random.Random(7)
    service = start()
    link = watch(service, "growkills3")
    for _ in range(4):
        happens(site, "growkills3", "add", count=2)
        api(service, "POST", f"{LINKS}/{link}/trigger-download")
        time.sleep(chance.uniform(0.0, 1.2))
        service.kill()
        service.start()
    look(service, link)
    eventually(lambda: not service.rows("select 1 from jobs where status in ('pending', 'processing')"), "all is over", within=120)
    assert came(service, link) == list(range(1, 12))
    entries = service.rows("select items_done from history_entries where link_id = ?", str(link))
    assert sum(entry["items_done"] for entry in entries) == 11
    assert len(service.stored()) == 11
    assert service.untidy() == []


def test_a_look_that_finds_nothing_asks_the_site_for_one_page(start: StartService, site: MediaSiteProcess) -> None:
    service = start()
    link = watch(service, "grown5000", filters={"newest": 1})
    eventually(lambda: len(came(service, link)) == 1, "the newest has come", within=120)
    site.reset()
    before = site.asked()
    look(service, link)
    assert [path for path in site.asked()[len(before) :] if path.startswith("/channel/")] == ["/channel/grown5000/videos.json"]


def test_what_vanishes_is_said_and_comes_back(start: StartService, site: MediaSiteProcess) -> None:
    service = start()
    link = watch(service, "growgone1")
    eventually(lambda: len(came(service, link)) == 1, "the item has come", within=120)
    happens(site, "growgone1", "vanish")
    assert look(service, link)["status"] == "failed"
    shown = api(service, "GET", f"{LINKS}/{link}")
    assert (shown["state"], shown["problem"]["code"], shown["items"]) == ("broken", "no_such_video", 1)
    happens(site, "growgone1", "mend")
    happens(site, "growgone1", "rename", title="Quite another name")
    happens(site, "growgone1", "add")
    look(service, link)
    shown = api(service, "GET", f"{LINKS}/{link}")
    assert (shown["state"], shown["problem"], len(came(service, link))) == ("ok", None, 2)
    happens(site, "growgone1", "empty")
    look(service, link)
    assert api(service, "GET", f"{LINKS}/{link}")["state"] == "ok"


def test_a_pixiv_users_posts_come_as_pictures(start: StartService) -> None:
    service = start()
    link = int(api(service, "POST", f"{LINKS}/", json={"url": "https://www.pixiv.net/users/2", "type": "pixiv_user"})["id"])
    eventually(lambda: len(came(service, link)) == 2, "both posts have come", within=120)
    assert {file.suffix for file in service.stored()} == {".jpg"}


def test_a_channels_archive_is_one_that_yt_dlp_reads(start: StartService, tmp_path: Path) -> None:
    service = start()
    link = watch(service, "growarchive3")
    look(service, link)
    text = requests.get(f"{service.url}{LINKS}/{link}/archive", timeout=HANG).text
    (tmp_path / "archive.txt").write_text(text)
    ids = [line.split()[1] for line in text.splitlines()]
    with yt_dlp.YoutubeDL({"download_archive": str(tmp_path / "archive.txt")}) as ydl:
        known = [ydl.in_download_archive({"id": number, "extractor_key": "Youtube"}) for number in ids]
        assert (len(ids), known, ydl.in_download_archive({"id": "x" * 11, "extractor_key": "Youtube"})) == (3, [True] * 3, False)


def test_a_gallerys_archive_is_one_that_gallery_dl_reads(start: StartService, tmp_path: Path) -> None:
    service = start()
    new = {"url": "https://www.pixiv.net/users/2", "type": "pixiv_user", "is_enabled": False}
    link = int(api(service, "POST", f"{LINKS}/", json=new)["id"])
    archive = {"archive": "pixiv2000001_p0.jpg\npixiv77_p0.png\n"}
    assert api(service, "POST", f"{LINKS}/{link}/archive", json=archive) == {"added": 2}
    look(service, link)
    (second,) = came(service, link)
    answer = requests.get(f"{service.url}{LINKS}/{link}/archive?format=gallery-dl", timeout=HANG)
    (tmp_path / "archive.sqlite3").write_bytes(answer.content)
    own = gallery_archives.connect(str(tmp_path / "archive.sqlite3"), "pixiv", "{id}{suffix}.{extension}")
    entries = {entry for (entry,) in own.cursor.execute("select entry from archive")}
    assert entries == {"pixiv2000001_p0.jpg", "pixiv77_p0.png", *(f"pixiv2{second:06d}_p{page}.jpg" for page in range(1 + second % 3))}
    assert own.check({"id": 77, "suffix": "_p0", "extension": "png"})
    own.close()


def test_of_a_large_channel_nothing_comes_unasked(start: StartService) -> None:
    service = start()
    link = watch(service, "growbig100")

    def asks() -> dict[str, Any] | None:
        now: dict[str, Any] = api(service, "GET", f"{LINKS}/{link}")
        return now if now["state"] == "asks" else None

    shown = eventually(asks, "it asks")
    assert shown is not None
    assert shown["held"] == 100
    taken = api(service, "POST", f"{LINKS}/{link}/held", json={"take": 2})
    assert service.ended(taken["job_id"])["status"] == "completed"
    assert came(service, link) == [99, 100]
    assert (taken["link"]["held"], taken["link"]["state"]) == (0, "ok")
