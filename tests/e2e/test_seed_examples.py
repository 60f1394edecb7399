"""The examples that users of the Auto-Download API have in their hands, run word for word."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import requests

from tests.support.running import HANG, ROOT, Running, clean_environment, playable

EXAMPLES = (Path(__file__).parent / "seed_1_examples.txt").read_text()
VIDEO = "https://youtube.com/watch?v=XNNjYas8Xo8"
AXIOS = """// Stands in for the axios package, which is not installed: axios.post by Node's own fetch.
exports.post = async (url, body) => {
    const response = await fetch(url, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json', 'Accept': 'application/json, text/plain, */*' },
        body: JSON.stringify(body),
    });
    const data = await response.json();
    if (!response.ok) {
        throw new Error(`Request failed with status code ${response.status}`);
    }
    return { status: response.status, data };
};
"""


def example(heading: str, service: Running) -> str:
    """The code below this heading, host and port aside."""
    found = re.search(rf"^## {re.escape(heading)}$.*?^```\w+\n(.*?)^```", EXAMPLES, re.MULTILINE | re.DOTALL)
    assert found
    return found[1].replace("http://localhost:8000", service.url)


def ran(arguments: Sequence[str], directory: Path, *, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        arguments, cwd=cwd or directory, env=clean_environment(directory), capture_output=True, text=True, timeout=HANG, check=False
    )


def assert_documented(answer: dict[str, Any], service: Running) -> None:
    """Every field that the documentation names, of the type it has there, and a file where it says."""
    assert answer["success"] is True
    ids = [answer[name] for name in ("session_id", "job_id", "database_session_id", "database_download_id")]
    assert [str(UUID(text)) for text in ids] == ids
    assert ids[0] == ids[2]
    assert ids[1] == ids[3]
    assert re.fullmatch(rf"/media/downloads/{ids[0]}/{ids[1]}/[^/]+\.mp3", answer["file_path"])
    assert answer["download_url"].startswith(f"{service.url}/media/downloads/{ids[0]}/{ids[1]}/")
    assert answer["title"] == "Test video XNNjYas8Xo8"
    assert answer["artist"] == "Test Channel"
    assert isinstance(answer["file_size"], int)
    assert answer["duration"] == "00:00:10"
    assert answer["quality"] == "best"
    assert answer["format"] == "mp3"
    assert "linked_to_user" not in answer  # nobody has an account yet
    for url in (answer["download_url"], service.url + answer["file_path"]):
        assert len(requests.get(url, timeout=HANG).content) == answer["file_size"]


def test_the_python_example_prints_an_address_with_an_mp3(service: Running, tmp_path: Path) -> None:
    done = ran([sys.executable, "-c", example("Python", service)], tmp_path)
    assert done.returncode == 0, done.stderr
    url = done.stdout.removeprefix("Download available at: ").strip()
    file = tmp_path / "song.mp3"
    file.write_bytes(requests.get(url, timeout=HANG).content)
    assert playable(file)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_both_curl_examples_answer_with_every_documented_field(service: Running, tmp_path: Path) -> None:
    script = example("cURL", service)
    assert script.count("curl -X POST") == 2
    done = ran(["bash", "-c", script], tmp_path)
    assert done.returncode == 0, done.stderr
    plain, end = json.JSONDecoder().raw_decode(done.stdout)
    linked, end = json.JSONDecoder().raw_decode(done.stdout, end)
    assert end == len(done.stdout)
    assert_documented(plain, service)
    assert_documented(linked, service)
    assert plain["job_id"] != linked["job_id"]


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_the_javascript_example_prints_an_address_with_the_file(service: Running, tmp_path: Path) -> None:
    axios = tmp_path / "node_modules" / "axios" / "index.js"
    axios.parent.mkdir(parents=True)
    axios.write_text(AXIOS)
    script = tmp_path / "example.js"
    script.write_text(example("JavaScript/Node.js", service))
    done = ran(["node", str(script)], tmp_path)
    assert done.returncode == 0, done.stderr
    assert requests.get(done.stdout.removeprefix("Download URL: ").strip(), timeout=HANG).ok


def test_the_client_library_example_returns_every_documented_field(service: Running, tmp_path: Path) -> None:
    code = example("Python Client Library", service)
    assert code.count("AutoDownloadClient(") == 2
    code = code.replace("AutoDownloadClient(", f"AutoDownloadClient(base_url={service.url!r}, ")
    code = code.replace("result = ", "results.append(").replace(VIDEO + '")', VIDEO + '"))')
    done = ran([sys.executable, "-c", f"results = []\n{code}\nimport json; print(json.dumps(results))"], tmp_path)
    assert done.returncode == 0, done.stderr
    plain, linked = json.loads(done.stdout)
    assert_documented(plain, service)
    assert_documented(linked, service)


@pytest.mark.parametrize(
    "program",
    [[sys.executable, "auto_download_client.py"], [str(Path(sys.executable).with_name("auto-download-client"))]],
    ids=["python auto_download_client.py", "auto-download-client"],
)
def test_the_client_on_the_command_line_prints_the_download_address(service: Running, tmp_path: Path, program: list[str]) -> None:
    done = ran([*program, "https://youtu.be/XNNjYas8Xo8", "--username", "your_username", "--base-url", service.url], tmp_path, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    title, url = done.stdout.splitlines()
    assert title.startswith("Test video XNNjYas8Xo8 by Test Channel")
    assert requests.get(url, timeout=HANG).ok


@pytest.mark.parametrize("quality", ["best", "worst", "128k", "192k", "320k"])
@pytest.mark.parametrize("form", ["mp3", "wav", "flac"])
def test_every_documented_format_and_quality_gives_a_playable_file(service: Running, form: str, quality: str) -> None:
    answer = service.post_auto_download("https://youtu.be/XNNjYas8Xo8", format=form, quality=quality).json()
    assert (answer["success"], answer["format"], answer["quality"]) == (True, form, quality)
    (file,) = [path for path in service.stored() if path.parent.parent.name == answer["job_id"]]
    assert file.suffix == f".{form}"
    assert playable(file)


def test_the_file_is_below_the_media_directory_where_the_documentation_says(service: Running) -> None:
    answer = service.post_auto_download(VIDEO).json()
    job_folder = service.data / "media" / "downloads" / answer["session_id"] / answer["job_id"]
    assert [path.name for path in job_folder.rglob("*.mp3")] == [answer["file_path"].rpartition("/")[2]]
