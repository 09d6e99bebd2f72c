"""Families' plain pages: what the short link of a text message opens, in the reader's language, for the oldest phone in use.

Server-rendered, without JavaScript, cookies or anything from another host. The address is random and says nothing about a family,
so the page says the same to everybody who has it, and nothing is logged that holds it.
"""

import hashlib
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Response
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from puente.messaging import wording
from puente.messaging.school import School
from puente.messaging.wording import Says
from puente.models.database import Sessions
from puente.programs import columns
from puente.programs.columns import Column
from puente.translations import fields, languages
from puente.translations.phrases import SPOKEN

HERE = Path(__file__).parent
STYLE = (HERE / "static" / "pages.css").read_text(encoding="utf-8")
STYLE_VERSION = hashlib.sha256(STYLE.encode()).hexdigest()[:12]

GONE = "This link does not work any more. Please ask the school for a new one."
OFFICE = "School office"

# How many of a browser's languages are looked at. More than five nobody has set.
MOST_LANGUAGES = 20

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
    "Vary": "Accept-Language",
}
# A correction should reach who reads tomorrow, and a phone that loses its connection should still show the page.
FRESH = {"Cache-Control": "public, max-age=3600"}
FOR_EVER = {"Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}

HTML = {"text/html": {"schema": {"type": "string", "pattern": "^<!doctype html>"}}}
RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"description": "The page.", "content": HTML},
    404: {"description": "No page has this address, in plain words.", "content": HTML},
}
CSS: dict[int | str, dict[str, Any]] = {
    200: {"description": "How the pages look.", "content": {"text/css": {"schema": {"type": "string"}}}}
}


@dataclass(frozen=True)
class Block:
    """A paragraph, or a list, of which `lines` are the items."""

    lines: Sequence[str]
    is_list: bool


def pages_routes(sessions: Sessions, school: School, translator: Says) -> APIRouter:
    """`/c/TOKEN`, the page of a column, and the one stylesheet."""
    router = APIRouter()
    templates = open_templates()

    async def column_page(
        token: str,
        lang: Annotated[str | None, Query(description="A language of the page. Else the browser's, else English.")] = None,
        accept_language: Annotated[str, Header()] = "",
    ) -> Response:
        async with sessions() as session:
            column = await columns.opened(session, token)
            given = await columns.known(session, column, school) if column else {}
        wanted = ",".join((lang or "", accept_language))
        if column is None:
            return answer(templates, "gone.html", 404, about(school, best(wanted, SPOKEN), translator))
        return answer(templates, "column.html", 200, _shown(column, given, wanted, school, translator))

    async def stylesheet() -> Response:
        return Response(STYLE, media_type="text/css", headers=FOR_EVER)

    add_read(router, "/c/{token}", column_page, RESPONSES, HTMLResponse)
    add_read(router, "/static/pages.css", stylesheet, CSS)
    return router


def add_read(
    router: APIRouter, path: str, route: Callable[..., Any], responses: dict[int | str, dict[str, Any]],
    kind: type[Response] = Response,
) -> None:  # fmt: skip
    """A route for GET and for HEAD, which is GET without its body: the server leaves that out."""
    router.add_api_route(path, route, methods=["GET"], response_class=kind, responses=responses)
    router.add_api_route(path, route, methods=["HEAD"], response_class=kind, include_in_schema=False)


def open_templates() -> Environment:
    return Environment(loader=FileSystemLoader(HERE / "templates"), autoescape=True, trim_blocks=True, lstrip_blocks=True)


def best(wanted: str, known: Collection[str]) -> str:
    """Of the languages that a page is in, the one that its reader wants most, as an Accept-Language header says it; else English,
    else the first."""
    for tag in _in_order_of_wish(wanted):
        canonical = languages.canonical(tag)
        if canonical and (found := languages.nearest(canonical, known)):
            return found
    return "en" if "en" in known else next(iter(known))


def blocks(text: str) -> list[Block]:
    """The paragraphs and lists of a text: blank lines part them, and each item of a list begins with a hyphen."""
    found = []
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        for is_list, lines in groupby(paragraph.splitlines(), key=lambda line: line.startswith("- ")):
            said = [line.removeprefix("- ").strip() for line in lines]
            found.append(Block(said if is_list else [" ".join(said)], is_list))
    return found


def _in_order_of_wish(header: str) -> list[str]:
    """The languages of an Accept-Language header (RFC 9110, 12.5.4), the most wanted first. What is malformed is passed over."""
    wishes = []
    for part in header.split(",")[:MOST_LANGUAGES]:
        tag, _, weight = part.strip().partition(";")
        found = re.fullmatch(r"\s*q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\s*", weight)
        if tag and (found or not weight) and (wish := float(found[1]) if found else 1.0):
            wishes.append((wish, tag.strip()[:35]))
    return [tag for _, tag in sorted(wishes, key=lambda wish: -wish[0])]


def _shown(column: Column, given: Mapping[str, Any], wanted: str, school: School, translator: Says) -> dict[str, Any]:
    """What the page of a column shows. A line whose field has lost its value since it was sent is left out: never a hole."""
    language = best(wanted, column.texts)
    text = column.texts[language]
    there = {*given, *(["school"] if school.name else [])}

    def filled(line: str) -> str:
        return wording.filled(line, given, {}, school, language, translator)

    def marked_up(line: str) -> Markup:
        """With every number as one that is pressed to call it, and that no line's end breaks."""
        parts = fields.FIELD.split(line)
        written = [filled(f"{{{part}}}") if at % 2 else part for at, part in enumerate(parts)]
        return Markup().join(
            _to_call(given[part], said) if at % 2 and part in columns.PHONES else said
            for at, (part, said) in enumerate(zip(parts, written, strict=True))
        )

    shown = [
        Block([marked_up(line) for line in block.lines if there.issuperset(fields.names(line))], block.is_list)
        for block in blocks(text.text)
    ]
    return {
        **about(school, language, translator),
        "title": filled(text.title),
        "blocks": [block for block in shown if block.lines],
        "languages": switch(column.texts),
    }


def about(school: School, language: str, translator: Says) -> dict[str, Any]:
    """What every page shows: its language, whose it is, and how to call them."""
    given = columns.phones(school)
    office = wording.filled("{office_phone}", given, {}, school, language, translator) if "office_phone" in given else ""
    return {
        **named(language),
        "gone": wording.spoken(GONE, language, translator),
        "school": school.name,
        "office": wording.spoken(OFFICE, language, translator),
        "phone": _to_call(given["office_phone"], office) if office else "",
        "style": STYLE_VERSION,
    }


def _to_call(value: Any, written: str) -> Markup:
    number = value["phone"] if isinstance(value, dict) else re.sub(r"\D", "", value)
    return Markup('<a class="phone" href="tel:{}"><bdi>{}</bdi></a>').format(number, written)


def named(tag: str) -> dict[str, str]:
    return {
        "language": tag,
        "name": languages.own_name(tag),
        "direction": "rtl" if languages.is_right_to_left(tag) else "ltr",
    }


def switch(known: Collection[str]) -> list[dict[str, str]]:
    """The languages of a page, for its switch, each as its speakers call it."""
    return sorted(map(named, known), key=lambda tag: tag["name"].casefold())


def answer(
    templates: Environment, template: str, status: int, shown: Mapping[str, Any], headers: Mapping[str, str] | None = None
) -> HTMLResponse:
    """A page. `headers` are those that are other than a plain page's; one that says that something is gone is not to be kept."""
    kept = FRESH if status == 200 else {"Cache-Control": "no-store"}
    all_headers = {**HEADERS, **kept, **(headers or {}), "Content-Language": shown["language"]}
    return HTMLResponse(templates.get_template(template).render(shown), status, all_headers)
