"""Progress: a file is tried out first, a draft is seen in each language before it goes, and nobody sees another's children."""

from pathlib import Path

import pytest
from sqlmodel import col

from puente.models import Guardianship, Mark, Message, MessageState, Rights, Student
from puente.models.database import Sessions
from puente.programs.progress import drafts
from tests.fakes import on_sqlite
from tests.school import Hub, rows
from tests.web.staff.office import Answer, Browser, Office, open_office

HEADER = "student_id,standard,level,trend,note"
MARKS = f"""{HEADER}
sofia,math,developing,up,
linh,reading,advanced,same,
omar,math,beginning,down,
sofia,art,wonderful,,
"""
SOFIA = "In math, Sofia Reyes's level now is: developing."


@pytest.fixture
async def office(sessions: Sessions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Office:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return await open_office(sessions)


async def upload(browser: Browser, content: str = MARKS) -> Answer:
    return await browser.post("/progress/import", files={"file": ("marks.csv", content, "text/csv")})


def token_of(answer: Answer) -> str:
    return next(field["value"] or "" for field in answer.all("input") if field.get("name") == "token")


async def imported(office: Office, who: str = "rivera", content: str = MARKS) -> tuple[Browser, dict[str, int]]:
    """A browser with the drafts of a file, and their numbers by student."""
    browser = await office.signed_in(who)
    tried = await upload(browser, content)
    assert (await browser.post("/progress/import/take", token=token_of(tried))).status == 200
    names = {number: key for key, number in office.numbers.student.items()}
    written = await rows(office.sessions, Message, col(Message.state) == MessageState.draft)
    return browser, {names[message.student_id or 0]: message.id or 0 for message in written}


async def draft_of(office: Office, student: str, text: str = "{child} reads well.", author: str | None = "south") -> int:
    async with office.sessions.begin() as session:
        return await drafts.write_one(session, student, [text], office.numbers.person[author] if author else None, office.at)


async def states(office: Office) -> dict[str, MessageState]:
    names = {number: key for key, number in office.numbers.student.items()}
    return {
        names[one.student_id or 0]: one.state for one in await rows(office.sessions, Message, col(Message.student_id).is_not(None))
    }


async def test_a_file_is_tried_out_then_drafted_and_nothing_goes_before_it_is_sent(office: Office) -> None:
    browser = await office.signed_in("rivera")
    tried = await upload(browser)
    assert "Nothing has changed yet" in tried.text
    assert "Marks200" in tried.text
    assert "2 drafts for families" in tried.text
    assert SOFIA in tried.text
    assert "marks.csv:5level is not one of the school's" in tried.text
    assert await rows(office.sessions, Mark) == []
    assert await rows(office.sessions, Message) == []
    done = await browser.post("/progress/import/take", token=token_of(tried))
    assert "marks.csv is imported" in done.text
    again = await browser.post("/progress/import/take", token=token_of(tried))
    assert (again.status, "imported already" in again.text) == (400, True)
    assert await states(office) == {"sofia": MessageState.draft, "linh": MessageState.draft}
    page = await browser.get("/progress")
    assert SOFIA in page.text
    assert "Spanish" in page.text
    await Hub(office.sessions, office.translator, office.numbers, at=office.at).tick()
    assert set((await states(office)).values()) == {MessageState.draft}


async def test_marks_are_taken_for_ones_own_students_and_nobody_elses(office: Office) -> None:
    """Omar is Mr Boone's: for Ms Rivera he is like a student who is not there."""
    browser = await office.signed_in("rivera")
    tried = await upload(browser, f"{HEADER}\nomar,math,beginning,,\nnobody,math,beginning,,\n")
    assert tried.text.count("the roster has no student with this student_id") == 2
    await browser.post("/progress/import/take", token=token_of(tried))
    assert await rows(office.sessions, Mark) == []
    north = await office.signed_in("office")
    await north.post(
        "/progress/import/take", token=token_of(await upload(north, f"{HEADER}\nomar,math,beginning,,\nsami,math,beginning,,\n"))
    )
    (mark,) = await rows(office.sessions, Mark)
    assert mark.student_id == office.numbers.student["omar"]


@pytest.mark.parametrize(
    ("content", "said"),
    [("", "Choose a file first"), ("a,b\n1,2\n", "This holds no marks"), ("\x00\x01" * 99, "")],
)
@on_sqlite
async def test_a_bad_file_is_said_in_words(office: Office, tmp_path: Path, content: str, said: str) -> None:
    answer = await upload(await office.signed_in("rivera"), content)
    assert (answer.status, said in answer.text) == (400, True)
    assert [path for path in tmp_path.glob("puente-rosters-*/*/*") if path.is_file()] == []


@on_sqlite
async def test_a_file_of_wrong_rows_offers_nothing_and_stays_small(office: Office) -> None:
    lines = "\n".join(f"S-{n},math,splendid,," for n in range(1000))
    answer = await upload(await office.signed_in("rivera"), f"{HEADER}\n{lines}\n")
    assert "1,000 rows cannot be taken" in answer.text
    assert "Nothing in this file can be taken" in answer.text
    assert len(answer.body) < 100_000


async def test_one_draft_is_seen_in_each_language_changed_and_sent_once(office: Office) -> None:
    browser, numbers = await imported(office)
    path = f"/progress/drafts/{numbers['sofia']}"
    page = await browser.get(path)
    assert "Spanish" in page.text
    assert "En matemáticas" in page.text, page.text
    seen = next(field["value"] for field in page.all("input") if field.get("name") == "seen")
    text = "Here is some news about {child} from {teacher}.\n{level1}"
    changed = await browser.post(path, {"text": text, "seen": seen, "do": "send"})
    assert (changed.status, "The text has changed" in changed.text) == (400, True)
    assert (await states(office))["sofia"] is MessageState.draft
    seen = next(field["value"] for field in changed.all("input") if field.get("name") == "seen")
    sent = await browser.post(path, {"text": text, "seen": seen, "do": "send"})
    assert sent.place == "/progress?said=progress_draft_sent"
    assert await states(office) == {"sofia": MessageState.ready, "linh": MessageState.draft}
    again = await browser.post(path, {"text": text, "seen": seen, "do": "send"})
    assert again.place == "/progress?said=progress_draft_gone"
    (message,) = await rows(office.sessions, Message, col(Message.id) == numbers["sofia"])
    assert message.text == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no text"),
        ("{child} and {wonder}.", "wonder"),
        ("x " * 900, "longer than a text message"),
    ],
)
@on_sqlite
async def test_a_text_that_cannot_go_is_refused_and_stands_there_still(office: Office, text: str, said: str) -> None:
    browser, numbers = await imported(office)
    path = f"/progress/drafts/{numbers['sofia']}"
    answer = await browser.post(path, {"text": text, "do": "save"})
    assert (answer.status, said in answer.text) == (400, True)
    assert text.strip() in answer.body
    (message,) = await rows(office.sessions, Message, col(Message.id) == numbers["sofia"])
    assert "{level1}" in message.text


@on_sqlite
async def test_a_draft_with_another_childs_name_does_not_go(office: Office) -> None:
    browser, numbers = await imported(office)
    path = f"/progress/drafts/{numbers['sofia']}"
    await browser.post(path, {"text": "{child} reads better than Linh.", "do": "save"})
    page = await browser.get(path)
    assert "It names another child" in page.text
    seen = next(field["value"] for field in page.all("input") if field.get("name") == "seen")
    sent = await browser.post(path, {"text": "{child} reads better than Linh.", "seen": seen, "do": "send"})
    assert (sent.status, "Something speaks against" in sent.text) == (400, True)
    some = await browser.post("/progress/drafts", {"do": "send", "checked": [numbers["sofia"], numbers["linh"]]})
    assert some.place == "/progress?said=some_drafts_stayed"
    assert await states(office) == {"sofia": MessageState.draft, "linh": MessageState.ready}


async def test_those_that_are_checked_go_and_the_others_stay(office: Office) -> None:
    browser, numbers = await imported(office)
    nothing = await browser.post("/progress/drafts", {"do": "send"})
    assert (nothing.status, "Check at least one" in nothing.text) == (400, True)
    assert (
        await browser.post("/progress/drafts", {"do": "send", "checked": numbers["linh"]})
    ).place == "/progress?said=drafts_sent"
    assert await states(office) == {"sofia": MessageState.draft, "linh": MessageState.ready}
    await browser.post("/progress/drafts", {"do": "discard", "checked": [numbers["linh"], numbers["sofia"]]})
    assert await states(office) == {"sofia": MessageState.cancelled, "linh": MessageState.ready}


async def test_all_are_asked_for_twice_and_are_those_that_were_there(office: Office) -> None:
    browser, _numbers = await imported(office)
    asked = await browser.post("/progress/drafts", {"do": "all"})
    assert "2 drafts go to the children's families" in asked.text
    assert set((await states(office)).values()) == {MessageState.draft}
    upto = next(field["value"] for field in asked.all("input") if field.get("name") == "upto")
    later = await draft_of(office, "sofia", author="rivera")
    await draft_of(office, "omar", author="boone")
    assert (await browser.post("/progress/drafts", {"do": "surely", "upto": upto})).place == "/progress?said=drafts_sent"
    found = {one.id: one.state for one in await rows(office.sessions, Message)}
    assert list(found.values()).count(MessageState.ready) == 2
    assert found[later] is MessageState.draft
    empty = await browser.post("/progress/drafts", {"do": "surely", "upto": upto})
    assert empty.place == "/progress?said=progress_draft_gone"
    assert (await states(office))["omar"] is MessageState.draft, "what is nobody's to send is not sent with nothing"


@on_sqlite
async def test_a_teacher_touches_no_draft_of_anothers(office: Office) -> None:
    theirs, colleagues = await draft_of(office, "omar", author="boone"), await draft_of(office, "sofia", author="boone")
    browser = await office.signed_in("rivera")
    for draft in (theirs, colleagues, 999_999):
        for answer in (
            await browser.get(f"/progress/drafts/{draft}"),
            await browser.post(f"/progress/drafts/{draft}", {"text": "Mine.", "do": "send"}),
        ):
            assert answer.status == 404
            assert "Omar" not in answer.text
    await browser.post("/progress/drafts", {"do": "send", "checked": [theirs, colleagues]})
    await browser.post("/progress/drafts", {"do": "discard", "checked": [theirs, colleagues]})
    await browser.post("/progress/drafts", {"do": "surely", "upto": 999_999})
    assert set((await states(office)).values()) == {MessageState.draft}
    assert "No draft is waiting" in (await browser.get("/progress")).text


@on_sqlite
async def test_an_office_sees_its_own_school(office: Office) -> None:
    await draft_of(office, "sami")
    await draft_of(office, "omar", author=None)
    north = (await (await office.signed_in("office")).get("/progress")).text
    assert ("Omar Haddad" in north, "Sami" in north) == (True, False)
    assert "Sami Noor" in (await (await office.signed_in("admin")).get("/progress")).text


@on_sqlite
async def test_drafts_are_shown_by_class_and_by_fifties(office: Office) -> None:
    async with office.sessions.begin() as session:
        for n in range(60):
            student = Student(external_id=f"many{n}", name=f"Mina{n} Moss", grade="3", school="North")
            session.add(student)
            await session.flush()
            await drafts.write_one(session, f"many{n}", ["{child} reads well."], None, office.at)
    await draft_of(office, "linh", author=None)
    browser = await office.signed_in("office")
    page = await browser.get("/progress")
    assert len(page.all("li")) < 90
    assert "Linh" not in page.text
    following = next(link["href"] for link in page.all("a") if "after=" in (link.get("href") or ""))
    assert "Linh Tran" in (await browser.get(following or "")).text
    assert (await browser.get("/progress?group=0")).status == 200
    group = next(option["value"] for option in page.all("option") if option.get("value") != "0")
    shown = await browser.get(f"/progress?group={group}")
    assert "Mina" not in shown.text


@on_sqlite
async def test_the_page_of_many_long_drafts_stays_small(office: Office) -> None:
    async with office.sessions.begin() as session:
        for n in range(60):
            session.add(student := Student(external_id=f"many{n}", name=f"Mina{n} Moss", grade="3", school="North"))
            await session.flush()
            await drafts.write_one(session, student.external_id, ["Ẅ" * 1500], None, office.at)
    assert len((await (await office.signed_in("office")).get("/progress")).body) < 100_000


async def test_a_teacher_sees_who_has_not_heard_and_writes_to_them(office: Office) -> None:
    browser = await office.signed_in("rivera")
    page = await browser.get("/progress/quiet")
    assert ("Sofia Reyes" in page.text, "Linh Tran" in page.text, "Omar" in page.text) == (True, True, False)
    form = await browser.get(f"/progress/write/{office.numbers.student['sofia']}")
    assert "Sofia Reyes is working hard in (subject)." in form.text
    assert (await browser.post(f"/progress/write/{office.numbers.student['sofia']}")).status == 400
    lacking = await browser.post(f"/progress/write/{office.numbers.student['sofia']}", {"pick": 1})
    assert (lacking.status, "subject" in lacking.text) == (400, True)
    given = {"pick": [1, 7], "subject": "math", "text": ""}
    written = await browser.post(f"/progress/write/{office.numbers.student['sofia']}", given)
    assert written.status == 303
    again = await browser.post(f"/progress/write/{office.numbers.student['sofia']}", given)
    assert again.place == written.place, "pressed twice"
    (message,) = await rows(office.sessions, Message)
    assert message.text.splitlines()[0] == "{child} is working hard in {subject}."
    assert (message.author_id, message.state) == (office.numbers.person["rivera"], MessageState.draft)
    assert "matemáticas" in (await browser.follow(written)).text


@on_sqlite
async def test_ones_own_sentence_in_ones_own_language_takes_the_bank_with_it(office: Office) -> None:
    browser = await office.signed_in("rivera")
    given = {"pick": [5], "text": "Lee muy bien.", "language": "es"}
    assert (await browser.post(f"/progress/write/{office.numbers.student['sofia']}", given)).status == 303
    (message,) = await rows(office.sessions, Message)
    assert (message.language, "kind to others" in message.text, "Lee muy bien." in message.text) == ("es", False, True)


@on_sqlite
async def test_nobody_asks_about_anothers_classes_or_children(office: Office) -> None:
    numbers = office.numbers
    rivera, north = await office.signed_in("rivera"), await office.signed_in("office")
    assert (await rivera.get(f"/progress/quiet?teacher={numbers.person['boone']}")).status == 404
    assert (await north.get(f"/progress/quiet?teacher={numbers.person['boone']}")).status == 200
    assert (await north.get(f"/progress/quiet?teacher={numbers.person['south']}")).status == 404
    for browser, student in ((rivera, "omar"), (north, "sami")):
        path = f"/progress/write/{numbers.student[student]}"
        assert (await browser.get(path)).status == 404
        assert (await browser.post(path, {"text": "Hello."})).status == 404
    assert await rows(office.sessions, Message) == []
    found = await north.post("/progress/write", {"q": "Sam"})
    assert "Sami" not in found.text
    assert "Sofia Reyes" in (await north.post("/progress/write", {"q": "sof"})).text


@on_sqlite
async def test_these_pages_are_for_teachers_and_the_office(office: Office) -> None:
    for who in ("reviewer", "helper"):
        browser = await office.signed_in(who)
        for path in ("/progress", "/progress/quiet", "/progress/write", "/progress/drafts/1"):
            assert (await browser.get(path)).status == 403
        assert (await browser.post("/progress/drafts", {"do": "surely", "upto": 9})).status == 403
    rivera = await office.signed_in("rivera")
    assert (await rivera.post("/progress/drafts", {"do": "all"}, form_key="")).status == 403


@on_sqlite
async def test_the_calendar_says_when_the_weekly_texts_go(office: Office) -> None:
    page = await (await office.signed_in("rivera")).get("/progress")
    assert "Nov 5, 2026" in page.text or "November 5, 2026" in page.text, page.text
    assert "November 10, 2026" in page.text


@on_sqlite
async def test_a_child_of_whom_nobody_may_be_told_is_marked(office: Office) -> None:
    async with office.sessions.begin() as session:
        for guardian in ("ana", "fidel"):
            (
                await session.get_one(Guardianship, (office.numbers.student["sofia"], office.numbers.person[guardian]))
            ).rights = Rights.logistics
    browser, _numbers = await imported(office)
    assert "Nobody may be told" in (await browser.get("/progress")).text


@on_sqlite
async def test_the_page_speaks_spanish(office: Office) -> None:
    browser = await office.signed_in("rivera")
    await browser.post("/account/language", {"language": "es"})
    page = await browser.get("/progress")
    assert "Progreso" in page.text
    assert "What goes out when" not in page.text
