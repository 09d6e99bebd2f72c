"""The roster: a file is read and tried out first, and imported when somebody has seen what it will change. And it leaves as a file.

upload → kept for half an hour, under a random token → enrol, rolled back: what will change → the button → enrol
"""

import asyncio
import os
import re
import secrets
import shutil
import tempfile
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response, StreamingResponse
from sqlmodel import col
from starlette.datastructures import UploadFile

from puente.messaging import access, roster
from puente.messaging.access import Reader
from puente.messaging.roster import Changes, Roster, exporting
from puente.messaging.roster.files import Notice, Problem
from puente.models import HubError, Student
from puente.web.staff import frame
from puente.web.staff.desk import Desk
from puente.web.staff.frame import _
from puente.web.staff.gate import NotAllowed, Office

KEPT_FOR = timedelta(minutes=30)
MOST_BYTES = 64 << 20  # a district of 100,000 families is 20 MB
MOST_SHOWN = 100
LONGEST_NAME = 80
A_CHUNK = 1 << 20

NOUNS = {
    "students": _("Students"),
    "guardians": _("Guardians"),
    "contacts": _("Phone numbers"),
    "links": _("Guardians beside a student"),
    "groups": _("Classes and groups"),
    "staff": _("Staff"),
}


class NoFile(HubError):
    """Choose a file first: a CSV, or a zip of CSV files."""


class TooLarge(HubError):
    """This file is larger than 64 MB, too large for this page. Import it on the server: puente roster import"""


class NotKept(HubError):
    """This file was imported already, or it has waited for too long. Choose it again."""


@dataclass(frozen=True)
class Read:
    """What a file says, and what came of it: of a dry run, or of the import itself."""

    name: str
    changes: Changes
    problems: list[Problem]
    notices: list[Notice]
    nothing: bool


def roster_routes() -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/roster")
    async def roster_page(request: Request, reader: Office) -> HTMLResponse:
        _check_all(reader)
        return _page(request, reader)

    # The form is read by hand, after the gate: no file of a stranger's is even taken in.
    @router.post("/roster")
    async def try_out(request: Request, reader: Office) -> HTMLResponse:
        _check_all(reader)
        desk: Desk = request.app.state.desk
        folder = None
        try:
            given = (await request.form()).get("file")
            folder = await keep(given if isinstance(given, UploadFile) else None, reader, desk.now())
            read = await _read(desk, folder, dry=True)
        except HubError as wrong:
            if folder:
                shutil.rmtree(folder, ignore_errors=True)
            return _page(request, reader, error=frame.sentence(wrong))
        return _page(request, reader, read, token=token_of(folder))

    @router.post("/roster/import")
    async def import_(request: Request, reader: Office) -> HTMLResponse:
        _check_all(reader)
        desk: Desk = request.app.state.desk
        token = (await request.form()).get("token")
        try:
            folder = take(token if isinstance(token, str) else "", reader, desk.now())
            try:
                read = await _read(desk, folder, dry=False)
            finally:
                shutil.rmtree(folder, ignore_errors=True)
        except HubError as wrong:
            return _page(request, reader, error=frame.sentence(wrong))
        return _page(request, reader, read, done=True)

    @router.get("/roster/people.csv")
    async def export(request: Request, reader: Office) -> Response:
        desk: Desk = request.app.state.desk
        headers = {**frame.HEADERS, "Content-Disposition": 'attachment; filename="people.csv"'}
        lines = exporting.families(desk.sessions, access.is_seen(reader, col(Student.id)))
        return StreamingResponse(lines, media_type="text/csv; charset=utf-8", headers=headers)

    return router


def _page(
    request: Request, reader: Reader, read: Read | None = None, *, token: str = "", done: bool = False, error: str = ""
) -> HTMLResponse:
    return frame.page(
        request, reader, "roster.html", status=400 if error else 200, error=error, read=read, token=token, done=done, nouns=NOUNS,
        most=MOST_SHOWN,
    )  # fmt: skip


async def keep(upload: UploadFile | None, reader: Reader, at: datetime) -> Path:
    """Put a file aside, in a folder of its own that only this user of the machine may open. Raises NoFile, TooLarge."""
    if upload is None or not upload.filename or not upload.size:
        raise NoFile(NoFile.__doc__)
    if upload.size > MOST_BYTES:
        raise TooLarge(TooLarge.__doc__)
    forget_old(at)
    folder = _kept() / f"{reader.account_id}-{secrets.token_urlsafe(18)}"
    folder.mkdir(mode=0o700)
    with (folder / _file_name(upload.filename)).open("wb") as file:
        while chunk := await upload.read(A_CHUNK):
            file.write(chunk)
    os.utime(folder, (at.timestamp(), at.timestamp()))
    return folder


def take(token: str, reader: Reader, at: datetime) -> Path:
    """The file that was put aside, for whoever did so, once: the second of two presses finds nothing. Raises NotKept."""
    forget_old(at)
    kept = _kept() / f"{reader.account_id}-{token}"
    taken = kept.with_name(f"{kept.name}.taken")
    try:
        if not re.fullmatch(r"[\w-]{16,64}", token, re.ASCII):
            raise NotKept(NotKept.__doc__)
        kept.rename(taken)
    except OSError:
        raise NotKept(NotKept.__doc__) from None
    return taken


def forget_old(at: datetime) -> None:
    """Files that nobody came back for. They hold names and numbers, and are not needed."""
    for folder in _kept().iterdir():
        try:
            if folder.stat().st_mtime < (at - KEPT_FOR).timestamp():
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            continue  # somebody else was faster


def _kept() -> Path:
    """A folder that all processes of this user of the machine share, and nobody else can read."""
    folder = Path(tempfile.gettempdir()) / f"puente-rosters-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    about = folder.lstat()
    if folder.is_symlink() or about.st_uid != os.getuid() or about.st_mode & 0o077:
        raise NotKept("The folder for uploads on the server belongs to somebody else. Ask whoever runs it.")
    return folder


def token_of(folder: Path) -> str:
    return folder.name.partition("-")[2]


def _file_name(given: str) -> str:
    """The name that the file has in what is said about its lines; nothing in it can lead elsewhere."""
    name = re.split(r"[/\\]", given)[-1]
    plain = "".join(c for c in name if c.isprintable() and c not in '<>:"|?*')[-LONGEST_NAME:].lstrip(". ")
    return plain if plain.strip() else "roster.csv"


async def _read(desk: Desk, folder: Path, *, dry: bool) -> Read:
    name, found = await asyncio.to_thread(_roster_in, folder, desk.school.region, desk.today)
    async with desk.sessions() as session:
        changes = await roster.enrol(session, found, desk.now())
        await (session.rollback() if dry else session.commit())
    nothing = not (found.students or found.staff)
    return Read(name, changes, found.problems, found.notices, nothing)


def _roster_in(folder: Path, region: str, on: date) -> tuple[str, Roster]:
    (file,) = folder.iterdir()
    return file.name, roster.read(file, region, on)


def _check_all(reader: Reader) -> None:
    """A roster holds all schools of the hub: it is for whoever is the office of all. Raises NotAllowed."""
    if not reader.sees_all:
        raise NotAllowed(NotAllowed.__doc__)
