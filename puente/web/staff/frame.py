"""The frame of every staff page: its language, its menu, its words, and the headers that keep it closed.

Server-rendered; what JavaScript there is makes a page livelier and never possible. Nothing comes from another host.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from babel import Locale
from babel.numbers import format_decimal, format_percent
from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from puente.messaging import access
from puente.messaging.access import Reader
from puente.models import HubError, Role
from puente.translations import dates, languages
from puente.translations.fields import FIELD
from puente.web.staff import filled
from puente.web.staff.desk import Desk
from puente.web.staff.filled import _

HERE = Path(__file__).parent.parent
STATIC = {file.name: file.read_bytes() for file in (HERE / "static").iterdir()}
VERSIONS = {name: hashlib.sha256(content).hexdigest()[:12] for name, content in STATIC.items()}

TEMPLATES = Environment(
    loader=FileSystemLoader(HERE / "templates"),
    autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined,
)  # fmt: skip

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True)
class Entry:
    """An entry of the menu, and who has it."""

    path: str
    name: str
    roles: tuple[Role, ...] = (Role.teacher, Role.office, Role.admin)


ANYONE = (Role.teacher, Role.office, Role.admin, Role.reviewer, Role.interpreter)
OFFICE = (Role.office, Role.admin)

MENU = (
    Entry("/write", _("Write")),
    Entry("/messages", _("Messages")),
    Entry("/inbox", _("Inbox")),
    Entry("/tasks", _("Tasks"), ANYONE),
    Entry("/review", _("Review"), (Role.reviewer, Role.office, Role.admin)),
    Entry("/people", _("People")),
    Entry("/progress", _("Progress")),
    Entry("/attendance", _("Attendance")),
    Entry("/columns", _("Safety columns"), (Role.reviewer, *OFFICE)),
    Entry("/conferences", _("Conferences"), (*OFFICE, Role.teacher, Role.interpreter)),
    Entry("/events", _("Events"), OFFICE),
    Entry("/reach", _("Reach"), OFFICE),
    Entry("/account", _("Account"), ANYONE),
)

# What templates may call of the reader's Words.
WORDS = ("t", "n", "number", "percent", "day", "clock", "moment", "language_name", "direction")

# What a page says after it has done something. The address says it by its short name: no text and no name of anybody's.
SAID: dict[str, str] = {}


def may_say(**sentences: str) -> None:
    """Register what pages say after they have done something: `redirect(…, said="sent")`."""
    SAID.update(sentences)


class Words:
    """The pages' own words in a reader's language, and dates and numbers as that language writes them."""

    def __init__(self, desk: Desk, language: str) -> None:
        self.desk, self.language = desk, language
        self.region = languages.in_region(language, desk.school.region)
        self.locale = languages.locale(self.region) or languages.locale("en")

    def t(self, phrase: str, /, **values: object) -> Markup:
        """A phrase, with its fields filled. What a field holds is never taken for markup."""
        said = self.desk.words.say(phrase, self.language)
        if said is None and not values:
            phrase, found = filled.opened(phrase, self.language)
            inner = {name: self.t(value) if name in filled.INNER else value for name, value in found.items()}
            return _filled(self.desk.words.say(phrase, self.language) or phrase, inner)
        return _filled(said or phrase, values)

    def n(self, one: str, many: str, number: int, /, **values: object) -> Markup:
        """A phrase that counts."""
        said = self.desk.words.say(one, self.language, number) or (one if number == 1 else many)
        return _filled(said, {"number": self.number(number), **values})

    def number(self, value: float) -> str:
        return _number(value, self.locale)

    def percent(self, share: float) -> str:
        return _percent(share, self.locale)

    def day(self, value: date | datetime) -> str:
        if isinstance(value, datetime):
            value = value.astimezone(self.desk.school.timezone).date()
        return dates.write_date(value, self.region)

    def clock(self, value: time | datetime) -> str:
        if isinstance(value, datetime):
            value = value.astimezone(self.desk.school.timezone).time()
        return dates.write_time(value, self.region)

    def moment(self, value: datetime | None) -> str:
        """A date and a time on the school's clock; nothing where there is none."""
        return f"{self.day(value)}, {self.clock(value)}" if value else ""

    def language_name(self, tag: str) -> str:
        return languages.name_for(tag, self.language)

    def direction(self, tag: str) -> str:
        return "rtl" if languages.is_right_to_left(tag) else "ltr"


# A page of figures writes hundreds of numbers, and most of them again the next time.
@lru_cache(4096)
def _number(value: float, locale: Locale) -> str:
    return format_decimal(value, locale=locale)


@lru_cache(4096)
def _percent(share: float, locale: Locale) -> str:
    return format_percent(share, locale=locale)


def plain(said: object) -> str:
    """What was said, for what is no page: a file, a plot, an e-mail. There a school's O'Keeffe is not written as markup."""
    return said.unescape() if isinstance(said, Markup) else str(said)


def _filled(phrase: str, values: Mapping[str, object]) -> Markup:
    parts = FIELD.split(phrase)
    return Markup().join(
        escape(values.get(part, f"{{{part}}}")) if at % 2 else escape(part) for at, part in enumerate(parts)
    )  # fmt: skip


def page(
    request: Request, reader: Reader | None, template: str, /, *, status: int = 200, error: str = "", **values: Any
) -> HTMLResponse:
    """A page as HTML. Templates find the reader, the words (`t`, `n`, `day`, `moment`, …) and what they were given."""
    desk: Desk = request.app.state.desk
    words = Words(desk, reader.language if reader else language_of(request, desk))
    shown = {
        **{name: getattr(words, name) for name in WORDS},
        "reader": reader,
        "language": words.language,
        "dir": words.direction(words.language),
        "school": desk.school.name,
        "menu": [entry for entry in MENU if reader and reader.has(*entry.roles)],
        "path": request.url.path,
        "form_key": getattr(request.state, "form_key", ""),
        "counts": getattr(request.state, "counts", {}),
        "many": access.COUNTED,
        "said": SAID.get(request.query_params.get("said", ""), ""),
        "error": error,
        "versions": VERSIONS,
        **values,
    }
    return HTMLResponse(
        TEMPLATES.get_template(f"staff/{template}").render(shown), status, {**HEADERS, "Content-Language": words.language}
    )


def words_of(request: Request, reader: Reader) -> Words:
    """The words of a reader, for what is written outside of a template."""
    return Words(request.app.state.desk, reader.language)


def redirect(path: str, *, said: str = "", **query: str | int) -> RedirectResponse:
    """After something was done: the browser gets a page that it may load again."""
    given = {**({"said": said} if said else {}), **query}
    return RedirectResponse(f"{path}?{urlencode(given)}" if given else path, 303, HEADERS)


def address_of(request: Request) -> str:
    """The hub's address, for a link that whoever asks will copy: the school's own, else the one that their browser is at.

    It is for their eyes alone: what is sent to somebody else goes to no address that only the asker has named.
    """
    desk: Desk = request.app.state.desk
    # A browser names it whole in each form, also where a proxy has taken the HTTPS off; the gate has compared it with the host.
    origin = request.headers.get("Origin", "null")
    return desk.address or (origin if origin != "null" else str(request.base_url).rstrip("/"))


def attachment(content: bytes | str, kind: str, name: str) -> Response:
    """A file to keep."""
    headers = {**HEADERS, "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}"}
    return Response(content, media_type=kind, headers=headers)


def sentence(error: HubError) -> str:
    """What went wrong, as a person reads it."""
    return " ".join((str(error) or type(error).__doc__ or "").split())


def language_of(request: Request, desk: Desk) -> str:
    """The language of a page before anybody has signed in: the browser's, if the pages speak it."""
    wanted = re.findall(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8})*", request.headers.get("Accept-Language", "")[:200])
    known = desk.words.languages()
    return next((found for tag in wanted if (found := languages.nearest(tag, known))), "en")


def choices(options: Iterable[tuple[str, str]], chosen: str | Sequence[str]) -> list[dict[str, Any]]:
    """The options of a list in a form, each with whether it is chosen."""
    chosen = [chosen] if isinstance(chosen, str) else chosen
    return [{"value": value, "name": name, "chosen": value in chosen} for value, name in options]
