"""The pages' own words: `python -m tools.words` finds every phrase of the staff's pages and puts it into their catalogues.

    templates (t, n), Python (_) and what errors say → puente/web/words/puente.pot → es.po and the others, with what is said so far

`--say FILE.json` adds translations: {"es": {"Inbox": "Mensajes recibidos"}}; of a phrase that counts, a list of its forms. Each is
marked as a draft until a speaker has approved it. `--missing es` lists what nobody has said yet, as such a file to fill in.
"""

import argparse
import ast
import fcntl
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

from puente.translations.fields import FIELD
from puente.web.staff.desk import WORDS

WEB = WORDS.parent
DRAFT = "draft: to be reviewed by a speaker"
KEYWORDS = {"t": None, "_": None, "n": (1, 2)}
METHODS = [("staff/**.py", "python"), ("templates/staff/**.html", "jinja2.ext:babel_extract")]
OPTIONS = {"templates/staff/**.html": {"trim_blocks": "true", "lstrip_blocks": "true"}}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tools.words", description="Bring the catalogues of the staff's pages up to date."
    )
    parser.add_argument("--say", type=Path, metavar="FILE.json", help="add these translations")
    parser.add_argument("--missing", metavar="LANGUAGE", help="print what is not said in this language yet")
    given = parser.parse_args()
    # Several may do this at once: the files are read, changed and written by one after the other.
    with (WORDS / "puente.pot").open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        template = found()
        said = json.loads(given.say.read_text(encoding="utf-8")) if given.say else {}
        write(template, WORDS / "puente.pot")
        for language in sorted({*said, *(file.stem for file in WORDS.glob("*.po"))}):
            write(brought_up(template, language, said.get(language, {})), WORDS / f"{language}.po")
    if given.missing:
        print(json.dumps({given.missing: missing(given.missing)}, ensure_ascii=False, indent=1))


def found() -> Catalog:
    """A catalogue of every phrase that the pages say."""
    template = Catalog(project="Puente's pages", charset="utf-8")
    phrases = extract_from_dir(WEB, METHODS, OPTIONS, KEYWORDS, strip_comment_tags=True)
    for _file, _line, phrase, _comments, _context in sorted(phrases, key=lambda one: (one[0], one[1])):
        template.add(phrase)
    for reason in reasons():
        template.add(reason)
    return template


def reasons() -> Iterator[str]:
    """What stands in the way, as pages say it: the docstring of each error that a person may be shown."""
    for file in sorted(file for package in ("messaging", "programs", "web/staff") for file in (WEB.parent / package).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            errors = {base.id for base in node.bases if isinstance(base, ast.Name)} if isinstance(node, ast.ClassDef) else set()
            if isinstance(node, ast.ClassDef) and "HubError" in errors and (said := ast.get_docstring(node)):
                yield " ".join(said.split())


def brought_up(template: Catalog, language: str, said: dict[str, Any]) -> Catalog:
    """A language's catalogue with the template's phrases, what was said of them so far, and what is said now."""
    file = WORDS / f"{language}.po"
    before = read(file) if file.exists() else Catalog(locale=language, charset="utf-8")
    now = Catalog(locale=language, project="Puente's pages", charset="utf-8", fuzzy=False)
    for message in template:
        if not message.id:
            continue
        one = message.id if isinstance(message.id, str) else message.id[0]
        known = before.get(one)
        if known and isinstance(known.id, str) != isinstance(message.id, str):
            known = None  # it counts now, or does not any more: what was said of it does not fit
        comments = known.user_comments if known else []
        string = known.string if known else ""
        if one in said:
            string, comments = said[one] if isinstance(said[one], str) else tuple(said[one]), [DRAFT]
        now.add(message.id, string, user_comments=comments)
    return now


def missing(language: str) -> dict[str, Any]:
    return dict(_unsaid(read(WORDS / f"{language}.po")))


def _unsaid(catalogue: Catalog) -> Iterator[tuple[str, Any]]:
    """What nobody has said, or said with other fields than the phrase has: the pages do not say that either."""
    for message in catalogue:
        if message.id and not all(_has_fields_of(message.id, form) for form in _forms(message)):
            yield (message.id, "") if isinstance(message.id, str) else (message.id[0], [""] * catalogue.num_plurals)


def _forms(message: Message) -> tuple[str, ...]:
    return (message.string,) if isinstance(message.string, str) else tuple(message.string or ("",))


def _has_fields_of(phrase: str | Sequence[str], said: str) -> bool:
    counted = phrase if isinstance(phrase, str) else phrase[-1]
    return bool(said) and set(FIELD.findall(counted)) == set(FIELD.findall(said))


def read(file: Path) -> Catalog:
    with file.open("rb") as opened:
        return read_po(opened, charset="utf-8")


def write(catalogue: Catalog, file: Path) -> None:
    # Made whole before the file is touched: half a catalogue would be worse than none.
    made = io.BytesIO()
    write_po(made, catalogue, width=0, no_location=True, omit_header=False, sort_output=False, include_previous=False)
    # When that was says nothing, and two who add words at once would both have changed the line.
    lines = made.getvalue().splitlines(keepends=True)
    file.write_bytes(b"".join(line for line in lines if not line.startswith(b'"POT-Creation-Date:')))


if __name__ == "__main__":
    main()
