"""The first half of the pipe: write, render, ready, release, supply, preview."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, update
from sqlmodel import col

from puente.messaging import audiences, composing
from puente.messaging.composing import AlreadySent, Draft, EmptyText, NothingToTranslate, UnknownLanguage
from puente.models import (
    ConsentEntry,
    Delivery,
    HubError,
    Kind,
    MadeBy,
    Membership,
    Message,
    MessageState,
    Person,
    Rendering,
    State,
    Task,
    TaskKind,
)
from puente.models.database import Sessions
from puente.translations.engine import Engine
from puente.translations.fields import UnknownField
from puente.translations.translator import Rendered, Translator
from tests.school import PACES, PHRASES, SCHOOL, Hub, kinds, open_hub, rows
from tests.translations.packs import install_pack

NO_SCHOOL = "There is no school on {date}."
DATE = {"date": {"date": "2027-01-18"}}
FREE = "The bus is late today."


@pytest.fixture
async def hub(sessions: Sessions, tmp_path: Path) -> Hub:
    return await open_hub(sessions, tmp_path)


def draft(text: str = NO_SCHOOL, to: str = "group:3B", kind: Kind = Kind.announcement, **more: Any) -> Draft:
    return replace(Draft(kind, text, audiences.parse(to), fields=DATE), **more)


async def test_the_same_origin_writes_once_and_returns_the_first_message(hub: Hub) -> None:
    first = await hub.write("One.", "group:3B", origin="form:abc")
    assert await hub.write("Two.", "group:5A", origin="form:abc") == first
    assert [message.text for message in await rows(hub.sessions, Message)] == ["One."]


async def test_two_who_write_the_same_origin_at_the_same_time_write_once(hub: Hub) -> None:
    both = await asyncio.gather(*(hub.write("One.", "group:3B", origin="form:abc") for _ in range(4)))
    assert len(set(both)) == 1
    assert len(await rows(hub.sessions, Message)) == 1


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        (draft("See you on {day}."), UnknownField),
        (draft("{teacher} writes to you."), UnknownField),  # nobody signs it
        (draft(" \n\t"), EmptyText),
        (draft(language="klingonese"), UnknownLanguage),
        (draft(renderings={"es": "No hay clases."}), HubError),  # the date got lost
        (draft(renderings={"es": "  "}), EmptyText),
        (draft(renderings={"xx-not": "{date}"}), UnknownLanguage),
        (draft(to="group:9Z"), audiences.UnknownAudience),
    ],
    ids=str,
)
async def test_a_wrong_draft_is_refused_and_nothing_is_stored(hub: Hub, wrong: Draft, error: type[HubError]) -> None:
    with pytest.raises(error):
        async with hub.sessions.begin() as session:
            await composing.write(session, wrong, hub.at)
    with pytest.raises(error):
        await composing.preview(hub.sessions, hub.translator, wrong, PACES, SCHOOL, hub.at)
    assert await rows(hub.sessions, Message) == []


async def test_a_scheduled_message_goes_out_at_its_time_and_not_before(hub: Hub) -> None:
    message_id = await hub.write(NO_SCHOOL, "group:3B", fields=DATE, send_at=hub.at + timedelta(hours=1))
    hub.wait(minutes=59, seconds=59)
    assert await hub.release() == 0
    assert await hub.deliveries() == []
    hub.wait(seconds=1)
    assert await hub.release() == 1
    assert len(await hub.deliveries(message_id)) == 3


async def test_releasing_twice_or_in_two_processes_at_once_sends_once(hub: Hub) -> None:
    message_id = await hub.write(NO_SCHOOL, "group:3B", fields=DATE)
    assert sum(await asyncio.gather(hub.release(), hub.release(), hub.release())) == 1
    assert await hub.release() == 0
    assert len(await hub.deliveries(message_id)) == 3
    assert len(await hub.tasks()) == 1, "Fidel, who has no number, is called once"


async def test_a_mother_of_two_hears_an_announcement_once_and_a_text_about_the_child_once_for_each(hub: Hub) -> None:
    await hub.send(NO_SCHOOL, "group:3B+group:5A", fields=DATE)
    assert len(hub.sms.read_by("+15055550101")) == 1
    await hub.send("{child} was not at school on {date}.", "group:3B+group:5A", kind=Kind.attendance, fields=DATE)
    about = hub.sms.read_by("+15055550101")[1:]
    assert len(about) == 2
    assert {"Sofia Reyes" in text for text in about} == {True, False}
    assert all(("Sofia Reyes" in text) != ("Tomas Reyes" in text) for text in about)


async def test_each_language_is_rendered_once_and_never_once_per_family(hub: Hub, tmp_path: Path) -> None:
    asked: list[str] = []

    class Counting(Translator):
        async def render(self, text: str, source: str, target: str, **how: bool) -> Rendered:
            asked.append(target)
            return Rendered(f"[{target}] {text}", MadeBy.machine)

    hub.translator = Counting(PHRASES, Engine(tmp_path))
    message_id = await hub.write("Bring a coat.", "school+role:office+role:teacher")
    await hub.release()
    assert sorted(asked) == ["en", "es", "es-MX", "tr", "vi"]
    assert len(await rows(hub.sessions, Rendering, col(Rendering.message_id) == message_id)) == 5


async def test_what_cannot_be_translated_waits_for_a_person_and_then_goes_out(hub: Hub) -> None:
    message_id = await hub.send(FREE, "guardian:ana+guardian:bao+guardian:carol")
    assert await hub.states(message_id) == {"ana": State.held, "bao": State.held, "carol": State.delivered}
    waiting = await hub.tasks()
    assert [(task.kind, task.language, task.message_id) for task in waiting] == [
        (TaskKind.translation, "es", message_id),
        (TaskKind.translation, "vi", message_id),
    ]
    assert all("language pack" in task.reason for task in waiting)

    async with hub.sessions.begin() as session:
        assert await composing.supply(session, message_id, "es", "El autobús llega tarde hoy.", hub.school, hub.at) == 1
    await hub.tick()
    assert hub.sms.read_by("+15055550101")[0].startswith("El autobús llega tarde hoy.")
    assert await hub.states(message_id) == {"ana": State.delivered, "bao": State.held, "carol": State.delivered}
    assert [task.done_at is None for task in await hub.tasks()] == [False, True]
    async with hub.sessions.begin() as session:
        with pytest.raises(NothingToTranslate):
            await composing.supply(session, message_id, "es", "Otra vez.", hub.school, hub.at)


@pytest.mark.parametrize("text", ["El autobús llega tarde.", "El autobús llega tarde el {fecha}.", " "])
async def test_a_translation_that_lost_or_renamed_a_field_or_says_nothing_is_refused(hub: Hub, text: str) -> None:
    message_id = await hub.send("The bus is late on {date}.", "guardian:ana", fields=DATE)
    with pytest.raises(HubError):
        async with hub.sessions.begin() as session:
            await composing.supply(session, message_id, "es", text, hub.school, hub.at)
    assert await hub.states(message_id) == {"ana": State.held}


async def test_a_free_text_is_translated_by_a_pack_and_says_so(hub: Hub, tmp_path: Path) -> None:
    words = {"the": "el", "bus": "autobús", "is": "llega", "late": "tarde", "today": "hoy"}
    install_pack(tmp_path, "en", "es", words)
    await hub.send(FREE, "guardian:ana")
    assert hub.sms.read_by("+15055550101")[0].splitlines()[:2] == [
        "El autobús llega tarde hoy.",
        hub.translator.say("Translated by machine. Please ask us if something is not clear.", "es"),
    ]


async def test_a_draft_is_not_sent_until_it_is_ready_and_is_ready_once(hub: Hub) -> None:
    async with hub.sessions.begin() as session:
        message_id = await composing.write(session, draft(), hub.at)
    assert await hub.release() == 0
    async with hub.sessions.begin() as session:
        await composing.ready(session, message_id)
    async with hub.sessions.begin() as session:
        with pytest.raises(AlreadySent, match="already gone out"):
            await composing.ready(session, message_id)
    assert await hub.release() == 1


async def test_a_cancelled_message_is_not_released(hub: Hub) -> None:
    message_id = await hub.write(NO_SCHOOL, "group:3B", fields=DATE)
    async with hub.sessions.begin() as session:
        await session.execute(update(Message).where(col(Message.id) == message_id).values(state=MessageState.cancelled))
    assert await hub.release() == 0
    assert await hub.deliveries() == []


async def test_a_guardian_without_a_number_becomes_a_call_once(hub: Hub) -> None:
    message_id = await hub.send(NO_SCHOOL, "guardian:fidel", fields=DATE)
    (task,) = await hub.tasks()
    assert (task.kind, task.person_id, task.message_id) == (TaskKind.call, hub.numbers.person["fidel"], message_id)
    assert task.reason == "no number on file"


async def test_whoever_joins_the_class_after_writing_is_reached_in_their_language_too(hub: Hub) -> None:
    message_id = await hub.write(NO_SCHOOL, "group:3B", fields=DATE)
    await composing.render(hub.sessions, hub.translator, message_id, hub.at)
    async with hub.sessions.begin() as session:
        group = await session.scalar(
            select(col(Membership.group_id)).where(col(Membership.student_id) == hub.numbers.student["sofia"])
        )
        session.add(Membership(group_id=group or 0, student_id=hub.numbers.student["omar"]))
    await hub.release()
    assert (await hub.states(message_id))["elif"] is State.held, "Turkish, which nobody had asked for before"


async def test_a_prepared_text_is_used_and_spanish_serves_mexico(hub: Hub) -> None:
    async with hub.sessions.begin() as session:
        await session.execute(update(Person).where(col(Person.external_id) == "ana").values(language="es-MX"))
    message_id = await hub.send(FREE, "guardian:ana+guardian:bao", renderings={"es": "El bus tarda.", "vi-VN": "Xe buýt trễ."})
    assert hub.sms.read_by("+15055550101")[0].startswith("El bus tarda.")
    assert hub.telegram.read_by("7002")[0].startswith("Xe buýt trễ.")
    made = await rows(hub.sessions, Rendering, col(Rendering.message_id) == message_id)
    assert {rendering.made_by for rendering in made} == {MadeBy.person}
    assert await hub.tasks() == []


async def test_a_machines_text_does_not_pass_for_a_persons_in_a_neighbouring_language(hub: Hub, tmp_path: Path) -> None:
    install_pack(tmp_path, "en", "es", {"the": "el", "bus": "bus", "is": "está", "late": "tarde", "today": "hoy"})
    message_id = await hub.write(FREE, "guardian:ana")
    await composing.render(hub.sessions, hub.translator, message_id, hub.at)
    async with hub.sessions.begin() as session:
        await session.execute(update(Person).where(col(Person.external_id) == "ana").values(language="es-MX"))
    await hub.release()
    made = await rows(hub.sessions, Rendering, col(Rendering.message_id) == message_id)
    assert {rendering.language: rendering.made_by for rendering in made} == {"es": MadeBy.machine, "es-MX": MadeBy.machine}


async def test_a_preview_writes_nothing_and_is_what_is_then_sent(hub: Hub, tmp_path: Path) -> None:
    install_pack(tmp_path, "en", "es", {"read": "lea", "with": "con", "at": "en", "home": "casa"})
    text = "Here is some news about {child} from {teacher}. Read with {child} at home."
    about = Draft(Kind.progress, text, audiences.parse("school"), author_id=hub.numbers.person["rivera"])
    before = await counted(hub)
    seen = await composing.preview(hub.sessions, hub.translator, about, PACES, SCHOOL, hub.at)
    assert await counted(hub) == before

    message_id = await hub.send(text, "school", kind=Kind.progress, author="rivera")
    sent = await hub.deliveries(message_id)
    assert {language.language: language.guardians for language in seen.languages} == {"es": 2, "vi": 1, "tr": 1}
    for language in seen.languages:
        deliveries = [delivery for delivery in sent if delivery.language == language.language]
        assert len(deliveries) == language.guardians
        if language.made_by is MadeBy.nobody:
            assert {delivery.state for delivery in deliveries} == {State.held}
            assert language.problems
        else:
            assert language.text in [delivery.text for delivery in deliveries]
        if {delivery.channel for delivery in deliveries} == {"sms"} and language.text:
            assert language.parts in [delivery.parts for delivery in deliveries]
    called = [task.person_id for task in await hub.tasks() if task.kind is TaskKind.call]
    assert [person.person_id for person in seen.unreached] == called == [hub.numbers.person["fidel"]]


async def test_the_first_text_to_a_family_says_how_to_stop_and_the_second_does_not(hub: Hub) -> None:
    for _ in range(2):
        await hub.send(NO_SCHOOL, "guardian:ana+guardian:carol+role:teacher", fields=DATE)
    first, second = hub.sms.read_by("+15055550101")
    assert "ALTO" in first
    assert "ALTO" not in second
    assert "STOP" in hub.sms.read_by("+15055550103")[0]
    assert not any("STOP" in text for text in hub.telegram.read_by("8001")), "staff"


async def test_an_answer_from_a_teacher_does_not_count_as_the_text_that_says_how_to_stop(hub: Hub) -> None:
    await hub.send("Gracias.", "guardian:ana", kind=Kind.reply, author="rivera", language="es")
    assert (await hub.contact("ana")).introduced_at is None
    await hub.send(NO_SCHOOL, "guardian:ana", fields=DATE)
    assert "ALTO" in hub.sms.read_by("+15055550101")[1]


async def test_a_text_with_a_word_that_nobody_wrote_in_a_language_is_a_call_and_stops_no_other(hub: Hub) -> None:
    install = {"es": "Reunión en {place}.", "vi": "Họp ở {place}."}
    message_id = await hub.send(
        "Meeting in {place}.", "guardian:ana+guardian:carol", fields={"place": {"word": "the old barn"}}, renderings=install
    )
    assert set((await hub.states(message_id)).values()) == {State.failed}
    assert kinds(await hub.tasks()) == ["call", "call"]
    assert all("the old barn" in (delivery.reason or "") for delivery in await hub.deliveries(message_id))


async def counted(hub: Hub) -> list[int | None]:
    tables = (Message, Rendering, Delivery, Task, ConsentEntry)
    async with hub.sessions() as session:
        return [await session.scalar(select(func.count()).select_from(table)) for table in tables]
