"""Progress: a file becomes a draft for each child, once; nobody reads what they may not, and no draft names another child."""

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update
from sqlmodel import col

from puente.messaging import composing
from puente.models import (
    Assignment,
    Contact,
    Group,
    GroupStaff,
    Guardianship,
    Kind,
    Mark,
    Membership,
    Message,
    MessageState,
    Person,
    PersonRole,
    Rights,
    Role,
    Student,
    TaskKind,
    Trend,
)
from puente.models.database import Sessions
from puente.programs.progress import drafts, files, marks, rhythm
from puente.programs.progress.bank import BANK
from puente.programs.progress.drafts import NoSuchDraft
from puente.programs.progress.files import UnreadableMarks
from puente.programs.progress.scale import PROFICIENCY, BadScale, Scale, read_scale
from tests.school import PACES, PHRASES, SCHOOL, Hub, open_hub, rows

ANA, BAO_CHAT, CAROL = "+15055550101", "7002", "+15055550103"
HEADER = "student_id,standard,level,trend,note"
TODAY = date(2026, 11, 3)


@pytest.fixture
async def hub(sessions: Sessions, tmp_path: Path) -> Hub:
    hub = await open_hub(sessions, tmp_path)
    async with sessions.begin() as session:
        group = await session.scalar(select(Group).where(col(Group.name) == "3B"))
        assert group
        session.add(GroupStaff(group_id=group.id or 0, person_id=hub.numbers.person["rivera"]))
    return hub


def written(folder: Path, *lines: str, header: str = HEADER) -> Path:
    (folder / "marks.csv").write_text("\n".join([header, *lines, ""]), "utf-8")
    return folder / "marks.csv"


def read(folder: Path, *lines: str, header: str = HEADER, scale: Scale = PROFICIENCY) -> files.Gradebook:
    return files.read(written(folder, *lines, header=header), scale)


async def import_(hub: Hub, book: files.Gradebook, scale: Scale = PROFICIENCY) -> tuple[marks.Taken, list[int]]:
    async with hub.sessions.begin() as session:
        taken = await marks.take(session, book, scale, hub.at, TODAY)
        return taken, await drafts.write(session, taken.students, scale, hub.at, TODAY)


async def send(hub: Hub, only: Sequence[int] = ()) -> drafts.Sent:
    async with hub.sessions.begin() as session:
        sent = await drafts.send(session, hub.at, only)
    await hub.tick()
    return sent


async def waiting(hub: Hub) -> list[drafts.Drafted]:
    async with hub.sessions() as session:
        return await drafts.drafts(session)


# Reading


def test_levels_trends_and_notes_are_read_and_wrong_rows_are_named(tmp_path: Path) -> None:
    book = read(
        tmp_path, "S-1,Reading,Developing,up,Reads aloud well.", "S-2,math,ADVANCED,,", "S-3,math,excellent,,",
        "S-4,math,proficient,sideways,", "S-5,,proficient,,", ",math,proficient,,", "S-1,reading,advanced,,",
        "S-6,math,beginning,-,=cmd",
    )  # fmt: skip
    assert [(row.student_id, row.standard, row.level, row.trend, row.note) for row in book.marks] == [
        ("S-1", "Reading", "developing", Trend.up, "Reads aloud well."),
        ("S-2", "math", "advanced", Trend.unknown, ""),
    ]
    assert [(problem.line, problem.reason.split(":")[0]) for problem in book.problems] == [
        (4, "level is not one of the school's"),
        (5, "trend must be up, same or down"),
        (6, "standard is missing"),
        (7, "student_id is missing"),
        (8, "this student and this standard are already on line 2"),
        (9, "note looks like a spreadsheet formula"),
    ]


@pytest.mark.parametrize("header", ["student_id,level", "standard,level", "name,grade", "student_id,standard,note"])
def test_what_is_no_list_of_levels_is_one_sentence(tmp_path: Path, header: str) -> None:
    with pytest.raises(UnreadableMarks):
        read(tmp_path, "S-1,x,y", header=header)


def test_the_gradebook_of_oneroster_gives_levels_and_missing_work(tmp_path: Path) -> None:
    (tmp_path / "lineItems.csv").write_text(
        "sourcedId,status,dateLastModified,title,dueDate\nL-1,active,,Reading,2026-10-30\nL-2,active,,Worksheet 4,2026-10-29\n"
    )
    (tmp_path / "results.csv").write_text(
        "sourcedId,status,dateLastModified,lineItemSourcedId,studentSourcedId,scoreStatus,score,textScore,scoreDate,comment,missing\n"
        "R-1,active,,L-1,S-1,fully graded,,Developing,2026-10-30,Good questions.,\n"
        "R-2,active,,L-2,S-1,not submitted,,,,,\n"
        "R-3,active,,L-2,S-2,fully graded,17,,2026-10-30,,\n"
        "R-4,active,,L-2,S-3,exempt,,,,,\n"
        "R-5,tobedeleted,,L-2,S-4,not submitted,,,,,\n"
        "R-6,active,,L-9,S-1,fully graded,,Advanced,,,\n"
        "R-7,active,,L-2,S-5,submitted,,,,,true\n"
    )
    book = files.read(tmp_path, PROFICIENCY)
    assert [(m.student_id, m.standard, m.level, m.note, m.marked_on) for m in book.marks] == [
        ("S-1", "Reading", "developing", "Good questions.", date(2026, 10, 30))
    ]
    assert {(w.student_id, w.external_id): w.turned_in for w in book.work} == {
        ("S-1", "L-1"): True, ("S-1", "L-2"): False, ("S-2", "L-2"): True, ("S-5", "L-2"): False,
    }  # fmt: skip
    assert [problem.line for problem in book.problems] == [7]
    assert "1 results have a number" in book.notices[0].reason


def test_a_school_has_its_own_scale_in_its_own_words(tmp_path: Path) -> None:
    (tmp_path / "levels.csv").write_text(
        "level,language,word\nEmerging,en,emerging\nEmerging,es,inicial\nSecure,en,secure\nSecure,es,seguro\n", "utf-8"
    )
    scale = read_scale(tmp_path / "levels.csv")
    assert scale.levels == ("Emerging", "Secure")
    assert (scale.find("INICIAL"), scale.place("Secure"), scale.find("proficient")) == ("Emerging", 1, None)
    assert scale.said("Secure") == {"said": {"en": "secure", "es": "seguro"}}
    for wrong in ("", "level,word\nA,b\n", "level,language,word\nA,klingon,b\n"):
        (tmp_path / "levels.csv").write_text(wrong)
        with pytest.raises(BadScale):
            read_scale(tmp_path / "levels.csv")


# Drafting


async def test_each_child_gets_a_draft_and_the_same_file_again_gives_none(hub: Hub, tmp_path: Path) -> None:
    book = read(tmp_path, "sofia,reading,developing,up,", "linh,math,advanced,,", "nobody,math,advanced,,")
    taken, drafted = await import_(hub, book)
    assert (taken.marks.added, len(drafted)) == (2, 2)
    assert [problem.reason for problem in taken.problems] == ["the roster has no student with this student_id"]
    again, nothing = await import_(hub, book)
    assert (again.marks.added, again.marks.unchanged, nothing) == (0, 2, [])
    first, second = await waiting(hub)
    assert first.text.splitlines() == [
        drafts.OPENING,
        "{level1}",
        "The level is going up.",
        "One thing to work on: reading at home for 20 minutes each day.",
        drafts.CLOSING,
    ]
    assert second.text.splitlines() == [drafts.OPENING, "{level1}", drafts.CLOSING], "at the top there is nothing to improve"
    assert not hub.sms.texts, "drafts wait"


async def test_a_family_reads_its_childs_update_in_its_language(hub: Hub, tmp_path: Path) -> None:
    await import_(hub, read(tmp_path, "sofia,Mathematics,beginning,down,"))
    assert len((await send(hub)).sent) == 1
    (text,) = hub.sms.read_by(ANA)
    for phrase, fields in (
        ("Here is some news about {child} from {teacher}.", {"child": "Sofia Reyes", "teacher": "Ms Rivera"}),
        ("One thing to work on: practicing math for 10 minutes each day.", {}),
        ("The level is going down.", {}),
    ):
        said = PHRASES.say(phrase, "es") or "?"
        for name, value in fields.items():
            said = said.replace(f"{{{name}}}", value)
        assert said in text
    assert (PHRASES.say("beginning", "es") or "?") in text
    assert (PHRASES.say("math", "es") or "?") in text


async def test_a_correction_redrafts_what_has_not_gone_and_writes_anew_what_has(hub: Hub, tmp_path: Path) -> None:
    _, (first,) = await import_(hub, read(tmp_path, "sofia,reading,developing,,"))
    hub.wait(minutes=1)
    _, (second,) = await import_(hub, read(tmp_path, "sofia,reading,proficient,,"))
    assert [draft.message for draft in await waiting(hub)] == [second]
    await send(hub)
    hub.wait(minutes=1)
    _, (third,) = await import_(hub, read(tmp_path, "sofia,reading,developing,,"))
    states = {m.id: m.state for m in await rows(hub.sessions, Message, Message.kind == Kind.progress)}
    assert states == {first: MessageState.cancelled, second: MessageState.released, third: MessageState.draft}


async def test_the_trend_is_seen_against_the_mark_before(hub: Hub, tmp_path: Path) -> None:
    header = f"{HEADER},date"
    await import_(hub, read(tmp_path, "sofia,reading,developing,,,2026-10-20", header=header))
    await import_(hub, read(tmp_path, "sofia,reading,proficient,,,2026-11-02", header=header))
    assert [mark.trend for mark in await rows(hub.sessions, Mark)] == [Trend.unknown, Trend.up]
    (draft,) = await waiting(hub)
    assert "The level is going up." in draft.text


async def test_of_many_standards_the_one_that_needs_most_and_the_best_are_said(hub: Hub, tmp_path: Path) -> None:
    book = read(
        tmp_path, "sofia,science,proficient,,", "sofia,reading,beginning,,", "sofia,art,advanced,,", "sofia,math,developing,,"
    )
    await import_(hub, book)
    (message,) = await rows(hub.sessions, Message, Message.kind == Kind.progress)
    assert {name: value["subject"]["word"] for name, value in message.fields.items()} == {"level1": "reading", "level2": "art"}


async def test_a_subject_without_a_word_is_translated_with_its_sentence_and_never_read_in_english(hub: Hub, tmp_path: Path) -> None:
    await import_(hub, read(tmp_path, "sofia,Fractions {4.NF},developing,,"))
    (draft,) = await waiting(hub)
    assert "In Fractions (4.NF), {child}'s level now is: {level1}." in draft.text
    await send(hub)
    assert hub.sms.read_by(ANA) == [], "it waits for a person"
    assert {task.kind for task in await hub.tasks()} == {TaskKind.translation, TaskKind.call}


# What keeps a draft from going


async def test_a_draft_that_names_another_child_stays(hub: Hub, tmp_path: Path) -> None:
    await import_(
        hub, read(tmp_path, "sofia,reading,developing,,Works well with Linh.", "linh,reading,developing,,Kind to others.")
    )
    sent = await send(hub)
    assert [draft.student for draft in sent.stayed] == ["sofia"]
    assert "another child" in sent.stayed[0].problems[0]
    assert hub.sms.read_by(ANA) == []


def test_another_childs_name_is_found_in_any_script_and_with_the_same_first_name() -> None:
    names = drafts.Names(
        [(1, "Sofia Reyes"), (2, "Linh Tran"), (3, "Bo Li"), (4, "Sofia Marsh"), (5, "Ольга Петрова"), (6, "王小明")]
    )
    sofia = Student(id=1, external_id="s", name="Sofia Reyes")
    for named in ("Works with Linh.", "Works with Bo Li.", "As Sofia Marsh does.", "Сидит с Ольга.", "Sits by 王小明 ."):
        assert names.names_another(named, sofia), named
    for fine in ("Sofia reads. Reyes too.", "She sits on the bo.", "linhs and trans", ""):
        assert not names.names_another(fine, sofia), fine


@pytest.mark.parametrize("note", ["Sofia reads every day.", "May be late in May.", "Likes the book about Tomas's Day."])
async def test_the_childs_own_name_and_words_that_are_no_childs_are_fine(hub: Hub, tmp_path: Path, note: str) -> None:
    async with hub.sessions.begin() as session:
        await session.execute(update(Student).where(col(Student.external_id) == "tomas").values(name="Tobias Reyes"))
    await import_(hub, read(tmp_path, f"sofia,reading,developing,,{note}"))
    assert (await send(hub)).stayed == []


async def test_more_than_150_words_stay(hub: Hub, tmp_path: Path) -> None:
    async with hub.sessions.begin() as session:
        message = await drafts.write_one(session, "sofia", ["She reads. " * 80], hub.numbers.person["rivera"], hub.at)
    sent = await send(hub)
    assert [draft.message for draft in sent.stayed] == [message]
    assert "160 words" in sent.stayed[0].problems[0]


async def test_who_may_hear_of_logistics_alone_gets_none_of_it(hub: Hub, tmp_path: Path) -> None:
    await import_(hub, read(tmp_path, "linh,reading,developing,,"))
    await send(hub)
    assert len(hub.telegram.read_by(BAO_CHAT)) == 1
    assert hub.sms.read_by(CAROL) == []


async def test_a_number_of_unknown_origin_gets_no_detail_of_a_record_and_a_person_asks(hub: Hub, tmp_path: Path) -> None:
    await hub.mark("ana", source="roster")
    await hub.mark("ana", "telegram", source="roster")
    await import_(hub, read(tmp_path, "sofia,reading,developing,,"))
    await send(hub)
    assert hub.sms.read_by(ANA) == []
    (call, _) = sorted(await hub.tasks(), key=lambda task: task.person_id != hub.numbers.person["ana"])
    assert (call.kind, call.person_id) == (TaskKind.call, hub.numbers.person["ana"])
    assert "whether the number is theirs" in call.reason
    await hub.mark("ana", verified_at=hub.at)
    await import_(hub, read(tmp_path, "sofia,reading,proficient,,"))
    await send(hub)
    assert len(hub.sms.read_by(ANA)) == 1, "whoever has said that it is theirs gets the next"


async def test_only_what_is_named_is_sent(hub: Hub, tmp_path: Path) -> None:
    _, (first, second) = await import_(hub, read(tmp_path, "sofia,reading,developing,,", "linh,math,advanced,,"))
    assert (await send(hub, [second])).sent == [second]
    assert [draft.message for draft in await waiting(hub)] == [first]
    with pytest.raises(NoSuchDraft, match=str(second)):
        await send(hub, [second])


async def test_the_sender_is_told_in_which_languages_it_is_long(hub: Hub, tmp_path: Path) -> None:
    _, drafted = await import_(hub, read(tmp_path, "linh,reading,beginning,down,", "linh,math,developing,up,"))
    long = await drafts.too_long(hub.sessions, hub.translator, drafted, PACES, SCHOOL, hub.at)
    assert set(long) <= {"vi"}
    assert long["vi"] > drafts.MOST_PARTS


async def test_a_draft_that_waited_for_weeks_is_sent_with_its_whole_time_before_it(hub: Hub, tmp_path: Path) -> None:
    await import_(hub, read(tmp_path, "sofia,reading,developing,,"))
    hub.wait(days=20)
    await send(hub)
    assert len(hub.sms.read_by(ANA)) == 1


def test_every_sentence_of_the_bank_is_written_in_every_language() -> None:
    assert {starter.sentence for starter in BANK} <= set(PHRASES.phrases())
    assert len({starter.number for starter in BANK}) == len(BANK)


# The rhythm

THURSDAY = timedelta(days=2, hours=4)  # from the Tuesday noon of the school: 16:00


async def weekly(hub: Hub) -> int:
    done = await rhythm.write_weekly(hub.sessions, PROFICIENCY, SCHOOL.timezone, hub.at)
    await hub.tick()
    return done


async def assign(hub: Hub, student: str, *turned_in: bool) -> None:
    async with hub.sessions.begin() as session:
        session.add_all(
            Assignment(student_id=hub.numbers.student[student], external_id=f"L-{n}", due_on=TODAY, turned_in=done, seen_at=hub.at)
            for n, done in enumerate(turned_in)
        )


async def test_missing_work_is_said_once_a_week_on_its_day(hub: Hub) -> None:
    await assign(hub, "sofia", False, False, True)
    await assign(hub, "linh", True)
    assert await weekly(hub) == 0, "on a Tuesday"
    hub.at += THURSDAY
    assert [await weekly(hub), await weekly(hub)] == [1, 0]
    (text,) = hub.sms.read_by(ANA)
    said = PHRASES.say(rhythm.MISSING, "es", 2) or "?"
    assert said.replace("{child}", "Sofia Reyes").replace("{number}", "2") in text
    hub.wait(days=7)
    assert await weekly(hub) == 1, "and again the week after, while it is missing"


async def test_a_gradebook_that_nobody_hands_in_any_more_says_nothing(hub: Hub) -> None:
    await assign(hub, "sofia", False)
    hub.at += THURSDAY + timedelta(days=35)
    assert await weekly(hub) == 0


async def test_the_lowest_level_is_said_where_nobody_has_written_this_week(hub: Hub, tmp_path: Path) -> None:
    await import_(hub, read(tmp_path, "sofia,reading,beginning,,", "linh,math,beginning,,"))
    (first, _) = await waiting(hub)
    await send(hub, [first.message])
    async with hub.sessions.begin() as session:
        await session.execute(update(Message).where(col(Message.state) == MessageState.draft).values(state=MessageState.cancelled))
    hub.at += THURSDAY
    assert await weekly(hub) == 1
    assert len(hub.telegram.read_by(BAO_CHAT)) == 1


async def test_a_teacher_is_told_once_a_week_who_has_not_heard_from_them(hub: Hub, tmp_path: Path) -> None:
    async def nudge() -> int:
        done = await rhythm.nudge(hub.sessions, SCHOOL.timezone, hub.at)
        await hub.tick()
        return done

    assert await nudge() == 0, "nobody is late in the first week of a month"
    await import_(hub, read(tmp_path, "sofia,reading,developing,,"))
    await send(hub)
    await hub.send("School is closed today.", "group:3B", author="rivera")
    hub.wait(days=7)
    assert [await nudge(), await nudge()] == [1, 0]
    assert hub.telegram.read_by("8001") == [f"{rhythm.NOT_HEARD.replace('{number}', '1')}\n- Linh Tran"]
    hub.wait(days=30)
    async with hub.sessions() as session:
        quiet = await rhythm.quiet(session, hub.numbers.person["rivera"], SCHOOL.timezone, hub.at)
    assert [student.name for student in quiet] == ["Linh Tran", "Sofia Reyes"], "a new month"


# A whole class, against another reckoning


async def test_a_file_of_thirty_with_late_corrections_comes_to_what_is_reckoned_beside_it(hub: Hub, tmp_path: Path) -> None:
    levels, subjects = PROFICIENCY.levels, ("reading", "math", "science")
    async with hub.sessions.begin() as session:
        group = Group(name="4C")
        session.add(group)
        await session.flush()
        for n in range(30):
            student = Student(external_id=f"K-{n}", name=f"Kid{n} Number{n}", grade="4")
            session.add(student)
            await session.flush()
            session.add(Membership(group_id=group.id or 0, student_id=student.id or 0))
            for which, rights in enumerate((Rights.records, Rights.records, Rights.logistics, Rights.none)):
                person = Person(external_id=f"K-{n}-{which}", name=f"Parent {n} {which}", language=("es", "vi", "ar", "en")[which])
                session.add(person)
                await session.flush()
                session.add(PersonRole(person_id=person.id or 0, role=Role.guardian))
                session.add(Guardianship(student_id=student.id or 0, guardian_id=person.id or 0, rights=rights))
                number = f"+1505555{1000 + 4 * n + which}"
                session.add(Contact(person_id=person.id or 0, channel="sms", address=number, source="form", added_at=hub.at))

    def line(n: int, s: int, level: int) -> str:
        return f"K-{n},{subjects[s]},{levels[level]},,"

    before = [line(n, s, (n + s) % 4) for n in range(30) for s in range(1 + n % 3)]
    late = [line(n, 0, (n + 1) % 4) for n in range(0, 30, 7)]
    for lines in (before, before, late, late):
        await import_(hub, read(tmp_path, *lines))
    await send(hub)

    # Beside it: the last level of each standard; the lowest and the highest of them; guardians with records alone.
    final = {(n, s): (n + s) % 4 for n in range(30) for s in range(1 + n % 3)} | {(n, 0): (n + 1) % 4 for n in range(0, 30, 7)}
    expected = {}
    for n in range(30):
        mine = sorted((level, subjects[s]) for (student, s), level in final.items() if student == n)
        expected[f"Kid{n} Number{n}"] = [mine[0], mine[-1]] if len(mine) > 1 else mine
    for n in range(30):
        for which, language in enumerate(("es", "vi")):
            (text,) = hub.sms.read_by(f"+1505555{1000 + 4 * n + which}")
            for level, subject in expected[f"Kid{n} Number{n}"]:
                said = PHRASES.say(drafts.LEVEL, language) or "?"
                said = said.replace("{child}", f"Kid{n} Number{n}").replace("{level}", PHRASES.say(levels[level], language) or "?")
                assert said.replace("{subject}", PHRASES.say(subject, language) or "?") in text
        assert hub.sms.read_by(f"+1505555{1000 + 4 * n + 2}") == [], "logistics alone"
        assert hub.sms.read_by(f"+1505555{1000 + 4 * n + 3}") == [], "no rights"
    sentences = {
        m.text for m in await rows(hub.sessions, Message, Message.kind == Kind.progress, Message.state == MessageState.released)
    }
    assert len(sentences) < 12, "a class is made of a few texts, each translated once for each language"
    assert composing.POLICIES[Kind.progress].owner_known
