"""What goes in and out of the API: the words that several routes share. Each module has the rest beside its routes.

Times have a zone; what comes out is in UTC. A list is a page of at most 50, with the id that gets the next one.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Header, Path, Query
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, StringConstraints

from puente.models import LARGEST_ID, HubError, Kind
from puente.web.staff.times import FARTHEST, TooFar

Item = TypeVar("Item")

# Of the rows that could not be taken from a file.
MOST_NAMED = 200
# What no database holds.
NO_NUL = r"^[^\x00]*$"
# What people write to families; the rest is written by programs and by the hub itself.
KINDS = (Kind.announcement, Kind.progress, Kind.conference, Kind.safety, Kind.notice, Kind.urgent)
CRITICAL = (Kind.notice, Kind.urgent)


def _near(moment: datetime) -> datetime:
    if not 2000 <= moment.year < 2200:
        raise ValueError("the year is not one from 2000 to 2199")
    return moment.astimezone(UTC)


When = Annotated[AwareDatetime, AfterValidator(_near)]
Word = Annotated[str, StringConstraints(max_length=255, pattern=NO_NUL)]
Tag = Annotated[str, StringConstraints(min_length=2, max_length=35, pattern=r"^[A-Za-z0-9-]+$")]
Note = Annotated[str, StringConstraints(max_length=300, pattern=NO_NUL)]
Sentences = Annotated[str, StringConstraints(max_length=1600, pattern=NO_NUL)]

Id = Annotated[int, Path(ge=1, le=LARGEST_ID)]
Language = Annotated[str, Path(min_length=2, max_length=35, pattern=r"^[A-Za-z0-9-]+$")]
After = Annotated[int, Query(ge=0, le=LARGEST_ID, description="The `next` of the page before; 0 for the first page.")]
Key = Annotated[
    str,
    Header(
        alias="Idempotency-Key", min_length=8, max_length=128, pattern=r"^[\x21-\x7e]+$",
        description="Yours, and another for each thing that is to happen: sent again, it happens once.",
    ),
]  # fmt: skip


class Past(HubError):
    """This time has passed. To send it now, leave the time out."""


def check_to_come(moment: datetime, at: datetime) -> None:
    """Raises Past, TooFar."""
    if moment <= at:
        raise Past(Past.__doc__)
    if moment > at + FARTHEST:
        raise TooFar(TooFar.__doc__)


class Given(BaseModel):
    """What comes in: a word that nobody knows is a mistake, not something to pass over in silence."""

    model_config = ConfigDict(extra="forbid")


class Shown(BaseModel):
    """What goes out."""

    model_config = ConfigDict(from_attributes=True)


class CountOut(Shown):
    added: int
    changed: int
    unchanged: int


class Noted(Shown):
    """A row of a file that was not taken, or that is worth looking at."""

    file: str
    line: int
    reason: str


class Page(Shown, Generic[Item]):
    """Some of a list. `next` gets what comes after it; null where this is the end."""

    items: list[Item]
    next: int | None


def page(items: Sequence[Any], ids: Sequence[int], most: int) -> dict[str, Any]:
    """A page, of items of which one more than `most` was read where there are more."""
    return {"items": items[:most], "next": ids[most - 1] if len(ids) > most else None}
