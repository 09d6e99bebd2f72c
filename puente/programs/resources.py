"""The directory: where families find food, health care, someone to talk to or a lawyer nearby, and in which languages.

    a CSV file → read (rows by their line) → keep (the table) → places (a field's value) → fields.fill (the reader's own lines)

A field `{"resources": "food"}` is filled when its message is written: the value then holds the places themselves, and each reader
sees those first where their language is spoken.
"""

import re
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import delete, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging import outbox
from puente.messaging.roster import Count
from puente.messaging.roster.cells import WrongRow, canonical_mobile, take_rows, text
from puente.messaging.roster.rows import Notice
from puente.messaging.roster.tables import Problem, Row, Source, Table, UnreadableRoster, open_sources
from puente.models import HubError, Resource, database
from puente.translations import languages

COLUMNS = ("kind", "name", "phone", "address", "hours", "languages", "note")
SHOWN = ("phone", "address", "hours", "languages", "note")
LONGEST_NOTE = 1_000
# In a column `{food_help}` stands for the places of the kind food.
HELP = "_help"


class UnreadableDirectory(HubError):
    """This is no directory: it takes a CSV file with the columns kind and name, and phone, address, hours, languages and note."""


class NoSuchResource(HubError):
    """The directory has nothing of this kind and name."""


class BadPlace(HubError):
    """This place cannot be kept: it needs a kind, a name, and a phone number or an address."""


class NothingNearby(HubError):
    """The directory has nothing of this kind yet: puente resources import FILE"""


@dataclass(frozen=True)
class Directory:
    """What a file says: the places, by kind and name, what could not be taken, and what was passed over."""

    places: dict[tuple[str, str], Resource] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)


def read(path: Path, region: str, at: datetime) -> Directory:
    """Read a directory. Numbers without a country are read as numbers of `region`. Raises UnreadableDirectory where it is none."""
    directory = Directory()
    try:
        with open_sources(path) as sources:
            if len(sources) != 1:
                raise UnreadableDirectory(f"{path.name} is not one CSV file. {UnreadableDirectory.__doc__}")
            _read_table(directory, sources[0], region, at)
    except UnreadableRoster as error:
        raise UnreadableDirectory(str(error).replace("roster", "directory")) from None
    return directory


async def keep(session: AsyncSession, directory: Directory) -> Count:
    """Put the places of a file into the table. Those it has beside them stay, and keeping the same again changes nothing."""
    known = {(row.kind, row.name): row for row in await session.scalars(select(Resource))}
    count, new = Count(), []
    for key, place in sorted(directory.places.items()):
        before = known.get(key)
        differs = before is not None and any(getattr(before, part) != getattr(place, part) for part in SHOWN)
        count.note(before, differs)
        if before is None or differs:
            new.append(place)
    await database.put_all(session, new, ["kind", "name"])
    if missing := len(known.keys() - directory.places.keys()):
        directory.notices.append(Notice("", 0, f"Places known before but missing from the file, left as they are: {missing}"))
    return count


def place(given: Mapping[str, str], region: str, at: datetime) -> Resource:
    """One place, from what stands in each of COLUMNS. Raises BadPlace with what is wrong."""
    row = Row("", 0, [given.get(column, "") for column in COLUMNS], {column: at for at, column in enumerate(COLUMNS)})
    try:
        return _place(row, region, at)
    except WrongRow as wrong:
        raise BadPlace(f"{str(wrong)[:1].upper()}{str(wrong)[1:]}.") from None


async def put(session: AsyncSession, new: Resource, instead_of: Resource | None = None) -> Resource:
    """Keep one place, in the place of the one that has its kind and name, and of another where it was called otherwise. Returns it
    as it is kept."""
    if instead_of and (instead_of.kind, instead_of.name) != (new.kind, new.name):
        await session.delete(instead_of)
        await session.flush()
    await database.put_all(session, [new], ["kind", "name"])
    kept = select(Resource).where(col(Resource.kind) == new.kind, col(Resource.name) == new.name)
    return (await session.scalars(kept.execution_options(populate_existing=True))).one()


async def one(session: AsyncSession, place_id: int) -> Resource | None:
    return await session.get(Resource, place_id)


async def page(session: AsyncSession, after: int, most: int) -> list[Resource]:
    """Some of the places, by kind and name: those that come after the one with this number."""
    rows = select(Resource).order_by(col(Resource.kind), col(Resource.name)).limit(most)
    if before := await one(session, after) if after else None:
        rows = rows.where(tuple_(col(Resource.kind), col(Resource.name)) > (before.kind, before.name))
    return list(await session.scalars(rows))


async def remove(session: AsyncSession, kind: str, name: str) -> None:
    """Take a place out of the directory, when it has closed."""
    gone = delete(Resource).where(col(Resource.kind) == kind_of(kind), col(Resource.name) == name)
    if not outbox.changed(await session.execute(gone)):
        raise NoSuchResource(NoSuchResource.__doc__)


async def listed(session: AsyncSession, kind: str | None = None, language: str | None = None) -> list[Resource]:
    """The places, by kind and name. With a kind, those of it; with a language, those where it is spoken."""
    rows = select(Resource).order_by(col(Resource.kind), col(Resource.name))
    if kind is not None:
        rows = rows.where(col(Resource.kind) == kind_of(kind))
    found = await session.scalars(rows)
    return [place for place in found if language is None or languages.nearest(language, place.languages.split())]


async def places(session: AsyncSession, kind: str) -> dict[str, Any]:
    """A field's value: the places of one kind as they are now."""
    found = await listed(session, kind)
    if not found:
        raise NothingNearby(f"The directory has no {kind_of(kind)} yet: puente resources import FILE")
    lines = [{"name": place.name, "phone": place.phone or place.address, "languages": place.languages.split()} for place in found]
    return {"resources": kind_of(kind), "places": lines}


async def filled(session: AsyncSession, given: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a message, with those that name a kind of resources holding its places as they are now."""
    return {
        name: await places(session, str(value["resources"])) if isinstance(value, dict) and "resources" in value else value
        for name, value in given.items()
    }


def kind_of(written: str) -> str:
    """A kind as it is kept: `Legal Aid` is legal_aid, so that it can be the name of a field."""
    return "_".join(written.casefold().split())


def _read_table(directory: Directory, source: Source, region: str, at: datetime) -> None:
    with closing(Table(source)) as table:
        if not table.has("kind", "name"):
            raise UnreadableDirectory(f"{table.name} is no directory. {UnreadableDirectory.__doc__}")
        if unknown := len(table.columns.keys() - {*COLUMNS}):
            directory.notices.append(Notice(table.name, 0, f"{unknown} columns that Puente does not know were ignored"))
        take_rows(table, directory.problems, lambda row: _take(directory, row, region, at))


def _take(directory: Directory, row: Row, region: str, at: datetime) -> None:
    place = _place(row, region, at)
    if (place.kind, place.name) in directory.places:
        raise WrongRow("this kind and name stand on a line before")
    directory.places[place.kind, place.name] = place


def _place(row: Row, region: str, at: datetime) -> Resource:
    kind, name = kind_of(text(row, "kind", 32)), text(row, "name")
    if not re.fullmatch(r"[^\W\d]\w*", kind):
        raise WrongRow("kind is missing, or is not a word like food, health, counseling or legal")
    if not name:
        raise WrongRow("name is missing")
    place = Resource(
        kind=kind, name=name, phone=_phone(row, region), address=text(row, "address"), hours=text(row, "hours"),
        languages=_spoken(row), note=text(row, "note", LONGEST_NOTE), changed_at=at,
    )  # fmt: skip
    if not place.phone and not place.address:
        raise WrongRow("phone and address are both missing: nobody would find it")
    return place


def _phone(row: Row, region: str) -> str:
    """A number in E.164, or a short one such as 211 as it stands."""
    written = (row.cell("phone") or "").strip()
    if not written or re.fullmatch(r"\d{3,6}", written):
        return written
    number = canonical_mobile(written, region)
    if number is None:
        raise WrongRow("phone is not a phone number that can exist")
    return number


def _spoken(row: Row) -> str:
    """The languages of a cell, with ; or blanks between them, as tags with blanks between."""
    written = [part for part in re.split(r"[;,\s]+", text(row, "languages", 1_000)) if part]
    tags = [languages.canonical(part) for part in written]
    if None in tags:
        raise WrongRow("languages holds one that is unknown: write their codes, such as en;es;zh-Hans")
    spoken = " ".join(dict.fromkeys(tag for tag in tags if tag))
    if len(spoken) > 255:
        raise WrongRow("languages is longer than 255 characters")
    return spoken
