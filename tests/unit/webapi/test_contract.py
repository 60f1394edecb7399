from __future__ import annotations

import io
from typing import Annotated, Any

import aiohttp
import pytest

from tests.unit.webapi.toy import Site, toy_api
from webapi.contract import EVERYBODY, Api
from webapi.parameters import Body, Form

JSON = {"Content-Type": "application/json"}
PROBLEM = "application/problem+json"


async def answer(response: Any) -> tuple[int, str, Any]:
    async with response as got:
        return got.status, got.content_type, await got.json(content_type=None)


# --- reading ------------------------------------------------------------------------------------------------------


async def test_values_come_from_the_path_the_query_headers_and_cookies(site: Site) -> None:
    request = site.http.get("/birds/7?tag=a&tag=b&shout=true", headers={"X-Since": "monday"}, cookies={"flock": "north"})
    assert await answer(request) == (200, "application/json", {"name": "LOCAL|A|B|MONDAY|NORTH", "size": 7})


async def test_a_json_body_becomes_a_model_and_the_reply_has_its_status_and_headers(site: Site) -> None:
    async with site.http.post("/birds", json={"name": "Piep"}) as got:
        assert (got.status, got.headers["Location"]) == (201, "/birds/1")
        assert await got.json() == {"name": "Piep", "wings": 2, "song": []}


async def test_a_reply_may_have_another_status_and_no_body(site: Site) -> None:
    async with site.http.post("/birds", json={"name": "Kiwi", "wings": 0}) as got:
        assert (got.status, await got.read()) == (202, b"")


async def test_a_form_comes_url_encoded_or_multipart(site: Site) -> None:
    assert await answer(site.http.post("/form", data={"name": "ü", "wings": "2"})) == (200, "application/json", {"name": "ü", "size": 2})
    multipart = aiohttp.FormData({"name": "ü"}, default_to_multipart=True)
    assert (await answer(site.http.post("/form", data=multipart)))[2] == {"name": "ü", "size": 0}


async def test_a_file_comes_with_its_name_and_other_fields(site: Site) -> None:
    form = aiohttp.FormData()
    form.add_field("file", b"12345", filename="egg.txt")
    assert (await answer(site.http.post("/upload", data=form)))[2] == {"name": "egg.txt", "size": 5}


async def test_a_model_may_come_as_json_or_as_a_form(site: Site) -> None:
    expected = {"name": "Piep", "wings": 2, "song": ["a", "b"]}
    assert (await answer(site.http.put("/either", json={"name": "Piep", "song": ["a", "b"]})))[2] == expected
    form = aiohttp.FormData([("name", "Piep"), ("song", "a"), ("song", "b")])
    assert (await answer(site.http.put("/either", data=form)))[2] == expected


async def test_an_optional_body_may_be_missing(site: Site) -> None:
    assert (await answer(site.http.patch("/optional")))[2] == {"name": "nobody", "size": 0}
    assert (await answer(site.http.patch("/optional", json={"name": "Piep"})))[2] == {"name": "Piep", "size": 0}


# --- refusing -----------------------------------------------------------------------------------------------------


async def test_all_wrong_values_are_reported_at_once_without_what_was_sent(site: Site) -> None:
    status, kind, body = await answer(site.http.get("/birds/geheim?shout=geheim"))
    assert (status, kind) == (422, "application/json")
    assert [(error["loc"], error["type"]) for error in body["detail"]] == [
        (["path", "bird_id"], "int_parsing"),
        (["query", "shout"], "bool_parsing"),
    ]
    assert {*body} == {"type", "title", "status", "detail", "code"}
    assert all({*error} == {"loc", "msg", "type"} for error in body["detail"])
    assert "geheim" not in str(body)


async def test_a_missing_body_a_missing_field_and_a_missing_file_are_validation_errors(site: Site) -> None:
    async def where(response: Any) -> Any:
        status, _, body = await answer(response)
        return status, [error["loc"] for error in body["detail"]]

    assert await where(site.http.post("/birds")) == (422, [["body"]])
    assert await where(site.http.post("/birds", json={})) == (422, [["body", "name"]])
    form = aiohttp.FormData({"note": "x"}, default_to_multipart=True)
    assert await where(site.http.post("/upload", data=form)) == (422, [["body", "file"]])
    unknown = aiohttp.FormData({"file": io.BytesIO(b"1"), "other": "x"}, default_to_multipart=True)
    assert ["body", "other"] in (await where(site.http.post("/upload", data=unknown)))[1]
    no_file = aiohttp.FormData({"file": "just text"}, default_to_multipart=True)
    assert await where(site.http.post("/upload", data=no_file)) == (422, [["body", "file"]])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"name": NaN}',
        b'{"name": "a", "wings": Infinity}',
        b'{"name": "\xff"}',
        b'{"name": "\\ud800"}',
        b'{"name": "a\0b"}',
        b"\xef\xbb\xbf\xff",
        b"[" * 100_000,
        b'{"wings": ' + b"9" * 10_000 + b"}",
    ],
    ids=["empty", "cut", "nan", "infinity", "not utf-8", "surrogate", "nul", "bom", "deep", "huge"],
)
async def test_what_is_not_json_is_malformed(site: Site, body: bytes) -> None:
    raw = b"POST /birds HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    status, headers, _ = await site.send(raw + body)
    # An empty body is no body: that is a missing value.
    assert (status, headers["content-type"]) == ((400, PROBLEM) if body else (422, "application/json"))


async def test_nul_in_text_never_reaches_a_handler(site: Site) -> None:
    for response in (
        site.http.post("/birds", json={"name": "a\0b"}),
        site.http.post("/birds", json={"name": "a", "song": ["x", "\0"]}),
        site.http.get("/birds/1?tag=%00"),
        site.http.get("/hello?name=%00"),
        site.http.post("/form", data={"name": "\0"}),
    ):
        status, _, body = await answer(response)
        assert (status, body["detail"][0]["type"]) == (422, "string_nul")
    assert (await answer(site.http.get("/fail/a%00b")))[2]["code"] == "not_found"


async def test_an_escaped_backslash_before_u0000_is_no_nul(site: Site) -> None:
    assert (await answer(site.http.post("/birds", data=rb'{"name": "\\u0000"}', headers=JSON)))[0] == 201


@pytest.mark.parametrize("path", ["/birds", "/form", "/upload", "/own"])
async def test_another_content_type_is_unsupported(site: Site, path: str) -> None:
    status, _, body = await answer(site.http.post(path, data=b"<a/>", headers={"Content-Type": "application/xml"}))
    assert (status, body["code"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=b", b"x"),
        ("multipart/form-data; boundary=" + "b" * 100, b"x"),
        ("multipart/form-data; boundary=b", b"--b\r\nContent-Disposition: form-data; name=\x00file\r\n\r\nx\r\n--b--\r\n"),
        ("multipart/form-data; boundary=b", b"--b\r\nno header\r\n\r\nx\r\n--b--\r\n"),
        ("multipart/form-data; boundary=b", b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n"),
        ("multipart/form-data; boundary=b", b"--b\r\nContent-Disposition: form-data; name=note\r\n\r\n\xff\r\n--b--\r\n"),
        (
            "multipart/form-data; boundary=b",
            b"--b\r\nContent-Disposition: form-data; name=file; filename=a\r\nContent-Transfer-Encoding: rot13\r\n\r\nx\r\n--b--\r\n",
        ),
        (
            "multipart/form-data; boundary=b",
            b"--b\r\nContent-Disposition: form-data; name=note\r\nContent-Type: text/plain; charset=martian\r\n\r\nx\r\n--b--\r\n",
        ),
        (
            "multipart/form-data; boundary=b",
            b"--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\nx\r\n--c--\r\n--b--\r\n",
        ),
    ],
)
# aiohttp leaves the temporary file of a part that it cannot decode to the garbage collector, which says so.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_broken_form_is_a_refusal_and_never_a_crash(site: Site, content_type: str, body: bytes) -> None:
    status, _, got = await answer(site.http.post("/upload", data=body, headers={"Content-Type": content_type}))
    assert status in {400, 422}, got


async def test_an_unknown_charset_of_a_form_is_malformed(site: Site) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded; charset=martian"}
    assert (await answer(site.http.post("/form", data=b"name=x", headers=headers)))[0] == 400


async def test_a_body_that_breaks_its_own_encoding_is_malformed(site: Site) -> None:
    headers = JSON | {"Content-Encoding": "gzip"}
    assert (await answer(site.http.post("/birds", data=b"not gzip", headers=headers)))[0] == 400


@pytest.mark.parametrize(("path", "size"), [("/birds", 2**20 + 1), ("/own", 20_001)])
async def test_a_body_over_its_bound_is_refused(site: Site, path: str, size: int) -> None:
    status, _, body = await answer(site.http.post(path, data=io.BytesIO(b'"' + b"a" * (size - 2) + b'"'), headers=JSON))
    assert (status, body["code"]) == (413, "body_too_large")


async def test_a_compressed_body_is_bounded_by_what_it_unpacks_to(site: Site) -> None:
    import gzip

    packed = gzip.compress(b"[" + b"0," * 2_000_000 + b"0]")
    assert len(packed) < 10_000
    assert (await answer(site.http.post("/birds", data=packed, headers=JSON | {"Content-Encoding": "gzip"})))[0] == 413


async def test_text_that_utf8_cannot_carry_is_refused_with_a_readable_answer(site: Site) -> None:
    for path in (b"/hello?name=%ED%A0%80", b"/birds/%FF", b"/hello?name=%FF", b"/fail/%ED%A0%80", b"/nowhere/%FF"):
        status, _, body = await site.send(b"GET %s HTTP/1.1\r\nHost: localhost\r\nX-Since: \xff\xfe\r\n\r\n" % path)
        assert status < 500
        body.decode()


# --- paths and methods ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/birds/7", "/birds/7/", "/hello", "/hello/?name=x"])
async def test_a_path_answers_with_and_without_its_trailing_slash(site: Site, path: str) -> None:
    async with site.http.get(path, allow_redirects=False) as got:
        assert got.status == 200


async def test_a_segment_of_a_path_may_hold_anything_but_a_slash(site: Site) -> None:
    status, _, body = await answer(site.http.get("/fail/%7B%7D%25%3F%23%20%C3%BC"))
    assert (status, body["code"]) == (404, "no_such_bird")


async def test_head_answers_where_get_does_without_a_body(site: Site) -> None:
    async with site.http.head("/birds/7") as got:
        assert (got.status, int(got.headers["Content-Length"]) > 0, await got.read()) == (200, True, b"")


async def test_a_wrong_method_is_told_which_ones_there_are(site: Site) -> None:
    for path in ("/birds/1", "/birds/1/"):
        async with site.http.put(path) as got:
            assert (got.status, got.content_type) == (405, PROBLEM)
            assert got.headers["Allow"] == "DELETE,GET,HEAD"


async def test_an_unknown_path_is_a_problem(site: Site) -> None:
    expected = {"type": "about:blank", "title": "Not Found", "status": 404, "detail": "Not Found", "code": "not_found"}
    assert await answer(site.http.get("/nowhere")) == (404, PROBLEM, expected)


# --- an endpoint's own errors -----------------------------------------------------------------------------------------


async def test_an_endpoint_with_its_own_errors_has_them_for_every_failure(site: Site) -> None:
    async def own(response: Any) -> int:
        async with response as got:
            body = await got.json()
            assert got.content_type == "application/json"
            assert {*body} == {"success", "error", "code"}
            assert body["success"] is False
            return int(got.status)

    assert await own(site.http.post("/own", data=b"{", headers=JSON)) == 400
    assert await own(site.http.post("/own", data=b"1", headers={"Content-Type": "text/plain"})) == 415
    assert await own(site.http.post("/own", data=b"1" * 20_001, headers=JSON)) == 413
    assert await own(site.http.post("/own?wanted=%00", data=b"1", headers=JSON)) == 400
    assert await own(site.http.post("/own?wanted=crash", data=b"1", headers=JSON)) == 500
    assert await own(site.http.post("/own", data=b"1", headers=JSON | {"Authorization": "Bearer x"})) == 401
    assert await own(site.http.post("/own", data=b"1", headers=JSON | {"Via": "1.1 proxy"})) == 401
    assert await own(site.http.post("/own", data=b"gz", headers=JSON | {"Content-Encoding": "gzip"})) == 400
    assert await own(site.http.get("/own/")) == 405
    assert await own(site.http.get("/own/one")) == 400
    assert await own(site.http.get("/own/%00")) == 400


async def test_a_raw_body_arrives_as_it_was_sent(site: Site) -> None:
    assert (await answer(site.http.post("/own", data=b" [1] ", headers=JSON)))[2] == {"name": "list", "size": 5}
    assert (await answer(site.http.post("/own", headers=JSON)))[2]["error"] == "body: Invalid JSON in request body"


# --- registering ------------------------------------------------------------------------------------------------------


async def nothing() -> None: ...


def test_an_endpoint_without_an_access_verdict_cannot_be_registered() -> None:
    api: Any = toy_api()
    with pytest.raises(TypeError):
        api.route("GET", "/open")(nothing)
    with pytest.raises(TypeError, match="who may use it"):
        api.route("GET", "/open", access=None)(nothing)


def test_two_endpoints_cannot_share_a_name_or_a_place() -> None:
    api = Api(title="", version="")
    api.route("GET", "/a", access=EVERYBODY)(nothing)
    with pytest.raises(ValueError, match="there already"):
        api.route("GET", "/b", access=EVERYBODY)(nothing)
    with pytest.raises(ValueError, match="there already"):
        api.route("GET", "/a/", access=EVERYBODY, operation_id="other")(nothing)


def test_a_signature_that_cannot_be_read_is_refused_at_once() -> None:
    async def untyped(a) -> None: ...  # type: ignore[no-untyped-def]

    async def two_bodies(a: Annotated[dict[str, str], Body()], b: Annotated[dict[str, str], Body()]) -> None: ...

    async def body_and_form(a: Annotated[dict[str, str], Body()], b: Annotated[str, Form()]) -> None: ...

    for handler in (untyped, two_bodies, body_and_form):
        with pytest.raises(TypeError):
            Api(title="", version="").route("POST", "/a", access=EVERYBODY)(handler)
