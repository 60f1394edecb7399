"""The command line. Imports what a command needs only when it runs: `magpie --help` must be quick."""

from __future__ import annotations

import asyncio
import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

from cyclopts import App, CycloptsError, Parameter

if TYPE_CHECKING:
    from magpie.config import Config

OK, FAILED, USAGE = 0, 1, 2

app = App(
    name="magpie",
    help="Fetch media from a link, keep it and hand it back: over HTTP and on the command line.",
    version=lambda: version("magpie-bot"),
)

user = App(name="user", help="Accounts: add one, list them, set a new password.")
app.command(user)

db = App(name="db", help="The database: bring it up to date, export everything into one file, put such a file in its place.")
app.command(db)


def run_command(arguments: list[str]) -> int:
    """Run one command and return its exit status."""
    try:
        result = app(arguments, exit_on_error=False, print_error=True, result_action="return_value")
    except CycloptsError:
        return USAGE
    except KeyboardInterrupt:
        return 130
    return result if isinstance(result, int) else OK


def say(text: str) -> None:
    """One line for a person, on standard error."""
    sys.stderr.write(text + "\n")


def show_json(value: Any) -> None:
    """Data, on standard output."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")


def _config() -> Config | None:
    """The settings; None after a line on standard error that says what is wrong."""
    from magpie.config import ConfigError, read_config, settle_environment  # noqa: PLC0415 - quick help

    settle_environment()
    try:
        return read_config()
    except ConfigError as wrong:
        say(str(wrong))
        return None


@app.command
def run() -> int:
    """Start the service: the HTTP API and the downloads, all in one process."""
    config = _config()
    if config is None:
        return FAILED
    from magpie.app import serve  # noqa: PLC0415 - quick help

    return asyncio.run(serve(config))


@app.command
def demo() -> int:
    """Start the service with the local chat, a media site of its own and sample links: no token, no network."""
    config = _config()
    if config is None:
        return FAILED
    from magpie.app import serve  # noqa: PLC0415 - quick help
    from magpie.demo import Demo  # noqa: PLC0415 - quick help

    async def run_demo() -> int:
        try:
            async with Demo(config) as one:
                return await serve(one.config, samples=one.samples)
        except OSError as wrong:
            say(f"The demo cannot start: {wrong}")
            return FAILED

    return asyncio.run(run_demo())


@app.command
def download(
    url: str,
    *,
    media_type: Annotated[str | None, Parameter(name=["--media-type", "-t"])] = None,
    format: Annotated[str | None, Parameter(name=["--format", "-f"])] = None,  # noqa: A002 - the option's name
    quality: Annotated[str | None, Parameter(name=["--quality", "-q"])] = None,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> int:
    """Download one link. A running service does it when there is one, else this command does.

    Parameters
    ----------
    url
        The link.
    media_type
        video (the default), audio or transcript.
    format
        mp4, webm, mkv; mp3, wav, flac, m4a, opus; vtt, srt, txt.
    quality
        best, 2160, 1440, 1080, 720, 480, 360, worst; for audio best, 320k, 192k, 128k, worst.
    output
        A file or an existing directory to copy the result to; without it the file stays in the store and its path is shown.
    as_json
        Print the result as JSON.

    """
    config = _config()
    if config is None:
        return FAILED
    from magpie.download import download_one  # noqa: PLC0415 - quick help

    return asyncio.run(download_one(config, url, media_type=media_type, form=format, quality=quality, output=output, as_json=as_json))


@app.command
def doctor(*, as_json: Annotated[bool, Parameter(name="--json", negative=())] = False) -> int:
    """Look whether all that Magpie needs is there, and say what to do about what is not.

    Parameters
    ----------
    as_json
        Print the findings as JSON.

    """
    config = _config()
    if config is None:
        return FAILED
    from magpie.doctor import examine, show  # noqa: PLC0415 - quick help

    findings = asyncio.run(examine(config))
    if as_json:
        show_json([finding.as_dict() for finding in findings])
    else:
        show(findings)
    return FAILED if any(finding.is_fatal for finding in findings) else OK


@user.command
def add(
    name: str,
    /,
    *,
    email: str,
    superuser: Annotated[bool, Parameter(negative=())] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> int:
    """Make an account. The password is asked for, or is one line of standard input. The first account becomes a superuser.

    Parameters
    ----------
    name
        The user name.
    email
        The e-mail address, to which a link for a new password can be sent.
    superuser
        With all rights.
    as_json
        Print the account as JSON.

    """
    config = _config()
    if config is None:
        return FAILED
    from magpie.accounts_cli import add_account  # noqa: PLC0415 - quick help

    return add_account(config, name, email=email, is_superuser=superuser, as_json=as_json)


@user.command(name="list")
def list_users(*, as_json: Annotated[bool, Parameter(name="--json", negative=())] = False) -> int:
    """List all accounts.

    Parameters
    ----------
    as_json
        Print them as JSON.

    """
    config = _config()
    if config is None:
        return FAILED
    from magpie.accounts_cli import list_accounts  # noqa: PLC0415 - quick help

    return list_accounts(config, as_json=as_json)


@user.command
def password(name: str, /) -> int:
    """Set a new password, which is asked for, or is one line of standard input. All log-ins of the account end.

    Parameters
    ----------
    name
        The user name.

    """
    config = _config()
    if config is None:
        return FAILED
    from magpie.accounts_cli import set_password  # noqa: PLC0415 - quick help

    return set_password(config, name)


@db.command(name="upgrade")
def upgrade_database(*, as_json: Annotated[bool, Parameter(name="--json", negative=())] = False) -> int:
    """Bring the database to the present version, as every start does by itself.

    Parameters
    ----------
    as_json
        Print the version before and after as JSON.

    """
    config = _config()
    if config is None:
        return FAILED
    from magpie.backup_cli import upgrade_database as upgrade  # noqa: PLC0415 - quick help

    return asyncio.run(upgrade(config, as_json=as_json))


@db.command(name="export")
def export_database(
    file: Annotated[Path | None, Parameter(allow_leading_hyphen=True)] = None,
    /,
    *,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> int:
    """Write everything that the database holds into one file, also beside a running service.

    Parameters
    ----------
    file
        The file, which must not be there yet, or `-` for standard output; without it, one is named by the time.
    as_json
        Print where it is, and its size, as JSON.

    """
    config = _config()
    if config is None:
        return FAILED
    from magpie.backup_cli import export_database as export  # noqa: PLC0415 - quick help

    return asyncio.run(export(config, file, as_json=as_json))


@db.command(name="import")
def import_database(file: Path, /, *, as_json: Annotated[bool, Parameter(name="--json", negative=())] = False) -> int:
    """Put an exported file in the place of all that the database holds. No service may run meanwhile.

    Parameters
    ----------
    file
        The file that was exported.
    as_json
        Print how it went as JSON.

    """
    config = _config()
    if config is None:
        return FAILED
    from magpie.backup_cli import import_database as take_in  # noqa: PLC0415 - quick help

    return asyncio.run(take_in(config, file, as_json=as_json))


@app.command
def sweep(
    *,
    dry_run: Annotated[bool, Parameter(negative=())] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> int:
    """Delete what has expired and what belongs to nothing. A running service does it by itself, once an hour.

    Parameters
    ----------
    dry_run
        Say what would go, and change nothing.
    as_json
        Print data instead of lines.

    """
    config = _config()
    if config is None:
        return USAGE
    from magpie.sweep import sweep_once  # noqa: PLC0415 - quick help

    return asyncio.run(sweep_once(config, dry_run=dry_run, as_json=as_json))


@app.command
def update_extractors(*, as_json: Annotated[bool, Parameter(name="--json", negative=())] = False) -> int:
    """Get the newest yt-dlp with its solver scripts, and try it out. A running service takes it over by itself.

    Parameters
    ----------
    as_json
        Print the versions as JSON.

    """
    config = _config()
    if config is None:
        return FAILED
    from magpie.extractors import update_extractors as update  # noqa: PLC0415 - quick help

    return asyncio.run(update(config, as_json=as_json))


@app.command
def link_sessions(
    *,
    username: str,
    hours: float | None = None,
    session_id: UUID | None = None,
    dry_run: Annotated[bool, Parameter(negative=())] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> int:
    """Link download sessions that nobody owns to an account: those of the last hours, or one.

    Parameters
    ----------
    username
        Whose they become.
    hours
        Those made within so many hours: 24, unless a session is named.
    session_id
        This one only.
    dry_run
        Only show what would be linked.
    as_json
        Print the result as JSON.

    """
    config = _config()
    if config is None:
        return FAILED
    from magpie.accounts_cli import link  # noqa: PLC0415 - quick help

    return link(config, username, hours=hours, session_id=session_id, is_dry_run=dry_run, as_json=as_json)
