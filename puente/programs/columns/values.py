"""What stands in the fields of a column: the school's phone numbers, and the places of its directory. Never a hole."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from puente.messaging import wording
from puente.messaging.channels import gsm7
from puente.messaging.roster.cells import canonical_mobile
from puente.messaging.school import School
from puente.messaging.wording import Says
from puente.models import HubError
from puente.programs import resources
from puente.programs.columns.texts import PHONES, Column
from puente.programs.resources import HELP, NothingNearby

# No SMS of a program is longer without its sender having been told.
MOST_SEGMENTS = 3

LINK = "\n{link}"
TOKEN = "x" * 12


class NothingToSay(HubError):
    """A field of this column has no value yet, and it does not go out with a hole in it."""


async def known(session: AsyncSession, column: Column, school: School) -> dict[str, Any]:
    """The fields of a column that have a value. The school's name is one that every message knows by itself."""
    found: dict[str, Any] = phones(school)
    for name in column.fields:
        if name.endswith(HELP):
            try:
                found[name] = await resources.places(session, name.removesuffix(HELP))
            except NothingNearby:
                continue
    return found


def phones(school: School) -> dict[str, Any]:
    """Whom to call, each as a field's value: a whole number is written as the reader's country does, a short one as it stands."""
    written = {name: getattr(school, name).strip() for name in PHONES}
    return {name: _phone(number, school.region) for name, number in written.items() if number}


def missing(column: Column, given: Mapping[str, Any], school: School) -> dict[str, str]:
    """The fields that have no value, each with what a person must do for it."""
    there = {*given, *(["school"] if school.name else [])}
    return {name: _how_to_fill(name) for name in column.fields if name not in there}


def check(column: Column, given: Mapping[str, Any], school: School) -> None:
    """Refuse a column with a field that nothing fills."""
    if lacking := missing(column, given, school):
        how = "; ".join(f"{{{name}}}: {what}" for name, what in lacking.items())
        raise NothingToSay(f"The column “{column.name}” has fields without a value. {how}.")


def segments(
    column: Column, given: Mapping[str, Any], school: School, public_url: str | None, *, first: Says | None = None
) -> dict[str, int]:
    """How many SMS segments the summary takes in each language, with its link where it has one. With `first`, which knows the
    catalogue, as the first text that a family gets: it says how to stop, too."""
    values = {**given, "link": {"link": f"{public_url}/c/{TOKEN}"}}
    ending = LINK if public_url else ""
    found = {}
    for language, text in column.texts.items():
        said = wording.filled(text.summary + ending, values, {}, school, language, first or _Nothing())
        said = wording.introduced(said, language, first) if first else said
        found[language] = gsm7.parts(wording.as_sent(said, "sms", school))
    return found


class _Nothing:
    """No value of a column is a phrase of the catalogue."""

    def say(self, _phrase: str, _language: str, _number: int | None = None, /) -> str | None:
        return None


def _phone(written: str, region: str) -> Any:
    number = canonical_mobile(written, region)
    return {"phone": number} if number else written


def _how_to_fill(name: str) -> str:
    if name.endswith(HELP):
        return f"puente resources import FILE, with places of the kind {name.removesuffix(HELP)}"
    return f"set PUENTE_{'SCHOOL_NAME' if name == 'school' else name.upper()}"
