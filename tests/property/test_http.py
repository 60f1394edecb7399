"""Whatever a generator of requests thinks of, the running service answers as its document says. Nothing leaves the machine: no host that
the generator can think of is one whose links are accepted."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
import requests

from tests.support.running import HANG, Running, clean_environment

SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")
CONFIG = Path(__file__).with_name("schemathesis.toml")
"""The few valid requests that may be refused."""
GENERATED = (
    "--checks", "all", "--mode", "all", "--phases", "examples,coverage,fuzzing", "--max-examples", "80", "--seed", "20261121",
    "--generation-database", "none", "--generation-allow-x00", "false", "--no-color", "--request-timeout", "20",
)  # fmt: skip
ANONYMOUS = ("--header", "Via: 1.1 proxy")
CROWD = "tests.property.crowd"
"""All from one address soon get no other answer than that these are too many."""
DOWNLOADS = ("--include-path", "/audio_dl/api/auto-download")
OTHERS = (
    "--exclude-path", "/audio_dl/api/auto-download", "--exclude-path", "/chat/events", "--exclude-path", "/api/events",
    "--exclude-operation-id", "create_job",
)  # fmt: skip
"""A stream of events has no end that a fuzzer could wait for, and whoever is trusted may have any address fetched as a job.
What deletes one's own account stays in: none of these callers has one."""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with Running(tmp_path_factory.mktemp("service"), trusted_proxies="127.0.0.0/8,::1/128") as running:
        yield running


@pytest.mark.parametrize(("caller", "hooks"), [((), ""), (ANONYMOUS, ""), (ANONYMOUS, CROWD)], ids=["local", "anonymous", "crowd"])
@pytest.mark.parametrize("which", [DOWNLOADS, OTHERS], ids=["auto-download", "others"])
def test_generated_requests_get_what_the_document_promises(
    service: Running, tmp_path: Path, which: tuple[str, ...], caller: tuple[str, ...], hooks: str
) -> None:
    run = subprocess.run(
        [str(SCHEMATHESIS), "--config-file", str(CONFIG), "run", f"{service.url}/openapi.json", *GENERATED, *which, *caller],
        cwd=tmp_path, env=clean_environment(tmp_path) | {"SCHEMATHESIS_HOOKS": hooks}, capture_output=True, text=True,
        timeout=6 * HANG, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr


def test_none_of_it_was_an_error_of_ours_or_left_anything(service: Running) -> None:
    """Runs after the requests above, on the same service."""
    checks = requests.get(f"{service.url}/api/health", timeout=HANG).json()["checks"]
    assert [check for check in checks if check["status"] != "healthy" and check["name"] != "yt-dlp"] == []  # which only grows old
    # A reset may be asked for, for an account that a request has made; that there is no mail here is told to whoever runs the service.
    told = [line for line in service.log_lines() if line["level"] not in {"info", "debug"} and line["logger"] != "magpie.mail"]
    # Links may be to any host, and there is none that could be reached: that is all that may have become of a look at one. Some looks
    # went with the account that they were for.
    others = {str(UUID(row["id"])) for row in service.rows("select id from jobs where origin <> 'link'")}
    assert [
        line for line in told if (line["event"], line.get("code"), line.get("job_id") in others) != ("job failed", "network", False)
    ] == []
    assert service.rows("select id from jobs where origin = 'link' and (parent_id is not null or error_code <> 'network')") == []
    assert service.rows("select id from jobs where origin not in ('chat', 'link')") == []  # the chat's are sample posts that were forwarded
    assert service.untidy() == []
