"""Write to families: who it is for, what it says, how it reads in each language and what it comes to, and when it goes.

    form → Written → Draft → picking.reached + composing.preview → what will happen, with the digest of it
                           → composing.write or scheduling.add, once the writer has seen exactly that

Nothing goes out unseen: the preview carries the digest of what it showed, and Send takes no other. Where a family's rights or an
emergency are at stake, a second press repeats what will happen. The same form that is sent twice writes one message.
"""

import hashlib
import json
import re
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, time
from typing import Any
from urllib.parse import urlsplit

from babel.numbers import format_currency
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from starlette.datastructures import FormData

from puente.messaging import access, audiences, composing, conversations, finding, picking, saved, scheduling, wording
from puente.messaging.access import NotYours, Reader
from puente.messaging.audiences import Audience
from puente.messaging.composing import Draft, LanguagePreview, Preview
from puente.messaging.picking import Reached
from puente.messaging.saved import Begun
from puente.models import Closed, Grade, HubError, Kind, MadeBy, MessageState, SavedText, Schedule
from puente.translations import detection, fields, languages, readability
from puente.translations.readability import Reading
from puente.web.staff import frame, times
from puente.web.staff.desk import Desk
from puente.web.staff.frame import _
from puente.web.staff.gate import After, Id, NotThere, Staff

KINDS = {
    Kind.announcement: _("News for families"),
    Kind.progress: _("How a child is doing"),
    Kind.conference: _("A meeting"),
    Kind.safety: _("Safety"),
    Kind.notice: _("A notice of a family's rights"),
    Kind.urgent: _("Urgent: an emergency"),
}
CRITICAL = (Kind.notice, Kind.urgent)

MADE_BY = {
    MadeBy.author: _("As it was written"),
    MadeBy.person: _("Translated by a person"),
    MadeBy.memory: _("Reviewed: a person has said each sentence before"),
    MadeBy.phrase: _("From the phrase book, written by people"),
    MadeBy.machine: _("Translated by machine"),
    MadeBy.nobody: _("Not possible: a person is asked to translate it"),
}
GRADES = {
    Grade.sure: (_("Checked by people"), "good"),
    Grade.good: (_("Nothing speaks against it"), "good"),
    Grade.doubtful: (_("Doubtful"), "wait"),
    Grade.refused: (_("It will not go out like this"), "bad"),
}
CHANNELS = {"sms": _("SMS"), "telegram": _("Telegram")}
REASONS = {
    "no number on file": _("no number on file"),
    "asked us to stop": _("asked us to stop"),
    "nobody knows whether the number is theirs: ask them": _("nobody knows whether the number is theirs: ask them"),
    "the number on file does not work": _("the number on file does not work"),
    "this channel is not set up": _("this channel is not set up"),
}
FIELDS = {
    "child": _("Child"), "guardian": _("Guardian"), "teacher": _("Teacher"), "school": _("School"), "date": _("Date"),
    "time": _("Time"), "link": _("Link"),
}  # fmt: skip
WEEKDAYS = {
    "mon": _("Monday"), "tue": _("Tuesday"), "wed": _("Wednesday"), "thu": _("Thursday"), "fri": _("Friday"), "sat": _("Saturday"),
    "sun": _("Sunday"),
}  # fmt: skip
MONTHLY = ("1st mon", "1st tue", "1st wed", "1st thu", "1st fri", "last fri", *(str(day) for day in range(1, 29)), "last")
FIRST, LAST = _("The first {weekday} of the month"), _("The last {weekday} of the month")
LAST_DAY, MONTH_DAY = _("The last day of the month"), _("Day {number} of the month")
CLOSED = {
    Closed.next: _("Send it on the next school day"),
    Closed.skip: _("Leave it out"),
    Closed.send: _("Send it all the same"),
}

LONGEST = wording.LONGEST_SMS  # characters: what an SMS can carry at most
LONGEST_KEPT = 20_000  # of what was typed and is too long: it stands there still, to be made shorter
MOST_SHOWN = 40_000  # characters of all languages together, so that a page stays small
SHORTENED = 240
NAMED = 20  # of those who cannot be reached
FARTHEST_LINK = 500
TOKEN = re.compile(r"[\w-]{16,64}")
PRESS_AGAIN = _("Please look at what will happen, and then press Send again.")

frame.may_say(
    message_sent=_("It is on its way."),
    message_planned=_("It is planned. You can still change its time or take it back."),
    series_added=_("It will go out again and again."),
    draft_kept=_("The draft is saved."),
    template_kept=_("The template is saved."),
)


class NobodyChosen(HubError):
    """Choose who it is for."""


class TooLong(HubError):
    """This is longer than a text message can be: 1,600 characters at most."""


class NotALink(HubError):
    """A link begins with https:// and has no spaces."""


class NoSuchKind(HubError):
    """Choose what it is about."""


class OneDate(HubError):
    """A text that goes out again and again cannot name one date. Take the field {date} out."""


class NoDays(HubError):
    """Choose at least one day of the week."""


class NotAgain(HubError):
    """Emergencies and notices go out once, and not again and again."""


@dataclass(frozen=True)
class Written:
    """What stands in the form, as it was sent."""

    kind: str = Kind.announcement.value
    text: str = ""
    language: str = "en"
    to: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    date: str = ""
    time: str = ""
    link: str = ""
    when: str = "now"
    on_day: str = ""
    on_time: str = ""
    days: tuple[str, ...] = ()
    month_day: str = ""
    closed: str = Closed.next.value
    series: str = ""
    search: str = ""
    once: str = ""
    seen: str = ""
    confirmed: str = ""
    saved: int = 0
    name: str = ""
    shared: str = ""
    do: str = ""

    @property
    def digest(self) -> str:
        """Of all that its preview shows."""
        shown = (
            self.kind, self.text, self.language, sorted(self.to), sorted(self.without), self.date, self.time, self.link, self.when,
            self.on_day, self.on_time, sorted(self.days), self.month_day, self.closed, self.series,
        )  # fmt: skip
        return hashlib.sha256(json.dumps(shown).encode("utf-8", "surrogatepass")).hexdigest()[:32]

    @property
    def repeats(self) -> bool:
        return self.when in ("weekly", "monthly")

    @property
    def values(self) -> dict[str, Any]:
        """What the fields of the text say, of those that it names. Raises NotALink, NotATime."""
        named = fields.names(self.text)
        given: dict[str, Any] = {}
        if "date" in named and self.date:
            given["date"] = {"date": _day(self.date)}
        if "time" in named and self.time:
            given["time"] = {"time": f"{times.time_of_day(self.time):%H:%M}"}
        if "link" in named and self.link:
            given["link"] = {"link": _link(self.link)}
        return given


@dataclass(frozen=True)
class Section:
    """One language of the preview. `shown` is its text, shortened where a page has no room for all of them."""

    seen: LanguagePreview
    shown: str
    back: str | None
    cost: str


@dataclass(frozen=True)
class Shown:
    """What will happen, as a page shows it; `error` says why nothing can."""

    error: str = ""
    reached: Reached | None = None
    preview: Preview | None = None
    sections: Sequence[Section] = ()
    cost: str = ""
    reading: Reading | None = None
    advice: Sequence[str] = ()
    approvers: Sequence[str] = ()
    send_at: datetime | None = None
    rule: str = ""
    digest: str = ""
    kind: Kind = Kind.announcement


def compose_routes() -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/write")
    async def write_page(
        request: Request, reader: Staff, text: After = 0, guardian: After = 0, student: After = 0
    ) -> HTMLResponse:  # fmt: skip
        desk: Desk = request.app.state.desk
        async with desk.sessions() as session:
            opened = await saved.one(session, reader, text)
            if text and opened is None:
                raise NotThere(NotThere.__doc__)
            to = await _named(session, reader, guardian, student)
            chosen = await picking.choices(session, reader)
        written = Written(language=_writes(reader, desk), to=to, once=secrets.token_urlsafe(16))
        written = _opened(opened, reader) if opened else written
        if not written.to and chosen.only_one:
            written = replace(written, to=(chosen.only_one,))
        return await _form(request, reader, written, await _shown(desk, reader, written) if written.text else Shown())

    @router.post("/write/preview")
    async def preview(request: Request, reader: Staff) -> HTMLResponse:
        desk: Desk = request.app.state.desk
        written = _written(await request.form())
        return frame.page(
            request, reader, "write_preview.html", **_words(), written=written, shown=await _shown(desk, reader, written)
        )

    @router.post("/write")
    async def write(request: Request, reader: Staff) -> Response:
        desk: Desk = request.app.state.desk
        written = _written(await request.form())
        try:
            match written.do:
                case "draft":
                    kept = await _keep(desk, reader, written)
                    return frame.redirect("/write", said="draft_kept", text=kept)
                case "template":
                    kept = await _keep(desk, reader, written, name=written.name)
                    return frame.redirect("/write", said="template_kept", text=kept)
                case "send":
                    return await _send(request, reader, written)
        except HubError as wrong:
            return await _form(
                request, reader, written, await _shown(desk, reader, written), error=frame.sentence(wrong), status=400
            )
        # "Preview", "Find", and whatever a browser makes of the Enter key: nothing is changed.
        return await _form(request, reader, written, await _shown(desk, reader, written))

    @router.get("/texts")
    async def texts_page(request: Request, reader: Staff) -> HTMLResponse:
        desk: Desk = request.app.state.desk
        async with desk.sessions() as session:
            templates, drafts = await saved.templates(session, reader), await saved.drafts(session, reader)
        return frame.page(request, reader, "texts.html", **_words(), templates=templates, drafts=drafts)

    @router.post("/texts/{text_id}/delete")
    async def delete_text(request: Request, reader: Staff, text_id: Id) -> Response:
        desk: Desk = request.app.state.desk
        async with desk.sessions.begin() as session:
            if not await saved.delete(session, reader, text_id):
                raise NotThere(NotThere.__doc__)
        return frame.redirect("/texts")

    return router


async def _send(request: Request, reader: Reader, written: Written) -> Response:
    """Let it go, if this is what they have seen; where it is critical, after a second press."""
    desk: Desk = request.app.state.desk
    at, is_critical = desk.now(), _kind(written) in CRITICAL
    async with desk.sessions() as session:
        draft = await _draft(session, desk, reader, written, at)
    if written.digest != (written.confirmed if is_critical else written.seen):
        shown = await _shown(desk, reader, written)
        if shown.error:
            return await _form(request, reader, written, shown, status=400)
        return await _form(request, reader, written, shown, confirm=is_critical, error="" if is_critical else PRESS_AGAIN)
    async with desk.sessions.begin() as session:
        await saved.sent(session, reader, written.saved)
        if written.repeats:
            await _repeat(session, desk, written, draft, at)
            return frame.redirect("/messages", said="series_added")
        message_id = await composing.write(session, draft, at, state=MessageState.ready)
    return frame.redirect(f"/messages/{message_id}", said="message_planned" if draft.send_at else "message_sent")


async def _repeat(session: AsyncSession, desk: Desk, written: Written, draft: Draft, at: datetime) -> None:
    rule, closed = _rule(written), Closed(written.closed)
    # The name is unique, so pressing twice adds one. The second press is told the same as the first.
    named = await session.scalar(select(Schedule).where(col(Schedule.name) == written.series, col(Schedule.next_at).is_not(None)))
    if named and (named.author_id, named.rule, named.texts.get(named.language)) == (draft.author_id, rule, draft.text):
        return
    await scheduling.add(session, written.series, draft, rule, at, desk.school.timezone, closed=closed)


async def _draft(session: AsyncSession, desk: Desk, reader: Reader, written: Written, at: datetime) -> Draft:
    """What the form says, if this reader may write it to all of these families. Raises a HubError in words."""
    kind, audience = _kind(written), await _audience(session, reader, written)
    if not written.text.strip():
        raise composing.EmptyText(composing.EmptyText.__doc__)
    if len(written.text) > LONGEST:
        raise TooLong(TooLong.__doc__)
    await access.check_writes(session, reader, audience, kind)
    if written.repeats and kind in CRITICAL:
        raise NotAgain(NotAgain.__doc__)
    if written.repeats and "date" in fields.names(written.text):
        raise OneDate(OneDate.__doc__)
    send_at = times.moment(written.on_day, written.on_time, desk.school.timezone, at) if written.when == "later" else None
    return Draft(
        kind=kind, text=written.text, audience=audience, language=written.language, author_id=reader.person_id,
        fields=written.values, send_at=send_at,
        # Of the form and of what stands in it: who goes back, changes the text and sends again means another message.
        origin=f"page:{written.once}:{written.digest}",
    )  # fmt: skip


async def _named(session: AsyncSession, reader: Reader, guardian: int, student: int) -> tuple[str, ...]:
    """Whom a page has led to, by a guardian's or a student's number. Raises NotThere, also where they may be told nothing."""
    if not guardian and not student:
        return ()
    find = picking.to_guardian(session, reader, guardian) if guardian else picking.to_guardians_of(session, reader, student)
    if (term := await find) is None:
        raise NotThere(NotThere.__doc__)
    return (term,)


async def _audience(session: AsyncSession, reader: Reader, written: Written) -> Audience:
    if not written.to:
        raise NobodyChosen(NobodyChosen.__doc__)
    audience = await picking.checked(session, reader, written.to, written.without)
    try:
        await audiences.check(session, audience)
    except audiences.UnknownAudience:
        raise NotYours(NotYours.__doc__) from None
    return await picking.heard_by(session, reader, audience, written.text)


async def _shown(desk: Desk, reader: Reader, written: Written) -> Shown:
    """What would happen. It writes nothing."""
    at = desk.now()
    try:
        kind = _kind(written)
        async with desk.sessions() as session:
            audience = await _audience(session, reader, written)
            await access.check_writes(session, reader, audience, kind)
            reached = await picking.reached(session, audience, kind, desk.paces, desk.school, at)
            approvers = await picking.approvers(session, reader) if kind in CRITICAL else []
    except HubError as wrong:
        # Nobody has typed anything yet: then nothing is wrong.
        return Shown(error=frame.sentence(wrong) if written.text.strip() else "")
    try:
        async with desk.sessions() as session:
            draft = await _draft(session, desk, reader, written, at)
            if draft.send_at:
                reached = await picking.reached(session, audience, kind, desk.paces, desk.school, draft.send_at)
        rule = rule_in_words(frame.Words(desk, reader.language), _rule(written)) if written.repeats else ""
        preview = await composing.preview(desk.sessions, desk.translator, draft, desk.paces, desk.school, at)
    except HubError as wrong:
        return Shown(error=frame.sentence(wrong) if written.text.strip() else "", reached=reached, kind=kind)
    return Shown(
        reached=reached, preview=preview, sections=_sections(preview, desk), cost=_cost(preview.parts, desk),
        reading=readability.read(draft.text) if languages.same(draft.language, "en") else None,
        advice=[*_doubts(written, desk), *preview.advice], approvers=approvers, send_at=draft.send_at, rule=rule,
        digest=written.digest, kind=kind,
    )  # fmt: skip


def _doubts(written: Written, desk: Desk) -> list[str]:
    """What the writer may have got wrong, and no other check sees."""
    doubts = []
    day = written.values.get("date")
    if day and day["date"] < desk.today.isoformat():
        doubts.append(_("The date in the text is over. Is it right?"))
    if detection.is_other(written.text, written.language):
        doubts.append(_("This seems to be written in another language than the one that is chosen above."))
    return doubts


def _sections(preview: Preview, desk: Desk) -> list[Section]:
    """Every language. Where all of them are too long for one page, each is shown by its beginning."""
    long = sum(len(seen.text) + len(seen.back or "") for seen in preview.languages) > MOST_SHOWN
    return [
        Section(seen, shortened(seen.text) if long else seen.text, shortened(seen.back) if long and seen.back else seen.back,
                _cost(seen.parts * seen.guardians, desk))
        for seen in preview.languages
    ]  # fmt: skip


def shortened(text: str) -> str:
    return text if len(text) <= SHORTENED else f"{text[:SHORTENED].rstrip()} …"


def _cost(parts: int, desk: Desk) -> str:
    """In dollars, or nothing where the school has not said what a segment costs."""
    return format_currency(parts * desk.segment_price, "USD", locale="en_US") if desk.segment_price and parts else ""


async def _keep(desk: Desk, reader: Reader, written: Written, name: str | None = None) -> int:
    if len(written.text) > LONGEST:
        raise TooLong(TooLong.__doc__)
    values = {name: getattr(written, name) for name in ("date", "time", "link") if getattr(written, name)}
    audience: Audience = {"any": list(written.to), "except": list(written.without)}
    begun = Begun(_kind(written), written.text, written.language, values, audience)
    async with desk.sessions.begin() as session:
        return await saved.keep(
            session, reader, begun, desk.now(), saved_id=written.saved, name=name, shared=bool(written.shared)
        )  # fmt: skip


async def _form(
    request: Request, reader: Reader, written: Written, shown: Shown, *, error: str = "", status: int = 200, confirm: bool = False
) -> HTMLResponse:
    desk: Desk = request.app.state.desk
    if written.search:
        await finding.fold_new(desk.sessions)
    async with desk.sessions() as session:
        chosen = await picking.choices(session, reader, written.search)
        ticked = await picking.picks_of(session, reader, [*written.to, *written.without])
        templates = [] if written.text else await saved.templates(session, reader, most=30)
    kinds = [(kind.value, name) for kind, name in KINDS.items() if kind not in CRITICAL or reader.sees_school]
    offered = {pick.term for picks in (chosen.schools, chosen.grades, chosen.groups, chosen.students) for pick in picks}
    return frame.page(
        request, reader, "write_confirm.html" if confirm else "write.html", status=status, error=error, **_words(),
        written=written, shown=shown, chosen=chosen, kinds=frame.choices(kinds, written.kind), templates=templates,
        also=[pick for pick in ticked if pick.term not in offered], weekdays=WEEKDAYS, closed=CLOSED,
        single=bool(written.search or written.without or any(term.startswith("student:") for term in written.to)),
        monthly=[(day, _month_day(frame.words_of(request, reader), day)) for day in MONTHLY],
        spoken=_spoken(desk, written.language), longest=LONGEST, today=desk.today.isoformat(),
        resend=[(name, value) for name, value in asdict(written).items() if name not in ("do", "confirmed")],
    )  # fmt: skip


def rule_in_words(words: frame.Words, rule: scheduling.Rule) -> str:
    """How often, as a teacher says it; as it is typed where these pages could not have made it."""
    hour, minute = rule.get("hour", ""), rule.get("minute", "0")
    match {name: value for name, value in rule.items() if name not in ("hour", "minute")}:
        case {"day_of_week": days, **more} if not more and set(days.split(",")) <= WEEKDAYS.keys() and hour.isdecimal():
            said = ", ".join(words.t(WEEKDAYS[day]) for day in days.split(","))
        case {"day": day, **more} if not more and day in MONTHLY and hour.isdecimal():
            said = _month_day(words, day)
        case _:
            return scheduling.in_words(rule)
    return f"{said}, {words.clock(time(int(hour), int(minute)))}"


def _month_day(words: frame.Words, day: str) -> str:
    place, _space, weekday = day.partition(" ")
    if weekday:
        which = FIRST if place == "1st" else LAST
        return words.t(which, weekday=words.t(WEEKDAYS[weekday]))
    return words.t(LAST_DAY) if day == "last" else words.t(MONTH_DAY, number=words.number(int(day)))


def _words() -> dict[str, Any]:
    """What templates say for the values of enums."""
    return {
        "kind_names": KINDS, "made_by": MADE_BY, "grades": GRADES, "channels": CHANNELS, "reasons": REASONS, "field_names": FIELDS,
        "named": NAMED,
    }  # fmt: skip


def _spoken(desk: Desk, chosen: str) -> list[str]:
    return list(dict.fromkeys([*desk.translator.languages(), chosen]))


def _writes(reader: Reader, desk: Desk) -> str:
    return languages.nearest(reader.writes, desk.translator.languages()) or "en"


def _opened(row: SavedText, reader: Reader) -> Written:
    """A draft or a template, in the form again. Who it was for is ticked where that is theirs."""
    audience, given = saved.audience_for(row, reader), {name: str(value) for name, value in row.fields.items()}
    is_template, mine = bool(row.name), row.owner_id == reader.person_id
    return Written(
        kind=row.kind.value, text=row.text, language=row.language, to=tuple(audience["any"]), without=tuple(audience["except"]),
        date=given.get("date", ""), time=given.get("time", ""), link=given.get("link", ""), once=secrets.token_urlsafe(16),
        saved=0 if is_template else row.id or 0, name=row.name if is_template and mine else "",
        shared="1" if row.shared and mine else "",
    )  # fmt: skip


def _written(form: FormData) -> Written:
    """The form, with nothing in it that a database cannot hold or a reader cannot see."""

    def one(name: str, most: int = 200) -> str:
        value = form.get(name)
        return conversations.readable(value.replace("\r\n", "\n"))[:most] if isinstance(value, str) else ""

    def many(name: str) -> tuple[str, ...]:
        values = [conversations.readable(value)[:300] for value in form.getlist(name) if isinstance(value, str) and value]
        return tuple(dict.fromkeys(values))

    once, number = one("once"), one("saved")
    return Written(
        kind=one("kind"), text=one("text", LONGEST_KEPT).strip(), language=one("language", 35) or "en", to=many("to"),
        without=many("without"), date=one("date"), time=one("time"), link=one("link", FARTHEST_LINK).strip(),
        when=one("when") or "now", on_day=one("on_day"), on_time=one("on_time"), days=many("days"), month_day=one("month_day"),
        closed=one("closed") if one("closed") in {closed.value for closed in Closed} else Closed.next.value,
        series=one("series").strip(), search=" ".join(one("search").split()),
        once=once if TOKEN.fullmatch(once) else secrets.token_urlsafe(16), seen=one("seen"), confirmed=one("confirmed"),
        saved=int(number) if number.isascii() and number.isdecimal() and len(number) < 10 else 0, name=one("name"),
        shared=one("shared"), do=one("do"),
    )  # fmt: skip


def _kind(written: Written) -> Kind:
    try:
        kind = Kind(written.kind)
    except ValueError:
        raise NoSuchKind(NoSuchKind.__doc__) from None
    if kind not in KINDS:
        raise NoSuchKind(NoSuchKind.__doc__)
    return kind


def _rule(written: Written) -> scheduling.Rule:
    at = times.time_of_day(written.on_time)
    if written.when == "weekly" and not written.days:
        raise NoDays(NoDays.__doc__)
    if written.when == "weekly":
        return scheduling.weekly(",".join(written.days), at)
    return scheduling.monthly(written.month_day, at)


def _day(written: str) -> str:
    try:
        return date.fromisoformat(written).isoformat()
    except ValueError:
        raise times.NotATime(times.NotATime.__doc__) from None


def _link(written: str) -> str:
    parts = urlsplit(written)
    if parts.scheme not in ("https", "http") or not parts.hostname or not re.fullmatch(r"\S+", written):
        raise NotALink(NotALink.__doc__)
    return written
