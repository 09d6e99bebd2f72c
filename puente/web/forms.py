"""The form of an event behind a family's own link, and the page that shows an event to everybody.

GET shows, and changes nothing: programs that look at links before people do may open it. POST does what was pressed, by the same
functions as a digit by text, and sends the browser back to the page. No sign-in, no cookie, no JavaScript.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import structlog
from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging import wording
from puente.messaging.conversations import readable
from puente.messaging.school import School
from puente.messaging.wording import Says
from puente.models import Event, EventInterest, EventState, InterestState, Person
from puente.models.database import Sessions
from puente.programs.events import answering, calendars, keeping, saying
from puente.programs.events.files import Question
from puente.programs.events.keeping import Opened, Shown
from puente.translations.phrases import SPOKEN
from puente.web import bookings, pages
from puente.web.webhooks import FORM_TYPE, REFUSALS, small

log = structlog.get_logger()

ASK = "Would you like to come?"
SEND = "Send"
GIVE_BACK = "I cannot come. Someone else can have my place"
UNTIL = "You can change your answers until {date}, {time}."
OPTIONAL = "You do not have to answer this."
MISSING = "Please answer this question."
SIGN_UP = "To sign up, please answer the text message from the school, or call the school office."
OVER = "This is over. Thank you."
IN_CALENDAR = "Put the dates in my calendar"

LONGEST_FORM = 64 * 1024  # ten answers in letters of which each is twelve bytes in a form
FIELD = "q-"
# Where somebody stands, said above the form.
NEWS = {
    InterestState.asking: (saying.ON_THE_LIST,),
    InterestState.applied: (saying.ON_THE_LIST,),
    InterestState.selected: (saying.YOUR_PLACE,),
    InterestState.waiting: (saying.WAITLIST,),
    InterestState.declined: (saying.THANKS,),
    InterestState.withdrawn: (saying.THANKS, saying.OFF_THE_LIST),
}

DONE: dict[int | str, dict[str, Any]] = {
    303: {"description": "It is noted, or could not be: the page says what is so now."},
    404: pages.RESPONSES[404],
    413: REFUSALS[413],
}
CALENDAR: dict[int | str, dict[str, Any]] = {code: bookings.CALENDAR_RESPONSES[code] for code in (200, 404)}
FORM = {
    "requestBody": {
        "content": {
            FORM_TYPE: {
                "schema": {
                    "type": "object",
                    "properties": {"do": {"type": "string", "enum": ["come", "leave"]}},
                    "additionalProperties": {"type": "string"},
                }
            }
        }
    }
}

Lang = Annotated[str | None, Query(description="A language of the page. Else the family's.")]


@dataclass(frozen=True)
class Found:
    """Whose form it is, of which event; without an `interest` the page is everybody's."""

    opened: Opened
    interest: EventInterest | None
    reads: str


def forms_routes(sessions: Sessions, school: School, translator: Says, now: Callable[[], datetime]) -> APIRouter:
    """`/f/TOKEN` and `/f/TOKEN/calendar.ics` for one family, `/e/TOKEN` for everybody."""
    router = APIRouter()
    templates = pages.open_templates()
    zone = school.timezone

    def gone(wanted: str) -> HTMLResponse:
        return pages.answer(templates, "gone.html", 404, pages.about(school, pages.best(wanted, SPOKEN), translator))

    def shown(found: Found | None, lang: str | None, header: str) -> Response:
        if found is None:
            return gone(bookings.wanted(lang, "", header))
        language = pages.best(bookings.wanted(lang, found.reads, header), SPOKEN)
        page = Page(found.opened, found.interest, language, school, translator, now()).shown()
        return pages.answer(templates, "form.html", 200, page, bookings.HEADERS)

    async def form(token: str, lang: Lang = None, accept_language: Annotated[str, Header()] = "") -> Response:
        async with sessions() as session:
            return shown(await _find(session, token), lang, accept_language)

    async def event_page(token: str, lang: Lang = None, accept_language: Annotated[str, Header()] = "") -> Response:
        async with sessions() as session:
            return shown(await _find_event(session, token), lang, accept_language)

    async def act(request: Request, token: str, lang: Lang = None) -> Response:
        given = bookings.form_fields(request.headers.get("Content-Type", ""), await small(request, LONGEST_FORM))
        fields = {name: readable(values[-1]) for name, values in given.items()}
        async with sessions.begin() as session:
            found = await _find(session, token, lock=True)
            if found is None:
                return gone(bookings.wanted(lang, "", request.headers.get("Accept-Language", "")))
            await _do(session, found, fields, now(), zone)
        query = urlencode({"lang": lang}) if lang in SPOKEN else ""
        # By the last part of its own address, so that it is right behind every reverse proxy.
        return RedirectResponse(f"{token}?{query}" if query else token, 303, {"Cache-Control": "no-store"})

    async def calendar(token: str, lang: Lang = None) -> Response:
        async with sessions() as session:
            found = await _find(session, token)
        if found is None or found.interest is None:
            return gone(lang or "")
        words = keeping.shown(found.opened, pages.best(bookings.wanted(lang, found.reads, ""), SPOKEN))
        made = calendars.calendar(found.opened, found.interest, words, zone)
        return Response(made, media_type="text/calendar; charset=utf-8", headers=bookings.CALENDAR_HEADERS)

    pages.add_read(router, "/f/{token}", form, pages.RESPONSES, HTMLResponse)
    pages.add_read(router, "/e/{token}", event_page, pages.RESPONSES, HTMLResponse)
    pages.add_read(router, "/f/{token}/calendar.ics", calendar, CALENDAR)
    router.add_api_route(
        "/f/{token}", act, methods=["POST"], status_code=303, response_class=Response, responses=DONE, openapi_extra=FORM
    )
    return router


# What the page shows


class Page:
    """An event for a reader: whoever has the link reads it, in any language that we speak."""

    def __init__(
        self, opened: Opened, interest: EventInterest | None, language: str, school: School, translator: Says, at: datetime
    ) -> None:
        self.opened, self.interest, self.language, self.school, self.translator = opened, interest, language, school, translator
        self.words: Shown = keeping.shown(opened, language)
        self.is_open = opened.is_open(at, school.timezone)
        self.over = opened.is_over(at, school.timezone)

    def shown(self) -> dict[str, Any]:
        file, interest = self.opened.file, self.interest
        takes_part = interest is not None and interest.state in answering.TAKES_PART
        has_place = interest is not None and interest.state is InterestState.selected
        return {
            **pages.about(self.school, self.language, self.translator),
            "languages": pages.switch(SPOKEN),
            "words": self.words.words,
            "said_in": pages.named(self.words.language),
            "by_machine": self.say(wording.MACHINE_MADE) if self.words.by_machine else "",
            "news": list(self.news()),
            "sessions": [self.session(place, has_place=has_place) for place in range(len(file.sessions))],
            "hints": list(self.hints()),
            "form": self.is_open and interest is not None,
            "ask": self.say(ASK),
            "questions": [self.question(number, asked) for number, asked in enumerate(file.questions)],
            "come": self.say(SEND if takes_part else saying.I_WOULD),
            "leave": self.leave(),
            "calendar": self.say(IN_CALENDAR) if has_place and interest and not self.over else "",
            "token": interest.token if interest else "",
        }

    def say(self, sentence: str, values: Mapping[str, Any] | None = None) -> str:
        said = wording.spoken(sentence, self.language, self.translator)
        return wording.filled(said, values or {}, {}, self.school, self.language, self.translator)

    def news(self) -> Iterator[str]:
        """Where the reader stands; or that nothing can be done any more."""
        file = self.opened.file
        if self.over:
            yield self.say(saying.CANCELLED if self.opened.row.state is EventState.cancelled else OVER)
            return
        if self.interest is None:
            yield self.say(SIGN_UP)
            return
        state = self.interest.state
        takes_part = state in answering.TAKES_PART
        yield from (self.say(sentence) for sentence in NEWS.get(state, ()))
        if state in keeping.IN_THE_DRAW:
            yield self.say(saying.NOT_YET, {"date": saying.moment(file.closes)["date"]})
        if self.is_open and takes_part:
            yield self.say(UNTIL, saying.moment(file.closes))
        if not self.is_open and not takes_part:
            yield self.say(saying.TOO_LATE, saying.moment(file.closes))

    def hints(self) -> Iterator[str]:
        if self.is_open and self.opened.file.cap is not None:
            yield self.say(saying.LOTS)
        if self.is_open:
            yield self.say(saying.BY, saying.moment(self.opened.file.closes))

    def session(self, place: int, *, has_place: bool) -> dict[str, Any]:
        session = self.opened.file.sessions[place]
        link = session.link if has_place else None
        return {
            "topic": self.words.words.get(f"sessions[{place}].topic", ""),
            "when": self.say(saying.SESSION, saying.dated(session)),
            "where": self.say(saying.PLACE, {"place": session.place}) if session.place else "",
            "link": link,
        }

    def question(self, number: int, asked: Question) -> dict[str, Any]:
        given = self.interest.answers.get(asked.id) if self.interest else None
        if asked.kind == "yes_no":
            options = [(value, self.say(word), given is (value == "1")) for value, word in (("1", saying.YES), ("2", saying.NO))]
        else:
            said = [self.words.words[f"questions[{number}].options[{place}]"] for place in range(len(asked.options))]
            options = [(str(place), word, given == place - 1) for place, word in enumerate(said, 1)]
        takes_part = self.interest is not None and self.interest.state in answering.TAKES_PART
        missing = takes_part and asked.required and given in (None, "")
        return {
            "name": f"{FIELD}{asked.id}",
            "ask": self.words.words[f"questions[{number}].ask"],
            "own": asked.kind == "choice",
            "options": [{"value": value, "says": says, "checked": chosen} for value, says, chosen in options],
            "given": given if asked.kind == "text" and given else "",
            "longest": answering.LONGEST_ANSWER,
            "hint": self.say(MISSING) if missing else "" if asked.required else self.say(OPTIONAL),
            "missing": missing,
        }

    def leave(self) -> str:
        """What the button says by which somebody cannot come, or does not want to any more; empty where there is none."""
        if self.interest is None or self.over:
            return ""
        match self.interest.state:
            case InterestState.selected:
                return self.say(GIVE_BACK)
            case state if state in answering.TAKES_PART:
                return self.say(saying.TAKE_OFF)
            case InterestState.invited if self.is_open:
                return self.say(saying.I_CANNOT)
        return ""


# What the page does


async def _find(session: AsyncSession, token: str, *, lock: bool = False) -> Found | None:
    """Whose link it is; None where it is nobody's."""
    known = token if bookings.calendars.SHAPE.fullmatch(token) else ""
    interest = await session.scalar(select(EventInterest).where(col(EventInterest.token) == known))
    if interest is None:
        return None
    opened = await keeping.of(session, interest.event_id, lock=lock)
    if lock:
        await session.refresh(interest, with_for_update=True)
    return Found(opened, interest, (await session.get_one(Person, interest.person_id)).language)


async def _find_event(session: AsyncSession, token: str) -> Found | None:
    """The event of a public link, once somebody has been asked to it."""
    known = token if bookings.calendars.SHAPE.fullmatch(token) else ""
    row = await session.scalar(select(Event).where(col(Event.token) == known, col(Event.state) != EventState.draft))
    return Found(await keeping.of(session, row.id or 0), None, "") if row else None


async def _do(session: AsyncSession, found: Found, fields: Mapping[str, str], at: datetime, zone: ZoneInfo) -> None:
    """Do what was pressed; whatever is none of our buttons does nothing."""
    opened, interest = found.opened, found.interest
    if interest is None or opened.is_over(at, zone):
        return
    match fields.get("do"):
        case "come" if opened.is_open(at, zone) and answering.come(opened, interest, at):
            for asked in opened.file.questions:
                given = _given(asked, fields)
                if given is not answering.NOT_READ:
                    answering.answer(opened, interest, asked, given, at)
        case "leave":
            await answering.leave(session, opened, interest, at, zone)
    log.info("form.sent", event_id=opened.row.id, state=interest.state.value)


def _given(asked: Question, fields: Mapping[str, str]) -> Any:
    """What a form says to a question. One that need not be answered, and was not, has been passed over."""
    said = fields.get(f"{FIELD}{asked.id}", "").strip()
    if not said:
        return answering.NOT_READ if asked.required else None
    return answering.read_answer(asked, said)
