"""The server as a process of its own, driven over HTTP; and what it keeps over kill -9."""

from __future__ import annotations

import itertools
import json
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest

from sandbox.bot_api import TOKEN
from sandbox.bot_api.remote import RemoteApi, RemoteRefused

ROOT = Path(__file__).parents[3]


class Program:
    """The server's process, and a client for its people."""

    def __init__(self, *options: str) -> None:
        command = [sys.executable, "-m", "sandbox.bot_api", *options]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        ready = self.process.stdout.readline()
        assert ready.startswith("bot api at ")
        self.api = RemoteApi(ready.removeprefix("bot api at ").strip())

    def ask(self, method: str, **arguments: Any) -> Any:
        """What the bot gets for this request."""
        request = urllib.request.Request(
            f"{self.api.base}/bot{TOKEN}/{method}", data=json.dumps(arguments).encode(), headers={"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)["result"]

    def end(self, number: int) -> int:
        self.process.send_signal(number)
        return self.process.wait(timeout=20)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Whatever happened, nothing of it is left."""
        self.process.kill()
        self.process.communicate(timeout=20)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    with Program("--directory", str(tmp_path_factory.mktemp("bot_api"))) as program:
        yield program
        assert program.end(signal.SIGTERM) == 0


def test_people_act_over_http(program: Program) -> None:
    alice = program.api.user(1, first_name="Alice")
    said = alice.says("hello")
    card = program.ask("sendMessage", chat_id=1, text="Which?", reply_markup={"inline_keyboard": [[{"text": "A", "callback_data": "a"}]]})
    query = alice.presses(card, "A")
    program.ask("answerCallbackQuery", callback_query_id=query, text="yes")
    program.ask("setMessageReaction", chat_id=1, message_id=said["message_id"], reaction=[{"type": "emoji", "emoji": "👀"}])
    alice.edits(said, "hello again")
    alice.deletes(said)
    assert [message["text"] for message in program.api.sent(1)] == ["Which?"]
    assert program.api.answers()[query]["text"] == "yes"
    assert program.api.reactions()[1, said["message_id"]] == ["👀"]
    assert program.api.calls("sendMessage")[-1]["args"]["text"] == "Which?"
    assert {"Which?", "A", "yes"} <= set(program.api.texts())
    assert program.api.message(1, said["message_id"]) is None


def test_files_go_both_ways_over_http(program: Program, tmp_path: Path) -> None:
    bob = program.api.user(2)
    (tmp_path / "a.txt").write_bytes(b"by path")
    by_path = bob.sends("document", tmp_path / "a.txt", caption="one")
    by_value = bob.sends("document", b"by value", name="b.txt")
    contents = [program.api.file_bytes(message["document"]["file_id"]) for message in (by_path, by_value)]
    assert contents == [b"by path", b"by value"]


def test_albums_and_forwards_over_http(program: Program) -> None:
    carol, channel = program.api.user(3), program.api.channel(-100300, "News")
    album = carol.sends_album([{"kind": "document", "content": b"x"}, {"kind": "document", "content": b"y"}])
    forwarded = carol.forwards_post(channel.id, text="a post")
    copied = carol.forwards(album[0])
    assert (forwarded["forward_origin"]["type"], copied["forward_origin"]["type"]) == ("channel", "user")


def test_groups_and_channels_act_over_http(program: Program) -> None:
    group, channel = program.api.group(-1001, topics=True), program.api.channel(-100301, "More", bot="administrator")
    thread = group.topic("Clips")
    said = program.api.user(4).says("x", chat=group.id, thread=thread)
    anonymous, named = group.says_as_anonymous("y"), group.says_as_channel(channel.id, "z")
    forwarded = group.auto_forwards(channel.id, channel.posts("post"))
    senders = [message["from"]["id"] for message in (said, anonymous, named, forwarded)]
    assert (said["message_thread_id"], senders) == (thread, [4, 1087968824, 136817688, 777000])


def test_faults_are_planned_over_http(program: Program) -> None:
    program.api.user(5).says("/start")
    program.api.fail_next("sendMessage", 400, "Bad Request: on script")
    with pytest.raises(urllib.error.HTTPError) as caught:
        program.ask("sendMessage", chat_id=5, text="x")
    caught.value.close()
    assert program.api.refusals()[-1]["description"] == "Bad Request: on script"


def test_waiting_over_http_ends_with_the_change(program: Program) -> None:
    dave = program.api.user(6)
    dave.says("x")
    assert program.api.until(lambda: program.api.messages(6))[0]["text"] == "x"
    with pytest.raises(TimeoutError):
        program.api.until(lambda: False, timeout=0.1)


def test_wrong_request_says_what_is_wrong(program: Program) -> None:
    with pytest.raises(RemoteRefused, match="nobody can do dances"):
        program.api.post("dances", user=1)
    with pytest.raises(RemoteRefused, match="LookupError"):
        program.api.user(7).presses(1, "no such button")


def test_page_of_another_site_cannot_drive_the_people(program: Program) -> None:
    request = urllib.request.Request(f"{program.api.base}/_sandbox/says", data=b'{"user": 1, "text": "x"}')
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=20)
    caught.value.close()
    assert caught.value.code == 400


def test_everything_is_there_after_a_kill(tmp_path: Path) -> None:
    options = ("--directory", str(tmp_path), "--keep")
    with Program(*options) as before:
        alice, group = before.api.user(1001, first_name="Alice"), before.api.group(-1001, "Friends", topics=True)
        before.ask("getUpdates", allowed_updates=["message", "callback_query"])
        thread = group.topic("Clips")
        alice.says("my code is 12345")
        sent = alice.sends("document", b"kept", name="a.bin")
        alice.says("in a topic", chat=group.id, thread=thread)
        card = before.ask("sendMessage", chat_id=1001, text="Which?")
        query = alice.presses(card, data="a")
        updates = before.ask("getUpdates")
        before.ask("getUpdates", offset=updates[1]["update_id"])
        before.end(signal.SIGKILL)

    with Program(*options) as after:
        assert [message["message_id"] for message in after.api.messages(1001)][-1] == card["message_id"]
        assert after.ask("getUpdates") == updates[1:]
        assert after.api.file_bytes(sent["document"]["file_id"]) == b"kept"
        assert after.ask("answerCallbackQuery", callback_query_id=query)
        assert after.ask("sendMessage", chat_id=-1001, text="x", message_thread_id=thread)["is_topic_message"]
        assert after.ask("sendMessage", chat_id=1001, text="y")["message_id"] == card["message_id"] + 1
        assert after.ask("editMessageText", chat_id=1001, message_id=card["message_id"], text="Which one?")
        assert after.api.spent_codes() == {"12345"}
        assert "Which?" in after.api.texts()
        assert after.api.user(1001, first_name="Alice").says("next")["message_id"] == card["message_id"] + 2
        assert after.end(signal.SIGTERM) == 0


def test_another_bot_has_to_be_started_anew(tmp_path: Path) -> None:
    with Program("--directory", str(tmp_path), "--keep") as before:
        before.api.user(1001).says("/start")
        before.end(signal.SIGTERM)
    with Program("--directory", str(tmp_path), "--keep", "--token", "2000000002:other") as after:
        assert after.api.state()["chats"][0]["bot"] == "never"
        assert after.api.state()["pending_updates"] == 0


def peak_memory(process: subprocess.Popen[str]) -> int:
    """Bytes."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def test_large_upload_is_not_held_in_memory(program: Program) -> None:
    program.api.user(8).says("/start")
    head = b'--x\r\nContent-Disposition: form-data; name="document"; filename="large"\r\n\r\n'
    tail = b'\r\n--x\r\nContent-Disposition: form-data; name="chat_id"\r\n\r\n8\r\n--x--\r\n'
    pieces = itertools.chain([head], itertools.repeat(bytes(1_000_000), 48), [tail])
    headers = {"Content-Type": "multipart/form-data; boundary=x", "Content-Length": str(len(head) + 48_000_000 + len(tail))}
    before = peak_memory(program.process)
    request = urllib.request.Request(f"{program.api.base}/bot{TOKEN}/sendDocument", data=pieces, headers=headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert json.load(answer)["result"]["document"]["file_size"] == 48_000_000
    assert peak_memory(program.process) - before < 24_000_000
