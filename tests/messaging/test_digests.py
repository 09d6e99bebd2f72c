"""Digests: what is over a family's few texts a week is said once, in one text, and nothing of it is lost."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, delete, event, update
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col

from puente.messaging import consent, digests, wording
from puente.messaging.digests import LONGEST, NOT_MEANT, TOO_LATE, Part
from puente.models import Contact, Delivery, Guardianship, Kind, MadeBy, Membership, Message, Rendering, Rights, State
from puente.models.database import Sessions
from tests.school import NOON, SCHOOL, Hub, kinds, open_hub, rows
from tests.translations.packs import install_pack

DENVER = ZoneInfo("America/Denver")
FRIDAY = datetime(2026, 11, 6, 23, 0, tzinfo=UTC)  # four in the afternoon in Denver

HOMEWORK = "One thing to work on: turning in homework on time."
TAREA = "Un punto para mejorar: entregar la tarea a tiempo."
KIND = "{child} is kind to others in class."
ESTA_SEMANA = "Mensajes de esta semana, de parte de Rio Grande School:"
PARA_PARAR = "Para dejar de recibir estos mensajes, responda ALTO."
ANA, CAROL, ELIF = "+15055550101", "+15055550103", "+15055550105"


@pytest.fixture
async def hub(sessions: Sessions, tmp_path: Path) -> Hub:
    return await open_hub(sessions, tmp_path)


async def save(hub: Hub, text: str, to: str, *, due_at: datetime = FRIDAY, kind: Kind = Kind.progress, **more: Any) -> int:
    """Write a message whose deliveries are all over the budget."""
    message_id = await hub.write(text, to, kind=kind, **more)
    await hub.release()
    async with hub.sessions.begin() as session:
        over = update(Delivery).where(col(Delivery.message_id) == message_id)
        await session.execute(over.values(state=State.saved, due_at=due_at))
    return message_id


async def write_due(hub: Hub) -> int:
    return await digests.write_due(hub.sessions, hub.translator, SCHOOL, hub.at)


async def say_digests(hub: Hub, at: datetime = FRIDAY) -> None:
    """The tick that writes the digests, and those that carry them out."""
    hub.at = at
    await write_due(hub)
    await hub.tick()


async def written(hub: Hub) -> list[Message]:
    return await rows(hub.sessions, Message, col(Message.kind) == Kind.digest)


async def reason(hub: Hub, message_id: int) -> str | None:
    (delivery,) = await hub.deliveries(message_id)
    return delivery.reason


async def change(hub: Hub, statement: Any) -> None:
    async with hub.sessions.begin() as session:
        await session.execute(statement)


# When


@pytest.mark.parametrize(
    ("at", "digest"),
    [
        ("2026-11-03T12:00", "2026-11-06T16:00-07:00"),
        ("2026-11-06T15:59", "2026-11-06T16:00-07:00"),
        ("2026-11-06T16:00", "2026-11-13T16:00-07:00"),
        ("2026-11-07T09:00", "2026-11-13T16:00-07:00"),
        ("2026-10-29T12:00", "2026-10-30T16:00-06:00"),
        ("2026-10-30T17:00", "2026-11-06T16:00-07:00"),  # the clocks go back on Sunday
        ("2027-03-12T17:00", "2027-03-19T16:00-06:00"),  # and forth
    ],
)
def test_the_digest_goes_out_on_friday_afternoon_on_the_schools_clock(at: str, digest: str) -> None:
    here = datetime.fromisoformat(at).replace(tzinfo=DENVER)
    assert digests.next_digest(here.astimezone(UTC), DENVER) == datetime.fromisoformat(digest)


@pytest.mark.parametrize(
    ("expires", "said"),
    [
        (None, "2026-11-06T16:00"),
        ("2026-11-10T12:00", "2026-11-06T16:00"),
        ("2026-11-06T17:00", "2026-11-06T16:00"),
        ("2026-11-06T16:59", "2026-11-06T15:59"),
        ("2026-11-05T12:00", "2026-11-05T11:00"),
        ("2026-11-05T09:00", "2026-11-05T08:00"),
        ("2026-11-05T08:30", "2026-11-04T19:00"),
        ("2026-11-05T03:00", "2026-11-04T19:00"),
        ("2026-11-05T22:00", "2026-11-05T19:00"),
        ("2026-11-03T12:30", "2026-11-03T12:00"),
        ("2026-11-03T11:00", "2026-11-03T12:00"),
    ],
)
def test_what_would_be_of_no_use_on_friday_is_said_by_day_before_it_expires(expires: str | None, said: str) -> None:
    until = datetime.fromisoformat(expires).replace(tzinfo=DENVER) if expires else None
    assert digests.digest_at(NOON, until, DENVER) == datetime.fromisoformat(said).replace(tzinfo=DENVER)


MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(at=MOMENTS, lifetime=st.timedeltas(timedelta(0), timedelta(days=10)))
def test_a_digest_is_never_in_the_past_nor_too_late_nor_at_night(at: datetime, lifetime: timedelta) -> None:
    said = digests.digest_at(at, at + lifetime, DENVER)
    assert at <= said <= digests.next_digest(at, DENVER)
    assert said == at or (8 <= said.astimezone(DENVER).hour <= 19 and said <= at + lifetime - digests.USEFUL)


# What it says


async def test_what_is_over_the_budget_is_said_in_one_digest_in_the_familys_language(hub: Hub) -> None:
    homework = await save(hub, HOMEWORK, "guardian:ana")
    praise = await save(hub, KIND, "student:sofia")
    await say_digests(hub, FRIDAY - timedelta(minutes=1))
    assert hub.sms.texts == []
    await say_digests(hub)
    said = f"{ESTA_SEMANA}\n\n- {TAREA}\n\n- Sofia Reyes trata bien a los demás en clase.\n{PARA_PARAR}"
    assert hub.sms.read_by(ANA) == [said]
    (digest,) = await written(hub)
    assert await hub.states(digest.id or 0) == {"ana": State.delivered}
    for message_id in (homework, praise):
        (delivery,) = await hub.deliveries(message_id)
        assert (delivery.state, delivery.digest_id, delivery.due_at) == (State.digested, digest.id, None)


async def test_what_the_outbox_saved_is_said_and_its_author_knew_when(hub: Hub) -> None:
    hub.school = replace(SCHOOL, weekly_texts=1)
    for text in ("All students are safe.", HOMEWORK):
        await hub.write(text, "guardian:ana+guardian:carol", kind=Kind.safety, author="rivera")
        await hub.tick()
    await hub.tick()
    assert [len(hub.sms.read_by(address)) for address in (ANA, CAROL)] == [1, 1]
    assert "this week: 2. They will read yours in their digest on Friday, November 6, 2026." in hub.telegram.read_by("8001")[0]
    await say_digests(hub)
    assert hub.sms.read_by(ANA)[1:] == [f"{ESTA_SEMANA}\n\n- {TAREA}"]
    assert hub.sms.read_by(CAROL)[1:] == [f"This week from Rio Grande School:\n\n- {HOMEWORK}"]


async def test_what_is_due_later_is_said_in_the_same_digest(hub: Hub) -> None:
    await save(hub, HOMEWORK, "guardian:carol", kind=Kind.safety)
    await save(hub, "All students are safe.", "guardian:carol", kind=Kind.safety, due_at=NOON + timedelta(hours=3))
    await hub.mark("carol", introduced_at=NOON)
    await say_digests(hub, NOON + timedelta(hours=3))
    assert hub.sms.read_by(CAROL) == [f"This week from Rio Grande School:\n\n- {HOMEWORK}\n\n- All students are safe."]


async def test_every_family_gets_its_own_digest(hub: Hub) -> None:
    await save(hub, HOMEWORK, "group:3B", kind=Kind.safety)
    hub.at = FRIDAY
    assert await write_due(hub) == 3
    assert await write_due(hub) == 0
    await hub.tick()
    assert [len(texts) for texts in (hub.sms.read_by(ANA), hub.sms.read_by(CAROL), hub.telegram.read_by("7002"))] == [1, 1, 1]
    assert [digest.language for digest in await written(hub)] == ["es", "vi", "en"]


async def test_a_digest_has_no_headline_where_nobody_has_written_one(hub: Hub) -> None:
    await save(hub, "Read at home.", "guardian:elif", renderings={"tr": "Evde okuyun."})
    await hub.mark("elif", introduced_at=NOON)
    await say_digests(hub)
    assert hub.sms.read_by(ELIF) == ["- Evde okuyun."]


async def test_a_digest_says_once_that_a_machine_translated(hub: Hub, tmp_path: Path) -> None:
    install_pack(tmp_path, "en", "es", {"the": "el", "bus": "bus", "is": "está", "late": "tarde"})
    for _ in range(2):
        await save(hub, "The bus is late.", "guardian:ana")
    await save(hub, HOMEWORK, "guardian:ana")
    await say_digests(hub)
    (said,) = hub.sms.read_by(ANA)
    assert said.count("El bus está tarde.") == 2
    assert [said.count(line) for line in ("Traducción automática.", PARA_PARAR)] == [1, 1]
    (rendering,) = await rows(hub.sessions, Rendering, col(Rendering.text) == "{digest}")
    assert rendering.made_by is MadeBy.machine


async def test_what_a_text_says_is_never_read_as_a_template(hub: Hub) -> None:
    await save(hub, "Read {book} at home.", "guardian:carol", kind=Kind.safety, fields={"book": "{guardian} {digest}"})
    await say_digests(hub)
    assert "- Read {guardian} {digest} at home." in hub.sms.read_by(CAROL)[0]


async def test_a_digest_by_one_teacher_is_theirs_to_be_answered(hub: Hub) -> None:
    await save(hub, HOMEWORK, "guardian:ana", author="rivera")
    await save(hub, KIND, "guardian:bao", author="rivera")
    await save(hub, KIND, "guardian:bao", author="boone")
    await say_digests(hub)
    assert [digest.author_id for digest in await written(hub)] == [hub.numbers.person["rivera"], None]


async def test_a_digest_lives_as_long_as_the_first_of_its_texts_and_not_for_ever(hub: Hub) -> None:
    await save(hub, HOMEWORK, "guardian:ana", expires_at=FRIDAY + timedelta(hours=1))
    await save(hub, HOMEWORK, "guardian:ana", expires_at=FRIDAY + timedelta(hours=5))
    await save(hub, HOMEWORK, "guardian:bao", expires_at=FRIDAY + timedelta(days=30))
    hub.at = FRIDAY
    await write_due(hub)
    assert [digest.expires_at for digest in await written(hub)] == [FRIDAY + timedelta(hours=1), FRIDAY + timedelta(days=2)]


# How long it is


async def test_what_one_text_cannot_hold_is_said_in_several_and_nothing_is_cut(hub: Hub) -> None:
    long = [f"{number} " + "Read at home. " * 45 + "End." for number in range(3)]
    for text in long:
        await save(hub, text, "guardian:carol", kind=Kind.safety)
    await say_digests(hub)
    texts = hub.sms.read_by(CAROL)
    assert len(texts) == 2
    assert all(len(text) <= 1_600 for text in texts)
    assert [text for text in long if any(text in said for said in texts)] == long
    assert {delivery.state for delivery in await hub.deliveries()} == {State.digested, State.delivered}


@given(
    texts=st.lists(st.integers(1, 1_590).map(lambda length: "x" * length), min_size=1, max_size=8),
    headline=st.sampled_from(["", "Week:"]),
)
def test_parts_keep_their_order_and_fill_a_digest_only_as_far_as_it_goes(texts: Sequence[str], headline: str) -> None:
    parts = [Part(number, text) for number, text in enumerate(texts)]
    bundles = digests.bundled(parts, headline)
    assert [part for bundle in bundles for part in bundle] == parts
    for bundle in bundles:
        said = digests.laid_out(bundle, headline)
        assert len(said) <= LONGEST or said == bundle[0].text
        assert all(part.text in said for part in bundle)


async def test_the_hubs_own_lines_still_fit_below_the_longest_digest(hub: Hub) -> None:
    for language in [*hub.translator.languages(), "tr"]:
        whole = wording.labelled("x" * LONGEST, language, hub.translator)
        assert len(wording.introduced(whole, language, hub.translator)) <= 1_600


# What it does not say


async def test_a_digest_says_nothing_that_has_expired(hub: Hub) -> None:
    late = await save(hub, HOMEWORK, "guardian:ana", expires_at=FRIDAY)
    await save(hub, KIND, "student:tomas")
    await say_digests(hub)
    (said,) = hub.sms.read_by(ANA)
    assert "Tomas Reyes" in said
    assert TAREA not in said
    assert await hub.states(late) == {"ana": State.failed}
    assert await reason(hub, late) == TOO_LATE


async def test_a_guardian_who_lost_the_right_reads_nothing_in_the_digest(hub: Hub) -> None:
    sofia = await save(hub, KIND, "student:sofia")
    await save(hub, KIND, "student:tomas")
    mine = (
        col(Guardianship.guardian_id) == hub.numbers.person["ana"],
        col(Guardianship.student_id) == hub.numbers.student["sofia"],
    )
    await change(hub, update(Guardianship).where(*mine).values(rights=Rights.logistics))
    await say_digests(hub)
    (said,) = hub.sms.read_by(ANA)
    assert "Tomas Reyes" in said
    assert "Sofia Reyes" not in said
    assert await hub.states(sofia) == {"ana": State.cancelled}
    assert await reason(hub, sofia) == NOT_MEANT


async def test_a_right_to_one_child_is_none_to_the_other(hub: Hub) -> None:
    both = await save(hub, KIND, "guardian:ana")
    mine = (
        col(Guardianship.guardian_id) == hub.numbers.person["ana"],
        col(Guardianship.student_id) == hub.numbers.student["sofia"],
    )
    await change(hub, delete(Guardianship).where(*mine))
    await say_digests(hub)
    assert "Sofia" not in hub.sms.read_by(ANA)[0]
    assert {delivery.student_id: delivery.state for delivery in await hub.deliveries(both)} == {
        hub.numbers.student["sofia"]: State.cancelled,
        hub.numbers.student["tomas"]: State.digested,
    }


async def test_a_family_that_left_the_class_reads_nothing_of_it(hub: Hub) -> None:
    news = await save(hub, HOMEWORK, "group:5A", kind=Kind.safety, renderings={"tr": "Ödev."})
    await change(hub, delete(Membership).where(col(Membership.student_id) == hub.numbers.student["tomas"]))
    await say_digests(hub)
    assert hub.sms.read_by(ANA) == []
    assert await hub.states(news) == {"ana": State.cancelled, "elif": State.digested}


async def test_who_asked_us_to_stop_gets_no_digest(hub: Hub) -> None:
    message_id = await save(hub, HOMEWORK, "guardian:ana")
    await hub.mark("ana", stopped_at=NOON)
    await say_digests(hub)
    assert await hub.states(message_id) == {"ana": State.cancelled}
    assert await reason(hub, message_id) == consent.ASKED_TO_STOP
    assert await written(hub) == []
    assert hub.sms.texts == hub.telegram.texts == []


# Nothing is lost


async def test_two_processes_write_one_digest(hub: Hub) -> None:
    for text in (HOMEWORK, "All students are safe.", "School is closed today."):
        await save(hub, text, "group:3B", kind=Kind.safety)
    hub.at = FRIDAY
    await asyncio.gather(*(write_due(hub) for _ in range(4)))
    await write_due(hub)
    assert len(await written(hub)) == 3
    assert {delivery.state for delivery in await hub.deliveries()} == {State.digested}


async def test_a_crash_leaves_a_text_saved_or_in_a_digest_and_nothing_between(hub: Hub, engine: AsyncEngine) -> None:
    await save(hub, HOMEWORK, "group:3B", kind=Kind.safety)
    hub.at = FRIDAY
    commits: list[Connection] = []

    def crash(connection: Connection) -> None:
        commits.append(connection)
        if len(commits) == 3:  # the first has found the families, the second has written the first digest
            raise RuntimeError("The power went.")

    event.listen(engine.sync_engine, "commit", crash)
    with pytest.raises(RuntimeError):
        await write_due(hub)
    event.remove(engine.sync_engine, "commit", crash)
    (digest,) = await written(hub)
    states = sorted((delivery.state, delivery.digest_id) for delivery in await hub.deliveries())
    assert states == [(State.digested, digest.id), (State.saved, None), (State.saved, None)]
    await say_digests(hub)
    assert len(await written(hub)) == 3
    assert len(hub.sms.texts + hub.telegram.texts) == 3


async def test_what_cannot_be_said_in_a_language_is_left_to_a_person(hub: Hub) -> None:
    word = {"level": {"word": "proficient"}}
    level = await save(hub, "Level: {level}.", "guardian:elif", fields=word, renderings={"tr": "Seviye: {level}."})
    await save(hub, "Read at home.", "guardian:elif", renderings={"tr": "Evde okuyun."})
    await say_digests(hub)
    assert "- Evde okuyun." in hub.sms.read_by(ELIF)[0]
    assert await hub.states(level) == {"elif": State.failed}
    assert kinds(await hub.tasks()) == ["call"]


async def test_a_family_whose_number_broke_reads_the_digest_on_its_next_contact(hub: Hub) -> None:
    await save(hub, HOMEWORK, "guardian:ana")
    await hub.mark("ana", bad_at=NOON)
    await say_digests(hub)
    assert hub.telegram.read_by("7001") == [f"{ESTA_SEMANA}\n\n- {TAREA}\n{PARA_PARAR}"]


async def test_a_family_that_no_channel_reaches_any_more_is_called(hub: Hub) -> None:
    await save(hub, HOMEWORK, "guardian:carol", kind=Kind.safety)
    await change(hub, update(Contact).where(col(Contact.id) == hub.numbers.contact["carol", "sms"]).values(bad_at=NOON))
    await say_digests(hub)
    assert kinds(await hub.tasks()) == ["call"]


# What the author is told


async def tell_author(hub: Hub, message_id: int, saved: int) -> None:
    async with hub.sessions.begin() as session:
        message = await session.get_one(Message, message_id)
        await digests.tell_author(session, message, saved, hub.at, DENVER)


async def test_a_teacher_is_told_once_how_many_families_read_it_later_and_when(hub: Hub) -> None:
    news = await save(hub, HOMEWORK, "group:3B", author="rivera")
    for _ in range(2):
        await tell_author(hub, news, 1)
    await hub.tick()
    assert hub.telegram.read_by("8001") == [
        "Families who have had their texts for this week: 1. They will read yours in their digest on Friday, November 6, 2026."
    ]


async def test_a_teacher_is_told_the_day_on_which_a_short_lived_text_is_said(hub: Hub) -> None:
    news = await save(hub, HOMEWORK, "group:3B", author="rivera", kind=Kind.attendance)
    await tell_author(hub, news, 2)
    await hub.tick()
    assert hub.telegram.read_by("8001")[0].endswith("on Wednesday, November 4, 2026.")


async def test_nobody_is_told_of_nothing(hub: Hub) -> None:
    await tell_author(hub, await save(hub, HOMEWORK, "guardian:ana", author="rivera"), 0)
    await tell_author(hub, await save(hub, HOMEWORK, "guardian:ana"), 1)
    assert await rows(hub.sessions, Message, col(Message.kind) == Kind.system) == []
