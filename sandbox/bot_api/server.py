"""The HTTP side of the Bot API: `/bot<token>/<method>` and `/file/bot<token>/<file_path>`."""

from __future__ import annotations

import asyncio
import inspect
import json
import re
from typing import Any

from aiohttp import BodyPartReader, MultipartReader, web
from aiohttp.http_exceptions import HttpProcessingError

from sandbox.bot_api.arguments import Arguments, Method, Upload
from sandbox.bot_api.errors import Refused, bad_request
from sandbox.bot_api.faults import Cut, Fault, Faults
from sandbox.bot_api.methods_answer import AnswerMethods
from sandbox.bot_api.methods_bot import BotMethods
from sandbox.bot_api.methods_chats import ChatMethods
from sandbox.bot_api.methods_copy import CopyMethods
from sandbox.bot_api.methods_edit import EditMethods
from sandbox.bot_api.methods_send import SendMethods
from sandbox.bot_api.outgoing import Outgoing
from sandbox.bot_api.scene import Scene
from sandbox.bot_api.values import Json

_CHUNK = 256 * 1024
_LONGEST_FIELD = 1024 * 1024
_NOT_RECORDED = "getupdates"


class Server:
    """Reads requests, asks the methods, answers; `max_upload` is in bytes a file."""

    def __init__(self, *, scene: Scene, faults: Faults, token: str, max_upload: int) -> None:
        self._scene, self._faults, self._token, self._max_upload = scene, faults, token, max_upload
        outgoing = Outgoing(scene)
        sending = SendMethods(scene, outgoing)
        families = (
            BotMethods(scene), ChatMethods(scene, outgoing), sending, EditMethods(scene, outgoing, sending), CopyMethods(scene, outgoing),
            AnswerMethods(scene, outgoing),
        )  # fmt: skip
        self._methods: dict[str, tuple[str, Method]] = {
            name.lower(): (name, method) for family in families for name, method in family.methods().items()
        }

    def routes(self) -> list[web.RouteDef]:
        return [web.route("*", "/bot{token}/{method}", self._call), web.get("/file/bot{token}/{path:.+}", self._download)]

    async def _download(self, request: web.Request) -> web.StreamResponse:
        stored = self._scene.files.by_path(request.match_info["path"])
        if request.match_info["token"] != self._token or stored is None or stored.size > self._scene.max_download:
            return _answer(Refused(404, "Not Found").as_json())
        return web.FileResponse(self._scene.files.on_disk(stored), headers={"Content-Type": "application/octet-stream"})

    async def _call(self, request: web.Request) -> web.StreamResponse:
        uploads: dict[str, Upload] = {}
        name, method = self._methods.get(request.match_info["method"].lower(), (request.match_info["method"], None))
        arguments = Arguments({}, uploads)
        try:
            self._check_token(request.match_info["token"])
            arguments = Arguments(await self._read(request, uploads), uploads)
            return await self._answer(request, name, method, arguments)
        except Refused as refusal:
            self._scene.journal.refused(name, arguments.as_json(), refusal)
            return _answer(refusal.as_json())
        except ConnectionResetError:  # the bot stopped in the middle of what it asked
            return _answer(bad_request("the connection was lost").as_json())
        finally:
            for upload in uploads.values():
                if not upload.taken:
                    upload.path.unlink(missing_ok=True)

    async def _answer(self, request: web.Request, name: str, method: Method | None, arguments: Arguments) -> web.StreamResponse:
        if method is None:
            raise Refused(404, "Not Found: method not found")
        if name.lower() != _NOT_RECORDED:
            self._scene.journal.called(name, arguments.as_json())
        fault = self._faults.take(name, arguments.given.get("chat_id")) or Fault(method=name)
        if fault.cut is Cut.BEFORE:
            return _cut(request)
        await asyncio.sleep(fault.seconds)
        if fault.refusal is not None:
            raise fault.refusal
        result = method(arguments)
        if inspect.isawaitable(result):
            result = await result
        body = json.dumps({"ok": True, "result": result})  # as it is now: what follows may take a while
        if self._faults.before_answer is not None:
            await self._faults.before_answer(name, arguments.as_json())
        if self._faults.holds(name):
            self._scene.events.changed()
            await self._faults.until_released(name)
        return _cut(request) if fault.cut is Cut.AFTER else web.Response(text=body, content_type="application/json")

    def _check_token(self, token: str) -> None:
        if not re.fullmatch(r"\d+:[\w\-]+", token):
            raise Refused(404, "Not Found")
        if token != self._token:
            raise Refused(401, "Unauthorized")

    async def _read(self, request: web.Request, uploads: dict[str, Upload]) -> Json:
        given: Json = dict(request.query)
        if request.content_type == "application/json":
            try:
                body = await request.json()
            except ValueError:
                body = None
            if not isinstance(body, dict):
                raise bad_request("can't parse request body as JSON object")
            return given | body
        if not request.content_type.startswith("multipart/"):
            return given | dict(await request.post())
        try:
            return given | await self._read_parts(await request.multipart(), uploads)
        except (ValueError, HttpProcessingError):
            raise bad_request("failed to parse multipart/form-data") from None

    async def _read_parts(self, parts: MultipartReader, uploads: dict[str, Upload]) -> Json:
        fields: Json = {}
        while (part := await parts.next()) is not None:
            if not isinstance(part, BodyPartReader) or part.name is None:
                raise bad_request("failed to parse multipart/form-data")
            if part.filename is None:
                fields[part.name] = (await _read_field(part)).decode("utf-8", "replace")
            else:
                await self._receive(part, part.name, uploads)
        return fields

    async def _receive(self, part: BodyPartReader, name: str, uploads: dict[str, Upload]) -> None:
        """Put the file on disk as it comes. Of one that is too large the rest is read, so that the answer arrives, and not kept."""
        if name in uploads:
            raise bad_request(f"{name} was uploaded twice")
        upload = uploads[name] = Upload(
            path=self._scene.files.new_path(), size=0, name=part.filename or "", mime=part.headers.get("Content-Type", "")
        )
        with upload.path.open("wb") as file:
            while chunk := await part.read_chunk(_CHUNK):
                upload.size += len(chunk)
                if upload.size <= self._max_upload:
                    file.write(chunk)


async def _read_field(part: BodyPartReader) -> bytes:
    read = bytearray()
    while chunk := await part.read_chunk():
        read += chunk
        if len(read) > _LONGEST_FIELD:
            raise Refused(413, "Request Entity Too Large")
    return bytes(read)


def _answer(body: Json) -> web.Response:
    headers = {"Retry-After": str(body["parameters"]["retry_after"])} if "parameters" in body else {}
    return web.json_response(body, status=body["error_code"], headers=headers)


def _cut(request: web.Request) -> web.Response:
    """Close the connection. What is returned goes nowhere."""
    transport: Any = request.transport
    if transport is not None:
        transport.close()
    return web.Response()
