"""The pages of reach and fairness: the same numbers as page, PDF and CSV, each for the school that its reader may see."""

import csv
import io
import re
from datetime import timedelta

import pytest

from puente.messaging import fairness
from puente.messaging.fairness import Counts, Figures, Group, Sending
from puente.models import Account, Contact, Guardianship, Kind, Person, Rights, Student
from puente.models.database import Sessions
from puente.printing.reports import Bar, Plot
from puente.web.staff import plots, reach
from puente.web.staff.desk import Desk
from puente.web.staff.frame import Words
from tests.fakes import on_sqlite
from tests.printing import pages
from tests.school import NOON, PACES, SCHOOL, Hub
from tests.web.staff.office import Answer, Office, open_office

WORDS = Words(Desk(Sessions(), SCHOOL, None, lambda: NOON, PACES), "en")  # type: ignore[arg-type]
GROUPS = [
    Group("es", Counts(40, 38, 30, 10, 20, 15, 12)),
    Group("en", Counts(50, 50, 45, 20, 4, 3, 2)),
    Group("vi", Counts(3, 3, 1, 1)),
]
FIGURES = Figures(
    "North", NOON - timedelta(days=30), NOON, None, NOON, GROUPS, [Group("", Counts(93, 91, 76, 31, 24, 18, 14))],
    [Group("3", Counts(93, 91, 76, 31, 24, 18, 14))], {fairness.NO_CONTACT: 3, fairness.NOT_ARRIVED: 14},
    [Sending("announcement", 2, 186, 152, 4)],
)  # fmt: skip


@pytest.fixture
async def office(sessions: Sessions) -> Office:
    return await open_office(sessions)


async def enrol_more(office: Office, count: int = 9, school: str = "North") -> None:
    """As many Spanish guardians as a percentage needs."""
    async with office.sessions.begin() as session:
        for number in range(count):
            student = Student(external_id=f"more-{number}", name=f"Child {number}", grade="3", school=school)
            guardian = Person(external_id=f"parent-{number}", name=f"Parent {number}", language="es")
            session.add_all([student, guardian])
            await session.flush()
            session.add(Guardianship(student_id=student.id or 0, guardian_id=guardian.id or 0, rights=Rights.records))
            session.add(
                Contact(person_id=guardian.id or 0, channel="sms", address=f"+1505555013{number}", added_at=NOON, source="form")
            )


def table(answer: Answer, heading: str) -> list[list[str]]:
    """The rows of the table below a heading, as a person reads them."""
    part = answer.body.split(f">{heading}</h2>")[1].split("</section>")[0]
    rows = re.findall(r"<tr>(.*?)</tr>", part, re.DOTALL)
    return [[re.sub(r"<[^>]+>", "", cell).strip() for cell in re.findall(r"<t[hd].*?</t[hd]>", row, re.DOTALL)] for row in rows]


async def test_the_office_sees_how_many_of_each_language_are_reached_and_nothing_of_so_few(office: Office) -> None:
    await enrol_more(office)
    here = Hub(office.sessions, office.translator, office.numbers, at=office.at)
    await here.send("School is closed today.", "guardian:ana+guardian:parent-0+guardian:parent-1+guardian:bao")
    office.at += timedelta(minutes=1)
    browser = await office.signed_in("office")
    answer = await browser.get("/reach")
    shown = table(answer, "Texts, by home language")
    assert shown[0][:4] == ["Home language", "Guardians", "Can be reached", "Were reached"]
    rows = {row[0]: row[1:] for row in shown[1:]}
    assert rows["Spanish"] == ["11", "91% (10)", "27% (3)", "0% (0)", "about as many as of all"]
    assert rows["Vietnamese"] == ["fewer than 5", *["–"] * 4]
    assert "Arabic" not in rows, "Samira is South's"
    assert len(answer.content) < 100_000
    assert len(answer.all("svg")) == 3
    assert "North" in answer.text


@on_sqlite
async def test_the_page_the_pdf_and_the_csv_say_the_same_and_none_names_anybody(office: Office) -> None:
    await enrol_more(office)
    await Hub(office.sessions, office.translator, office.numbers, at=office.at).send("School is closed today.", "school:North")
    office.at += timedelta(minutes=1)
    browser = await office.signed_in("office")
    shown = {row[0]: row for row in table(await browser.get("/reach"), "Texts, by home language")}["Spanish"]
    pdf, sheet = await browser.get("/reach/report.pdf"), await browser.get("/reach/report.csv")
    assert pdf.headers["Content-Type"] == "application/pdf"
    text = "".join(page.text for page in pages.read(pdf.content))
    assert pages.squeezed(shown[3]) in text
    rows = list(csv.reader(io.StringIO(sheet.content.decode("utf-8-sig"))))
    (reached,) = [row for row in rows if row[0] == "Texts, by home language" and row[1:3] == ["Spanish", "Were reached"]]
    assert shown[3] == f"{float(reached[5]):.0f}% ({reached[3]})"
    assert reached[4] == shown[1]
    for name in ("Ana", "Parent", "Sofia", "Child"):
        assert name not in text
        assert name not in sheet.body


@on_sqlite
async def test_days_and_a_kind_can_be_chosen_and_go_along_to_the_report(office: Office) -> None:
    await enrol_more(office)
    here = Hub(office.sessions, office.translator, office.numbers, at=office.at)
    await here.send("School is closed today.", "school:North", kind=Kind.safety)
    browser = await office.signed_in("office")
    query = "?since=2026-11-03&until=2026-11-03&kind=safety"
    answer = await browser.get(f"/reach{query}")
    assert "From Tuesday, November 3, 2026 to Tuesday, November 3, 2026" in answer.text
    assert "Kind of message: Safety" in answer.text
    assert {row[0]: row[3] for row in table(answer, "Texts, by home language")}["Spanish"] == "91% (10)"
    assert f"/reach/report.pdf{query}" in {link["href"] for link in answer.all("a")}
    before = await browser.get("/reach?since=2026-10-01&until=2026-11-02")
    assert {row[0]: row[3] for row in table(before, "Texts, by home language")}["Spanish"] == "0% (0)"


@on_sqlite
@pytest.mark.parametrize(
    "query",
    [
        "since=yesterday&until=2026-11-03", "since=2026-11-03", "since=2026-11-03&until=2026-11-02",
        "since=2024-01-01&until=2026-01-01", "kind=system", "kind=nonsense", "since=9999-12-31&until=9999-12-31",
    ],
)  # fmt: skip
async def test_days_that_cannot_be_are_refused_in_words(office: Office, query: str) -> None:
    browser = await office.signed_in("office")
    for path in ("/reach", "/reach/report.pdf", "/reach/report.csv"):
        answer = await browser.get(f"{path}?{query}")
        assert answer.status == 400
        assert "first day" in answer.text


@on_sqlite
async def test_who_was_not_reached_stands_there_with_why_and_only_for_their_school(office: Office) -> None:
    browser = await office.signed_in("office")
    answer = await browser.get("/reach/unreached")
    assert "Fidel Reyes" in answer.text
    assert "There is no number or chat on file." in answer.text
    assert "Nobody was asked" in answer.text
    assert "Samira" not in answer.text
    assert "Samira Noor" in (await (await office.signed_in("admin")).get("/reach/unreached")).text
    assert "Everybody was reached." in (await browser.get("/reach/unreached?after=2000000000")).text
    assert (await browser.get("/reach/unreached?after=99999999999999999999")).status == 200


@on_sqlite
async def test_only_the_office_and_who_manages_the_hub_look_at_it(office: Office) -> None:
    for who in ("rivera", "reviewer", "helper"):
        browser = await office.signed_in(who)
        for path in ("/reach", "/reach/unreached", "/reach/report.pdf", "/reach/report.csv"):
            assert (await browser.get(path)).status == 403


async def test_the_first_page_shows_the_office_what_was_counted_last_and_when(office: Office) -> None:
    await enrol_more(office)
    browser = await office.signed_in("office")
    assert "Reached in the last 30 days" not in (await browser.get("/")).text, "nothing was counted yet"
    await fairness.keep(office.sessions, office.at)
    answer = await browser.get("/")
    assert "0% of 11" in answer.text
    assert "14 guardians were not reached" in answer.text
    assert "Counted on Tuesday, November 3, 2026" in answer.text
    assert "Reached in the last" not in (await (await office.signed_in("rivera")).get("/")).text


@on_sqlite
async def test_a_hub_without_families_shows_an_empty_page_and_report(office: Office) -> None:
    empty = Figures("West", NOON - timedelta(days=30), NOON, None, NOON)
    assert [one.title for one in reach.tables(empty, WORDS)] == ["Not reached", "What went out", "Answers to families"]
    assert "Answers to families" in reach.written(empty, WORDS)


@on_sqlite
async def test_the_page_speaks_spanish(office: Office) -> None:
    async with office.sessions.begin() as session:
        (await session.get_one(Account, office.accounts["office"])).interface = "es"
    answer = await (await office.signed_in("office")).get("/reach")
    assert answer.all("html")[0]["lang"] == "es"
    assert "Reach and fairness" not in answer.text
    assert "menos de 5" in answer.text


def test_what_is_of_fewer_than_five_cannot_be_worked_out_from_the_rest() -> None:
    texts, meetings, *_ = reach.tables(FIGURES, WORDS)
    rows = {row[0].text: [cell.text for cell in row[1:]] for row in texts.rows}
    assert rows["Vietnamese"] == ["fewer than 5", *["–"] * 4]
    assert rows["All of these"][:2] == ["90", "98% (88)"], "without the three"
    booked = {row[0].text: [cell.text for cell in row[1:4]] for row in meetings.rows}
    assert booked["Spanish"] == ["20", "75% (15)", "60% (12)"]
    assert booked["English"] == ["fewer than 5", "–", "–"], "four were invited"
    assert [bar.said for bar in meetings.plot.bars] == ["75% of 20", "fewer than 5", "fewer than 5"]  # type: ignore[union-attr]
    everything = reach.written(FIGURES, WORDS)
    assert "Vietnamese,Were reached,–" in everything


def test_how_a_language_compares_is_said_in_words() -> None:
    texts = reach.tables(FIGURES, WORDS)[0]
    compared = {row[0].text: row[5].text for row in texts.rows}
    assert compared["English"] == "8 points more than of all"
    assert compared["Spanish"] == "7 points fewer than of all"


def test_many_schools_are_shown_as_the_largest_and_all_others() -> None:
    many = Figures(
        "", NOON - timedelta(days=30), NOON, None, NOON, GROUPS, [Group(f"School {n:02}", Counts(100 - n, 90)) for n in range(60)]
    )
    shown = next(one for one in reach.tables(many, WORDS) if one.title == "Texts, by school")
    assert len(shown.rows) == reach.MOST_ROWS + 1
    assert shown.rows[-1][0].text == "All others"
    assert shown.rows[-1][1].number == sum(100 - n for n in range(reach.MOST_ROWS, 60))


def test_a_school_whose_name_is_a_formula_or_markup_is_only_text() -> None:
    odd = Figures("", NOON, NOON, None, NOON, GROUPS, [Group("=1+1", Counts(9)), Group("<b>", Counts(9))])
    rows = list(csv.reader(io.StringIO(reach.written(odd, WORDS).removeprefix("\ufeff"))))
    assert {row[1] for row in rows if row[0] == "Texts, by school"} == {"'=1+1", "<b>"}
    drawn = plots.bars(Plot("By <school>", (Bar("<b>", 0.5, "50% of 9"),)), "p", rtl=False)
    assert "<b>" not in drawn


def test_a_plot_says_in_words_what_it_shows_and_begins_where_its_language_does() -> None:
    plot = Plot("Reached", (Bar("Arabic", 0.25, "25% of 8"), Bar("Somali", None, "fewer than 5")), 0.5, "The line is at 50%")
    left, right = plots.bars(plot, "one", rtl=False), plots.bars(plot, "one", rtl=True)
    assert 'role="img"' in left
    assert "Arabic: 25% of 8; Somali: fewer than 5</desc>" in left
    assert 'class="part" x="0" y="28" width="80.0"' in left
    assert 'class="part" x="240.0" y="28" width="80.0"' in right
    assert 'direction="rtl"' in right
    assert 'x1="160.0"' in right


def test_a_message_is_shown_with_how_much_of_it_arrived() -> None:
    sent = next(one for one in reach.tables(FIGURES, WORDS) if one.title == "What went out")
    assert [cell.text for cell in sent.rows[0]] == ["News for families", "2", "186", "82% (152)", "2% (4)"]


@pytest.mark.parametrize(
    ("minutes", "said"), [(1, "1 minute"), (119, "119 minutes"), (120, "2 hours"), (2879, "48 hours"), (2880, "2 days")]
)
def test_a_time_is_said_in_its_own_measure(minutes: int, said: str) -> None:
    assert reach._duration(minutes, WORDS) == said
