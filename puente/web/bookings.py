"""The family's own page of a conference day, behind the link of its invitation; and the calendars that are subscribed to.

GET shows, and changes nothing: programs that look at links before people do may open it. POST does one thing, by the same functions
as a digit by text, and sends the browser back to the page. No sign-in, no cookie, no JavaScript.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Annotated, Any
from urllib.parse import parse_qsl, urlencode
from zoneinfo import ZoneInfo

import structlog
from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from sqlalchemy.ext.asyncio import AsyncSession

from puente.messaging import wording
from puente.messaging.school import School
from puente.messaging.wording import Says
from puente.models import ConferenceDay, ConferenceParty, MeetingState
from puente.models.database import Sessions
from puente.programs.conferences import booking, calendars, confirming, needing, offering, parties, reminding, saying, schedule
from puente.programs.conferences.needing import NEEDS
from puente.programs.conferences.offering import Offer, Seat
from puente.programs.conferences.schedule import Line, Schedule
from puente.translations.phrases import SPOKEN, is_spoken
from puente.web import pages
from puente.web.webhooks import FORM_TYPE, REFUSALS, small

log = structlog.get_logger()

TITLE = "Your meetings with teachers"
NO_TIME_YET = "No time is chosen yet."
NONE_FREE = "There is no free time now."
WAS = "The meeting about {child} was on {date} at {time}."
OVER = "The times cannot be changed any more. Please call the school."
WHAT_ELSE = "What else do you need?"
NOTED = "We have noted it. A person at the school will see to it and write to you."
IN_CALENDAR = "Put the dates in my calendar"
# What the buttons say, by what they do. What a family may also write to us in a text is said in the same words.
BUTTONS = {
    "confirm": "I will be there.",
    "give_back": "Give this time back",
    "decline": "I cannot come.",
    "interpreter": "I need an interpreter.",
    "no_interpreter": "I do not need an interpreter.",
    "wait": "Write to me when a time is free.",
    "need": "Save",
}

LONGEST_FORM = 8 * 1024
SIGN = "ase"

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
}
# Whoever has the address may read it, so no cache on the way keeps it; and a program asks again before it shows an old one.
CALENDAR_HEADERS = {
    "Cache-Control": "private, no-cache",
    "Content-Disposition": 'inline; filename="meetings.ics"',
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}

CALENDAR_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"description": "The calendar.", "content": {"text/calendar": {"schema": {"type": "string"}}}},
    304: {"description": "Nothing has changed."},
    404: pages.RESPONSES[404],
}
DONE: dict[int | str, dict[str, Any]] = {
    303: {"description": "It is done, or could not be: the page says what is so now."},
    404: pages.RESPONSES[404],
    413: REFUSALS[413],
}
FORM = {
    "requestBody": {
        "content": {
            FORM_TYPE: {
                "schema": {
                    "type": "object",
                    "properties": {
                        "do": {"type": "string", "enum": ["take", *BUTTONS]},
                        "time": {"type": "string"},
                        "needs": {"type": "array", "items": {"type": "string", "enum": list(NEEDS)}},
                    },
                }
            }
        }
    }
}

Lang = Annotated[str | None, Query(description="A language of the page. Else the family's.")]


@dataclass(frozen=True)
class Opened:
    """A party's page: the party, its seat on the board, its conferences, and when they can no longer be changed."""

    party: ConferenceParty
    seat: Seat
    schedule: Schedule
    family_language: str
    over: bool


def bookings_routes(
    sessions: Sessions, school: School, translator: Says, now: Callable[[], datetime], public_url: str | None
) -> APIRouter:
    """`/b/TOKEN` and `/b/TOKEN/calendar.ics` for a family; `/k/TOKEN.ics` for a teacher, a room or an interpreter."""
    router = APIRouter()
    templates = pages.open_templates()
    zone = school.timezone

    def gone(wanted: str) -> HTMLResponse:
        shown = pages.about(school, pages.best(wanted, SPOKEN), translator)
        return pages.answer(templates, "gone.html", 404, shown)

    async def page(
        token: str,
        lang: Lang = None,
        said: Annotated[str | None, Query(description="What was just done.")] = None,
        accept_language: Annotated[str, Header()] = "",
    ) -> Response:
        at = now()
        async with sessions() as session:
            found = await _open(session, token, at, zone)
        if found is None:
            return gone(wanted(lang, "", accept_language))
        free = [] if found.over else _free(found.seat, at)
        language = pages.best(wanted(lang, found.family_language, accept_language), SPOKEN)
        shown = Page(found, language, school, translator, at).shown(free, said)
        return pages.answer(templates, "booking.html", 200, shown, HEADERS)

    async def act(request: Request, token: str, lang: Lang = None) -> Response:
        fields = form_fields(request.headers.get("Content-Type", ""), await small(request, LONGEST_FORM))
        at = now()
        async with sessions.begin() as session:
            party = await _party(session, token)
            if party is None:
                return gone(wanted(lang, "", request.headers.get("Accept-Language", "")))
            await parties.lock(session, party)
            seat = await offering.seat(session, party, at, zone)
            said = None if _is_over(seat, at) else await _do(session, seat, fields, at, zone, public_url)
        asked = {"lang": lang if lang in SPOKEN else None, "said": said}
        query = urlencode({name: value for name, value in asked.items() if value})
        # By the last part of its own address, so that it is right behind every reverse proxy.
        return RedirectResponse(f"{token}?{query}" if query else token, 303, {"Cache-Control": "no-store"})

    async def family_calendar(token: str, lang: Lang = None, if_none_match: Annotated[str, Header()] = "") -> Response:
        async with sessions() as session:
            found = await _open(session, token, now(), zone)
        if found is None:
            return gone(lang or "")
        language = pages.best(wanted(lang, found.family_language, ""), SPOKEN)
        address = f"{public_url}/b/{token}" if public_url else None
        made = calendars.for_family(found.schedule, language, school, translator, address)
        return _calendar(made, if_none_match)

    async def feed(token: str, if_none_match: Annotated[str, Header()] = "") -> Response:
        async with sessions() as session:
            found = await calendars.opened(session, token, zone)
        if found is None:
            return gone("")
        day, sheet, reads = found
        made = calendars.for_sheet(day, sheet, pages.best(reads, SPOKEN), school, translator)
        return _calendar(made, if_none_match)

    pages.add_read(router, "/b/{token}", page, pages.RESPONSES, HTMLResponse)
    pages.add_read(router, "/b/{token}/calendar.ics", family_calendar, CALENDAR_RESPONSES)
    pages.add_read(router, "/k/{token}.ics", feed, CALENDAR_RESPONSES)
    router.add_api_route(
        "/b/{token}", act, methods=["POST"], status_code=303, response_class=Response, responses=DONE, openapi_extra=FORM
    )
    return router


# What the page shows


class Page:
    """A party's page for a reader: whoever has the link reads it, in any language that we speak."""

    def __init__(self, found: Opened, language: str, school: School, translator: Says, at: datetime) -> None:
        self.found, self.language, self.school, self.translator, self.at = found, language, school, translator, at

    def shown(self, free: Sequence[Offer], said: str | None) -> dict[str, Any]:
        found, lines = self.found, self.found.schedule.lines
        ahead = [line for line in lines if line.meeting_id in {row.id for row in found.seat.meetings}]
        return {
            **pages.about(self.school, self.language, self.translator),
            "title": self.say(TITLE),
            "languages": pages.switch(SPOKEN),
            "news": self.news(free, said),
            "meetings": [{"child": line.student.name, "lines": list(self.about(line, free))} for line in lines],
            "booked": bool(found.seat.booked),
            "choose": self.choose(free),
            "days": list(self.days(free)),
            "buttons": [] if found.over else self.buttons(ahead, free),
            "needs": None if found.over else self.needs(ahead),
            "calendar": self.say(IN_CALENDAR),
            "token": found.party.token,
        }

    def say(self, sentence: str, **values: Any) -> str:
        return wording.filled(
            wording.spoken(sentence, self.language, self.translator), values, {}, self.school, self.language, self.translator
        )

    def news(self, free: Sequence[Offer], said: str | None) -> str:
        """What was just done, or what cannot be done."""
        if self.found.over:
            return self.say(OVER)
        if said == "taken":
            return self.say(saying.TAKEN if free else NONE_FREE)
        # They asked for an interpreter, and none is free at the time that they have.
        if self.found.seat.interpreter and self.found.seat.booked:
            return self.say(saying.NOT_AT_THAT_TIME if free else saying.LOOKING)
        return self.say(NOTED) if said == "noted" else ""

    def about(self, line: Line, free: Sequence[Offer]) -> Iterator[str]:
        """Sentences about one conference: when it is, with whom and where. Of one that is over only when it was."""
        is_over = self.found.over or (line.start is not None and line.start <= self.at)
        if line.start:
            sentence = WAS if is_over else saying.SET
            yield self.say(sentence, child=line.student.name, **saying.when(line.start, self.found.schedule.zone))
        elif line.state is MeetingState.declined:
            yield self.say(saying.SORRY)
        else:
            yield self.say(saying.NO_TIME if line.waiting_since and not free else NO_TIME_YET)
        if is_over:
            return
        if line.state is MeetingState.confirmed:
            yield self.say(confirming.CONFIRMED)
        yield self.say(saying.WITH, teacher=line.teacher.name)
        yield from self.place(line)
        if line.start and line.interpreted:
            yield self.say(saying.INTERPRETER if line.interpreter else saying.LOOKING)

    def place(self, line: Line) -> Iterator[str]:
        """Where a conference is. The number or the link is told on its day."""
        today = line.start is not None and line.start.date() == self.at.astimezone(self.found.schedule.zone).date()
        told = line.link if today else ""
        match line.by:
            case "phone":
                yield self.say(saying.BY_PHONE)
                if told:
                    yield self.say(reminding.NUMBER, phone=reminding.to_dial(told))
            case "video":
                yield self.say(reminding.VIDEO, link={"link": told}) if told else self.say(saying.BY_VIDEO)
            case _:
                yield calendars.where(self.found.schedule, line, self.language, self.school, self.translator)

    def choose(self, free: Sequence[Offer]) -> list[str]:
        """What stands above the times."""
        if not free:
            return []
        children = {line.meeting_id: line.student.name for line in self.found.schedule.lines}
        names = ", ".join(dict.fromkeys(children[slot.meeting_id] for slot in free[0].slots))
        keep = [self.say(saying.KEEP)] if not self.found.seat.unbooked else []
        return [self.say(saying.CHOOSE, child=names), *keep]

    def days(self, free: Sequence[Offer]) -> Iterator[dict[str, Any]]:
        """The times that are free, by their day. Where brothers and sisters come one after the other, each has its name."""
        zone = self.found.schedule.zone
        children = {line.meeting_id: line.student.name for line in self.found.schedule.lines}
        once = {_value(offer): offer for offer in free}
        for _, offers in groupby(once.values(), key=lambda offer: offer.starts_at.astimezone(zone).date()):
            several = list(offers)
            yield {
                "date": self.say("{date}", date=saying.when(several[0].starts_at, zone)["date"]),
                "times": [
                    {
                        "value": _value(offer),
                        "slots": [
                            {
                                "time": self.say("{time}", time=saying.when(slot.starts_at, zone)["time"]),
                                "child": children[slot.meeting_id] if len(offer.slots) > 1 else "",
                            }
                            for slot in offer.slots
                        ],
                    }
                    for offer in several
                ],
            }

    def buttons(self, ahead: Sequence[Line], free: Sequence[Offer]) -> list[dict[str, str]]:
        """What can be done besides choosing a time."""
        booked = [line for line in ahead if line.start]
        open_ = [line for line in ahead if line.state is MeetingState.open]
        said = self.found.seat.interpreter
        interpreted = any(line.interpreted for line in ahead) if said is None else said
        by_sign = any(line.interpreted == SIGN for line in ahead)
        wanted = {
            "confirm": any(line.state is MeetingState.booked for line in booked),
            "wait": bool(open_) and not free and self.found.party.waiting_since is None,
            "give_back": bool(booked),
            "decline": bool(booked or open_),
            "interpreter": bool(ahead) and not interpreted,
            "no_interpreter": bool(ahead) and interpreted and not by_sign,
        }
        return [{"do": do, "says": self.say(BUTTONS[do])} for do, shown in wanted.items() if shown]

    def needs(self, ahead: Sequence[Line]) -> dict[str, Any] | None:
        if not ahead:
            return None
        had = {need for line in ahead for need in line.needs}
        return {
            "title": self.say(WHAT_ELSE),
            "save": self.say(BUTTONS["need"]),
            "all": [{"value": need, "says": self.say(need), "checked": need in had} for need in NEEDS],
        }


async def _party(session: AsyncSession, token: str) -> ConferenceParty | None:
    """The party that a link is for; None where it is for nobody any more."""
    party = await parties.of_token(session, token) if calendars.SHAPE.fullmatch(token) else None
    return party if party and await parties.meetings_of(session, party) else None


async def _open(session: AsyncSession, token: str, at: datetime, zone: ZoneInfo) -> Opened | None:
    party = await _party(session, token)
    if party is None:
        return None
    day = await session.get_one(ConferenceDay, party.day_id)
    found = await schedule.of_day(session, day, zone, party_id=party.id)
    seat = await offering.seat(session, party, at, zone)
    readers = [person.language for person in parties.told(await parties.members(session, party))]
    reads = next(filter(is_spoken, [*readers, found.lines[0].language]), "")
    return Opened(party, seat, found, reads, _is_over(seat, at))


def _is_over(seat: Seat, at: datetime) -> bool:
    """Whether nothing can be changed any more: all of the party's conferences have begun, or the day is over."""
    return not seat.meetings or seat.board.ends_at <= at


def _free(seat: Seat, at: datetime) -> list[Offer]:
    """All times that the party could have, by when they begin."""
    return sorted((offering.as_offer(seat, found) for found in offering.free(seat, at)), key=lambda offer: offer.starts_at)


def wanted(lang: str | None, family: str, header: str) -> str:
    """The languages that the reader may want, the most wanted first."""
    return ",".join(part for part in (lang, family, header) if part)


# What the page does


async def _do(
    session: AsyncSession, seat: Seat, fields: Mapping[str, list[str]], at: datetime, zone: ZoneInfo, public_url: str | None
) -> str | None:
    """Do what was pressed. Returns what the page has to say about it; whatever is none of our buttons does nothing."""
    party = seat.party
    match fields.get("do", ["take" if fields.get("time") else ""])[0]:
        case "take":
            return await _take(session, seat, fields.get("time", [""])[0], at, zone, public_url)
        case "confirm":
            await confirming.confirm(session, party, at, zone)
        case "give_back":
            await booking.give_back(session, party, at, zone)
            await confirming.finish_calls(session, party, at)
        case "decline":
            await booking.decline(session, party, at, zone)
            await confirming.finish_calls(session, party, at)
        case "interpreter" | "no_interpreter" as wish:
            await booking.want_interpreter(session, party, wish == "interpreter", at, zone)
        case "wait":
            await offering.offer(session, party, at, zone, public_url=public_url)
        case "need" if not await needing.need(session, party, fields.get("needs", []), at, zone):
            return "noted"
    return None


async def _take(session: AsyncSession, seat: Seat, value: str, at: datetime, zone: ZoneInfo, public_url: str | None) -> str | None:
    """Book the time that was pressed, and tell all who come. Pressing it twice is pressing it once."""
    has = {_part(row.id or 0, row.starts_at) for row in seat.booked if row.starts_at}
    if not value or has.issuperset(value.split("-")):
        return None
    offer = next((offer for offer in _free(seat, at) if _value(offer) == value), None)
    if offer is None or not await booking.take(session, seat.party, offer, at, zone):
        return "taken"
    await offering.tell(session, seat.party, at, zone, public_url=public_url)
    return None


def _value(offer: Offer) -> str:
    """What a time's button sends: which conference is when."""
    return "-".join(_part(slot.meeting_id, slot.starts_at) for slot in offer.slots)


def _part(meeting_id: int, starts_at: datetime) -> str:
    return f"{meeting_id}.{starts_at.astimezone(UTC):%Y%m%d%H%M}"


def form_fields(content_type: str, body: bytes) -> dict[str, list[str]]:
    """A form's fields. What is no form of ours has none."""
    found: dict[str, list[str]] = {}
    if content_type.partition(";")[0].strip().lower() == FORM_TYPE:
        for name, value in parse_qsl(body.decode(errors="replace"), keep_blank_values=True):
            found.setdefault(name, []).append(value)
    return found


def _calendar(body: bytes, if_none_match: str) -> Response:
    """A calendar, or that the reader has this very one. A date would not do: a child's name may change without any booking."""
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {**CALENDAR_HEADERS, "ETag": tag}
    if tag in (one.strip().removeprefix("W/") for one in if_none_match.split(",")):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type="text/calendar; charset=utf-8", headers=headers)
