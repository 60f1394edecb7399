"""The description of the API: `/openapi.json`, the pages that show it, and the root."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Final

from aiohttp import web
from pydantic import BaseModel

from service.errors import NotFound
from webapi.auth import Caller
from webapi.contract import EVERYBODY, Api, Content
from webapi.openapi import document
from webapi.parameters import Header

_HERE: Final = Path(__file__).parent / "static"
_STATIC: Final = {
    "swagger-ui.css": (_HERE / "vendor" / "swagger-ui.css", "text/css"),
    "swagger-ui-bundle.js": (_HERE / "vendor" / "swagger-ui-bundle.js", "text/javascript"),
    "redoc.standalone.js": (_HERE / "vendor" / "redoc.standalone.js", "text/javascript"),
    "swagger.js": (_HERE / "swagger.js", "text/javascript"),
    "redoc.js": (_HERE / "redoc.js", "text/javascript"),
}

_PAGE_POLICY: Final = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self' 'unsafe-inline'",  # both viewers write style attributes
    "img-src": "'self' data:",
    "font-src": "'self' data:",
    "connect-src": "'self'",
    "worker-src": "blob:",  # ReDoc searches in a worker that it makes itself
    "base-uri": "'none'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
}
_POLICY: Final = "; ".join(f"{what} {where}" for what, where in _PAGE_POLICY.items())


class StaticFileNotFound(NotFound):
    """No such file"""

    code = "static_file_not_found"


class Root(BaseModel):
    """What this service is, and where to go on."""

    name: str
    version: str
    message: str
    docs: str = "/docs"
    redoc: str = "/redoc"
    openapi: str = "/openapi.json"
    health: str = "/api/health"


class DocsPages:
    """The document is made once, at the first request: by then every endpoint is registered."""

    def __init__(self, api: Api, *, has_chat: bool = False) -> None:
        """`has_chat`: the local chat is what a browser of this machine is sent to first."""
        self._api, self._has_chat = api, has_chat
        self._document: bytes | None = None

    def register(self) -> None:
        html, api = {200: Content("text/html")}, self._api
        json_file = {200: Content("application/json")}
        api.route("GET", "/openapi.json", access=EVERYBODY, tags=["Docs"], answers=json_file)(self.openapi_document)
        for path, name in (("/docs", "swagger"), ("/api/v1/docs", "swagger_v1")):
            api.route("GET", path, access=EVERYBODY, tags=["Docs"], answers=html, operation_id=name)(self.swagger)
        for path, name in (("/redoc", "redoc"), ("/api/v1/redoc", "redoc_v1")):
            api.route("GET", path, access=EVERYBODY, tags=["Docs"], answers=html, operation_id=name)(self.redoc)
        static = {200: Content("*/*"), 304: None}
        api.route(
            "GET", "/static/{name}", access=EVERYBODY, tags=["Docs"], answers=static, faults=[StaticFileNotFound], failures=[412, 416]
        )(self.static_file)
        api.route("GET", "/", access=EVERYBODY, tags=["Docs"], answers={200: Root, 302: None})(self.root)

    async def openapi_document(self) -> web.StreamResponse:
        """The API as an OpenAPI 3.1 document."""
        if self._document is None:
            self._document = json.dumps(document(self._api), ensure_ascii=False).encode()
        return web.Response(body=self._document, content_type="application/json")

    async def swagger(self) -> web.StreamResponse:
        """The API as a page to try it out."""
        return _page("swagger.html")

    async def redoc(self) -> web.StreamResponse:
        """The API as a page to read."""
        return _page("redoc.html")

    async def static_file(self, name: str) -> web.StreamResponse:
        """Scripts and styles of the pages."""
        if name not in _STATIC:
            raise StaticFileNotFound
        path, content_type = _STATIC[name]
        return web.FileResponse(path, headers={"Content-Type": content_type + "; charset=utf-8", "Cache-Control": "public, max-age=3600"})

    async def root(self, caller: Caller, accept: Annotated[str, Header()] = "") -> Root | web.StreamResponse:
        """What this service is.

        A browser is sent to the local chat where there is one and it may use it, else to `/app/`.
        """
        if "text/html" in accept:
            to_chat = self._has_chat and caller.is_local
            return web.Response(status=302, headers={"Location": "/chat" if to_chat else "/app/", "Vary": "Accept"})
        return Root(name=self._api.title, version=self._api.version, message=self._api.description)


def _page(name: str) -> web.StreamResponse:
    return web.FileResponse(
        _HERE / name,
        headers={"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": _POLICY, "Cache-Control": "no-cache"},
    )
