from __future__ import annotations

from typing import Any

import pytest
import schemathesis

from tests.unit.webapi.toy import toy_api
from webapi.contract import EVERYBODY, Api
from webapi.docs_pages import DocsPages
from webapi.health import HealthEndpoints
from webapi.openapi import document


@pytest.fixture
def described() -> dict[str, Any]:
    api = toy_api()
    DocsPages(api).register()
    return document(api)


def test_the_document_is_valid_openapi_3_1(described: dict[str, Any]) -> None:
    assert described["openapi"] == "3.1.0"
    schemathesis.openapi.from_dict(described).validate()


def test_the_validation_finds_what_is_not_valid(described: dict[str, Any]) -> None:
    described["paths"]["/hello"]["get"]["responses"] = "none"
    with pytest.raises(Exception, match=r"responses|not of type"):
        schemathesis.openapi.from_dict(described).validate()


def test_operation_ids_are_unique_and_every_reference_leads_somewhere(described: dict[str, Any]) -> None:
    operations = [operation for path in described["paths"].values() for operation in path.values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    for reference in _references(described):
        assert reference.removeprefix("#/components/schemas/") in described["components"]["schemas"]


def _references(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [one for name, inner in value.items() for one in ([inner] if name == "$ref" else _references(inner))]
    return [one for inner in value for one in _references(inner)] if isinstance(value, list) else []


def test_every_status_that_an_endpoint_can_give_is_described(described: dict[str, Any]) -> None:
    paths = described["paths"]
    assert {*paths["/birds"]["post"]["responses"]} == {"201", "202", "400", "401", "403", "413", "415", "422", "429", "500", "503"}
    assert {*paths["/birds/{bird_id}"]["get"]["responses"]} == {"200", "401", "403", "404", "422", "429", "500", "503"}
    assert {*paths["/birds/{bird_id}"]["delete"]["responses"]} == {"200", "401", "403", "404", "422", "429", "500", "503"}
    assert {*paths["/signed"]["get"]["responses"]} == {"200", "401", "403", "429", "500", "503"}
    assert {*paths["/own"]["post"]["responses"]} == {"200", "400", "401", "403", "413", "415", "429", "500", "503"}
    own = paths["/own"]["post"]["responses"]
    bodies = {next(iter(own[status]["content"].values()))["schema"]["$ref"] for status in own if status != "200"}
    assert bodies == {"#/components/schemas/OwnBody"}


def test_the_access_verdict_is_in_the_document(described: dict[str, Any]) -> None:
    assert described["paths"]["/birds"]["post"]["x-access"] == {
        "anonymous": 401,
        "local": "allowed",
        "owner": 403,
        "other": 403,
        "superuser": 403,
    }
    assert described["paths"]["/signed"]["get"]["x-access"] == {
        "anonymous": 401,
        **dict.fromkeys(("local", "owner", "other", "superuser", "signed"), "allowed"),
    }
    assert "security" not in described["paths"]["/hello"]["get"]
    assert described["paths"]["/birds"]["post"]["security"] == [{"bearer": []}, {"apiKey": []}, {}]


def test_parameters_say_where_they_come_from_and_have_no_null_outside_json(described: dict[str, Any]) -> None:
    found = {one["name"]: one for one in described["paths"]["/birds/{bird_id}"]["get"]["parameters"]}
    assert {name: one["in"] for name, one in found.items()} == {
        "bird_id": "path",
        "shout": "query",
        "tag": "query",
        "X-Since": "header",
        "flock": "cookie",
    }
    assert [one["required"] for one in found.values()] == [True, False, False, False, False]
    assert found["X-Since"]["schema"] == {"type": "string"}
    assert found["tag"]["schema"] == {"type": "array", "items": {"type": "string"}}


def test_a_file_is_bytes_in_a_multipart_form(described: dict[str, Any]) -> None:
    content = described["paths"]["/upload"]["post"]["requestBody"]["content"]
    assert content["multipart/form-data"]["schema"]["properties"]["file"]["contentMediaType"] == "application/octet-stream"


def test_an_api_without_endpoints_has_a_document_too() -> None:
    schemathesis.openapi.from_dict(document(Api(title="Empty", version="0"))).validate()


def test_a_public_endpoint_that_asks_who_calls_may_answer_401_and_429() -> None:
    from service.health import ServiceState

    api = Api(title="", version="")
    HealthEndpoints(state=ServiceState(), checks=[]).register(api)
    responses = {path: {*item["get"]["responses"]} for path, item in document(api)["paths"].items()}
    assert responses["/api/health"] == {"200", "401", "429", "500", "503"}
    assert responses["/api/health/simple"] == {"200", "500", "503"}
    assert EVERYBODY.is_public
