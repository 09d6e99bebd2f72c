"""What the hub says about an event: the organiser's own words and the hub's sentences, put together into one message.

The organiser's words are in the languages that the file has them in, and go through the translator for any other, like everybody's.
The hub's sentences stand in fields, which each family reads in its own language. Each message notes among its fields which
question it asks (`event`), so that a bare digit is an answer to it and to nothing else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from puente.messaging import audiences
from puente.messaging.answers import Choice, buttons
from puente.messaging.composing import Draft
from puente.models import EventInterest, InterestState, Kind
from puente.programs.events.files import EventFile, Question, Session

COME = "Reply {digit} if you would like to come."
CANNOT = "Reply {digit} if you cannot come."
BY = "Please answer by {date}, {time}."
PAGE = "You can also answer here: {link}"
SESSION = "{date}, from {start} to {end}"
PLACE = "Place: {place}"
ONLINE = "Online: {link}"
LOTS = "There may not be a place for everyone. If too many want to come, we draw lots."
YES, NO = "Yes.", "No."
CHOOSE = "Please reply with one of these digits."
WRITE = "Please reply with a few words."
SKIP = "If you do not want to answer this, reply {sign}"
NOT_CLEAR = "We did not understand your answer."
ON_THE_LIST = "Thank you. You are on the list of those who would like to come."
NOT_YET = "This is not a place yet. We will write to you after {date}."
YOUR_ANSWERS = "Your answers:"
TAKE_BACK = "Reply {digit} to take your name off the list."
THANKS = "Thank you for telling us."
MIND = "If you change your mind, reply {digit}."
OFF_THE_LIST = "Your name is not on the list any more."
TOO_LATE = "It is too late to sign up. That was possible until {date}, {time}."
YOUR_PLACE = "You have a place. We look forward to seeing you."
WAITLIST = "There was no place for you this time. You are on the waitlist. We will write to you if a place becomes free."
FREE = "A place is free now, and it is yours."
REMINDER = "A reminder: you have a place."
CHANGED = "Something has changed. This is how it is now:"
CANCELLED = "This will not take place. We are sorry."
MORE = "More dates follow."
I_WOULD = "Yes, I would like to come"
I_CANNOT = "No, I cannot come"
TAKE_OFF = "Take my name off the list"

SKIP_SIGN = "#"
# What a text has room for; the page shows it all.
MOST_SESSIONS, LONGEST_AGAIN = 3, 60
TAKE, GIVE, OFF = "1", "9", "0"
# Whatever asks for a digit brings buttons: by that a text which asks is known from one that only tells.
COME_BUTTON, CANNOT_BUTTON, OFF_BUTTON = Choice(TAKE, say=I_WOULD), Choice(OFF, say=I_CANNOT), Choice(OFF, say=TAKE_OFF)
COME_OR_NOT = [COME_BUTTON, Choice(GIVE, say=I_CANNOT)]


@dataclass(frozen=True)
class Own:
    """The organiser's own words, by language."""

    words: Mapping[str, str]
    before: str = ""


@dataclass(frozen=True)
class Said:
    """A sentence of the catalogue with its values, or plain characters around one."""

    phrase: str
    values: Mapping[str, Any] = field(default_factory=dict)
    before: str = ""


Line = Own | Said | str


def draft(
    file: EventFile, interest: EventInterest, lines: Sequence[Line], asks: str, *, kind: Kind, to: str, origin: str,
    choices: Sequence[Choice] = (), expires_at: datetime | None = None,
) -> Draft:  # fmt: skip
    """One person's message about an event: its title, and beneath it these lines."""
    text, renderings, values = put_together(file, [Own(file.said(file.title)), *lines])
    marked = {"event": {"interest": interest.id, "asks": asks}}
    return Draft(
        kind=kind, text=text, audience=audiences.only(to), language=file.language, renderings=renderings,
        fields={**values, **buttons(choices), **marked}, origin=origin, expires_at=expires_at,
    )  # fmt: skip


def put_together(file: EventFile, lines: Sequence[Line]) -> tuple[str, dict[str, str], dict[str, Any]]:
    """The text in the file's own language, in each other that it is prepared in, and the values of its fields."""
    values: dict[str, Any] = {}
    written: dict[str, list[str]] = {language: [] for language in (file.language, *file.prepared)}
    for place, line in enumerate(lines):
        if isinstance(line, Said):
            values[f"line{place}"] = {"word": line.phrase, **line.values}
        if isinstance(line, str):
            values[f"line{place}"] = line
        for language, texts in written.items():
            match line:
                case Own(words, before):
                    texts.append(before + _plain(words[language]))
                case Said(before=before):
                    texts.append(f"{before}{{line{place}}}")
                case _:
                    texts.append(f"{{line{place}}}")
    said = {language: "\n".join(texts) for language, texts in written.items()}
    return said.pop(file.language), said, values


def invitation(file: EventFile, page: str | None) -> list[Line]:
    lines: list[Line] = [Own(file.said(file.description)), *when(file, range(len(file.sessions)))]
    lines += [Said(LOTS)] if file.cap is not None else []
    lines += [Said(COME, digit(TAKE)), Said(CANNOT, digit(GIVE)), Said(BY, moment(file.closes))]
    return [*lines, Said(PAGE, {"link": {"link": page}})] if page else lines


def when(file: EventFile, sessions: Sequence[int], *, whole: bool = False) -> list[Line]:
    """The dates of these sessions, as many as a text has room for, and where they are. The link to one that is online is for those
    who have a place (`whole`)."""
    lines: list[Line] = []
    for place in sessions[:MOST_SESSIONS]:
        session = file.sessions[place]
        lines += [Own(file.said(session.topic))] if session.topic else []
        lines.append(Said(SESSION, dated(session)))
        lines += [Said(PLACE, {"place": session.place})] if session.place else []
        lines += [Said(ONLINE, {"link": {"link": session.link}})] if session.link and whole else []
    return [*lines, *([Said(MORE)] if len(sessions) > MOST_SESSIONS else [])]


def question(file: EventFile, number: int) -> tuple[list[Line], list[Choice]]:
    """A question as it is asked by text, and its buttons."""
    asked = file.questions[number]
    lines: list[Line] = [Own(file.said(asked.ask))]
    choices: list[Choice] = []
    if asked.kind == "yes_no":
        lines += [Said(word, before=f"{at}: ") for at, word in enumerate((YES, NO), 1)]
        choices = [Choice(str(at), say=word) for at, word in enumerate((YES, NO), 1)]
    for at, option in enumerate(asked.options, 1):
        lines.append(Own(file.said(option), f"{at}: "))
        choices.append(Choice(str(at), text=str(at)))
    lines.append(Said(WRITE if asked.kind == "text" else CHOOSE))
    if not asked.required:
        lines.append(Said(SKIP, {"sign": SKIP_SIGN}))
        choices.append(Choice(SKIP_SIGN, text=SKIP_SIGN))
    return lines, choices


def standing(
    file: EventFile, interest: EventInterest, coming: Sequence[int], *, is_open: bool
) -> tuple[list[Line], list[Choice], str]:
    """Where somebody stands, and what they may answer: the lines, the buttons, and what the message asks. `coming` are the sessions
    that are still to come."""
    match interest.state:
        case InterestState.asking if is_open and (number := next_question(file, interest.answers)) is not None:
            return *question(file, number), file.questions[number].id
        case InterestState.asking | InterestState.applied:
            lines: list[Line] = [Said(ON_THE_LIST), Said(NOT_YET, {"date": moment(file.closes)["date"]}), *answers(file, interest)]
            return [*lines, Said(TAKE_BACK, digit(OFF))], [OFF_BUTTON], "place"
        case InterestState.selected:
            return [Said(YOUR_PLACE), *when(file, coming, whole=True), Said(CANNOT, digit(OFF))], [CANNOT_BUTTON], "place"
        case InterestState.waiting:
            return [Said(WAITLIST), Said(TAKE_BACK, digit(OFF))], [OFF_BUTTON], "place"
        case InterestState.declined | InterestState.withdrawn:
            lines: list[Line] = [Said(THANKS), *([Said(OFF_THE_LIST)] if interest.state is InterestState.withdrawn else [])]
            return ([*lines, Said(MIND, digit(TAKE))], [COME_BUTTON], "come") if is_open else (lines, [], "come")
        case _:
            return [Said(COME, digit(TAKE)), Said(CANNOT, digit(GIVE))], COME_OR_NOT, "come"


def answers(file: EventFile, interest: EventInterest) -> list[Line]:
    """What somebody has answered, so that a digit that went wrong is seen."""
    found = [line for asked in file.questions if (line := answer(file, asked, interest.answers.get(asked.id)))]
    return [Said(YOUR_ANSWERS), *found] if found else []


def answer(file: EventFile, asked: Question, given: Any) -> Line | None:
    match asked.kind, given:
        case _, None | "":
            return None
        case "yes_no", bool():
            return Said(YES if given else NO)
        case "choice", int():
            return Own(file.said(asked.options[given]))
        case _:
            said = str(given)
            return said if len(said) <= LONGEST_AGAIN else f"{said[:LONGEST_AGAIN].rstrip()} …"


def next_question(file: EventFile, given: Mapping[str, Any]) -> int | None:
    """The first question that has neither an answer nor been passed over."""
    return next((number for number, asked in enumerate(file.questions) if asked.id not in given), None)


def digit(which: str) -> dict[str, Any]:
    return {"digit": which}


def moment(at: datetime) -> dict[str, Any]:
    """A date and a time on the school's clock, as fields."""
    return {"date": {"date": at.date().isoformat()}, "time": {"time": f"{at:%H:%M}"}}


def dated(session: Session) -> dict[str, Any]:
    return {
        "date": {"date": session.date.isoformat()}, "start": {"time": f"{session.start:%H:%M}"},
        "end": {"time": f"{session.end:%H:%M}"},
    }  # fmt: skip


def _plain(written: str) -> str:
    """What an organiser wrote in a file, where braces are no fields."""
    return written.replace("{", "(").replace("}", ")")
