"""Reach and fairness: whom the school reaches, by home language, school and grade; a term's report; and who was not reached.

    fairness.Figures → tables in the reader's language → the page, the PDF and the CSV

One function makes the tables, so that all three say the same. A group of fewer than five guardians is named, and nothing else is
said of it.
"""

import csv
import io
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, Response
from markupsafe import Markup

from puente.messaging import fairness
from puente.messaging.access import Reader
from puente.messaging.fairness import SMALL, Counts, Figures, Group, Period
from puente.messaging.reach import LATELY
from puente.models import HubError, Kind
from puente.printing import reports
from puente.printing.reports import Bar, Cell, Plot, Table
from puente.programs.tables import safe_cell
from puente.web.staff import frame, messages, plots
from puente.web.staff.desk import Desk
from puente.web.staff.frame import Words, _, plain
from puente.web.staff.gate import After, Office

MOST_ROWS, MOST_BARS = 20, 12
HOUR, DAY = 60, 24 * 60  # minutes
ALIKE = 3  # points: so little more or less is not worth a word
NOTHING = "–"
LANGUAGE = _("home language")
OTHERS = "\0"  # the name of those that are shown as one
PARTS = 4  # languages on the first page

WHY = {
    fairness.NO_CONTACT: _("There is no number or chat on file."),
    fairness.ALL_BAD: _("No number or chat on file works."),
    fairness.STOPPED: _("They asked us to stop."),
    fairness.NOT_ARRIVED: _("What was sent did not arrive."),
    fairness.NOT_WRITTEN: _("Nothing was sent to them."),
}
KINDS = {kind: name for kind, name in messages.KINDS.items() if kind not in (Kind.reply, Kind.system)}
COLUMNS = (_("Table"), _("Group"), _("What"), _("Number"), _("Of"), _("Percent"), _("What it means"))

Day = Annotated[str, Query(max_length=10)]
Asked = Annotated[str, Query(max_length=20)]


class NotADay(HubError):
    """Choose a first day and a last day."""


def reach_routes() -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/reach")
    async def reach(request: Request, reader: Office, since: Day = "", until: Day = "", kind: Asked = "") -> HTMLResponse:
        error = ""
        try:
            found = await figures(request.app.state.desk, reader, since, until, kind)
        except HubError as wrong:
            error, found = frame.sentence(wrong), await figures(request.app.state.desk, reader)
        words = frame.words_of(request, reader)
        kinds = frame.choices([("", words.t(_("All kinds"))), *((one.value, words.t(name)) for one, name in KINDS.items())], kind)
        return frame.page(
            request, reader, "reach.html", status=400 if error else 200, error=error, whole=found.whole,
            is_lately=not (since or until or kind), since=since or _day(found.since, words),
            until=until or _day(found.until, words, last=True), kinds=kinds,
            query=_query(since, until, kind) if not error else "", lines=lines(found, words), tables=tables(found, words),
            draw=_drawing(words), missed=sum(found.unreached.values()),
        )  # fmt: skip

    @router.get("/reach/unreached")
    async def unreached(request: Request, reader: Office, after: After = 0) -> HTMLResponse:
        desk: Desk = request.app.state.desk
        counted = await fairness.latest(desk.sessions, reader.school, desk.now())
        async with desk.sessions() as session:
            found = await fairness.missed(session, reader, counted, desk.now(), after=after, most=fairness.PAGE + 1)
        page = found[: fairness.PAGE]
        more = page[-1].guardian_id if len(found) > len(page) else 0
        return frame.page(request, reader, "unreached.html", missed=page, why=WHY, more=more, at=counted.made_at)

    @router.get("/reach/report.pdf")
    async def report(request: Request, reader: Office, since: Day = "", until: Day = "", kind: Asked = "") -> Response:
        found = await figures(request.app.state.desk, reader, since, until, kind)
        return frame.attachment(printed(found, frame.words_of(request, reader)), "application/pdf", "reach.pdf")

    @router.get("/reach/report.csv")
    async def report_csv(request: Request, reader: Office, since: Day = "", until: Day = "", kind: Asked = "") -> Response:
        found = await figures(request.app.state.desk, reader, since, until, kind)
        return frame.attachment(written(found, frame.words_of(request, reader)), "text/csv; charset=utf-8", "reach.csv")

    return router


async def figures(desk: Desk, reader: Reader, since: str = "", until: str = "", kind: str = "") -> Figures:
    """What was asked for; without any wish, the last thirty days. Raises NotADay, WrongPeriod."""
    at = desk.now()
    if not (since or until or kind):
        return await fairness.latest(desk.sessions, reader.school, at)
    return await fairness.figures(desk.sessions, reader.school, _period(desk, since, until, kind, at), at)


def _period(desk: Desk, since: str, until: str, kind: str, at: datetime) -> Period:
    """From the first moment of a day to the last of another, on the school's clock; without days, the last thirty."""
    wanted = next((one for one in KINDS if one.value == kind), None)
    if kind and wanted is None:
        raise NotADay(NotADay.__doc__)
    if not (since or until):
        return Period(at - LATELY, at, wanted)
    try:
        first, last = date.fromisoformat(since), date.fromisoformat(until)
        begins, ends = (
            datetime.combine(day, time(), desk.school.timezone).astimezone(UTC) for day in (first, last + timedelta(days=1))
        )
    except (ValueError, OverflowError):
        raise NotADay(NotADay.__doc__) from None
    return fairness.check(Period(begins, ends, wanted))


def _day(at: datetime, words: Words, *, last: bool = False) -> str:
    """A day as a form has it. A period ends with the last moment before its end."""
    return (at - timedelta(seconds=last)).astimezone(words.desk.school.timezone).date().isoformat()


def _query(since: str, until: str, kind: str) -> str:
    given = [f"{name}={value}" for name, value in (("since", since), ("until", until), ("kind", kind)) if value]
    return f"?{'&'.join(given)}" if given else ""


def _drawing(words: Words) -> Callable[[Plot, str], Markup]:
    return partial(_draw, rtl=words.direction(words.language) == "rtl")


def _draw(plot: Plot, name: str, *, rtl: bool) -> Markup:
    return plots.bars(plot, name, rtl=rtl)


# What is said


def lines(found: Figures, words: Words) -> list[str]:
    """What the figures are of: the school, the days, the kind of message, and when they were counted."""
    t = words.t
    school = found.school or words.desk.school.name or t(_("All schools"))
    first, last = words.moment(found.since), words.moment(found.until)
    if _is_midnight(found.since, words) and _is_midnight(found.until, words):
        first, last = words.day(found.since), words.day(found.until - timedelta(seconds=1))
    said = [
        plain(school),
        t(_("From {first} to {last}"), first=first, last=last),
        t(_("Kind of message: {kind}"), kind=t(KINDS[found.kind])) if found.kind else "",
        t(_("Counted on {time}"), time=words.moment(found.made_at)),
    ]
    return [plain(line) for line in said if line]


def _is_midnight(at: datetime, words: Words) -> bool:
    return at.astimezone(words.desk.school.timezone).time() == time()


def tables(found: Figures, words: Words) -> list[Table]:
    """Everything that is shown, as tables in the reader's language."""
    dimensions = (
        (LANGUAGE, found.by_language, words.language_name),
        (_("school"), found.by_school, partial(_or, words.desk.school.name)),
        (_("grade"), found.by_grade, partial(_or, "")),
    )
    shown = [table for dimension in dimensions for table in _of_groups(found, *dimension, words)]
    others = (_unreached(found, words), _sent(found, words), _answers(found, words))
    return [*shown, *others, *_interpreted(found, words), *_translated(found, words)]


def _or(instead: str, name: str) -> str:
    return name or instead or NOTHING


def _of_groups(found: Figures, what: str, groups: Sequence[Group], named: Callable[[str], str], words: Words) -> list[Table]:
    """The texts, and where there were any, the conferences and events."""
    t, shown = words.t, _merged(groups)
    if not shown:
        return []
    names = {group.name: named(group.name) if group.name != OTHERS else plain(t(_("All others"))) for group in shown}
    average = fairness.share(found.whole.reached, found.whole.guardians)
    title = plain(t(_("Texts, by {what}"), what=t(what)))
    texts = Table(
        title,
        plain(t(_("Each guardian is counted once in their group. Reached: at least one text was sent to them, and none of the "
                "phone companies said that it failed. Wrote back: they wrote to the school at least once. A percentage is of all "
                "guardians of the group."))),
        _said(words, what, _("Guardians"), _("Can be reached"), _("Were reached"), _("Wrote back"), _("Compared with all")),
        (*(_text_row(names[group.name], group.counts, average, words) for group in shown), *_whole_row(what, shown, words)),
        _plot(t(_("Reached, by {what}"), what=t(what)), "reached", "guardians", shown, names, found.whole, words),
    )  # fmt: skip
    whole = found.whole
    return [texts, *([_meetings_table(what, shown, names, whole, words)] if whole.invited or whole.asked else [])]


def _meetings_table(what: str, shown: Sequence[Group], names: dict[str, str], whole: Counts, words: Words) -> Table:
    t = words.t
    rows = tuple((Cell(names[group.name]), *_meeting_cells(group.counts, words)) for group in shown)
    booked = _plot(t(_("Booked a conference, by {what}"), what=t(what)), "booked", "invited", shown, names, whole, words)
    return Table(
        plain(t(_("Conferences and events, by {what}"), what=t(what))),
        plain(t(_("Guardians who were invited in these days, whatever the kind of message, and what came of it by now. A "
                "percentage is of those who were invited."))),
        _said(
            words, what, _("Invited to a conference"), _("Booked"), _("Were there"), _("Invited to an event"), _("Signed up"),
            _("Came to it"),
        ),
        rows,
        booked if whole.invited else None,
    )  # fmt: skip


def _merged(groups: Sequence[Group]) -> list[Group]:
    """The largest, and all others as one."""
    if len(groups) <= MOST_ROWS:
        return list(groups)
    others = sum((group.counts for group in groups[MOST_ROWS:]), Counts())
    return [*groups[:MOST_ROWS], Group(OTHERS, others)]


def _text_row(name: str, counts: Counts, average: float | None, words: Words) -> tuple[Cell, ...]:
    if fairness.is_small(counts.guardians):
        return (Cell(name), _few(words), *[Cell(NOTHING)] * 4)
    parts = [_part(part, counts.guardians, words) for part in (counts.reachable, counts.reached, counts.replied)]
    return (Cell(name), _number(counts.guardians, words), *parts, Cell(_compared(counts, average, words)))


def _meeting_cells(counts: Counts, words: Words) -> tuple[Cell, ...]:
    if fairness.is_small(counts.guardians):
        return (_few(words), *[Cell(NOTHING)] * 5)
    return (
        _number(counts.invited, words), _part(counts.booked, counts.invited, words), _part(counts.attended, counts.invited, words),
        _number(counts.asked, words), _part(counts.applied, counts.asked, words), _part(counts.came, counts.asked, words),
    )  # fmt: skip


def _whole_row(what: str, shown: Sequence[Group], words: Words) -> list[tuple[Cell, ...]]:
    """All languages together: only of those that are shown, or the others could be worked out. Children of one family may be in
    two grades, so that those come to nothing."""
    large = [group.counts for group in shown if not fairness.is_small(group.counts.guardians)]
    if what != LANGUAGE or len(large) < 2:
        return []
    return [_text_row(plain(words.t(_("All of these"))), sum(large, Counts()), None, words)]


def _compared(counts: Counts, average: float | None, words: Words) -> str:
    """How much more or less of a group is reached than of all, in words."""
    reached = fairness.share(counts.reached, counts.guardians)
    if reached is None or average is None:
        return NOTHING
    points = round(100 * reached) - round(100 * average)
    if abs(points) < ALIKE:
        return plain(words.t(_("about as many as of all")))
    phrase = _("{number} points fewer than of all") if points < 0 else _("{number} points more than of all")
    return plain(words.t(phrase, number=words.number(abs(points))))


def _plot(
    title: object, part: str, of: str, shown: Sequence[Group], names: dict[str, str], whole: Counts, words: Words
) -> Plot:  # fmt: skip
    drawn = [_bar(names[group.name], group.counts, part, of, words) for group in shown[:MOST_BARS]]
    average = fairness.share(getattr(whole, part), getattr(whole, of))
    line = words.t(_("The line is at {percent}: all together"), percent=words.percent(average or 0))
    return Plot(plain(title), tuple(drawn), average, plain(line) if average is not None else "")


def _bar(name: str, counts: Counts, part: str, of: str, words: Words) -> Bar:
    number, whole = getattr(counts, part), getattr(counts, of)
    if fairness.is_small(counts.guardians) or fairness.is_small(whole):
        return Bar(name, None, _few(words).text)
    if not whole:
        return Bar(name, None, NOTHING)
    said = words.t(_("{percent} of {number}"), percent=words.percent(number / whole), number=words.number(whole))
    return Bar(name, number / whole, plain(said))


def _unreached(found: Figures, words: Words) -> Table:
    t = words.t
    rows = [(Cell(plain(t(WHY[why]))), _number(found.unreached[why], words)) for why in WHY if found.unreached.get(why)]
    note = t(_("Guardians to whom nothing was sent in these days that arrived, by what is known of why."))
    return Table(plain(t(_("Not reached"))), plain(note), _said(words, _("Why"), _("Guardians")), tuple(rows))


def _sent(found: Figures, words: Words) -> Table:
    t = words.t
    rows = [
        (
            Cell(plain(t(messages.KINDS[Kind(one.kind)]))), _count(one.messages, words), _count(one.texts, words),
            _percent(one.arrived, one.texts, words), _percent(one.failed, one.texts, words),
        )
        for one in found.sent
    ]  # fmt: skip
    note = t(_("Messages that were to go out in these days, and the texts that they became: one for each guardian. What has "
               "neither arrived nor failed is on its way, waits for a person, or was taken back."))  # fmt: skip
    columns = _said(words, _("Kind"), _("Messages"), _("Texts"), _("Arrived"), _("Failed"))
    return Table(plain(t(_("What went out"))), plain(note), columns, tuple(rows))


def _answers(found: Figures, words: Words) -> Table:
    t, answers = words.t, found.answers
    took = Cell(_duration(answers.minutes, words), answers.minutes) if answers.minutes is not None else Cell(NOTHING)
    rows = (
        (Cell(plain(t(_("Texts that families wrote")))), _count(answers.heard, words)),
        (Cell(plain(t(_("Of these, answered")))), _percent(answers.answered, answers.heard, words)),
        (Cell(plain(t(_("Time until the answer, in the middle")))), took),
    )
    note = t(_("From a family's text to the first answer to it, nights and weekends included: half of the answers came sooner. Not "
               "every text needs an answer."))  # fmt: skip
    return Table(plain(t(_("Answers to families"))), plain(note), _said(words, _("What"), _("Number")), rows)


def _duration(minutes: float, words: Words) -> str:
    """In the largest measure of which there are two at least."""
    if minutes < 2 * HOUR:
        return plain(words.n("{number} minute", "{number} minutes", round(minutes)))
    if minutes < 2 * DAY:
        return plain(words.n("{number} hour", "{number} hours", round(minutes / HOUR)))
    return plain(words.n("{number} day", "{number} days", round(minutes / DAY)))


def _interpreted(found: Figures, words: Words) -> list[Table]:
    t = words.t
    rows = tuple(
        (
            Cell(words.language_name(one.language)), _number(one.booked, words), _part(one.named, one.booked, words),
            _part(one.attended, one.booked, words), _part(one.missed, one.booked, words),
            Cell(words.number(round(one.minutes / 60, 1)), round(one.minutes / 60, 1)),
        )
        for one in found.interpreted if not fairness.is_small(one.booked)
    ) + tuple(
        (Cell(words.language_name(one.language)), _few(words), *[Cell(NOTHING)] * 4)
        for one in found.interpreted if fairness.is_small(one.booked)
    )  # fmt: skip
    if not rows:
        return []
    note = t(_("Booked conferences of these days at which somebody interprets, and what became of them by now."))
    columns = _said(
        words, _("Language"), _("Booked"), _("With an interpreter named"), _("The family was there"), _("Nobody came"),
        _("Hours in all"),
    )  # fmt: skip
    return [Table(plain(t(_("Interpreters"))), plain(note), columns, rows)]


def _translated(found: Figures, words: Words) -> list[Table]:
    t = words.t
    rows = tuple(
        (Cell(words.language_name(one.language)), *(
            _count(number, words) for number in (one.people, one.machine, one.approved, one.waiting, one.impossible)
        ))
        for one in found.translated[:MOST_ROWS]
    )  # fmt: skip
    if not rows:
        return []
    note = t(_("Each message counts once in each language. Said by people: somebody wrote it, or had said the same before. "
               "Approved: a person has looked at it, whoever made it."))  # fmt: skip
    columns = _said(
        words, _("Language"), _("Said by people"), _("By the machine"), _("Approved"), _("Waiting for a person"), _("Not possible"),
    )  # fmt: skip
    return [Table(plain(t(_("Translations"))), plain(note), columns, rows)]


def _said(words: Words, *phrases: str) -> tuple[str, ...]:
    said = [plain(words.t(phrase)) for phrase in phrases]
    return (said[0][:1].upper() + said[0][1:], *said[1:])


def _few(words: Words) -> Cell:
    return Cell(plain(words.t(_("fewer than {number}"), number=words.number(SMALL))))


def _number(number: int, words: Words) -> Cell:
    return _few(words) if fairness.is_small(number) else Cell(words.number(number), number)


def _part(part: int, whole: int, words: Words) -> Cell:
    """A part of some guardians with its share; nothing of so few that it would say something of each."""
    return Cell(NOTHING) if whole < SMALL else _percent(part, whole, words)


def _count(number: int, words: Words) -> Cell:
    return Cell(words.number(number), number)


def _percent(part: int, whole: int, words: Words) -> Cell:
    return Cell(f"{words.percent(part / whole)} ({words.number(part)})", part, whole) if whole else Cell(NOTHING)


def written(found: Figures, words: Words) -> str:
    """The tables as CSV, a line for each number: with how many it is of, and what it means."""
    out = io.StringIO()
    table = csv.writer(out)
    table.writerow(plain(words.t(name)) for name in COLUMNS)
    said = lines(found, words)
    table.writerow([safe_cell(" · ".join(said))])
    for one in tables(found, words):
        for name, *cells in one.rows:
            for column, cell in zip(one.columns[1:], cells, strict=True):
                table.writerow([safe_cell(str(part)) for part in (one.title, name.text, column, *_csv_number(cell), one.note)])
    # The mark at the beginning tells Excel that it is UTF-8.
    return f"\ufeff{out.getvalue()}"


def printed(found: Figures, words: Words) -> bytes:
    """The tables as a report to print."""
    title = plain(words.t(_("Reach and fairness")))
    return reports.make_report(title, lines(found, words), tables(found, words), words.desk.now())


def _csv_number(cell: Cell) -> tuple[Any, Any, Any]:
    if cell.number is None:
        return cell.text, "", ""
    return f"{cell.number:g}", "" if cell.of is None else cell.of, f"{100 * cell.number / cell.of:.1f}" if cell.of else ""


# The first page


def short(found: Figures, words: Words) -> dict[str, Any]:
    """The largest languages, for the first page (home.py)."""
    bars = [_bar(words.language_name(one.name), one.counts, "reached", "guardians", words) for one in found.by_language[:PARTS]]
    return {"bars": bars, "at": found.made_at, "missed": sum(found.unreached.values())}
