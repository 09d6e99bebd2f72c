"""What staff do in the bot: write to families, see every language before it goes, send it now or later, and see who was reached.

    /write → who is it for → what is it about → the text → (tick: every language) → send now, later, change it, or throw it away
    /report → what became of the last message

Each step is a text, and each button stands for one, so this is a program of the pipe like any other: it claims what it asked for
and leaves everything else to be an answer to a family. What is being written stands in the table of pens.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any

from sqlalchemy import exists, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging import answers, audiences, composing, outbox, reports, wording
from puente.messaging.answers import Choice
from puente.messaging.channels.base import Heard
from puente.messaging.composing import Draft, LanguagePreview, Preview
from puente.messaging.school import School
from puente.messaging.senders import Pace
from puente.models import (
    Contact,
    Group,
    GroupStaff,
    HubError,
    Kind,
    MadeBy,
    Message,
    MessageState,
    Pen,
    Person,
    PersonRole,
    Role,
    Step,
)
from puente.models.database import Sessions
from puente.translations import dates, fields, languages
from puente.translations.translator import Translator

WHO = "Who is it for?"
WHOLE_SCHOOL = "The whole school"
NO_CLASS = "You have no class on our list. Please ask the school office."
WHAT = "What is it about?"
KINDS = {
    Kind.announcement: "News for families",
    Kind.progress: "How a child is doing",
    Kind.conference: "A meeting",
    Kind.safety: "Safety",
    Kind.urgent: "Urgent",
}
WRITE = "Write the message now."
WAIT = "Please wait. We are putting it into each language."
HEADING = "{language}. Families: {number}"
IMPOSSIBLE = "This cannot be translated yet. A person will be asked to do it."
BACK = "Translated back:"
CHECK = "Please check:"
PARTS = "Parts of SMS: {number}"
UNREACHED = "Families whom we cannot reach: {number}"
WHEN = "When should it go out? Press a button, or write a date and a time like this: {example}"
NOT_A_TIME = "We could not read this date and time. Please write it like this: {example}"
ON_ITS_WAY = "It is on its way."
LATER = "It will go out on {date} at {time}."
THROWN_AWAY = "It is thrown away."
OLD_BUTTON = "This button does not work any more."
NOTHING_WRITTEN = "You have not written to families here yet."
COUNTS = {
    "Arrived: {number}": ("delivered", "digested"),
    "On the way: {number}": ("queued", "sending", "sent", "saved"),
    "Did not arrive: {number}": ("failed", "cancelled"),
    "Waiting for a person: {number}": ("held",),
}
ANSWERED = "Answered: {number}"
COMMANDS = (("write", "Write to families"), ("report", "See who was reached"))

# Who may write to the whole school, and say that something is urgent.
FOR_ALL = (Role.office, Role.admin)
MOST_GROUPS = 60
PATIENCE = timedelta(hours=1)  # an hour after the question a text is no answer to it any more
LONGEST_CHUNK = 3_500  # characters of one part of a preview, so that it is one Telegram message
FARTHEST = timedelta(days=365)
OFFERED_HOURS = (time(8), time(12), time(17))


@dataclass(frozen=True)
class Writing:
    """The program that hears what staff write to the bot."""

    school: School

    async def hear(self, session: AsyncSession, heard: Heard, contact: Contact, answered: Message | None) -> bool:
        if heard.channel != "telegram" or not await audiences.is_staff(session, contact.person_id):
            return False
        pen = await session.get(Pen, contact.id, with_for_update=True)
        if pen is None:
            pen = Pen(contact_id=contact.id or 0, changed_at=heard.at)
            session.add(pen)
        done = await self._do(session, heard, contact, pen)
        await session.flush()
        return done

    async def _do(self, session: AsyncSession, heard: Heard, contact: Contact, pen: Pen) -> bool:
        match heard.text.split():
            case ["/write"]:
                await _ask_who(session, heard, contact, pen)
            case ["/to", target] if pen.step is Step.audience:
                await _take_audience(session, heard, contact, pen, target)
            case ["/kind", kind] if pen.step is Step.kind:
                await _take_kind(session, heard, contact, pen, kind)
            case ["/send", version] if _is_shown(pen, version):
                await _send(session, heard, contact, pen, heard.at)
            case ["/later", version] if _is_shown(pen, version):
                await self._ask_when(session, heard, contact, pen)
            case ["/change", version] if _is_shown(pen, version):
                _move(pen, Step.text, heard.at)
                await answers.say(session, contact, WRITE, heard)
            case ["/drop", version] if _is_shown(pen, version):
                _move(pen, Step.idle, heard.at)
                await answers.say(session, contact, THROWN_AWAY, heard)
            case ["/at", moment] if pen.step is Step.time:
                await self._take_time(session, heard, contact, pen, moment)
            case ["/report"] | ["/report", _]:
                await _report(session, heard, contact)
            case ["/to" | "/kind" | "/send" | "/later" | "/change" | "/drop" | "/at", *_]:
                await answers.say(session, contact, OLD_BUTTON, heard)
            case _:
                return await self._take_text(session, heard, contact, pen)
        return True

    async def _take_text(self, session: AsyncSession, heard: Heard, contact: Contact, pen: Pen) -> bool:
        """A text that answers our question; one that points at a family's message is for that family."""
        if pen.step not in (Step.text, Step.time) or heard.at - pen.changed_at > PATIENCE or heard.text.startswith("/"):
            return False
        pointed = await outbox.last_said(session, contact.id or 0, heard.reply_ref) if heard.reply_ref else None
        if (pointed and pointed.kind is Kind.reply) or not heard.text.strip():
            return False
        if pen.step is Step.time:
            await self._take_time(session, heard, contact, pen, heard.text.strip().replace(" ", "T", 1))
            return True
        try:
            wording.check_fields(heard.text, {}, has_author=True)
        except HubError as wrong:
            await answers.say(session, contact, "{reason}", heard, {"reason": str(wrong)})
            return True
        pen.text, pen.version = heard.text, pen.version + 1
        _move(pen, Step.preview, heard.at)
        await answers.say(session, contact, WAIT, heard)
        return True

    async def _ask_when(self, session: AsyncSession, heard: Heard, contact: Contact, pen: Pen) -> None:
        person = await session.get_one(Person, contact.person_id)
        reader = languages.in_region(person.language, self.school.region)
        offers = []
        for moment in self._offers(heard.at):
            label = f"{dates.write_date(moment.date(), reader)}, {dates.write_time(moment.time(), reader)}"
            offers.append(Choice(f"/at {moment:%Y-%m-%dT%H:%M}", text=label))
        _move(pen, Step.time, heard.at)
        await answers.say(session, contact, WHEN, heard, {"example": self._example(heard.at, reader)}, offers)

    def _offers(self, at: datetime) -> list[datetime]:
        """The next three good moments on the school's clock, an hour from now at the earliest."""
        here = at.astimezone(self.school.timezone)
        days = [here.date() + timedelta(days=ahead) for ahead in range(3)]
        moments = [datetime.combine(day, hour, self.school.timezone) for day in days for hour in OFFERED_HOURS]
        return [moment for moment in moments if moment - here >= timedelta(hours=1)][:3]

    def _example(self, at: datetime, reader: str) -> str:
        tomorrow = at.astimezone(self.school.timezone) + timedelta(days=1)
        return fields.left_to_right(f"{tomorrow:%Y-%m-%d} 15:30", reader)

    async def _take_time(self, session: AsyncSession, heard: Heard, contact: Contact, pen: Pen, written: str) -> None:
        moment = _read_time(written, self.school, heard.at)
        if moment is None:
            person = await session.get_one(Person, contact.person_id)
            await answers.say(session, contact, NOT_A_TIME, heard, {"example": self._example(heard.at, person.language)})
            return
        here = moment.astimezone(self.school.timezone)
        said = {"date": {"date": here.date().isoformat()}, "time": {"time": f"{here:%H:%M}"}}
        await _send(session, heard, contact, pen, moment, LATER, said)


async def show_previews(sessions: Sessions, translator: Translator, paces: Mapping[str, Pace], school: School, at: datetime) -> int:
    """Tick: put what staff have written into every language, outside of any transaction, and show it. Returns how many."""
    async with sessions() as session:
        waiting = list(await session.scalars(select(Pen).where(col(Pen.step) == Step.preview)))
    for pen in waiting:
        async with sessions() as session:
            person = await _person_of(session, pen)
        try:
            draft = _draft(pen, person.id, person.language)
            chunks = shown(await composing.preview(sessions, translator, draft, paces, school, at), person.language, translator)
        except HubError as wrong:
            chunks = [str(wrong)]
        async with sessions.begin() as session:
            now = await session.get(Pen, pen.contact_id, with_for_update=True)
            if now and now.step is Step.preview and now.version == pen.version:
                _move(now, Step.ready, at)
                await _show(session, now, person.language, chunks, at)
    return len(waiting)


def shown(preview: Preview, reader: str, translator: Translator) -> list[str]:
    """A preview as staff read it on a phone, in pieces that are one Telegram message each."""
    sections = [_section(language, reader, translator) for language in preview.languages]
    last = [_say(PARTS, reader, translator, number=preview.parts)] if preview.parts else []
    if preview.unreached:
        last.append(_say(UNREACHED, reader, translator, number=len(preview.unreached)))
        last += [f"- {person.name}: {person.reason}" for person in preview.unreached[:10]]
    last += [f"{_say(CHECK, reader, translator)} {advice}" for advice in preview.advice]
    return _joined([*sections, "\n".join(last)])


def _section(seen: LanguagePreview, reader: str, translator: Translator) -> str:
    name = languages.name_for(seen.language, reader)
    lines = [_say(HEADING, reader, translator, language=name, number=seen.guardians)]
    lines.append(seen.text if seen.made_by is not MadeBy.nobody else _say(IMPOSSIBLE, reader, translator))
    if seen.back and seen.back != seen.text:
        lines.append(f"{_say(BACK, reader, translator)} {seen.back}")
    lines += [f"{_say(CHECK, reader, translator)} {problem}" for problem in seen.problems]
    return "\n".join(lines)


def _joined(sections: Sequence[str]) -> list[str]:
    chunks: list[str] = []
    for section in filter(None, sections):
        if chunks and len(chunks[-1]) + len(section) < LONGEST_CHUNK:
            chunks[-1] = f"{chunks[-1]}\n\n{section}"
        else:
            chunks.append(section)
    return chunks


async def _show(session: AsyncSession, pen: Pen, reader: str, chunks: Sequence[str], at: datetime) -> None:
    choices = [
        Choice(f"/send {pen.version}", say="Send now"),
        Choice(f"/later {pen.version}", say="Send later"),
        Choice(f"/change {pen.version}", say="Change the text"),
        Choice(f"/drop {pen.version}", say="Throw away"),
    ]
    for place, chunk in enumerate(chunks):
        draft = Draft(
            kind=Kind.system,
            text="{shown}",
            fields={"shown": chunk, **(answers.buttons(choices) if place == len(chunks) - 1 else {})},
            language=reader,
            audience=audiences.only(f"contact:{pen.contact_id}"),
            origin=f"preview:{pen.contact_id}:{pen.version}:{place}",
        )
        await composing.write_new(session, draft, at, state=MessageState.ready)


async def _ask_who(session: AsyncSession, heard: Heard, contact: Contact, pen: Pen) -> None:
    groups = await _groups(session, contact)
    everyone = [Choice("/to school", say=WHOLE_SCHOOL)] if await _is_for_all(session, contact) else []
    choices = [*everyone, *(Choice(f"/to {group.id}", text=group.name) for group in groups)]
    if not choices:
        await answers.say(session, contact, NO_CLASS, heard)
        return
    _move(pen, Step.audience, heard.at)
    await answers.say(session, contact, WHO, heard, choices=choices)


async def _take_audience(session: AsyncSession, heard: Heard, contact: Contact, pen: Pen, target: str) -> None:
    groups = {str(group.id): group.name for group in await _groups(session, contact)}
    if target == "school" and await _is_for_all(session, contact):
        pen.audience = audiences.only("school")
    elif target in groups:
        pen.audience = audiences.only(f"group:{groups[target]}")
    else:
        await answers.say(session, contact, OLD_BUTTON, heard)
        return
    _move(pen, Step.kind, heard.at)
    kinds = [kind for kind in KINDS if kind is not Kind.urgent or await _is_for_all(session, contact)]
    await answers.say(session, contact, WHAT, heard, choices=[Choice(f"/kind {kind.value}", say=KINDS[kind]) for kind in kinds])


async def _take_kind(session: AsyncSession, heard: Heard, contact: Contact, pen: Pen, kind: str) -> None:
    allowed = {known.value: known for known in KINDS if known is not Kind.urgent or await _is_for_all(session, contact)}
    if kind not in allowed:
        await answers.say(session, contact, OLD_BUTTON, heard)
        return
    pen.kind = allowed[kind]
    _move(pen, Step.text, heard.at)
    await answers.say(session, contact, WRITE, heard)


async def _send(
    session: AsyncSession,
    heard: Heard,
    contact: Contact,
    pen: Pen,
    send_at: datetime,
    phrase: str = ON_ITS_WAY,
    said: Mapping[str, Any] | None = None,
) -> None:
    person = await session.get_one(Person, contact.person_id)
    draft = _draft(pen, person.id, person.language, send_at)
    try:
        message_id = await composing.write(session, draft, heard.at, state=MessageState.ready)
    except HubError as wrong:  # a class that was taken off the roster meanwhile
        await answers.say(session, contact, "{reason}", heard, {"reason": str(wrong)})
        return
    _move(pen, Step.idle, heard.at)
    await answers.say(session, contact, phrase, heard, said, [Choice(f"/report {message_id}", say="Report")])


async def _report(session: AsyncSession, heard: Heard, contact: Contact) -> None:
    wanted = heard.text.split()[1:]
    mine = select(col(Message.id)).where(col(Message.author_id) == contact.person_id, col(Message.kind).in_(KINDS))
    if wanted:
        mine = mine.where(col(Message.id) == (int(wanted[0]) if wanted[0].isdecimal() and len(wanted[0]) < 10 else 0))
    message_id = await session.scalar(mine.order_by(col(Message.id).desc()).limit(1))
    if message_id is None:
        await answers.say(session, contact, NOTHING_WRITTEN, heard)
        return
    report = await reports.report(session, message_id)
    message = await session.get_one(Message, message_id)
    answered = select(func.count()).where(col(Message.reply_to) == message_id, col(Message.heard_on).is_not(None))
    counts = {phrase: sum(report.by_state.get(state, 0) for state in states) for phrase, states in COUNTS.items()}
    counts[ANSWERED] = await session.scalar(answered) or 0
    lines = {f"line{place}": {"word": phrase, "number": {"number": count}} for place, (phrase, count) in enumerate(counts.items())}
    first = message.text.strip().splitlines()[0][:60]
    text = "\n".join(["{first}", *(f"{{{line}}}" for line in lines)])
    await answers.say(session, contact, text, heard, {"first": first, **lines}, [Choice(f"/report {message_id}", say="Report")])


def _draft(pen: Pen, author_id: int | None, language: str, send_at: datetime | None = None) -> Draft:
    return Draft(
        kind=pen.kind,
        text=pen.text,
        audience=dict(pen.audience),
        language=language,
        author_id=author_id,
        send_at=send_at,
        origin=f"pen:{pen.contact_id}:{pen.version}",
    )


def _read_time(written: str, school: School, at: datetime) -> datetime | None:
    try:
        moment = datetime.fromisoformat(written)
    except ValueError:
        return None
    moment = (moment if moment.tzinfo else moment.replace(tzinfo=school.timezone)).astimezone(UTC)
    return moment if at < moment <= at + FARTHEST else None


def _move(pen: Pen, step: Step, at: datetime) -> None:
    pen.step, pen.changed_at = step, at


def _is_shown(pen: Pen, version: str) -> bool:
    return pen.step in (Step.ready, Step.time) and version == str(pen.version)


async def _is_for_all(session: AsyncSession, contact: Contact) -> bool:
    theirs = (col(PersonRole.person_id) == contact.person_id, col(PersonRole.role).in_(FOR_ALL))
    return bool(await session.scalar(select(exists().where(*theirs))))


async def _groups(session: AsyncSession, contact: Contact) -> Sequence[Group]:
    """The classes that somebody may write to: their own, and all of them for the office."""
    query = select(Group).order_by(col(Group.name)).limit(MOST_GROUPS)
    if not await _is_for_all(session, contact):
        query = query.join(GroupStaff, col(GroupStaff.group_id) == col(Group.id)).where(
            col(GroupStaff.person_id) == contact.person_id
        )
    return (await session.scalars(query)).all()


async def _person_of(session: AsyncSession, pen: Pen) -> Person:
    contact = await session.get_one(Contact, pen.contact_id)
    return await session.get_one(Person, contact.person_id)


def _say(phrase: str, reader: str, translator: Translator, **values: object) -> str:
    return fields.fill(
        wording.spoken(phrase, reader, translator), {name: str(value) for name, value in values.items()}, reader, translator.say
    )
