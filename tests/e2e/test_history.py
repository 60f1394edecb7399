"""History as seed 4 documents it, and a link's podcast as a podcast program reads it, against the service as its users have it."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import feedparser  # type: ignore[import-untyped]  # it has none
import pytest
import requests

from service.feeds import FEED
from storage.vault import MultiFernetVault, secret_keys_from
from tests.support.running import HANG, MediaSiteProcess, Running, clean_environment

DOCUMENTED = json.loads("""
{
    "id": 1,
    "link_id": 1,
    "link_name": "My Favorite Channel",
    "timestamp": "2023-10-27T10:30:00Z",
    "status": "success",
    "message": "Downloaded 3 new items.",
    "downloaded_files": ["file1.mp4", "file2.jpg"]
}
""")
PASSWORD = "securepassword123"
AUDIO, VIDEO = "https://www.youtube.com/watch?v=HISTORYxx01", "https://www.youtube.com/watch?v=HISTORYxx02"


@dataclass
class Reader:
    """Somebody with an account, who has downloaded an audio file, then a video."""

    service: Running
    headers: dict[str, str]
    jobs: list[str]

    def get(self, path: str, **query: object) -> requests.Response:
        return requests.get(f"{self.service.url}/api/v1{path}", headers=self.headers, params=query, timeout=HANG)  # type: ignore[arg-type]

    def history(self, **query: object) -> list[dict[str, Any]]:
        answer = self.get("/history/", **query)
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()
        return found


@pytest.fixture(scope="module")
def reader(site: MediaSiteProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    with Running.beside(site, tmp_path_factory.mktemp("history")) as service:
        about = {"username": "newuser", "email": "user@example.com", "password": PASSWORD}
        assert requests.post(f"{service.url}/api/v1/users/", json=about, timeout=HANG).ok
        login = requests.post(f"{service.url}/api/v1/login/access-token", data={"username": "newuser", "password": PASSWORD}, timeout=HANG)
        headers = {"Authorization": f"Bearer {login.json()['access_token']}"}
        jobs = [service.post_auto_download(AUDIO, headers=headers).json()["job_id"]]
        jobs.append(service.post_auto_download(VIDEO, headers=headers, media_type="video").json()["job_id"])
        yield Reader(service, headers, jobs)


def has_form_of_the_documented(entry: dict[str, Any]) -> bool:
    """Every field is there, of the type that it has there; these came of no link."""
    kinds = {name: type(value) for name, value in DOCUMENTED.items() if not name.startswith("link_")}
    return DOCUMENTED.keys() <= entry.keys() and all(isinstance(entry[name], kind) for name, kind in kinds.items())


# --- as documented ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("slash", ["", "/"])
def test_the_documented_list_holds_what_was_downloaded_newest_first(reader: Reader, slash: str) -> None:
    entries = reader.get(f"/history{slash}").json()
    assert [entry["job_id"] for entry in entries] == reader.jobs[::-1]
    assert all(map(has_form_of_the_documented, entries))
    assert [entry["status"] for entry in entries] == ["success", "success"]
    assert [Path(name).suffix for entry in entries for name in entry["downloaded_files"]] == [".mp4", ".mp3"]


def test_the_documented_time_is_when_it_ended(reader: Reader) -> None:
    timestamp = reader.history()[0]["timestamp"]
    assert timestamp.endswith("Z")
    assert timedelta(0) <= datetime.now(UTC) - datetime.fromisoformat(timestamp) < timedelta(seconds=5 * HANG)


def test_the_documented_pages(reader: Reader) -> None:
    assert [entry["job_id"] for entry in reader.history(skip=1, limit=100)] == reader.jobs[:1]
    assert [entry["job_id"] for entry in reader.history(skip=0, limit=1)] == reader.jobs[1:]


def test_the_documented_filters(reader: Reader) -> None:
    assert len(reader.history(status="success")) == 2
    assert reader.history(status="failure") == []
    assert reader.history(link_id=1) == []


def test_the_documented_single_entry_is_the_lists_with_its_files(reader: Reader) -> None:
    newest = reader.history()[0]
    entry = reader.get(f"/history/{newest['id']}").json()
    (file,) = entry.pop("files")
    assert entry == newest
    assert requests.get(file["url"], timeout=HANG).content == (reader.service.data / "media" / file["path"]).read_bytes()


def test_nobody_reads_it_without_a_credential(reader: Reader) -> None:
    answer = requests.get(f"{reader.service.url}/api/v1/history/", headers={"X-Forwarded-For": "203.0.113.9"}, timeout=HANG)
    assert (answer.status_code, answer.json()["detail"]) == (401, "Not authenticated")


def test_curl_writes_history_to_a_file(reader: Reader, tmp_path: Path) -> None:
    address = f"{reader.service.url}/api/v1/history/export?format=csv"
    command = ["curl", "-sfOJ", "-H", f"Authorization: {reader.headers['Authorization']}", address]
    subprocess.run(command, cwd=tmp_path, env=clean_environment(tmp_path), check=True, timeout=HANG)
    (file,) = tmp_path.iterdir()
    assert (file.name[:16], file.suffix) == ("magpie-history-2", ".csv")
    told = list(csv.DictReader(io.StringIO(file.read_text("utf-8-sig"), newline="")))
    assert [line["job_id"] for line in told] == reader.jobs[::-1]


# --- a podcast --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def feed(reader: Reader) -> str:
    """Both jobs become what a new link that keeps audio has brought; returns the address of its feed."""
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
    about = {
        "account_id": 1, "url": "https://www.youtube.com/@channel", "url_digest": "d", "name": "My Favorite Channel",
        "type": "youtube_channel", "is_enabled": 1, "download_automatically": 1, "tags": "[]", "timezone": "UTC", "filters": "{}",
        "selection": "audio:mp3:best", "telling": "send", "state": "ok", "state_since": now, "created_at": now,
    }  # fmt: skip
    with closing(sqlite3.connect(reader.service.data / "magpie.db", timeout=HANG)) as database, database:
        (account,) = database.execute("select id from accounts where username = 'newuser'").fetchone()
        names = ", ".join(about)
        values = ", ".join(f":{name}" for name in about)
        link = database.execute(f"insert into links ({names}) values ({values}) returning id", {**about, "account_id": account}).fetchone()[
            0
        ]
        database.executemany("update jobs set link_id = ? where id = ?", [(link, UUID(job).hex) for job in reader.jobs])
    vault = MultiFernetVault(secret_keys_from(reader.service.data / "secret.key"))
    signature = vault.sign(FEED, f"{link}\n0")
    return f"{reader.service.url}/feeds/{link}.{signature}"


def test_a_podcast_program_subscribes_to_a_links_audio_without_a_credential(feed: str) -> None:
    answer = requests.get(feed, headers={"X-Forwarded-For": "203.0.113.9"}, timeout=HANG)
    assert answer.status_code == 200, answer.text
    found = feedparser.parse(answer.content)
    assert not found.bozo
    assert (found.version, found.feed.title) == ("rss20", "My Favorite Channel")
    (episode,) = found.entries
    (enclosure,) = episode.enclosures
    file = requests.get(enclosure.href, headers={"X-Forwarded-For": "203.0.113.9", "Range": "bytes=0-99"}, timeout=HANG)
    assert (file.status_code, file.headers["Content-Type"], len(file.content)) == (206, enclosure.type, 100)
    assert file.headers["Content-Range"] == f"bytes 0-99/{enclosure.length}"


def test_a_feeds_address_is_a_credential_and_stands_in_no_log(reader: Reader, feed: str) -> None:
    requests.get(feed, timeout=HANG)
    lines = [line["event"] for line in reader.service.log_lines()]
    assert "GET /feeds/… 200" in lines
    assert [line for line in lines if feed.rpartition(".")[2] in line] == []
