"""The first half of the pipe: write, render, ready, release.

    write        a message is checked and stored, once per origin
    render       it is put into every language its audience reads, before anything goes out
    ready        it may go at its time
    release_due  tick: what is ready and due becomes deliveries, and tasks where no machine can help

`preview` answers what all of that would come to, and writes nothing.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import ColumnElement, CompoundSelect, case, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging import audiences, digests, outbox, plans, wording
from puente.messaging.audiences import Audience, Unreached
from puente.messaging.channels import gsm7
from puente.messaging.plans import Plan
from puente.messaging.policy import POLICIES, Policy, Review, speaks_of_rights
from puente.messaging.school import School
from puente.messaging.senders import Pace
from puente.models import (
    Delivery,
    Grade,
    HubError,
    Kind,
    MadeBy,
    Message,
    MessageState,
    Person,
    Rendering,
    State,
    Task,
    TaskKind,
    database,
)
from puente.models.database import Sessions
from puente.translations import dates, fields, languages, memory, readability
from puente.translations.translator import Rendered, Translator

log = structlog.get_logger()

TO_APPROVE = "It waits for a reviewer to approve it."
TO_CHECK = "It has gone out with the original beneath. Please check it."

# BCP 47 for a text whose language nobody knows yet: what a stranger wrote.
UNKNOWN = "und"


class EmptyText(HubError):
    """The message has no text."""


class AlreadySent(HubError):
    """This message has already gone out."""


class NoSuchMessage(HubError):
    """There is no message with this number."""


class UnknownLanguage(HubError):
    """This is not a language: write its code, such as en, es or zh-Hans."""


class NothingToTranslate(HubError):
    """This message does not wait for a translation into this language."""


@dataclass(frozen=True)
class Draft:
    """What somebody wants to say. `renderings` are texts that a person has prepared in other languages; those in `unapproved` are
    drafts, which no speaker of the language has read yet."""

    kind: Kind
    text: str
    audience: Audience
    language: str = "en"
    author_id: int | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)
    send_at: datetime | None = None
    expires_at: datetime | None = None
    reply_to: int | None = None
    origin: str | None = None
    student_id: int | None = None
    heard_on: int | None = None
    heard_from: str | None = None
    renderings: Mapping[str, str] = field(default_factory=dict)
    unapproved: Collection[str] = ()


async def write(session: AsyncSession, draft: Draft, at: datetime, *, state: MessageState = MessageState.draft) -> int:
    """Store a message and return its id. Writing the same origin again returns the message that it wrote the first time."""
    message_id = await write_new(session, draft, at, state=state)
    if message_id is None:
        message_id = await session.scalar(select(col(Message.id)).where(col(Message.origin) == draft.origin))
    assert message_id is not None
    return message_id


async def write_new(session: AsyncSession, draft: Draft, at: datetime, *, state: MessageState) -> int | None:
    """Store a message and return its id, or None where its origin has written one already."""
    prepared = _prepared(draft)
    await audiences.check(session, draft.audience)
    send_at = draft.send_at or at
    message = Message(
        kind=draft.kind,
        text=draft.text,
        fields=dict(draft.fields),
        language=_language(draft.language),
        audience=dict(draft.audience),
        author_id=draft.author_id,
        student_id=draft.student_id,
        heard_on=draft.heard_on,
        heard_from=draft.heard_from,
        reply_to=draft.reply_to,
        origin=draft.origin,
        state=state,
        created_at=at,
        send_at=send_at,
        expires_at=draft.expires_at or send_at + POLICIES[draft.kind].lifetime,
    )
    row = (
        database.insert_once(session, Message)
        .values(message.model_dump(exclude={"id"}))
        .on_conflict_do_nothing()
        .returning(col(Message.id))
    )
    message_id = await session.scalar(row)
    if message_id is None:
        return None
    for language, made in prepared.items():
        row = Rendering(
            message_id=message_id, language=language, text=made.text, made_by=made.made_by, grade=made.grade, made_at=at
        )
        session.add(row)
    await session.flush()
    return message_id


async def ready(session: AsyncSession, message_id: int) -> None:
    """Let a draft go at its time."""
    moved = await session.execute(
        update(Message)
        .where(col(Message.id) == message_id, col(Message.state) == MessageState.draft)
        .values(state=MessageState.ready)
    )
    if not outbox.changed(moved):
        raise AlreadySent(AlreadySent.__doc__)


async def render(
    sessions: Sessions, translator: Translator, message_id: int, at: datetime, readers: Collection[str] = ()
) -> None:  # fmt: skip
    """Put a message into every language of its audience, and of its other `readers`, that is still missing. Nothing is locked while
    it translates."""
    async with sessions.begin() as session:
        message = await _message(session, message_id)
        missing = await _languages_without_rendering(session, message, readers)
        by_people = select(Rendering).where(col(Rendering.message_id) == message_id, col(Rendering.made_by) == MadeBy.person)
        prepared = {r.language: Rendered(r.text, r.made_by, grade=r.grade) for r in await session.scalars(by_people)}
    policy = POLICIES[message.kind]
    made = {language: await _rendered(translator, message, language, prepared) for language in missing}
    async with sessions.begin() as session:
        for language, rendered in made.items():
            row = Rendering(
                message_id=message_id,
                language=language,
                text=rendered.text,
                made_by=rendered.made_by,
                grade=rendered.grade,
                problems=list(rendered.problems),
                back=rendered.back,
                waits=_waits(policy, rendered),
                made_at=at,
            )
            await database.add_once(session, row)


async def read_in(sessions: Sessions, translator: Translator, message_id: int, language: str, at: datetime) -> None:
    """Put what somebody wrote into the language of one who reads it on the page, though it was sent to nobody."""
    async with sessions() as session:
        message = await _message(session, message_id)
    if languages.same(message.language, language):
        return
    await render(sessions, translator, message_id, at, [language])
    async with sessions.begin() as session:
        await _ask_for_people(session, message, await _unsure(session, message_id), at)


async def release_due(sessions: Sessions, translator: Translator, senders: Collection[str], school: School, at: datetime) -> int:
    """Tick: turn every message that is ready and due into deliveries. Returns how many messages were released."""
    async with sessions.begin() as session:
        due = list(
            await session.scalars(
                select(col(Message.id))
                .where(col(Message.state) == MessageState.ready, col(Message.send_at) <= at)
                .order_by(_priority(), col(Message.send_at))
            )
        )
    released = 0
    for message_id in due:
        assert message_id is not None
        await render(sessions, translator, message_id, at)
        async with sessions.begin() as session:
            released += await _release(session, translator, message_id, senders, school, at)
    return released


async def supply(
    session: AsyncSession, message_id: int, language: str, text: str, school: School, at: datetime, by: int | None = None
) -> int:
    """A person gives a translation, where the machine had none or a worse one: what waited for it goes out. Returns how many
    deliveries.

    It is remembered, sentence by sentence, for every message of the school to come. Who has read the message untranslated already
    gets it once more, translated.
    """
    message = await _message(session, message_id)
    language = _language(language)
    _same_fields(message.text, text)
    rendering = await _open_to_people(session, message_id, language)
    unread = rendering.made_by is MadeBy.nobody
    released = await _settle(session, message, rendering, text, school, at, by)
    return released + (await _say_again(session, message, language, text, at) if unread else 0)


async def approve(
    session: AsyncSession, message_id: int, language: str, school: School, at: datetime, by: int | None = None
) -> int:
    """A reviewer has read the machine's translation and found it right: what waited goes out. Returns how many deliveries."""
    message = await _message(session, message_id)
    rendering = await _open_to_people(session, message_id, _language(language))
    if rendering.made_by is MadeBy.nobody:
        raise NothingToTranslate("There is no translation to approve: give one.")
    return await _settle(session, message, rendering, rendering.text, school, at, by)


async def _open_to_people(session: AsyncSession, message_id: int, language: str) -> Rendering:
    """The rendering, locked, if no person has answered for it yet."""
    rendering = await session.scalar(
        select(Rendering)
        .where(
            col(Rendering.message_id) == message_id,
            col(Rendering.language) == language,
            col(Rendering.grade) != Grade.sure,
        )
        .with_for_update()
    )
    if rendering is None:
        raise NothingToTranslate(NothingToTranslate.__doc__)
    return rendering


async def _settle(
    session: AsyncSession, message: Message, rendering: Rendering, text: str, school: School, at: datetime, by: int | None
) -> int:
    """From here on a person answers for the translation."""
    rendering.text, rendering.made_by, rendering.grade, rendering.problems = text, MadeBy.person, Grade.sure, []
    rendering.waits, rendering.approved_by, rendering.made_at = False, by, at
    await session.flush()
    assert message.id is not None
    key = translate_key(message.id, rendering.language)
    await session.execute(update(Task).where(col(Task.key) == key, col(Task.done_at).is_(None)).values(done_at=at, done_by=by))
    # What a family wrote is theirs: it is not kept to be said again.
    if message.kind is not Kind.reply and message.language != UNKNOWN:
        pairs = memory.pairs(message.text, text, message.language, rendering.language)
        await memory.correct(session, pairs, message.language, rendering.language, at, by)
    return await _release_held(session, message, [rendering.language], school, at)


async def go_on(session: AsyncSession, message: Message, school: School, at: datetime) -> int:
    """Let a paused message go on, in every language that it is translated into. Returns how many deliveries."""
    translated = select(col(Rendering.language)).where(
        col(Rendering.message_id) == message.id, col(Rendering.made_by) != MadeBy.nobody, col(Rendering.waits).is_(False)
    )
    message.state = MessageState.released
    await session.flush()
    return await _release_held(session, message, list(await session.scalars(translated)), school, at)


async def _release_held(session: AsyncSession, message: Message, readable: Collection[str], school: School, at: datetime) -> int:
    if message.state is MessageState.paused:
        return 0  # it goes out with the rest, when somebody lets it go on
    digest_at = digests.digest_at(at, message.expires_at, school.timezone)
    released = await outbox.release_held(session, message, readable, school, at, digest_at=digest_at)
    await digests.tell_author(session, message, released.saved, at, school.timezone, again=True)
    return released.deliveries


@dataclass(frozen=True)
class LanguagePreview:
    """How a message reads in one language, for how many guardians, and what one text costs. `parts` counts SMS segments.

    `problems` are the reasons of its `grade`, `back` is the text translated back, and one that `waits` goes out when a reviewer has
    approved it.
    """

    language: str
    guardians: int
    text: str
    made_by: MadeBy
    problems: tuple[str, ...]
    encoding: str
    parts: int
    grade: Grade
    back: str | None
    waits: bool


@dataclass(frozen=True)
class Preview:
    """`parts` are all SMS segments that this would send; `plan` is how long each line is busy with it, and from when. `advice` is
    what the author should think of before it goes."""

    languages: list[LanguagePreview]
    unreached: list[Unreached]
    parts: int
    plan: Plan
    advice: list[str]


async def preview(
    sessions: Sessions, translator: Translator, draft: Draft, paces: Mapping[str, Pace], values: School, at: datetime
) -> Preview:
    """Every language's text, what it costs, how long it takes and who cannot be reached. Writes nothing.

    `paces` are the school's lines, with what each can carry.
    """
    prepared = _prepared(draft)
    message = Message(
        kind=draft.kind, text=draft.text, fields=dict(draft.fields), language=_language(draft.language), author_id=draft.author_id,
        student_id=draft.student_id, created_at=at, send_at=draft.send_at or at,
        expires_at=draft.expires_at or (draft.send_at or at) + POLICIES[draft.kind].lifetime,
    )  # fmt: skip
    policy, per_student = POLICIES[draft.kind], wording.is_about_one_child(message)
    async with sessions() as session:
        await audiences.check(session, draft.audience)
        who = audiences.recipients(draft.audience, policy, per_student=per_student)
        unreached = await audiences.unreached(session, who, paces, policy)
        addressed = audiences.addressed(draft.audience, policy, paces, per_student=per_student).subquery()
        shares = await plans.shares(session, addressed)
        samples = {
            row.language: await wording.imagine(session, message, row.person_id, row.contact_id, row.student_id)
            for row in await plans.first_of_each_language(session, addressed)
        }
        queued = await plans.queued(session, policy.priority, at)
        over = await outbox.count_over_budget(session, message, addressed, values, message.send_at, per_student=per_student)
    counts = Counter[str]()
    for share in shares:
        counts[share.language] += share.texts
    seen = []
    for language, guardians in sorted(counts.items(), key=lambda count: (-count[1], count[0])):
        rendered = await _rendered(translator, message, language, prepared, check_back=True)
        rendering = Rendering(message_id=0, language=language, text=rendered.text, made_by=rendered.made_by)
        readable = rendered.text or (policy.review is Review.after and wording.can_apologise(language, translator))
        text = wording.word(replace(samples[language], rendering=rendering), values, translator) if readable else ""
        text = wording.as_sent(text, "sms", values)
        parts = gsm7.count(text)
        seen.append(
            LanguagePreview(
                language=language,
                guardians=guardians,
                text=text,
                made_by=rendered.made_by,
                problems=rendered.problems,
                encoding=parts.encoding,
                parts=parts.parts if text else 0,
                grade=rendered.grade,
                back=rendered.back,
                waits=_waits(policy, rendered),
            )
        )
    each = {language.language: language.parts for language in seen}
    plan = plans.plan(shares, each, paces, queued, policy, values, message.send_at, over)
    parts = sum(each[share.language] * share.texts for share in shares if share.channel == "sms")
    return Preview(seen, unreached, parts, plan, _advice(message, policy))


def _advice(message: Message, policy: Policy) -> list[str]:
    advice = dates.weekday_doubts(message.text, message.language)
    if languages.same(message.language, "en"):
        advice += readability.read(message.text).advice
    if policy.review is Review.label and speaks_of_rights(message.text):
        advice.append("This seems to speak of a family's rights. Sent as a notice, a reviewer reads every translation first.")
    return advice


def _waits(policy: Policy, rendered: Rendered) -> bool:
    """Whether no family may read it before a reviewer has."""
    return policy.review is Review.first and rendered.made_by is not MadeBy.nobody and rendered.grade is not Grade.sure


async def _say_again(session: AsyncSession, message: Message, language: str, text: str, at: datetime) -> int:
    """Write a reply once more, for those who have read it untranslated. Returns how many that are."""
    untranslated = select(col(Delivery.contact_id)).where(
        col(Delivery.message_id) == message.id,
        col(Delivery.language) == language,
        col(Delivery.state).in_([State.sending, State.sent, State.delivered]),
    )
    readers = [f"contact:{contact_id}" for contact_id in await session.scalars(untranslated)]
    if readers:
        again = Draft(
            kind=message.kind, text=message.text, audience=audiences.only(*readers), language=message.language,
            author_id=message.author_id, student_id=message.student_id, heard_on=message.heard_on, heard_from=message.heard_from,
            reply_to=message.reply_to, renderings={language: text}, fields={} if message.kind is Kind.reply else message.fields,
            origin=f"translation:{message.id}:{language}",
        )  # fmt: skip
        await write(session, again, at, state=MessageState.ready)
    return len(readers)


def _prepared(draft: Draft) -> dict[str, Rendered]:
    """The texts that a person prepared, by language, if the draft can be written at all. What was heard is taken as it is."""
    if not draft.text.strip() and not draft.heard_on and not draft.heard_from:
        raise EmptyText(EmptyText.__doc__)
    if draft.kind is not Kind.reply:
        wording.check_fields(draft.text, draft.fields, has_author=draft.author_id is not None)
    return {
        _language(language): Rendered(
            _same_fields(draft.text, text), MadeBy.person, grade=Grade.good if language in draft.unapproved else Grade.sure
        )
        for language, text in draft.renderings.items()
    }


def _same_fields(text: str, translation: str) -> str:
    """The translation, if it says all that the message says to each family."""
    if not translation.strip():
        raise EmptyText(EmptyText.__doc__)
    if wrong := set(fields.names(text)) ^ set(fields.names(translation)):
        raise HubError(
            f"The translation must hold the same fields as the message: {', '.join(f'{{{name}}}' for name in sorted(wrong))}."
        )
    return translation


def _language(tag: str) -> str:
    if tag == UNKNOWN:
        return tag
    found = languages.canonical(tag)
    if found is None:
        raise UnknownLanguage(UnknownLanguage.__doc__)
    return found


async def _message(session: AsyncSession, message_id: int) -> Message:
    message = await session.get(Message, message_id)
    if message is None:
        raise NoSuchMessage(NoSuchMessage.__doc__)
    return message


async def _languages_without_rendering(session: AsyncSession, message: Message, readers: Collection[str] = ()) -> list[str]:
    rendered = set(await session.scalars(select(col(Rendering.language)).where(col(Rendering.message_id) == message.id)))
    missing = set(readers) - rendered
    # Most often it reads in every language that anybody reads, and then nobody need ask who the audience is.
    if not set(await session.scalars(select(col(Person.language)).distinct())) - rendered:
        return sorted(missing)
    who = audiences.recipients(message.audience, POLICIES[message.kind], per_student=False).subquery()
    # A join, because PostgreSQL takes a list of persons for a short one, and looks each up.
    read = select(col(Person.language)).join(who, who.c.person_id == col(Person.id)).distinct()
    return sorted(missing | set(await session.scalars(read)) - rendered)


async def _unsure(session: AsyncSession, message_id: int) -> list[Rendering]:
    """Its translations for which no person has answered."""
    unsure = select(Rendering).where(col(Rendering.message_id) == message_id, col(Rendering.grade) != Grade.sure)
    return list(await session.scalars(unsure))


async def _rendered(
    translator: Translator, message: Message, language: str, prepared: Mapping[str, Rendered], *, check_back: bool = False
) -> Rendered:
    # A person's text in Spanish serves es-MX too; the machine comes after it.
    if nearest := languages.nearest(language, prepared):
        return prepared[nearest]
    check_back = check_back or POLICIES[message.kind].review is not Review.label
    remember = message.kind is not Kind.reply
    return await translator.render(message.text, message.language, language, remember=remember, check_back=check_back)


async def _release(
    session: AsyncSession, translator: Translator, message_id: int, senders: Collection[str], school: School, at: datetime
) -> bool:
    message = await _message(session, message_id)
    if await _languages_without_rendering(session, message):
        return False  # somebody with a new language joined meanwhile: the next tick renders it first
    moved = await session.execute(
        update(Message)
        .where(col(Message.id) == message_id, col(Message.state) == MessageState.ready, col(Message.send_at) <= at)
        .values(state=MessageState.released, released_at=at)
    )
    if not outbox.changed(moved):
        return False  # another process was first, or it was cancelled or moved
    per_student = message.kind is not Kind.reply and wording.is_about_one_child(message)
    unsure, policy = await _unsure(session, message_id), POLICIES[message.kind]
    untranslated = [rendering for rendering in unsure if rendering.made_by is MadeBy.nobody]
    who = audiences.recipients(message.audience, POLICIES[message.kind], per_student=per_student)
    # What a family wrote reaches the teacher as it stands when it cannot be translated: late is worse than untranslated there.
    held = [] if message.kind is Kind.reply and await _only_staff(session, who) else [row.language for row in untranslated]
    if policy.review is Review.after:
        # In an emergency English, named as such, is better than silence, where we can say that much.
        held = [language for language in held if not wording.can_apologise(language, translator)]
    held += [rendering.language for rendering in unsure if rendering.waits]
    missed = await audiences.unreached(session, who, senders, policy)
    digest_at = digests.digest_at(at, message.expires_at, school.timezone)
    enqueued = await outbox.enqueue(session, message, senders, school, at, per_student=per_student, held=held, digest_at=digest_at)
    await digests.tell_author(session, message, enqueued.saved, at, school.timezone)
    await _ask_for_people(session, message, unsure, at)
    kind = TaskKind.answer if message.kind is Kind.reply else TaskKind.call
    calls = [
        Task(
            key=f"{kind}:{message_id}:{person.person_id}", kind=kind, reason=person.reason, message_id=message_id,
            person_id=person.person_id, language=person.language, created_at=at,
        )
        for person in missed
        if message.kind is not Kind.contact  # nobody is called because they could not be asked for their number
    ]  # fmt: skip
    await database.add_all_once(session, calls)
    log.info(
        "message.released", message=message_id, kind=message.kind.value, deliveries=enqueued.deliveries, saved=enqueued.saved,
        untranslated=len(untranslated), unreached=len(missed),
    )  # fmt: skip
    return True


async def _ask_for_people(session: AsyncSession, message: Message, unsure: Sequence[Rendering], at: datetime) -> None:
    """A task for each translation that a person must make or look at."""
    for rendering in unsure:
        if reason := _why_a_person(rendering, POLICIES[message.kind]):
            task = Task(
                key=translate_key(rendering.message_id, rendering.language), kind=TaskKind.translation,
                reason=outbox.short(reason) or "", message_id=message.id, language=rendering.language, created_at=at,
            )  # fmt: skip
            await database.add_once(session, task)


def _priority() -> ColumnElement[int]:
    """What is urgent is put into its languages first, too."""
    return case(*((col(Message.kind) == kind, policy.priority) for kind, policy in POLICIES.items()), else_=0)


async def _only_staff(session: AsyncSession, who: CompoundSelect) -> bool:
    wanted = who.subquery()
    return not await session.scalar(select(select(wanted).where(wanted.c.person_id.not_in(audiences.staff())).exists()))


def _why_a_person(rendering: Rendering, policy: Policy) -> str:
    """Why somebody must look at a translation; empty where nobody need."""
    reasons = "; ".join(rendering.problems)
    if rendering.made_by is MadeBy.nobody:
        return reasons
    if rendering.waits:
        return f"{TO_APPROVE} {reasons}".strip()
    return f"{TO_CHECK} {reasons}".strip() if policy.review is Review.after and rendering.made_by is MadeBy.machine else ""


def translate_key(message_id: int, language: str) -> str:
    return f"translate:{message_id}:{language}"
