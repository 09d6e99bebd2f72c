"""What Puente knows by heart: the sentences of `puente.pot`, said in each language by the .po file beside it.

People write these files, with any translator's tool. A comment that begins with "draft" marks a sentence that no speaker has
approved yet; one that begins with "also" lists other ways in which families write the same, with ` | ` between them.

A sentence that counts something has the plural forms of its language, and is asked for with the number: Arabic has six of them.
"""

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from gettext import c2py
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.pofile import read_po

from puente.translations import languages, segments
from puente.translations.fields import FIELD

ALSO = "also:"
HERE = Path(__file__).parent
QUESTION_MARKS = "?？؟՞"
# Letters that accents alone do not explain, folded as families type them.
PLAIN_LETTERS = str.maketrans({"đ": "d", "ı": "i", "ł": "l", "ø": "o", "æ": "ae", "œ": "oe", "’": "'", "‘": "'", "ʼ": "'"})


# The languages that the hub speaks by heart: English, and those that somebody has written a catalogue in.
SPOKEN = ("en", *sorted(file.stem for file in HERE.glob("*.po")))


def is_spoken(language: str) -> bool:
    """Whether the hub's own sentences can be said to who reads this language."""
    return languages.nearest(language, SPOKEN) is not None


@dataclass(frozen=True)
class _Catalogue:
    """What one language says. `counted` has every form of a sentence, by each of its English ones, and `form_of` says which it is
    for a number; `exact` and `folded` lead from how a family may write a sentence to its English."""

    said: dict[str, str]
    counted: dict[str, tuple[str, ...]]
    form_of: Callable[[int], int]
    drafts: frozenset[str]
    exact: dict[str, str]
    folded: dict[str, str]


class Phrases:
    """The catalogues of a folder, each read once, when its language is first wanted."""

    def __init__(self, folder: Path = HERE) -> None:
        self._files = {"en": folder / "puente.pot", **{file.stem: file for file in sorted(folder.glob("*.po"))}}
        self._read: dict[str, _Catalogue] = {}

    def say(self, english: str, language: str, number: int | None = None) -> str | None:
        """The phrase in a language or its nearest parent, with its fields still open; None where nobody has written it.

        A phrase that counts is given in either of its English forms, and said only where its `number` is known.
        """
        catalogue = self._catalogue(language)
        if catalogue is None:
            return None
        forms = catalogue.counted.get(english)
        if forms is None or number is None:
            return catalogue.said.get(english)
        return forms[catalogue.form_of(abs(number))]

    def english(self, sentence: str, language: str) -> str | None:
        """The English phrase that a family wrote in its own language, forgiving case, marks around it and forgotten accents.

        Only whole sentences without fields are known this way. A written question is never heard as a statement.
        """
        catalogue = self._catalogue(language)
        if catalogue is None:
            return None
        english = catalogue.exact.get(_sound(sentence)) or catalogue.folded.get(_fold(sentence))
        if english and _asks(sentence) and not _asks(catalogue.said[english]):
            return None
        return english

    def languages(self) -> list[str]:
        """The languages that have a catalogue, English among them."""
        return sorted(self._files)

    def is_draft(self, english: str, language: str) -> bool:
        """Whether no speaker of the language has approved this phrase yet."""
        catalogue = self._catalogue(language)
        return catalogue is not None and english in catalogue.drafts

    def phrases(self) -> list[str]:
        """All phrases, in English; of one that counts, its form for one."""
        english = self._catalogue("en")
        assert english
        return [*english.said, *dict.fromkeys(forms[0] for forms in english.counted.values())]

    def _catalogue(self, language: str) -> _Catalogue | None:
        tag = languages.nearest(language, self._files)
        if tag is None:
            return None
        if tag not in self._read:
            self._read[tag] = _english(self._files[tag]) if tag == "en" else _said(self._files[tag])
        return self._read[tag]


@cache
def open_phrases() -> Phrases:
    """The hub's own sentences to families."""
    return Phrases()


def _english(file: Path) -> _Catalogue:
    template = list(_written(_read(file), template=True))
    said = {message.id: message.id for message in template if isinstance(message.id, str)}
    counted = {name: message.id for message in template if isinstance(message.id, tuple) for name in message.id}
    return _Catalogue(said, counted, lambda number: int(number != 1), frozenset(), *_by_sound(list(said.items())))


def _said(file: Path) -> _Catalogue:
    catalogue, said, counted, drafts = _read(file), {}, {}, set()
    heard: list[tuple[str, str]] = []
    for message in _written(catalogue):
        english, forms = _ids(message)[0], _forms(message)
        if isinstance(message.id, str):
            said[english] = forms[0]
        elif len(forms) == catalogue.num_plurals:
            counted.update(dict.fromkeys(_ids(message), forms))
        notes = [comment.strip() for comment in message.user_comments]
        if any(note.casefold().startswith("draft") for note in notes):
            drafts.update(_ids(message))
        also = [form for note in notes if note.startswith(ALSO) for form in note.removeprefix(ALSO).split("|")]
        heard.extend((english, form.strip()) for form in also)
    return _Catalogue(
        said, counted, c2py(catalogue.plural_expr), frozenset(drafts), *_by_sound([*said.items(), *heard])
    )  # fmt: skip


def _read(file: Path) -> Catalog:
    with file.open("rb") as opened:
        return read_po(opened, charset="utf-8")


def _written(catalogue: Catalog, *, template: bool = False) -> Iterator[Message]:
    """The entries that somebody has written. A sentence that lost a field would lose a child's name: as good as not written."""
    for message in catalogue:
        if message.id and (template or (not message.fuzzy and all(_same_fields(message.id, form) for form in _forms(message)))):
            yield message


def _ids(message: Message) -> tuple[str, ...]:
    return (message.id,) if isinstance(message.id, str) else tuple(message.id)


def _forms(message: Message) -> tuple[str, ...]:
    return (message.string,) if isinstance(message.string, str) else tuple(message.string or ("",))


def _same_fields(english: str | tuple[str, ...] | list[str], said: str) -> bool:
    names = english if isinstance(english, str) else english[-1]
    return bool(said) and set(FIELD.findall(names)) == set(FIELD.findall(said))


def _by_sound(said: list[tuple[str, str]]) -> tuple[dict[str, str], dict[str, str]]:
    """From how a phrase may be written to its English, with its accents and without. A form that two share belongs to neither."""
    whole = [(english, sentence) for english, sentence in said if not FIELD.search(sentence)]
    exact = _unique({(_sound(sentence), english) for english, sentence in whole})
    folded = _unique({(_fold(sentence), english) for english, sentence in whole})
    return exact, folded


def _unique(pairs: set[tuple[str, str]]) -> dict[str, str]:
    often = Counter(form for form, _ in pairs)
    return {form: english for form, english in pairs if form and often[form] == 1}


def _sound(sentence: str) -> str:
    """Lower case, single spaces, and nothing around it but letters and digits."""
    text = " ".join(unicodedata.normalize("NFC", sentence).casefold().split())
    inside = [place for place, letter in enumerate(text) if unicodedata.category(letter)[0] in "LN"]
    if not inside:
        return ""
    end = inside[-1] + 1
    while end < len(text) and unicodedata.category(text[end]) in ("Mn", "Mc"):
        end += 1
    return text[inside[0] : end]


def _fold(sentence: str) -> str:
    return segments.without_accents(_sound(sentence).translate(PLAIN_LETTERS))


def _asks(sentence: str) -> bool:
    return any(mark in sentence for mark in QUESTION_MARKS)
