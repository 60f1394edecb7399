"""`magpie user` and `magpie link-sessions`, as somebody types them beside a running service."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest
import requests

from tests.support.running import HANG, MAGPIE, MediaSiteProcess, Running, clean_environment

PASSWORD, OTHER_PASSWORD = "a long enough pass phrase", "quite another pass phrase"
FROM_OUTSIDE = {"X-Forwarded-For": "203.0.113.9"}


@pytest.fixture(scope="module")
def service(site: MediaSiteProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One in which `ada` is the first account."""
    with Running.beside(site, tmp_path_factory.mktemp("service"), auto_download_hosts="*") as running:
        made = magpie(running, "user", "add", "ada", "--email", "ada@example.com")
        assert made.returncode == 0, made.stderr
        yield running


@pytest.fixture
def place(tmp_path: Path) -> Running:
    """A directory with settings, in which no service runs and nothing is yet."""
    return Running(tmp_path)


def magpie(place: Running, *arguments: str, stdin: str | bytes = PASSWORD + "\n") -> subprocess.CompletedProcess[str]:
    sent = stdin if isinstance(stdin, bytes) else stdin.encode()
    done = subprocess.run(
        [str(MAGPIE), *arguments], cwd=place.directory, env=place.environment, input=sent, capture_output=True, timeout=HANG, check=False
    )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def log_in(service: Running, name: str, password: str) -> requests.Response:
    form = {"username": name, "password": password}
    return requests.post(f"{service.url}/api/v1/login/access-token", data=form, headers=FROM_OUTSIDE, timeout=HANG)


def someone(service: Running) -> str:
    """The name of a new account."""
    name = f"u{uuid4().hex[:12]}"
    assert magpie(service, "user", "add", name, "--email", f"{name}@example.com").returncode == 0
    return name


def assert_one_line(done: subprocess.CompletedProcess[str], status: int, line: str) -> None:
    assert (done.returncode, done.stdout, done.stderr) == (status, "", line + "\n")


# --- user add ---------------------------------------------------------------------------------------------------------


def test_the_first_account_becomes_a_superuser_without_a_service(place: Running) -> None:
    done = magpie(place, "user", "add", "ada", "--email", "ada@example.com", "--json")
    assert done.returncode == 0, done.stderr
    account = {"id": 1, "username": "ada", "email": "ada@example.com", "is_active": True, "is_superuser": True, "role": "user"}
    assert json.loads(done.stdout) == account


def test_whoever_was_added_can_log_in_at_once(service: Running) -> None:
    name = someone(service)
    assert log_in(service, name, PASSWORD).status_code == 200


def test_an_account_has_no_more_rights_than_were_given(service: Running) -> None:
    told = [magpie(service, "user", "add", name, "--email", f"{name}@example.com", *more, "--json") for name, more in
            (("plain", []), ("mighty", ["--superuser"]))]  # fmt: skip
    assert [json.loads(done.stdout)["is_superuser"] for done in told] == [False, True]


def test_adding_is_said_in_one_line_without_the_password(service: Running) -> None:
    assert_one_line(magpie(service, "user", "add", "lin", "--email", "lin@example.com"), 0, "lin is there now.")


def test_a_name_that_is_taken_is_refused(service: Running) -> None:
    done = magpie(service, "user", "add", "ADA", "--email", "other@example.com")
    assert_one_line(done, 1, "A user with this name or e-mail address exists already.")


@pytest.mark.parametrize(
    ("name", "email", "sentence"),
    [
        ("tom", "nonsense", "'nonsense' is not an e-mail address: An email address must have an @-sign."),
        ("аda", "x@example.com", "A user name has 1 to 64 of the letters a to z, digits, and . _ - in between."),  # noqa: RUF001 - a look-alike
    ],
)  # fmt: skip
def test_a_name_or_address_that_cannot_be_is_a_matter_of_usage(service: Running, name: str, email: str, sentence: str) -> None:
    assert_one_line(magpie(service, "user", "add", name, "--email", email), 2, sentence)


@pytest.mark.parametrize(
    ("stdin", "sentence"),
    [
        (b"short\n", "A password needs at least 15 characters; a few words make a good one."), (b"", "No password was given."),
        (b"\n" + PASSWORD.encode(), "No password was given."),
        (b"\xff\xfe is no text at all\n", "The password on standard input is not UTF-8."),
        (b"x y" * 9000, "A password has at most 1000 characters."),
    ],
    ids=["short", "nothing", "an empty line", "not UTF-8", "endless"],
)  # fmt: skip
def test_a_password_that_cannot_be_is_refused(service: Running, stdin: bytes, sentence: str) -> None:
    assert_one_line(magpie(service, "user", "add", "tom", "--email", "tom@example.com", stdin=stdin), 1, sentence)


@pytest.mark.parametrize("arguments", [["add"], ["add", "tom"], ["password"], ["remove", "tom"], ["list", "tom"]], ids=" ".join)
def test_a_command_that_is_incomplete_or_unknown_ends_with_2(place: Running, arguments: list[str]) -> None:
    done = magpie(place, "user", *arguments)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)


# --- on a terminal ----------------------------------------------------------------------------------------------------


def on_a_terminal(place: Running, *arguments: str, typed: list[str]) -> tuple[int, str]:
    """The exit status, and all that was on the screen; each line is typed when a password is asked for."""
    child, terminal = pty.fork()
    if child == 0:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # as in a shell: what runs in the background may ignore it
        os.chdir(place.directory)
        os.execve(MAGPIE, [str(MAGPIE), *arguments], place.environment)
    screen = b""
    with contextlib.suppress(OSError):  # how a terminal ends whose program has ended
        while piece := os.read(terminal, 4096):
            screen += piece
            if typed and (screen.endswith((b"Password: ", b"Once more: "))):
                os.write(terminal, typed.pop(0).encode() + b"\n")
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), screen.decode()


def test_on_a_terminal_the_password_is_asked_for_twice_and_never_shown(service: Running) -> None:
    status, screen = on_a_terminal(service, "user", "add", "kim", "--email", "kim@example.com", typed=[PASSWORD, PASSWORD])
    assert (status, screen.split()) == (0, ["Password:", "Once", "more:", "kim", "is", "there", "now."])
    assert log_in(service, "kim", PASSWORD).status_code == 200


def test_two_different_passwords_are_none(service: Running) -> None:
    status, screen = on_a_terminal(service, "user", "add", "tom", "--email", "tom@example.com", typed=[PASSWORD, OTHER_PASSWORD])
    assert (status, "These were two different passwords." in screen) == (1, True)


def test_control_c_at_the_question_ends_it_quietly(service: Running) -> None:
    status, screen = on_a_terminal(service, "user", "password", "ada", typed=["\x03"])
    assert (status, "Traceback" in screen) == (130, False)


# --- user list, user password -----------------------------------------------------------------------------------------


def test_the_list_has_everybody_but_the_built_in_account(place: Running) -> None:
    for name in ("ada", "bob"):
        magpie(place, "user", "add", name, "--email", f"{name}@example.com")
    done = magpie(place, "user", "list")
    assert [line.split() for line in done.stdout.splitlines()] == [
        ["1", "ada", "ada@example.com", "superuser"],
        ["2", "bob", "bob@example.com"],
    ]
    assert [account["username"] for account in json.loads(magpie(place, "user", "list", "--json").stdout)] == ["ada", "bob"]


def test_where_nobody_is_the_list_is_empty(place: Running) -> None:
    assert [(done.returncode, done.stdout) for done in (magpie(place, "user", "list"), magpie(place, "user", "list", "--json"))] == [
        (0, ""),
        (0, "[]\n"),
    ]


def test_a_new_password_counts_at_once_and_ends_all_logins(service: Running) -> None:
    name = someone(service)
    token = log_in(service, name, PASSWORD).json()["access_token"]
    done = magpie(service, "user", "password", name.upper(), stdin=OTHER_PASSWORD)
    assert_one_line(done, 0, f"{name} has a new password; all log-ins have ended.")
    headers = {**FROM_OUTSIDE, "Authorization": f"Bearer {token}"}
    old = requests.get(f"{service.url}/api/v1/users/me", headers=headers, timeout=HANG)
    assert [log_in(service, name, word).status_code for word in (PASSWORD, OTHER_PASSWORD)] == [401, 200]
    assert old.status_code == 401


def test_nobody_gets_no_password(service: Running) -> None:
    assert_one_line(magpie(service, "user", "password", "nobody"), 1, "There is no account of this name.")


# --- link-sessions ----------------------------------------------------------------------------------------------------


def an_unowned_session(service: Running, site: MediaSiteProcess, *, hours_old: float = 0) -> str:
    """With one download in it, by nobody in particular."""
    answer = service.post_auto_download(site.url(f"n/{uuid4().hex}.mp4"), media_type="video").json()
    with contextlib.closing(sqlite3.connect(service.data / "magpie.db", timeout=HANG)) as database, database:
        earlier = "update download_sessions set created_at = datetime(created_at, ?) where id = ?"
        database.execute(earlier, (f"-{hours_old} hours", UUID(answer["session_id"]).hex))
    return str(answer["session_id"])


def owner(service: Running, session_id: str) -> str | None:
    found = "select username from download_sessions left join accounts on accounts.id = owner_id where download_sessions.id = ?"
    ((row),) = service.rows(found, UUID(session_id).hex)
    return row["username"]  # type: ignore[no-any-return] # a text column


@pytest.fixture
def no_sessions(service: Running) -> None:
    """What other tests left unowned is somebody's."""
    magpie(service, "link-sessions", "--username", "ada", "--hours", "100000")


def test_sessions_of_the_last_hours_get_an_owner(service: Running, site: MediaSiteProcess, no_sessions: None) -> None:
    name, session = someone(service), an_unowned_session(service, site)
    done = magpie(service, "link-sessions", "--username", name, "--hours", "24")
    assert (done.returncode, done.stderr) == (0, f"Linked 1 session to {name}:\n")
    assert done.stdout.startswith(f"{session}  ")
    assert owner(service, session) == name


def test_a_dry_run_shows_the_same_and_changes_nothing(service: Running, site: MediaSiteProcess, no_sessions: None) -> None:
    session = an_unowned_session(service, site)
    done = magpie(service, "link-sessions", "--username", "ada", "--hours", "24", "--dry-run")
    assert (done.returncode, done.stderr) == (0, "Would link 1 session to ada:\n")
    assert done.stdout.startswith(f"{session}  ")
    assert owner(service, session) is None


def test_one_session_is_linked_by_its_id_however_old_it_is(service: Running, site: MediaSiteProcess, no_sessions: None) -> None:
    named, other = an_unowned_session(service, site, hours_old=1000), an_unowned_session(service, site)
    assert magpie(service, "link-sessions", "--username", "ada", "--session-id", named).returncode == 0
    assert (owner(service, named), owner(service, other)) == ("ada", None)


@pytest.mark.parametrize(("hours", "linked"), [([], 0), (["--hours", "24"], 0), (["--hours", "31"], 1)], ids=str)
def test_older_sessions_stay_unless_the_hours_reach_them(
    service: Running, site: MediaSiteProcess, no_sessions: None, hours: list[str], linked: int
) -> None:
    an_unowned_session(service, site, hours_old=30)
    done = magpie(service, "link-sessions", "--username", "ada", *hours, "--json")
    assert json.loads(done.stdout)["linked"] == linked


def test_as_json_it_says_what_was_linked(service: Running, site: MediaSiteProcess, no_sessions: None) -> None:
    session = an_unowned_session(service, site)
    told = json.loads(magpie(service, "link-sessions", "--username", "ADA", "--json").stdout)
    (shown,) = told.pop("sessions")
    assert told == {"username": "ada", "dry_run": False, "linked": 1}
    assert (shown["session_id"], shown["total_jobs"], shown["created_at"][-1]) == (session, 1, "Z")


def test_a_title_cannot_write_over_the_terminal(service: Running, site: MediaSiteProcess, no_sessions: None) -> None:
    session = an_unowned_session(service, site)
    with contextlib.closing(sqlite3.connect(service.data / "magpie.db", timeout=HANG)) as database, database:
        database.execute("update jobs set title = ? where download_session_id = ?", ("a\x1b[2J\nb", UUID(session).hex))
    done = magpie(service, "link-sessions", "--username", "ada", "--dry-run")
    assert done.stdout.endswith("a [2J b\n")


def test_whoever_it_was_linked_to_sees_the_jobs(service: Running, site: MediaSiteProcess, no_sessions: None) -> None:
    name, session = someone(service), an_unowned_session(service, site)
    magpie(service, "link-sessions", "--username", name)
    (job,) = service.rows("select id from jobs where download_session_id = ?", UUID(session).hex)
    headers = {**FROM_OUTSIDE, "Authorization": f"Bearer {log_in(service, name, PASSWORD).json()['access_token']}"}
    assert requests.get(f"{service.url}/api/jobs/{UUID(job['id'])}", headers=headers, timeout=HANG).status_code == 200


def test_what_somebody_owns_is_not_given_to_another(service: Running, site: MediaSiteProcess, no_sessions: None) -> None:
    session = an_unowned_session(service, site)
    magpie(service, "link-sessions", "--username", "ada", "--session-id", session)
    done = magpie(service, "link-sessions", "--username", someone(service), "--session-id", session)
    assert_one_line(done, 1, "There is no download session of this id, or somebody owns it.")
    assert owner(service, session) == "ada"


def test_nobody_gets_no_sessions(service: Running) -> None:
    assert_one_line(magpie(service, "link-sessions", "--username", "nobody"), 1, "There is no account of this name.")


@pytest.mark.parametrize(
    "options",
    ["--hours 24", "", *(f"--username ada {option}" for option in ("--hours 0", "--hours -1", "--hours nan", "--hours 1e9", "--hours x",
     "--session-id 12"))],
)  # fmt: skip
def test_options_that_cannot_be_end_with_2(service: Running, options: str) -> None:
    done = magpie(service, "link-sessions", *options.split())
    assert (done.returncode, done.stdout, "Traceback" in done.stderr) == (2, "", False)


# --- around -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [["user", "list"], ["link-sessions", "--username", "ada"]], ids=" ".join)
def test_a_database_that_is_none_is_one_line(place: Running, arguments: list[str]) -> None:
    place.data.mkdir()
    (place.data / "magpie.db").write_bytes(b"this is no database, whatever it may look like" * 100)
    assert_one_line(magpie(place, *arguments), 1, "the database cannot be used (file is not a database)")


@pytest.mark.parametrize("arguments", [["user", "list"], ["link-sessions", "--username", "ada"]], ids=" ".join)
def test_a_wrong_setting_is_one_line_that_names_it(place: Running, arguments: list[str]) -> None:
    place.settings["port"] = "many"
    done = magpie(place, *arguments)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 1)
    assert "MAGPIE_PORT" in done.stderr


def test_help_loads_nothing_that_is_slow(tmp_path: Path) -> None:
    program = "import sys; from magpie.cli import run_command; run_command(['user', '--help']); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=clean_environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=HANG,
        check=True,
    )
    assert {"sqlalchemy", "aiohttp", "argon2", "email_validator", "pydantic"} & set(done.stdout.splitlines()[-1].split()) == set()


@pytest.mark.parametrize("arguments", ["user list", "user list --json", "link-sessions --username ada --json"])
def test_whoever_has_read_enough_is_not_complained_to(service: Running, arguments: str) -> None:
    read, written = os.pipe()
    os.close(read)
    with os.fdopen(written, "wb") as pipe:
        done = subprocess.run(
            [str(MAGPIE), *arguments.split()], cwd=service.directory, env=service.environment, stdin=subprocess.DEVNULL,
            stdout=pipe, stderr=subprocess.PIPE, timeout=HANG, check=False,
        )  # fmt: skip
    assert (done.returncode, done.stderr.decode()) == (128 + signal.SIGPIPE, "")
