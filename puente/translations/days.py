"""Which days of the week and which months a text names, by CLDR's words for them and their endings.

Only for comparing a text with its translation: a language whose words are not known here names nothing.
"""

import re
import unicodedata
from functools import lru_cache

from puente.translations import languages

# Written without spaces, or with what other languages say in a word of its own grown onto the name.
GROWN = {"ar", "ja", "km", "ko", "lo", "my", "th", "zh"}
# A name has other endings in other places of a sentence.
BENT = {"hy", "pl", "ru", "so", "uk"}
# "On Tuesdays", "los domingos", "aos domingos".
MANY = {"en", "es", "pt"}
OWN = {
    "ht": (
        ("lendi", "madi", "mèkredi", "jedi", "vandredi", "samdi", "dimanch"),
        ("janvye", "fevriye", "mas", "avril", "me", "jen", "jiyè", "out", "septanm", "oktòb", "novanm", "desanm"),
    ),
}  # fmt: skip
VIETNAMESE_DAYS = ("thứ 2", "thứ 3", "thứ 4", "thứ 5", "thứ 6", "thứ 7", "cn")
# English words that are something else where a sentence begins with them, or in lower case.
AMBIGUOUS = re.compile(r"(?:^|[.!?]\s+)(?:May|March)\b|\b(?:may|march)\b")


def weekdays(text: str, language: str) -> set[int]:
    """The days of the week that a text names. Monday is 0."""
    return _named(text, language, "days")


def months(text: str, language: str) -> set[int]:
    """The months that a text names. January is 1."""
    return {place + 1 for place in _named(text, language, "months")}


def knows(language: str) -> bool:
    return bool(_patterns(languages.written(language)[0], "days"))


def own_names(language: str) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """The weekdays and the months of a language in which CLDR says them in another's words."""
    return OWN.get(languages.written(language)[0])


def counts_months(language: str) -> bool:
    """Whether the language calls its months by their numbers."""
    locale = languages.locale(language)
    return bool(locale) and any(letter.isdigit() for letter in locale.months["format"]["wide"][12])


def _named(text: str, language: str, kind: str) -> set[int]:
    code = languages.written(language)[0]
    if code == "en":
        text = AMBIGUOUS.sub(" ", text)
    folded = _fold(text)
    return {place for place, pattern in enumerate(_patterns(code, kind)) if pattern.search(folded)}


@lru_cache(maxsize=256)
def _patterns(code: str, kind: str) -> tuple[re.Pattern[str], ...]:
    return tuple(
        re.compile("|".join(_pattern(name, code) for name in sorted(names, key=len, reverse=True))) for names in _names(code, kind)
    )


def _names(code: str, kind: str) -> list[set[str]]:
    if code in OWN:
        return [{_fold(name)} for name in OWN[code][kind == "months"]]
    locale = languages.locale(code)
    if locale is None:
        return []
    table = getattr(locale, kind)
    tables = [table["format"]["wide"], table["stand-alone"]["wide"]]
    if code == "zh" and kind == "days":
        tables.append({place: f"周{name[-1]}" for place, name in table["format"]["wide"].items()})
    places = range(7) if kind == "days" else range(1, 13)
    names = [{_fold(table[place]) for table in tables} for place in places]
    if code == "vi" and kind == "days":
        names = [{*known, _fold(short)} for known, short in zip(names, VIETNAMESE_DAYS, strict=True)]
    return [known | {name.removesuffix("-feira") for name in known} for known in names]


def _pattern(name: str, code: str) -> str:
    if code == "ar":
        bare = name.removeprefix("ال")
        return rf"(?:ال|لل|(?<!\w)){re.escape(bare)}"
    if code in GROWN:
        return rf"(?<!\d){re.escape(name)}"
    if code in BENT:
        kept = name[:-2] if len(name) > 6 else name[:-1] if len(name) > 3 else name
        return rf"(?<!\w){re.escape(kept)}\w{{1,{len(name) - len(kept) + 3}}}(?!\w)"
    return rf"(?<!\w){re.escape(name)}{'s?' if code in MANY else ''}(?!\w)"


def _fold(text: str) -> str:
    text = unicodedata.normalize("NFC", text).casefold().replace("\u200c", "")
    return re.sub("[’ʼ`]", "'", text)
