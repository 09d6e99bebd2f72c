"""The API's description: as OpenAPI for programs, as a page for people. Nothing comes from another host, and no script is run."""

import json
from collections.abc import Callable, Iterator
from typing import Any

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, JSONResponse

from puente.web.staff.frame import HEADERS, TEMPLATES, VERSIONS

Description = dict[str, Any]


def docs_routes(describe: Callable[[], Description]) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/openapi.json")
    async def openapi() -> JSONResponse:
        return JSONResponse(describe(), headers={"X-Content-Type-Options": "nosniff"})

    @router.get("/docs")
    async def read() -> HTMLResponse:
        made = describe()
        shown = {
            "info": made["info"],
            "base": made["servers"][0]["url"],
            "tags": list(_by_tag(made)),
            "schemas": list(_schemas(made)),
        }
        page = TEMPLATES.get_template("api/docs.html").render(shown, versions=VERSIONS)
        return HTMLResponse(page, headers=HEADERS)

    return router


def _by_tag(made: Description) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The operations, in the order of the routes, under the name of what they are about."""
    found: dict[str, list[dict[str, Any]]] = {}
    for path, methods in made["paths"].items():
        for method, operation in methods.items():
            found.setdefault(operation["tags"][0], []).append({**_operation(operation), "method": method.upper(), "path": path})
    yield from found.items()


def _operation(operation: dict[str, Any]) -> dict[str, Any]:
    answers = [(status, one) for status, one in operation["responses"].items() if status.startswith("2")]
    return {
        "id": operation["operationId"],
        "summary": operation["summary"],
        "about": operation.get("description", ""),
        "given": [
            (one["name"], one["in"], one.get("required", False), _kind(one["schema"]), one.get("description", ""))
            for one in operation.get("parameters", ())
        ],
        "body": _content(operation.get("requestBody", {})),
        "answers": [(status, one["description"], _content(one)) for status, one in answers],
    }


def _content(part: dict[str, Any]) -> str:
    return ", ".join(_kind(one["schema"]) if kind == "application/json" else kind for kind, one in part.get("content", {}).items())


def _schemas(made: Description) -> Iterator[dict[str, Any]]:
    for name, schema in sorted(made["components"]["schemas"].items()):
        needed = schema.get("required", [])
        fields = [
            (field, _kind(one), field in needed, one.get("description", "")) for field, one in schema.get("properties", {}).items()
        ]
        yield {"name": name, "about": schema.get("description", ""), "fields": fields, "values": schema.get("enum", [])}


def _kind(schema: dict[str, Any]) -> str:
    """What a value is, in a word or two."""
    if "$ref" in schema:
        return schema["$ref"].rpartition("/")[2]
    if several := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(_kind(one) for one in several)
    if "enum" in schema or "const" in schema:
        return " | ".join(json.dumps(one) for one in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array":
        return f"list of {_kind(schema['items'])}" if "items" in schema else "list"
    if isinstance(inside := schema.get("additionalProperties"), dict):
        return f"from a word to {_kind(inside)}"
    return schema.get("format") or schema.get("type", "anything")
