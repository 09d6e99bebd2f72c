"""The glossary: how the school says its own words in each language, to be looked up, changed, and exchanged with translators."""

import tempfile
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, File, Form, Request, UploadFile
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, Response

from puente.messaging.access import Reader
from puente.models import HubError
from puente.translations import exchange, glossary, languages
from puente.translations.glossary import Entry
from puente.web.staff import frame
from puente.web.staff.desk import Desk
from puente.web.staff.frame import _
from puente.web.staff.gate import After, Id, NotThere, Reviewer

SOURCE = "en"
ENDINGS = (".csv", ".tbx")
MOST_BYTES = 5 * 1024**2
TYPES = {"csv": "text/csv; charset=utf-8", "tbx": "application/xml"}

frame.may_say(
    term_kept=_("The term is kept. The machine says it so from now on."),
    term_removed=_("The term is removed."),
    terms_read=_("The terms of the file are in the glossary."),
)

Text = Annotated[str, Form(max_length=400)]
Tag = Annotated[str, Form(max_length=35)]


class NoSuchLanguage(HubError):
    """This language is not known. Choose one from the list, or write its code, such as es, vi or zh-Hans."""


class NoFile(HubError):
    """Choose a file: TBX, or CSV with the columns term and translation, of at most 5 MB."""


def glossary_routes() -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/glossary")
    async def glossary_page(request: Request, reader: Reviewer, to: str = "", after: After = 0) -> HTMLResponse:
        return await _glossary(request, reader, to, after=after)

    @router.post("/glossary")
    async def put(
        request: Request, reader: Reviewer, to: Tag = "", term: Text = "", translation: Text = "", offer: Text = ""
    ) -> Response:  # fmt: skip
        desk: Desk = request.app.state.desk
        typed = {"term": term, "translation": translation}
        try:
            target, entry = _language(to), Entry(term, translation, enforced=not offer)
            async with desk.sessions.begin() as session:
                await glossary.put(session, [entry], SOURCE, target, desk.now(), reader.person_id)
        except HubError as wrong:
            return await _glossary(request, reader, to, typed=typed, error=frame.sentence(wrong))
        desk.translator.look_again()
        return frame.redirect("/glossary", said="term_kept", to=target)

    @router.post("/glossary/search")
    async def search(request: Request, reader: Reviewer, to: Tag = "", query: Text = "") -> HTMLResponse:
        return await _glossary(request, reader, to, query=query)

    @router.post("/glossary/import")
    async def read_file(
        request: Request, reader: Reviewer, to: Tag = "", file: Annotated[UploadFile | None, File()] = None
    ) -> Response:  # fmt: skip
        desk: Desk = request.app.state.desk
        try:
            found = await _read(file, _language(to))
            async with desk.sessions.begin() as session:
                for pair in sorted({(languages.base(one), languages.base(other)) for one, other, _entry in found}):
                    entries = [entry for one, other, entry in found if (languages.base(one), languages.base(other)) == pair]
                    await glossary.put(session, entries, *pair, desk.now(), reader.person_id)
        except HubError as wrong:
            return await _glossary(request, reader, to, error=frame.sentence(wrong))
        desk.translator.look_again()
        return frame.redirect("/glossary", said="terms_read", to=_language(to))

    @router.get("/glossary/export.{kind}")
    async def write_file(request: Request, reader: Reviewer, kind: str, to: str = "") -> Response:
        desk: Desk = request.app.state.desk
        if kind not in TYPES:
            raise NotThere(NotThere.__doc__)
        async with desk.sessions() as session:
            rows = await glossary.everything(session, SOURCE, languages.canonical(to) if to else None)
        if kind == "tbx" and not to:
            raise NotThere(NotThere.__doc__)
        content = await run_in_threadpool(exchange.write_glossary, rows, kind)
        return frame.attachment(content, TYPES[kind], f"glossary.{kind}")

    @router.post("/glossary/{term_id}/remove")
    async def remove(request: Request, reader: Reviewer, term_id: Id) -> Response:
        desk: Desk = request.app.state.desk
        async with desk.sessions.begin() as session:
            gone = await glossary.remove_one(session, term_id)
        if gone is None:
            return frame.redirect("/glossary", said="term_removed")
        desk.translator.look_again()
        return frame.redirect("/glossary", said="term_removed", to=gone.target_language)

    return router


async def _glossary(
    request: Request, reader: Reader, to: str, *, after: int = 0, query: str = "", typed: dict[str, str] | None = None,
    error: str = "",
) -> HTMLResponse:  # fmt: skip
    desk: Desk = request.app.state.desk
    known = [tag for tag in desk.translator.languages() if not languages.same(tag, SOURCE)]
    async with desk.sessions() as session:
        used = await glossary.targets(session)
        others = [tag for tag in used if languages.nearest(tag, known) is None and not languages.same(tag, SOURCE)]
        tags = [*known, *others]
        target = languages.canonical(to) or languages.nearest(reader.writes, known) or known[0]
        ours = await glossary.page(session, SOURCE, target, after=after, query=query)
    more = ours[glossary.PAGE - 1].id if len(ours) > glossary.PAGE and not query else None
    starter: list[Entry] = [one for one in glossary.starter(target) if _is_meant(one, query)]
    names = frame.words_of(request, reader)
    choices = frame.choices(
        sorted(((tag, names.language_name(tag)) for tag in tags), key=lambda one: one[1]), _chosen(target, tags)
    )
    shown: dict[str, Any] = {"term": "", "translation": "", **(typed or {})}
    return frame.page(
        request, reader, "glossary.html", status=400 if error else 200, error=error, ours=ours[: glossary.PAGE], starter=starter,
        more=more, target=target, languages=choices, query=query, typed=shown,
    )  # fmt: skip


def _chosen(target: str, tags: list[str]) -> str:
    return languages.nearest(target, tags) or target


def _is_meant(entry: Entry, query: str) -> bool:
    word = glossary.key_of(query)
    return word in glossary.key_of(entry.term) or word in glossary.key_of(entry.translation)


def _language(tag: str) -> str:
    found = languages.canonical(tag.strip()) if tag.strip() else None
    if found is None or languages.same(found, SOURCE):
        raise NoSuchLanguage(NoSuchLanguage.__doc__)
    return found


async def _read(file: UploadFile | None, target: str) -> list[tuple[str, str, Entry]]:
    """The terms of a file that somebody has chosen. Raises NoFile, BadFile."""
    ending = Path(file.filename or "").suffix.lower() if file else ""
    if file is None or ending not in ENDINGS or (file.size or 0) > MOST_BYTES:
        raise NoFile(NoFile.__doc__)
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder) / f"glossary{ending}"
        kept.write_bytes(await file.read())
        return await run_in_threadpool(exchange.read_glossary, kept, SOURCE, target)
