"""What a hostile or broken web gets: no byte from a private address, no odd name, no half file, nothing left behind."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, unquote

import pytest
import requests

from tests.e2e.conftest import StartService
from tests.support.running import HANG, MediaSiteProcess, Running, playable

NASTY = {
    "a way out": "../../../../etc/cron.d/x",
    "a NUL": "before\0after",
    "emoji": "\U0001f600 \U0001f1e9\U0001f1ea party",
    "500 characters": "x" * 500,
    "400 wide characters": "\u6f22" * 400,
    "right to left": "gpj.\u202e4pm.exe\u202c \u05e9\u05dc\u05d5\u05dd",
    "control characters": "a\r\nSet-Cookie: x=1\r\n\tb\x1b[31m",
    "quotes and slashes": '"a"; filename="b.exe" \\ / : * ? < > | %2e%2e%2f',
    "only dots": "...",
    "nothing": "   ",
    "a device name": "CON",
    "a hidden file": ".htaccess",
    "an option": "-rf ~",
}


class PrivateHost:
    """Something in the private network that counts who comes."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.2", 0))
        self.connections = 0
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.2:{self._socket.getsockname()[1]}"

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            connection.close()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(HANG)


@pytest.fixture
def private() -> Iterator[PrivateHost]:
    host = PrivateHost()
    yield host
    host.close()


def test_the_private_host_counts_who_comes(private: PrivateHost) -> None:
    """The control: what the tests below rely on to find a leak."""
    with pytest.raises(requests.ConnectionError):
        requests.get(private.url, timeout=HANG)
    assert private.connections == 1


@pytest.mark.parametrize("media_type", ["audio", "video"])
@pytest.mark.parametrize(
    "path",
    [
        "redirect?to={private}/x.mp4",
        "redirect?to={mapped}/x.mp4",
        "redirect?to={decimal}/x.mp4",
        "redirect/3/redirect?to={private}/x.mp4",
        "hls/private.m3u8?to={private}/seg.ts",
        "redirect?to=http://localhost:{port}/x.mp4",
        "redirect?to=http://[::1]:{port}/x.mp4",
    ],
)
def test_what_leads_to_a_private_address_is_refused_without_a_byte(
    open_service: Running, site: MediaSiteProcess, private: PrivateHost, path: str, media_type: str
) -> None:
    port = private.url.rpartition(":")[2]
    url = path.format(private=private.url, mapped=f"http://[::ffff:127.0.0.2]:{port}", decimal=f"http://2130706434:{port}", port=port)
    answer = open_service.post_auto_download(site.url(url), media_type=media_type)
    assert (answer.status_code, answer.json()["code"]) == (500, "address_not_allowed"), answer.text
    assert private.connections == 0
    assert open_service.job(answer.json()["job_id"])["files"] == []


@pytest.mark.parametrize("media_type", ["audio", "video"])
def test_a_thumbnail_at_a_private_address_is_refused_without_a_byte(
    open_service: Running, site: MediaSiteProcess, private: PrivateHost, media_type: str
) -> None:
    answer = open_service.post_auto_download(site.url(f"page/thumb?to={private.url}/x.jpg"), media_type=media_type)
    assert private.connections == 0
    assert (answer.status_code, answer.json()["code"]) == (500, "address_not_allowed"), answer.text


def test_a_youtube_thumbnail_at_a_private_address_is_refused(service: Running) -> None:
    answer = service.post_auto_download("https://www.youtube.com/watch?v=THUMB000000")
    assert (answer.status_code, answer.json()["code"]) == (500, "address_not_allowed"), answer.text


@pytest.mark.parametrize(
    "path",
    ["redirect?to=file:///etc/passwd", "hls/file.m3u8", "disguised.mp4?as=ffconcat", "disguised.mp4?as=m3u8", "svg.mp4", "html-as-mp4.mp4"],
)
def test_what_names_a_local_file_gives_no_file(open_service: Running, site: MediaSiteProcess, path: str) -> None:
    secret = Path("/etc/passwd").read_bytes().splitlines()[0]
    answer = open_service.post_auto_download(site.url(path), media_type="video")
    if answer.status_code == 200:
        assert secret not in requests.get(answer.json()["download_url"], timeout=HANG).content
    assert answer.status_code == 500, answer.text
    assert open_service.untidy() == []


def test_its_own_port_is_refused_even_where_an_exception_covers_it(start: StartService, site: MediaSiteProcess) -> None:
    service = start(egress_allow="127.0.0.1/32")
    assert service.post_auto_download(site.url("n/control.mp4"), media_type="video").status_code == 200
    answer = service.post_auto_download(site.url(f"redirect?to=http://127.0.0.1:{service.port}/api/health"), media_type="video")
    assert answer.json()["code"] == "address_not_allowed"
    assert [line for line in service.log_lines() if line["event"].startswith("GET /api/health ")] == []


@pytest.mark.parametrize("title", NASTY.values(), ids=NASTY.keys())
def test_a_nasty_title_becomes_a_safe_name(open_service: Running, site: MediaSiteProcess, title: str) -> None:
    answer = open_service.post_auto_download(site.url(f"page/title?t={quote(title)}"), media_type="video", refresh=True).json()
    assert answer["success"] is True, answer
    assert_safely_named(open_service, answer)


def test_a_nasty_youtube_title_becomes_a_safe_name(service: Running) -> None:
    answer = service.post_auto_download("https://www.youtube.com/watch?v=TITLE000000").json()
    assert answer["success"] is True, answer
    assert_safely_named(service, answer)


def assert_safely_named(service: Running, answer: dict[str, str]) -> None:
    media = service.data / "media"
    (file,) = [path for path in service.stored() if answer["job_id"] in path.parts]
    kind = "video" if file.suffix == ".mp4" else "audio"
    assert file.parent == media / "downloads" / answer["session_id"] / answer["job_id"] / kind
    assert file.resolve() == file
    assert len(file.name.encode()) <= 255
    assert file.name.isprintable()
    assert not set(file.name) & set('/\\:*?"<>|\r\n\0\u202e\u202c')
    assert not file.name.startswith((".", "-", " "))
    assert file.stem.strip(" .")
    download = requests.get(answer["download_url"], timeout=HANG)
    assert download.status_code == 200
    disposition = download.headers["Content-Disposition"]
    assert unquote(disposition.partition("filename*=UTF-8''")[2]) == file.name
    assert "Set-Cookie" not in download.headers
    assert service.untidy() == []


@pytest.mark.parametrize("media_type", ["audio", "video"])
def test_a_truncated_body_is_a_failure_and_leaves_nothing(open_service: Running, site: MediaSiteProcess, media_type: str) -> None:
    answer = open_service.post_auto_download(site.url(f"truncated/n/{media_type}.mp4"), media_type=media_type)
    assert (answer.status_code, answer.json()["success"]) == (500, False)
    assert answer.json()["code"] in {"truncated", "network"}
    assert open_service.untidy() == []


def test_an_endless_body_is_bounded_and_leaves_nothing(start: StartService, site: MediaSiteProcess) -> None:
    service = start(max_file_size="5MB")
    answer = service.post_auto_download(site.url("endless.mp4"), media_type="video")
    assert (answer.status_code, answer.json()["code"]) == (500, "too_large")
    assert service.stored() == []
    assert service.untidy() == []


@pytest.mark.parametrize("path", ["blob/6000000.mp4", "noheaders/pattern/6000000.mp4", "norange/blob/6000000.mp4"])
def test_a_file_beyond_the_bound_is_refused_whatever_the_site_says_of_it(start: StartService, site: MediaSiteProcess, path: str) -> None:
    service = start(max_file_size="5MB")
    answer = service.post_auto_download(site.url(path), media_type="video")
    assert (answer.status_code, answer.json()["code"]) == (500, "too_large")
    assert service.stored() == []
    assert service.untidy() == []


def test_a_job_that_takes_too_long_is_ended(start: StartService, site: MediaSiteProcess) -> None:
    service = start(max_job_time="2s")
    answer = service.post_auto_download(site.url("throttled/50/media/clip.mp4"), media_type="video")
    assert (answer.status_code, answer.json()["code"]) == (500, "time_limit")
    assert service.untidy() == []


def test_without_disk_space_nothing_is_asked_of_the_site(start: StartService, site: MediaSiteProcess) -> None:
    service = start(min_free_disk="999999GB")
    site.reset()
    answer = service.post_auto_download(site.url("n/no-space.mp4"), media_type="video")
    assert (answer.status_code, answer.json()["code"]) == (500, "no_space")
    assert site.asked() == []
    assert service.untidy() == []
    assert requests.get(f"{service.url}/api/health", timeout=HANG).status_code == 503


def test_a_site_that_answers_503_at_first_is_asked_again(open_service: Running, site: MediaSiteProcess) -> None:
    answer = open_service.post_auto_download(site.url("flaky/1/e2e/media/clip.mp4"), media_type="video")
    assert answer.status_code == 200, answer.text
    (file,) = [path for path in open_service.stored() if answer.json()["job_id"] in path.parts]
    assert playable(file)
