"""The session and job API: its documented walk-through word for word, and what callers without an account meet."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import pytest
import requests

from tests.e2e.conftest import StartService
from tests.support.running import HANG, LIVE, MediaSiteProcess, Running, clean_environment, eventually, playable

CREATE_SESSION = r"""
curl -X POST "http://localhost:8000/api/sessions/" \
  -H "Content-Type: application/json"
"""
CREATE_JOB = r"""
curl -X POST "http://localhost:8000/api/jobs/" \
  -H "X-Session-ID: YOUR_SESSION_UUID" \
  -H "Content-Type: application/json" \
  -d '{
    "url": "https://www.youtube.com/watch?v=dQw4w9WgXcQ",
    "media_type": "video",
    "quality": "best"
  }'
"""
CHECK_JOB = r"""
curl -X GET "http://localhost:8000/api/jobs/JOB_ID" \
  -H "X-Session-ID: YOUR_SESSION_UUID"
"""
"""The three steps of "Manual Testing with curl"."""
DOCUMENTED_SESSION = json.loads("""
{
  "session_uuid": "550e8400-e29b-41d4-a716-446655440000",
  "created_at": "2024-01-15T10:30:00Z",
  "last_activity": "2024-01-15T10:30:00Z",
  "is_active": true,
  "total_jobs": 0,
  "active_jobs": 0,
  "completed_jobs": 0,
  "failed_jobs": 0,
  "storage_used_bytes": 0,
  "age_hours": 0.0
}
""")
DOCUMENTED_BODY = json.loads("""
{
  "url": "https://www.youtube.com/watch?v=dQw4w9WgXcQ",
  "media_type": "video",
  "quality": "best",
  "output_format": "mp4"
}
""")
DOCUMENTED_JOB = json.loads("""
{
  "job_uuid": "job-1-1705312200",
  "session_uuid": "550e8400-e29b-41d4-a716-446655440000",
  "job_url": "https://www.youtube.com/watch?v=dQw4w9WgXcQ",
  "media_type": "video",
  "status": "pending",
  "created_at": "2024-01-15T10:30:00Z",
  "progress_percent": null,
  "error_message": null,
  "output_path": null,
  "file_size_bytes": null
}
""")
VIDEO = "https://www.youtube.com/watch?v=dQw4w9WgXcQ"
WATCH = "https://www.youtube.com/watch?v="
AS_OUTSIDE = {"anonymous_downloads": "true", "trusted_proxies": "127.0.0.0/8,::1/128"}
"""Then whoever comes with `X-Forwarded-For` is anonymous, and sits where that says."""
ADDRESSES = count(1)


# --- as documented ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fresh(site: MediaSiteProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Just started, with nothing set but where YouTube's stand-in is."""
    with Running.beside(site, tmp_path_factory.mktemp("fresh")) as running:
        yield running


@dataclass
class Walk:
    """The answers of the walk-through."""

    session: dict[str, Any]
    accepted: dict[str, Any]
    finished: dict[str, Any]

    @property
    def headers(self) -> dict[str, str]:
        return {"X-Session-ID": self.session["session_uuid"]}


def said_by(script: str, service: Running, directory: Path) -> dict[str, Any]:
    """What curl prints, with host and port as they are here."""
    script = script.replace("http://localhost:8000", service.url)
    done = subprocess.run(
        ["bash", "-c", script], cwd=directory, env=clean_environment(directory), capture_output=True, text=True, timeout=HANG, check=False
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def walk(fresh: Running, tmp_path_factory: pytest.TempPathFactory) -> Walk:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    here = tmp_path_factory.mktemp("walk")
    session = said_by(CREATE_SESSION, fresh, here)
    accepted = said_by(CREATE_JOB.replace("YOUR_SESSION_UUID", session["session_uuid"]), fresh, here)
    check = CHECK_JOB.replace("YOUR_SESSION_UUID", session["session_uuid"]).replace("JOB_ID", accepted["job_uuid"])

    def look() -> dict[str, Any] | None:
        job = said_by(check, fresh, here)
        return job if job["status"] not in LIVE else None

    finished: dict[str, Any] | None = eventually(look, "the job ends")
    return Walk(session=session, accepted=accepted, finished=finished or {})


def has_form_of(answer: dict[str, Any], documented: dict[str, Any]) -> bool:
    """Every documented field is there, of the type it has there; null may have become a value."""
    kinds = {name: type(value) for name, value in documented.items() if value is not None}
    return documented.keys() <= answer.keys() and all(isinstance(answer[name], kind) for name, kind in kinds.items())


def moment(text: str) -> datetime:
    """As documented: ISO 8601, UTC, ending in Z."""
    assert text.endswith("Z")
    return datetime.fromisoformat(text)


def test_the_walk_throughs_session_is_as_documented(walk: Walk) -> None:
    assert has_form_of(walk.session, DOCUMENTED_SESSION)
    fixed = {name for name, value in DOCUMENTED_SESSION.items() if not isinstance(value, str)}
    assert {name: walk.session[name] for name in fixed} == {name: DOCUMENTED_SESSION[name] for name in fixed}
    assert str(UUID(walk.session["session_uuid"])) == walk.session["session_uuid"]
    assert datetime.now(UTC) - moment(walk.session["created_at"]) < timedelta(seconds=2 * HANG)
    assert walk.session["last_activity"] == walk.session["created_at"]


def test_the_walk_throughs_job_is_accepted_as_documented(walk: Walk) -> None:
    assert has_form_of(walk.accepted, DOCUMENTED_JOB)
    varies = {"job_uuid", "session_uuid", "created_at"}
    assert {name: walk.accepted[name] for name in DOCUMENTED_JOB.keys() - varies} == {
        name: DOCUMENTED_JOB[name] for name in DOCUMENTED_JOB.keys() - varies
    }
    assert walk.accepted["session_uuid"] == walk.session["session_uuid"]
    moment(walk.accepted["created_at"])


def test_the_walk_throughs_job_ends_with_a_file(walk: Walk, fresh: Running, tmp_path: Path) -> None:
    job = walk.finished
    assert has_form_of(job, DOCUMENTED_JOB)
    assert (job["job_uuid"], job["session_uuid"]) == (walk.accepted["job_uuid"], walk.session["session_uuid"])
    assert (job["status"], job["progress_percent"], job["error_message"]) == ("completed", 100.0, None)
    stored = fresh.data / "media" / job["output_path"]
    assert stored.stat().st_size == job["file_size_bytes"]
    file = tmp_path / "clip.mp4"
    file.write_bytes(requests.get(job["download_url"], timeout=HANG).content)
    assert file.read_bytes() == stored.read_bytes()
    assert playable(file)


def test_the_file_lies_where_the_documentation_says_below_a_folder_that_is_not_the_sessions_id(walk: Walk) -> None:
    """`downloads/{session}/{job}/{audio|video|transcripts}/`; the session's own id is its credential."""
    root, folder, job, kind, _ = walk.finished["output_path"].split("/")
    assert (root, job, kind) == ("downloads", walk.accepted["job_uuid"], "video")
    assert UUID(folder) != UUID(walk.session["session_uuid"])
    assert walk.session["session_uuid"] not in walk.finished["download_url"]


def test_the_documented_paths_of_a_job(walk: Walk, fresh: Running) -> None:
    told = requests.get(f"{fresh.url}/api/jobs/{walk.accepted['job_uuid']}/paths", headers=walk.headers, timeout=HANG).json()
    assert told.keys() == {"job_uuid", "output_path", "files"}
    assert (told["job_uuid"], told["output_path"]) == (walk.accepted["job_uuid"], walk.finished["output_path"])
    (file,) = told["files"]
    assert file.keys() == {"name", "kind", "size", "path", "url"}
    assert (file["kind"], file["size"], file["path"]) == ("video", walk.finished["file_size_bytes"], walk.finished["output_path"])
    assert requests.get(file["url"], timeout=HANG).ok


def test_the_documented_session_tells_what_is_in_it(walk: Walk, fresh: Running) -> None:
    session = requests.get(f"{fresh.url}/api/sessions/{walk.session['session_uuid']}", headers=walk.headers, timeout=HANG).json()
    assert has_form_of(session, DOCUMENTED_SESSION)
    counted = {name: session[name] for name in ("total_jobs", "active_jobs", "completed_jobs", "failed_jobs", "storage_used_bytes")}
    assert counted == {
        "total_jobs": 1, "active_jobs": 0, "completed_jobs": 1, "failed_jobs": 0, "storage_used_bytes": walk.finished["file_size_bytes"],
    }  # fmt: skip
    assert session["session_uuid"] == walk.session["session_uuid"]
    assert moment(session["last_activity"]) > moment(session["created_at"])


@pytest.mark.parametrize("slash", ["", "/"])
def test_the_documented_lists_hold_what_was_made(walk: Walk, fresh: Running, slash: str) -> None:
    (session,) = requests.get(f"{fresh.url}/api/sessions{slash}", headers=walk.headers, timeout=HANG).json()
    assert session["session_uuid"] == walk.session["session_uuid"]
    (job,) = requests.get(f"{fresh.url}/api/jobs{slash}", headers=walk.headers, timeout=HANG).json()
    assert job["job_uuid"] == walk.accepted["job_uuid"]


def test_the_documented_overview_sums_the_sessions(walk: Walk, fresh: Running) -> None:
    overview = requests.get(f"{fresh.url}/api/sessions/stats/overview", timeout=HANG).json()
    sessions = requests.get(f"{fresh.url}/api/sessions/", timeout=HANG).json()
    summed = {name: sum(one[name] for one in sessions) for name in DOCUMENTED_SESSION if name.endswith(("_jobs", "_bytes"))}
    assert {name: overview[name] for name in summed} == summed
    assert (overview["total_sessions"], overview["active_sessions"]) == (len(sessions), len(sessions))


def test_the_documented_request_with_an_output_format(walk: Walk, fresh: Running) -> None:
    """While the same is in the store already, it comes back completed."""
    answer = requests.post(f"{fresh.url}/api/jobs/", json=DOCUMENTED_BODY, headers=walk.headers, timeout=HANG)
    assert answer.status_code == 201
    assert has_form_of(answer.json(), {**DOCUMENTED_JOB, "status": "completed"})
    requests.delete(f"{fresh.url}/api/jobs/{answer.json()['job_uuid']}", headers=walk.headers, timeout=HANG).raise_for_status()


# --- callers whom nobody knows ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def outside(site: MediaSiteProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A service that lets callers without an account download."""
    with Running.beside(site, tmp_path_factory.mktemp("outside"), **AS_OUTSIDE) as running:
        yield running


@dataclass
class Visitor:
    """Somebody unknown, at an address that nobody else has, who shows one header."""

    service: Running
    header: str | None = None
    address: str = field(default_factory=lambda: f"203.0.113.{next(ADDRESSES)}")

    def call(self, method: str, path: str, **more: Any) -> requests.Response:
        headers = {"X-Forwarded-For": self.address, **more.pop("headers", {})}
        if self.header is not None:
            headers["X-Session-ID"] = self.header
        return requests.request(method, self.service.url + path, headers=headers, timeout=HANG, **more)

    def opens(self) -> requests.Response:
        answer = self.call("post", "/api/sessions/")
        if answer.ok:
            self.header = answer.json()["session_uuid"]
        return answer

    def asks(self, *urls: str, **more: Any) -> requests.Response:
        return self.call("post", "/api/jobs/", json={**({"url": urls[0]} if len(urls) == 1 else {"urls": urls}), **more})

    def job(self, job_id: str) -> dict[str, Any]:
        answer = self.call("get", f"/api/jobs/{job_id}")
        assert answer.ok, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def ended(self, job_id: str) -> dict[str, Any]:
        return eventually(lambda: job if (job := self.job(job_id))["status"] not in LIVE else None, f"job {job_id} ends") or {}

    def had(self, url: str, **more: Any) -> dict[str, Any]:
        answer = self.asks(url, **more)
        assert answer.status_code == 201, answer.text
        return self.ended(answer.json()["job_uuid"])


@pytest.fixture
def visitor(outside: Running) -> Visitor:
    """One who has opened a session."""
    visitor = Visitor(outside)
    assert visitor.opens().status_code == 201
    return visitor


@pytest.fixture
def stranger(outside: Running) -> Visitor:
    """Another one who has."""
    visitor = Visitor(outside)
    assert visitor.opens().status_code == 201
    return visitor


def refusal(answer: requests.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_a_session_and_its_header_are_all_that_a_download_needs(visitor: Visitor) -> None:
    job = visitor.had(WATCH + "SESSIONflow", media_type="audio", output_format="mp3")
    assert (job["status"], job["session_uuid"]) == ("completed", visitor.header)
    assert visitor.call("get", f"/api/jobs/{job['job_uuid']}/paths").json()["output_path"] == job["output_path"]
    assert [one["job_uuid"] for one in visitor.call("get", "/api/jobs/").json()] == [job["job_uuid"]]
    assert [one["session_uuid"] for one in visitor.call("get", "/api/sessions/").json()] == [visitor.header]
    assert visitor.call("get", f"/api/sessions/{visitor.header}").json()["completed_jobs"] == 1
    assert visitor.call("get", "/api/sessions/stats/overview").json()["total_sessions"] == 1
    assert requests.get(job["download_url"], headers={"X-Forwarded-For": visitor.address}, timeout=HANG).ok


def test_nothing_that_others_may_see_tells_the_sessions_id(visitor: Visitor) -> None:
    assert visitor.header
    job = visitor.had(WATCH + "SESSIONflow", media_type="audio", output_format="mp3")
    shown = [job["output_path"], job["download_url"], job["events_url"], *(file["url"] for file in job["files"])]
    assert not [one for one in shown if visitor.header in one]
    seen_by_all = requests.get(f"{visitor.service.url}/api/sessions/", timeout=HANG).text
    assert visitor.header not in seen_by_all, "not even this machine's own user is shown a credential"
    assert visitor.header not in requests.get(f"{visitor.service.url}/api/jobs/{job['job_uuid']}", timeout=HANG).text
    assert visitor.call("get", f"/api/sessions/{visitor.header}").ok
    assert visitor.header not in visitor.service.log_text()


def test_what_belongs_to_another_session_does_not_exist(visitor: Visitor, stranger: Visitor) -> None:
    job = visitor.had(WATCH + "SESSIONflow", media_type="audio", output_format="mp3")["job_uuid"]
    tried = [("get", ""), ("get", "/paths"), ("get", "/events"), ("post", "/cancel"), ("post", "/retry"), ("delete", "")]
    answers = [stranger.call(method, f"/api/jobs/{job}{path}") for method, path in tried]
    assert [refusal(answer) for answer in answers] == [(404, "job_not_found")] * len(tried)
    for method in ("get", "delete"):
        assert refusal(stranger.call(method, f"/api/sessions/{visitor.header}")) == (404, "session_not_found")
    assert stranger.call("get", "/api/jobs/").json() == []
    assert stranger.call("get", "/api/jobs/", params={"session_uuid": visitor.header}).json() == []
    assert visitor.job(job)["status"] == "completed"


def folder_of(visitor: Visitor) -> str:
    (row,) = visitor.service.rows("select folder from download_sessions where id = ?", UUID(visitor.header or "").hex)
    return str(UUID(row["folder"]))


@pytest.mark.parametrize("header", ["malformed", "unknown", "folder", "expired", "deleted", "claimed"])
def test_a_header_that_opens_nothing_is_404_wherever_it_is_shown(visitor: Visitor, header: str) -> None:
    job = visitor.had(WATCH + "SESSIONflow", media_type="audio", output_format="mp3")["job_uuid"]
    session = visitor.header
    match header:
        case "malformed":
            visitor.header = "550e8400"
        case "unknown":
            visitor.header = str(uuid4())
        case "folder":
            visitor.header = folder_of(visitor)
        case "expired":
            expire(visitor)
        case "deleted":
            visitor.call("delete", f"/api/sessions/{session}").raise_for_status()
        case "claimed":
            claim = requests.post(f"{visitor.service.url}/api/link-session/", json={"session_id": session}, timeout=HANG)
            claim.raise_for_status()
    answers = [
        visitor.asks(VIDEO),
        visitor.call("get", "/api/jobs/"),
        visitor.call("get", f"/api/jobs/{job}"),
        visitor.call("get", "/api/sessions/"),
        visitor.call("get", f"/api/sessions/{session}"),
        visitor.call("get", "/api/sessions/stats/overview"),
    ]
    assert [refusal(answer) for answer in answers] == [(404, "session_not_found")] * len(answers)


def expire(visitor: Visitor) -> None:
    """In the database of a service that has to be told anew: it keeps in memory when a session was last used."""
    visitor.service.end()
    long_ago = datetime.now(UTC) - timedelta(hours=24, seconds=1)
    with closing(sqlite3.connect(visitor.service.data / "magpie.db", timeout=HANG)) as database, database:
        database.execute(
            "update download_sessions set last_activity = ? where id = ?",
            (long_ago.strftime("%Y-%m-%d %H:%M:%S.%f"), UUID(visitor.header or "").hex),
        )
    visitor.service.start()


def test_without_a_header_callers_whom_nobody_knows_are_turned_away(outside: Running) -> None:
    visitor = Visitor(outside)
    assert visitor.asks(VIDEO).status_code == 401
    for path in ("/api/jobs/", "/api/sessions/", "/api/sessions/stats/overview"):
        assert visitor.call("get", path).status_code == 401


def test_where_only_accounts_may_download_nobody_else_opens_a_session(fresh: Running) -> None:
    visitor = Visitor(fresh)
    assert visitor.opens().status_code == 401
    visitor.header = requests.post(f"{fresh.url}/api/sessions/", timeout=HANG).json()["session_uuid"]
    assert visitor.asks(VIDEO).status_code == 401, "the id of a local session gives no right to download"
    assert visitor.call("delete", f"/api/sessions/{visitor.header}").status_code == 200


@pytest.mark.parametrize(
    "urls",
    [("https://example.com/x.mp4",), ("https://youtube.com.example/watch?v=dQw4w9WgXcQ",), (VIDEO, "https://example.com/x.mp4")],
    ids=["another", "look-alike", "one of a batch"],
)
def test_callers_without_an_account_download_from_youtube_only(visitor: Visitor, urls: tuple[str, ...]) -> None:
    answer = visitor.asks(*urls)
    assert (answer.status_code, answer.json()["detail"]) == (400, "Only YouTube URLs are supported")
    assert visitor.call("get", "/api/jobs/").json() == []


def test_a_job_that_has_ended_is_not_cancelled_and_one_that_came_is_not_retried(visitor: Visitor) -> None:
    job = visitor.had(WATCH + "SESSIONflow", media_type="audio", output_format="mp3")["job_uuid"]
    assert refusal(visitor.call("post", f"/api/jobs/{job}/cancel")) == (409, "job_not_live")
    assert refusal(visitor.call("post", f"/api/jobs/{job}/retry")) == (409, "job_not_retryable")


def test_a_job_that_runs_is_cancelled_once_and_tried_again(visitor: Visitor) -> None:
    job = visitor.asks(WATCH + "SLOWsession").json()["job_uuid"]
    eventually(lambda: visitor.job(job)["downloaded_bytes"], "it downloads")
    assert refusal(visitor.call("post", f"/api/jobs/{job}/retry")) == (409, "job_not_retryable")
    assert visitor.call("post", f"/api/jobs/{job}/cancel").json()["status"] == "cancelled"
    assert refusal(visitor.call("post", f"/api/jobs/{job}/cancel")) == (409, "job_not_live")
    again = visitor.call("post", f"/api/jobs/{job}/retry")
    assert (again.status_code, again.json()["job_uuid"], again.json()["status"]) == (202, job, "pending")
    assert visitor.call("delete", f"/api/jobs/{job}").status_code == 200
    assert visitor.call("get", f"/api/jobs/{job}").status_code == 404


def test_a_job_that_failed_says_why_and_what_to_do(visitor: Visitor) -> None:
    job = visitor.had(WATCH + "PRIVATEvide")
    assert (job["status"], job["code"], job["error_message"]) == ("failed", "private", "This video is private.")
    assert visitor.call("get", f"/api/sessions/{visitor.header}").json()["failed_jobs"] == 1


def test_the_eleventh_job_is_refused_and_a_batch_that_crosses_the_limit_whole(visitor: Visitor) -> None:
    urls = [f"{WATCH}GONExxxxx{number:02}" for number in range(11)]
    too_many = visitor.asks(*urls)
    assert (*refusal(too_many), int(too_many.headers["Retry-After"]) > 0) == (429, "session_jobs_reached", True)
    assert visitor.call("get", "/api/jobs/").json() == []
    accepted = visitor.asks(*urls[:10])
    assert (accepted.status_code, [job["job_url"] for job in accepted.json()["jobs"]]) == (201, urls[:10])
    for job in accepted.json()["jobs"]:
        visitor.ended(job["job_uuid"])
    assert refusal(visitor.asks(urls[10])) == (429, "session_jobs_reached")


def test_the_same_key_and_body_of_one_session_are_one_job(visitor: Visitor, stranger: Visitor) -> None:
    key = {"Idempotency-Key": "one"}
    body = {"url": WATCH + "GONEkeyyyyy"}
    first, again = [visitor.call("post", "/api/jobs/", json=body, headers=key) for _ in range(2)]
    assert [first.status_code, again.status_code] == [201, 200]
    assert first.json()["job_uuid"] == again.json()["job_uuid"]
    other = visitor.call("post", "/api/jobs/", json={"url": VIDEO}, headers=key)
    assert refusal(other) == (409, "idempotency_conflict")
    theirs = stranger.call("post", "/api/jobs/", json=body, headers=key)
    assert (theirs.status_code, theirs.json()["job_uuid"] != first.json()["job_uuid"]) == (201, True)


def test_a_playlist_is_a_parent_with_a_child_for_each_item(visitor: Visitor) -> None:
    parent = visitor.had("https://www.youtube.com/playlist?list=PL3", media_type="audio", output_format="mp3")
    assert (parent["status"], parent["items_done"], parent["items_total"]) == ("completed", 3, 3)
    children = visitor.call("get", "/api/jobs/", params={"parent_uuid": parent["job_uuid"]}).json()
    assert {child["job_url"] for child in children} == {f"{WATCH}vid{number:08}" for number in range(3)}
    assert {(child["parent_uuid"], child["status"]) for child in children} == {(parent["job_uuid"], "completed")}
    assert visitor.call("get", f"/api/sessions/{visitor.header}").json()["total_jobs"] == 4


def test_pages_lead_from_one_to_the_next(visitor: Visitor) -> None:
    ids = [visitor.asks(f"{WATCH}GONEpage{number:03}").json()["job_uuid"] for number in range(5)]
    found, path = [], "/api/jobs/?limit=2"
    while path:
        page = visitor.call("get", path)
        assert page.headers["X-Total-Count"] == "5"
        found += [job["job_uuid"] for job in page.json()]
        path = page.links.get("next", {}).get("url", "")
    assert found == ids[::-1]


def test_a_deleted_session_takes_its_jobs_and_its_files_along(visitor: Visitor) -> None:
    job = visitor.had(WATCH + "DELETEDsess", media_type="audio", output_format="mp3")
    assert [path for path in visitor.service.stored() if job["job_uuid"] in path.parts]
    gone = visitor.call("delete", f"/api/sessions/{visitor.header}").json()
    assert (gone["session_uuid"], gone["is_active"], gone["total_jobs"]) == (visitor.header, False, 1)
    assert not [path for path in visitor.service.stored() if job["job_uuid"] in path.parts]
    assert requests.get(job["download_url"], headers={"X-Forwarded-For": visitor.address}, timeout=HANG).status_code == 404
    assert visitor.service.rows("select id from jobs where id = ?", UUID(job["job_uuid"]).hex) == []


def test_a_job_whose_file_was_swept_says_so_only_where_the_file_was(visitor: Visitor) -> None:
    job = visitor.had(WATCH + "SWEPTsessio", media_type="audio", output_format="mp3")
    (visitor.service.data / "media" / job["output_path"]).unlink()
    assert requests.get(job["download_url"], headers={"X-Forwarded-For": visitor.address}, timeout=HANG).status_code == 404
    assert visitor.job(job["job_uuid"])["status"] == "completed"
    visitor.call("delete", f"/api/jobs/{job['job_uuid']}").raise_for_status()


def test_the_header_opens_the_files_of_its_session_and_of_no_other(visitor: Visitor, stranger: Visitor) -> None:
    path = media_path(visitor.had(WATCH + "SESSIONflow", media_type="audio", output_format="mp3"))
    assert visitor.call("get", path).status_code == 200
    assert stranger.call("get", path).status_code == 404
    stranger.header = str(uuid4())
    assert stranger.call("get", path).status_code == 404
    stranger.header = None
    assert stranger.call("get", path).status_code == 401


def media_path(job: dict[str, Any]) -> str:
    """The address of its file without the signature."""
    return str(urlsplit(job["download_url"]).path)


@pytest.mark.parametrize("header", ["malformed", str(UUID(int=1))], ids=["malformed", "unknown"])
def test_a_header_that_opens_nothing_is_404_to_who_is_known_too(fresh: Running, walk: Walk, header: str) -> None:
    """Else who mistypes it, or comes a day later, is shown everything as if it were in that session."""
    for path in ("/api/jobs/", "/api/sessions/", "/api/sessions/stats/overview"):
        answer = requests.get(fresh.url + path, headers={"X-Session-ID": header}, timeout=HANG)
        assert refusal(answer) == (404, "session_not_found")


def test_the_header_names_an_owners_session_as_it_does_anybody_elses(outside: Running) -> None:
    owner = an_account(outside)
    visitor = Visitor(outside)
    jobs = {}
    for number in range(2):
        session = visitor.call("post", "/api/sessions/", headers=owner).json()["session_uuid"]
        named = {**owner, "X-Session-ID": session}
        made = visitor.call("post", "/api/jobs/", json={"url": f"{WATCH}GONEowner{number:02}"}, headers=named)
        jobs[session] = made.json()["job_uuid"]
    for session, job in jobs.items():
        listed = visitor.call("get", "/api/jobs/", headers={**owner, "X-Session-ID": session}).json()
        assert [one["job_uuid"] for one in listed] == [job]


def test_a_claimed_session_is_its_owners(visitor: Visitor) -> None:
    job = visitor.had(WATCH + "SESSIONflow", media_type="audio", output_format="mp3")["job_uuid"]
    owner = an_account(visitor.service)
    claim = visitor.call("post", "/api/link-session/", json={"session_id": visitor.header}, headers=owner)
    assert claim.status_code == 200, claim.text
    assert visitor.call("get", f"/api/jobs/{job}").status_code == 404, "the header alone no longer works"
    for path in (f"/api/jobs/{job}", f"/api/sessions/{visitor.header}"):
        assert Visitor(visitor.service).call("get", path, headers=owner).status_code == 200


def an_account(service: Running) -> dict[str, str]:
    """What somebody shows who has just got one."""
    name, password = f"user{next(ADDRESSES)}", "a long enough pass phrase"
    made = requests.post(
        f"{service.url}/api/v1/users/", json={"username": name, "email": f"{name}@example.com", "password": password}, timeout=HANG
    )
    made.raise_for_status()
    login = requests.post(f"{service.url}/api/v1/login/access-token", data={"username": name, "password": password}, timeout=HANG)
    return {"Authorization": f"Bearer {login.json()['access_token']}"}


def test_the_twenty_sixth_session_of_an_address_and_the_hundred_and_first_of_all_are_refused(start: StartService) -> None:
    service = start(**AS_OUTSIDE)
    for number in range(4):
        visitor = Visitor(service, address=f"198.51.100.{number}")
        assert [visitor.opens().status_code for _ in range(25)] == [201] * 25
    one_more = visitor.opens()
    assert (*refusal(one_more), int(one_more.headers["Retry-After"]) > 0) == (429, "too_many_sessions", True)
    full = Visitor(service, address="198.51.100.200").opens()
    assert (*refusal(full), int(full.headers["Retry-After"]) > 0) == (503, "sessions_full", True)
    assert requests.post(f"{service.url}/api/sessions/", timeout=HANG).status_code == 201, "this machine's own user has no limit"
