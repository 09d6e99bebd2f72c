"""A teacher writes once, every family reads it in its language, and what the carriers say later is believed in the right order."""

import asyncio
from collections import Counter
from datetime import timedelta

from puente.messaging.channels import twilio as twilio_channel
from puente.models import Kind
from tests.fakes import on_sqlite
from tests.fakes.town import JOHN, LAN, ROSA, Town, folded, said
from tests.fakes.twilio import BROKEN, DROPS, HANGS, INVALID_TO, TAKES_AND_DROPS, TAKES_AND_HANGS, TOO_MANY, Answer

CLOSED = "School is closed today."


async def delivered(town: Town, status: str = "delivered") -> None:
    for message in town.twilio.accepted:
        await town.twilio.callback(message.sid, status)


async def test_every_guardian_reads_it_once_in_their_language(town: Town) -> None:
    message = await town.write(CLOSED, "school")
    await town.settle()
    await delivered(town)
    report = await town.report(message)
    assert Counter(sent.to for sent in town.twilio.accepted) == Counter([ROSA, JOHN, LAN])
    for number, language in ((ROSA, "es"), (JOHN, "en"), (LAN, "vi")):
        assert folded(town.twilio.texts(number)[0]).startswith(said(CLOSED, language))
    assert report.by_state == {"delivered": 3, "held": 1}
    assert sorted((task.kind, task.person or task.language) for task in report.tasks) == [
        ("call", "Samira Haddad"),
        ("translate", "nv"),
    ]
    assert report.made_by == {"ar": "phrase", "en": "author", "es": "phrase", "nv": "nobody", "vi": "phrase"}


@on_sqlite
async def test_a_text_about_a_child_comes_once_for_each(town: Town) -> None:
    await town.write("{child} is kind to others in class.", "school", Kind.progress)
    await town.settle()
    about = {text.splitlines()[0] for text in town.twilio.texts(ROSA)}
    sentence = said("{child} is kind to others in class.", "es")
    assert {folded(text) for text in about} == {sentence.replace("{child}", child) for child in ("Ana Ruiz", "Leo Ruiz")}
    assert len(town.twilio.texts(JOHN)) == 1


async def test_a_report_may_overtake_the_answer_it_belongs_to(town: Town) -> None:
    town.twilio.callback_first = "delivered"
    message = await town.write(CLOSED, "group:5A")
    await town.settle()
    assert (await town.report(message)).by_state == {"delivered": 1}


async def test_reports_in_any_order_and_number_end_in_delivered(town: Town) -> None:
    message = await town.write(CLOSED, "group:5A")
    await town.settle()
    sid = town.twilio.accepted[0].sid
    for status in ("sent", "delivered", "sent", "queued", "delivered", "sending"):
        assert set(await town.twilio.callback(sid, status, times=2)) == {204}
    await asyncio.gather(*(town.twilio.callback(sid, "sent") for _ in range(10)))
    assert (await town.report(message)).by_state == {"delivered": 1}


@on_sqlite
async def test_a_forged_report_moves_nothing(town: Town) -> None:
    message = await town.write(CLOSED, "group:5A")
    await town.settle()
    sent = town.twilio.accepted[0]
    form = {"MessageSid": sent.sid, "MessageStatus": "failed", "ErrorCode": "21610", "To": sent.to}
    assert sent.callback
    assert await town.twilio.post(sent.callback, form, signature="bm90IHNpZ25lZA==") == 403
    assert await town.twilio.post(sent.callback, form, signature="") == 403
    assert (await town.report(message)).by_state == {"sent": 1}


@on_sqlite
async def test_a_family_that_the_carrier_stopped_is_not_written_to_again(town: Town) -> None:
    town.twilio.stopped.add(ROSA)
    first = await town.write(CLOSED, "group:5A")
    await town.settle()
    second = await town.write("Thank you.", "group:5A")
    await town.settle()
    assert "opted out" in (await town.report(first)).failures[0].reason
    assert (await town.report(second)).deliveries == 0
    assert [form["To"] for form in town.twilio.requests] == [ROSA]


@on_sqlite
async def test_a_wrong_number_is_a_task_and_holds_nobody_up(town: Town) -> None:
    town.twilio.always(JOHN, INVALID_TO)
    message = await town.write(CLOSED, "group:3B")
    await town.settle()
    report = await town.report(message)
    assert report.by_state == {"sent": 2, "failed": 1, "held": 1}
    assert ("repair", "John Ruiz") in {(task.kind, task.person) for task in report.tasks}


async def test_all_arrive_exactly_once_through_twilios_bad_hour(town: Town) -> None:
    """Busy, broken, silent and cut off, for each number another; what was taken without an answer is looked up, not repeated."""
    town.be_hasty()
    trouble: dict[str, list[Answer]] = {
        ROSA: [TAKES_AND_HANGS, BROKEN, TOO_MANY],
        JOHN: [DROPS, TAKES_AND_DROPS, BROKEN],
        LAN: [HANGS, BROKEN, TOO_MANY],
    }
    message = await town.write(CLOSED, "group:3B")
    for turn in range(12):
        for number, answers in trouble.items():
            town.twilio.always(number, answers[turn] if turn < len(answers) else None)
        await town.settle()
        await delivered(town)
        town.clock.jump(minutes=20)
    report = await town.report(message)
    assert report.by_state == {"delivered": 3, "held": 1}
    assert Counter(sent.to for sent in town.twilio.accepted) == Counter([ROSA, JOHN, LAN])


@on_sqlite
async def test_a_busy_twilio_is_left_alone_for_as_long_as_it_asked(town: Town) -> None:
    town.twilio.next(TOO_MANY)
    message = await town.write(CLOSED, "group:5A")
    await town.settle()
    assert len(town.twilio.requests) == 1
    town.clock.jump(seconds=5)
    await town.settle()
    assert len(town.twilio.requests) == 1
    town.clock.jump(seconds=5)
    await town.settle()
    assert len(town.twilio.accepted) == 1
    assert (await town.report(message)).by_state == {"sent": 1}


@on_sqlite
async def test_a_text_that_came_too_late_is_not_sent(town: Town) -> None:
    town.twilio.next(BROKEN)
    message = await town.write(CLOSED, "group:5A", Kind.urgent)
    await town.settle()
    town.clock.jump(hours=5)
    await town.settle()
    report = await town.report(message)
    assert report.by_state == {"failed": 1}
    assert "too late" in report.failures[0].reason
    assert not town.twilio.accepted


@on_sqlite
async def test_what_a_text_is_worth_is_told_to_the_carrier(town: Town) -> None:
    await town.write(CLOSED, "group:5A", Kind.urgent)
    await town.settle()
    assert town.twilio.accepted[0].validity == timedelta(hours=4).total_seconds()
    assert timedelta(hours=10).total_seconds() == twilio_channel.LONGEST_VALIDITY
