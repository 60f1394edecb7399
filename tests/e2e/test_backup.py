"""Backups of a running service: out, in again, and nothing lost on the way, whatever happens."""

from __future__ import annotations

import json
import re
import signal
import socket
import sqlite3
import subprocess
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.e2e.conftest import StartService
from tests.e2e.test_accounts import OUTSIDE, Client, made, made_by
from tests.support.running import HANG, MAGPIE, MediaSiteProcess, Running, command, eventually

VIDEO = "https://www.youtube.com/watch?v=BACKUPxxx01"
OTHER_VIDEO = "https://www.youtube.com/watch?v=BACKUPxxx02"
SLOW = "throttled/50/blob/9000000.mp4"
DATABASE = "/api/v1/database"
NAME = re.compile(r'attachment; filename="(media_auto_saver_backup_\d{8}_\d{6}\.sql)"')


def exported(service: Running, **more: Any) -> bytes:
    answer = requests.get(f"{service.url}{DATABASE}/export", timeout=HANG, **more)
    assert answer.ok, answer.text
    return answer.content


def send(service: Running, dump: bytes, name: str = "backup.sql", **more: Any) -> requests.Response:
    return requests.post(f"{service.url}{DATABASE}/import", files={"file": (name, dump)}, timeout=HANG, **more)


def imported(service: Running, dump: bytes, **more: Any) -> dict[str, Any]:
    """How it went."""
    started = send(service, dump, **more)
    assert started.status_code == 200, started.text

    def over() -> dict[str, Any] | None:
        told = requests.get(f"{service.url}{started.json()['status_url']}", timeout=HANG, **more)
        assert told.ok, told.text
        found: dict[str, Any] = told.json()
        return found if found["state"] in {"done", "failed"} else None

    return eventually(over, "the import ends") or {}


def test_a_database_goes_out_and_in_as_the_document_has_it(start: StartService, tmp_path: Path) -> None:
    service = start()
    job = service.post_auto_download(VIDEO).json()
    out = subprocess.run(["curl", "-sfOJ", f"{service.url}{DATABASE}/export"], cwd=tmp_path, check=True, timeout=HANG, capture_output=True)
    assert out.returncode == 0
    (file,) = tmp_path.glob("media_auto_saver_backup_*.sql")
    answer = requests.get(f"{service.url}{DATABASE}/export", timeout=HANG)
    assert answer.headers["Content-Type"].startswith("application/sql")
    assert NAME.fullmatch(answer.headers["Content-Disposition"])
    requests.delete(f"{service.url}/api/jobs/{job['job_id']}", timeout=HANG)
    sent = subprocess.run(
        ["curl", "-sf", "-F", f"file=@{file.name}", f"{service.url}{DATABASE}/import"],
        cwd=tmp_path, check=True, timeout=HANG, capture_output=True, text=True,
    )  # fmt: skip
    assert json.loads(sent.stdout)["message"] == (
        "Database import process started in the background. The application might restart or become temporarily unavailable."
        " Please check server logs for status."
    )
    eventually(lambda: service_state(service) == "done", "the import ends")
    assert service.job(job["job_id"])["status"] == "completed"


def service_state(service: Running) -> str:
    return str(requests.get(f"{service.url}{DATABASE}/import", timeout=HANG).json()["state"])


def test_after_an_import_the_service_goes_on_working(start: StartService) -> None:
    service = start()
    service.post_auto_download(VIDEO)
    assert imported(service, exported(service))["state"] == "done"
    assert service.post_auto_download(OTHER_VIDEO).ok
    assert service.post_auto_download(VIDEO).ok
    assert requests.get(f"{service.url}/api/health", timeout=HANG).json()["state"] == "ready"
    service.restart()
    assert service_state(service) == "done"
    assert service.post_auto_download(f"{VIDEO}x").ok


def test_files_that_were_deleted_since_are_fetched_again(start: StartService) -> None:
    service = start()
    job = service.post_auto_download(VIDEO).json()
    dump = exported(service)
    requests.delete(f"{service.url}/api/jobs/{job['job_id']}", timeout=HANG)
    assert imported(service, dump)["missing_files"] == 1
    again = service.post_auto_download(VIDEO)
    assert again.ok
    assert requests.get(again.json()["download_url"], timeout=HANG).ok


def test_the_one_who_imports_stays_logged_in_and_nobody_else(start: StartService) -> None:
    service = start(trust_local="false")
    ann = made(service, "ann")
    ben = made_by(ann, "ben")
    ben.log_in("ben")
    key = ann.ask("post", "/users/me/api-keys/", json={"name": "mine"}).json()["key"]
    dump = exported(service, headers=ann.headers)
    assert imported(service, dump, headers=ann.headers)["must_log_in"] is False
    assert ann.ask("get", "/users/me").ok
    assert ben.ask("get", "/users/me").status_code == 401
    assert requests.get(f"{ann.base}/users/me", headers={"X-API-Key": key}, timeout=HANG).ok
    ben.log_in("ben")
    assert ben.ask("get", "/users/me").ok


def test_only_superusers_may(start: StartService) -> None:
    service = start(trust_local="false")
    ann = made(service, "ann")
    ben = made_by(ann, "ben")
    ben.log_in("ben")
    for client, status in ((ben, 403), (Client(service), 401)):
        assert client.ask("get", "/database/export").status_code == status
        assert client.ask("post", "/database/import", files={"file": ("a.sql", b"x")}).status_code == status


def test_both_are_in_the_audit_trail(start: StartService) -> None:
    service = start()
    imported(service, exported(service))
    entries = requests.get(f"{service.url}/api/v1/audit", timeout=HANG).json()
    assert [entry["action"] for entry in entries[:2]] == ["database_imported", "database_exported"]


@pytest.mark.parametrize(
    ("name", "content", "status", "word"),
    [
        ("backup.sql", b"-- PostgreSQL database dump\n", 400, "no dump that Magpie made"),
        ("backup.sql", b"\0" * 5_000_000, 400, "no dump that Magpie made"),
        ("backup.sql", b"", 400, "no dump that Magpie made"),
        ("backup.txt", b"x", 422, ".sql"),
        ("../../etc/passwd", b"x", 422, ".sql"),
    ],
)
def test_what_is_no_dump_is_refused_at_once(service: Running, name: str, content: bytes, status: int, word: str) -> None:
    refused = send(service, content, name)
    assert refused.status_code == status
    assert word in refused.text


def test_a_request_without_a_file_is_refused(service: Running) -> None:
    place = f"{service.url}{DATABASE}/import"
    assert requests.post(place, json={"file": "x"}, timeout=HANG).status_code == 415
    assert requests.post(place, files={"other": ("a.sql", b"x")}, timeout=HANG).status_code == 422
    assert requests.post(place, headers={"Content-Type": "multipart/form-data"}, data=b"x", timeout=HANG).status_code == 400


def test_a_dump_with_a_planted_statement_changes_nothing(start: StartService) -> None:
    service = start()
    job = service.post_auto_download(VIDEO).json()
    dump = exported(service)
    planted = dump.replace(b"-- table jobs", b"ATTACH DATABASE 'x' AS x;\n-- table jobs")
    told = imported(service, planted)
    assert told["state"] == "failed"
    assert "dump" in told["message"]
    assert service.job(job["job_id"])["status"] == "completed"
    assert list((service.data / "backups").rglob("*.sql")) == []


def test_downloads_that_are_under_way_end_and_new_ones_wait(start: StartService, site: MediaSiteProcess) -> None:
    service = start()
    dump = exported(service)
    job = service.accepted(site.url(SLOW))
    service.reached(job, "downloading")
    assert imported(service, dump)["state"] == "done"
    assert requests.get(f"{service.url}/api/jobs/{job}", timeout=HANG).status_code == 404
    eventually(lambda: not service.leftovers(), "nothing is left of the download")
    assert service.post_auto_download(VIDEO).ok


def test_jobs_that_were_under_way_in_the_dump_have_failed_and_can_be_asked_for_again(start: StartService, site: MediaSiteProcess) -> None:
    service = start()
    job = service.accepted(site.url("throttled/500/blob/900000.mp4"))
    service.reached(job, "downloading")
    told = imported(service, exported(service))
    assert told["failed_jobs"] == 1
    seen = service.job(job)
    assert (seen["status"], seen["code"]) == ("failed", "interrupted_by_import")
    assert requests.post(f"{service.url}/api/jobs/{job}/retry", timeout=HANG).status_code == 202
    assert service.ended(job)["status"] == "completed"


def test_the_chat_goes_on_after_an_import(start: StartService) -> None:
    service = start()
    said = requests.post(f"{service.url}/chat/messages", json={"text": "/help"}, timeout=HANG)
    assert said.ok, said.text
    assert imported(service, exported(service))["state"] == "done"
    health = eventually(
        lambda: next((c for c in checks(service) if c["name"] == "telegram" and c["status"] == "healthy"), None), "the chat is back"
    )
    assert health


def checks(service: Running) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = requests.get(f"{service.url}/api/health", timeout=HANG).json()["checks"]
    return found


def grown(dump: bytes, rows: int) -> bytes:
    """With so many entries of history more, so that an import takes its time."""
    import hashlib

    text = dump.decode()
    entry = (
        "INSERT INTO history_entries (id, job_id, attempt, account_id, download_session_id, origin, outcome, link_id, link_name, source_id,"
    )
    columns = text[text.index("INSERT INTO history_entries (") :].partition("\n")[0]
    assert columns.startswith(entry[:40])
    values = re.sub(r"VALUES \((\d+), '([0-9a-f]{32})'", "VALUES (%d, '%032x'", columns)
    more = "".join(values % (number, number) + "\n" for number in range(1000, 1000 + rows))
    announced = re.search(r"-- table history_entries (\d+)\n", text)
    assert announced
    text = text.replace(announced[0], f"-- table history_entries {int(announced[1]) + rows}\n{more}")
    body = text[: text.rindex("-- end ")]
    count = int(text[text.rindex("-- end ") :].split()[2]) + rows
    return f"{body}-- end {count} {hashlib.sha256(body.encode()).hexdigest()}\n".encode()


@pytest.mark.parametrize("pause", [0.5, 1.0, 1.5, 2.5])
def test_killed_in_the_middle_of_an_import_the_service_has_all_of_the_old_or_all_of_the_new(start: StartService, pause: float) -> None:
    service = start()
    service.post_auto_download(VIDEO)
    dump = grown(exported(service), 60_000)
    service.post_auto_download(OTHER_VIDEO)
    before = len(service.rows("select 1 from jobs")), len(service.rows("select 1 from history_entries"))
    assert send(service, dump).status_code == 200
    time.sleep(pause)
    service.kill()
    with closing(sqlite3.connect(service.data / "magpie.db")) as database:
        assert database.execute("pragma integrity_check").fetchall() == [("ok",)]
        assert database.execute("pragma foreign_key_check").fetchall() == []
    service.start()
    after = len(service.rows("select 1 from jobs")), len(service.rows("select 1 from history_entries"))
    assert after in {before, (1, 60_001)}
    assert service.post_auto_download(VIDEO).ok


def test_while_it_swaps_others_are_told_to_come_again(start: StartService) -> None:
    service = start()
    service.post_auto_download(VIDEO)
    dump = grown(exported(service), 100_000)
    seen: set[tuple[int, str | None]] = set()
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            answer = requests.get(f"{service.url}/api/jobs/", timeout=HANG)
            seen.add((answer.status_code, answer.headers.get("Retry-After")))

    thread = threading.Thread(target=ask)
    thread.start()
    told = imported(service, dump)
    over.set()
    thread.join(HANG)
    assert told["state"] == "done"
    assert {status for status, _ in seen} <= {200, 503}
    assert (503, "2") in seen
    assert told["counts"]["history_entries"] == 100_001


def test_a_stop_during_an_import_loses_nothing(start: StartService) -> None:
    service = start()
    service.post_auto_download(VIDEO)
    dump = grown(exported(service), 60_000)
    assert send(service, dump).status_code == 200
    assert service.stop(signal.SIGTERM) == 0
    service.start()
    assert len(service.rows("select 1 from history_entries")) in {1, 60_001}
    assert list((service.data / "backups" / "incoming").iterdir()) == []


def test_killed_while_it_writes_down_what_is_replaced_it_leaves_no_half_of_it(start: StartService) -> None:
    service = start()
    service.post_auto_download(VIDEO)
    dump = grown(exported(service), 60_000)
    assert imported(service, dump)["state"] == "done"
    (first,) = (service.data / "backups").glob("before-import-*")
    first.unlink()
    eventually(lambda: send(service, dump).ok, "another import begins")
    eventually(lambda: [*(service.data / "backups").rglob("before-import-*")], "what is replaced is written down")
    service.kill()
    service.start()
    for kept in (service.data / "backups").glob("before-import-*"):
        assert b"\n-- end " in kept.read_bytes()[-200:]
    assert len(service.rows("select 1 from history_entries")) == 60_001


# --- others, who have the same numbers ----------------------------------------------------------------------------------------


@pytest.fixture
def others(site: MediaSiteProcess, tmp_path: Path) -> bytes:
    """A dump in which the numbers that ann and ben have here are root's and carol's, both superusers."""
    with Running.beside(site, tmp_path / "others", trust_local="false") as service:
        root = made(service, "root")
        made_by(root, "carol")
        assert root.ask("put", "/users/2", json={"is_superuser": True}).ok
        return exported(service, headers=root.headers)


def replaced(service: Running, dump: bytes, importer: Client) -> None:
    """By whoever is not in it, and so cannot ask how it goes."""
    assert send(service, dump, headers=importer.headers).ok
    eventually(lambda: service.rows("select 1 from accounts where username = 'root'"), "others are here")
    eventually(lambda: requests.get(f"{service.url}/api/health/simple", timeout=HANG).ok, "it goes on")


def test_a_request_that_began_before_an_import_does_nothing_to_others(start: StartService, others: bytes) -> None:
    service = start(trust_local="false")
    ann = made(service, "ann")
    ben = made_by(ann, "ben")
    body = json.dumps({"password": "a brand new passw0rd"}).encode()
    headers = "".join(f"{name}: {value}\r\n" for name, value in ben.headers.items())
    head = f"PUT /api/v1/users/me HTTP/1.1\r\nHost: localhost:{service.port}\r\nContent-Type: application/json\r\n{headers}"
    with socket.create_connection(("127.0.0.1", service.port), timeout=HANG) as held_back:
        held_back.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body[:5])
        assert ben.ask("get", "/users/me").ok  # by now the other one has been read, too
        replaced(service, others, ann)
        held_back.sendall(body[5:])
        assert held_back.recv(4000).startswith(b"HTTP/1.1 503 ")
    assert Client(service).log_in("carol", "a brand new passw0rd").status_code == 401
    assert Client(service).log_in("carol").ok


def test_who_looked_on_before_an_import_does_not_hear_of_others(start: StartService, others: bytes) -> None:
    service = start(trust_local="false")
    ann = made(service, "ann")
    ben = made_by(ann, "ben")
    with requests.get(f"{service.url}/api/events", headers=ben.headers, stream=True, timeout=HANG) as stream:
        assert stream.ok
        replaced(service, others, ann)
        carol = Client(service)
        assert carol.log_in("carol").ok
        assert service.post_auto_download(VIDEO, headers=carol.headers).ok
        heard = stream.content  # to its end: it has one
    assert b"job_uuid" not in heard
    assert requests.get(f"{service.url}/api/events", headers=ben.headers, timeout=HANG).status_code == 401


def test_whoever_is_not_in_the_dump_is_named_in_its_audit_trail(start: StartService, others: bytes) -> None:
    service = start(trust_local="false")
    replaced(service, others, made(service, "ann"))
    (entry,) = service.rows("select account_id, details from audit_entries where action = 'database_imported'")
    assert entry["account_id"] is None
    assert "by ann, whom the dump does not know" in entry["details"]


def test_an_import_that_fails_is_in_the_audit_trail(start: StartService) -> None:
    service = start(trust_local="false")
    ann = made(service, "ann")
    assert imported(service, exported(service, headers=ann.headers)[:-20], headers=ann.headers)["state"] == "failed"
    entries = service.rows("select action, account_id from audit_entries where action like 'import%' order by id")
    assert entries == [{"action": "import_begun", "account_id": 1}, {"action": "import_failed", "account_id": 1}]


@pytest.mark.parametrize(("scope", "status"), [("all", 200), ("read", 403), ("metrics", 403)])
def test_a_key_that_may_only_read_does_not_get_everything(start: StartService, scope: str, status: int) -> None:
    service = start(trust_local="false")
    key = made(service, "ann").ask("post", "/users/me/api-keys/", json={"name": "mine", "scope": scope}).json()["key"]
    answer = requests.get(f"{service.url}{DATABASE}/export", headers={"X-API-Key": key, **OUTSIDE}, timeout=HANG)
    assert answer.status_code == status


# --- the command line -------------------------------------------------------------------------------------------------------


def test_the_commands_export_and_import(start: StartService, tmp_path: Path) -> None:
    service = start()
    job = service.post_auto_download(VIDEO).json()
    out = command(service.directory, "db", "export", "dump.sql", "--json")  # beside the running service
    assert out.returncode == 0, out.stderr
    assert json.loads(out.stdout)["size"] == (service.directory / "dump.sql").stat().st_size
    beside = command(service.directory, "db", "import", "dump.sql")
    assert (beside.returncode, "POST /api/v1/database/import" in beside.stderr) == (1, True)
    service.stop()
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "data").mkdir(parents=True)
    (elsewhere / "data" / "secret.key").write_text((service.data / "secret.key").read_text())
    (elsewhere / "dump.sql").write_bytes((service.directory / "dump.sql").read_bytes())
    taken = command(elsewhere, "db", "import", "dump.sql", "--json")
    assert taken.returncode == 0, taken.stderr
    assert json.loads(taken.stdout)["missing_files"] == 1
    shown = command(elsewhere, "db", "export", "-")
    assert job["job_id"].replace("-", "") in shown.stdout


def test_an_import_from_the_command_line_leaves_nothing_in_the_queue(start: StartService, site: MediaSiteProcess) -> None:
    service = start()
    assert command(service.directory, "db", "export", "dump.sql").returncode == 0
    service.accepted(site.url(SLOW))
    service.stop()
    assert command(service.directory, "db", "import", "dump.sql").returncode == 0
    assert service.rows("select 1 from workflow_status where name = 'job'") == []
    service.start()
    assert service.post_auto_download(VIDEO).ok


@pytest.mark.parametrize(
    ("arguments", "status"),
    [(("import",), 2), (("import", "nowhere.sql"), 2), (("import", "empty.sql"), 1), (("export", "empty.sql"), 2), (("upgrade",), 0)],
)
def test_exit_statuses(tmp_path: Path, arguments: tuple[str, ...], status: int) -> None:
    (tmp_path / "empty.sql").touch()
    ended = command(tmp_path, "db", *arguments)
    assert ended.returncode == status, ended.stderr
    assert "Traceback" not in ended.stderr


def test_an_import_that_is_interrupted_loses_nothing(start: StartService, tmp_path: Path) -> None:
    service = start()
    service.post_auto_download(VIDEO)
    dump = tmp_path / "dump.sql"
    dump.write_bytes(grown(exported(service), 60_000))
    assert imported(service, dump.read_bytes())["state"] == "done"
    service.post_auto_download(OTHER_VIDEO)
    service.stop()
    (first,) = (service.data / "backups").glob("before-import-*")
    first.unlink()
    importing = subprocess.Popen(
        [str(MAGPIE), "db", "import", str(dump)], env=service.environment, cwd=service.directory, stderr=subprocess.PIPE, text=True
    )
    eventually(lambda: [*(service.data / "backups").rglob("before-import-*")], "what is replaced is written down")
    importing.send_signal(signal.SIGINT)
    said = importing.communicate(timeout=HANG)[1]
    with closing(sqlite3.connect(service.data / "magpie.db")) as database:
        (jobs,) = database.execute("select count(*) from jobs").fetchone()
    kept = [*(service.data / "backups").glob("before-import-*")]
    assert (jobs, len(kept)) in {(2, 0), (1, 1)}
    assert ("Nothing was changed" in said) is (jobs == 2)
    assert importing.returncode in {0, 130}
    assert "Traceback" not in said
