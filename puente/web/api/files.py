"""Files, coming in and going out: a form with one file in it, and what is fetched to be kept or printed."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import Request, Response
from starlette.datastructures import UploadFile

from puente.models import HubError
from puente.web.api.problems import HEADERS

KINDS = {
    "csv": "text/csv; charset=utf-8",
    "ics": "text/calendar; charset=utf-8",
    "pdf": "application/pdf",
    "tbx": "application/xml",
    "tmx": "application/x-tmx+xml",
}


class NoFile(HubError):
    """Send it as the file of a form, in the field that is called file."""


# A form is read by hand, after the gate: no file of a stranger's is even taken in.
@asynccontextmanager
async def sent(request: Request, name: str) -> AsyncIterator[Path]:
    """The file of a form, as `name` for as long as it is read. Only what is in it says what it is: the name that it was sent with
    stays outside. Raises NoFile."""
    given = (await request.form()).get("file")
    if not isinstance(given, UploadFile) or not given.size:
        raise NoFile(NoFile.__doc__)
    with tempfile.TemporaryDirectory(prefix="puente-api-") as folder:
        file = Path(folder) / name
        with file.open("wb") as kept:
            await asyncio.to_thread(shutil.copyfileobj, given.file, kept)
        yield file


def form(what: str) -> dict[str, Any]:
    """That the body of a route is a form with a file in it, for its description."""
    file = {"type": "string", "format": "binary", "description": what}
    schema = {"type": "object", "required": ["file"], "properties": {"file": file}}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


TABLES = form("A CSV, or a zip of them.")


def answers(*kinds: str) -> dict[int | str, dict[str, Any]]:
    """That a route answers with a file of one of these kinds, for its description."""
    content = {KINDS[kind].partition(";")[0]: {"schema": {"type": "string"}} for kind in kinds}
    return {200: {"description": "The file.", "content": content}}


def attached(content: str | bytes, kind: str, name: str) -> Response:
    headers = {**HEADERS, "Content-Disposition": f'attachment; filename="{name}.{kind}"'}
    return Response(content, media_type=KINDS[kind], headers=headers)


def written_as(document: str) -> dict[str, Any]:
    """That the body of a route is a document that the API's description has the schema of."""
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{document}"}}}
    return {"requestBody": {"required": True, "content": content}}


def text_of(kind: str) -> dict[str, Any]:
    """That the body of a route is a file of this kind, as it is."""
    return {"requestBody": {"required": True, "content": {KINDS[kind].partition(";")[0]: {"schema": {"type": "string"}}}}}
