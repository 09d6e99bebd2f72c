"""Language tags, read one way everywhere: which two are one language, what a person calls it, and how CLDR writes in it."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import lru_cache

import langcodes
from babel import Locale, UnknownLocaleError
from babel.core import get_global
from langcodes.tag_parser import LanguageTagError

ENGLISH = Locale("en")

# The scripts that Unicode sets from right to left, of those that living languages use.
RIGHT_TO_LEFT = {"Adlm", "Arab", "Aran", "Hebr", "Nkoo", "Rohg", "Syrc", "Thaa"}

# Where CLDR has another language's name for it, or one that its speakers do not use.
OWN_NAMES = {"ht": "Kreyòl ayisyen", "tl": "Tagalog", "zh-Hans": "简体中文"}

NOT_A_LANGUAGE = {"und", "mul", "zxx", "mis", "art"}


@lru_cache(maxsize=1024)
def canonical(tag: str) -> str | None:
    """The BCP 47 tag for what was written, or None. Chinese is told apart by its script, which is what a reader needs."""
    try:
        if not langcodes.tag_is_valid(tag):
            return None
        found = langcodes.Language.get(langcodes.standardize_tag(tag, macro=True))
    except ValueError:
        return None
    if (
        found.language is None
        or found.language in NOT_A_LANGUAGE
        or ("qaa" <= found.language <= "qtz" and len(found.language) == 3)
    ):
        return None
    if found.language == "zh" and found.script is None:
        return f"zh-{found.maximize().script}"
    return found.to_tag() if len(found.to_tag()) <= 35 else None


@lru_cache(maxsize=1024)
def written(tag: str) -> tuple[str, str]:
    """The language and the script that a BCP 47 tag stands for: es-MX is ("es", "Latn"), zh-TW is ("zh", "Hant").

    The script is empty where nobody knows it, and a tag that is none stands for itself.
    """
    try:
        language = langcodes.Language.get(tag)
    except LanguageTagError:
        return tag.casefold(), ""
    return language.language or tag.casefold(), language.script or _usual_script(language)


def same(one: str, other: str) -> bool:
    """Whether who reads the one reads the other. Spanish of Mexico is Spanish; Traditional Chinese is not Simplified."""
    return written(one) == written(other)


@lru_cache(maxsize=1024)
def base(tag: str) -> str:
    """The tag that all who read the same share: es for es-MX, zh-Hant for zh-TW."""
    language, script = written(tag)
    usual = language != "zh" and script == _usual_script(langcodes.Language.make(language=language))
    return f"{language}-{script}" if script and not usual else language


@lru_cache(maxsize=1024)
def parents(tag: str) -> tuple[str, ...]:
    """The tag and what it may fall back to, nearest first, in the same script: zh-Hant-HK, zh-Hant, but never zh."""
    return tuple(shorter for shorter in _shorter(tag) if same(shorter, tag))


def is_right_to_left(tag: str) -> bool:
    """Whether a language is written from right to left, as far as CLDR knows it."""
    return written(tag)[1] in RIGHT_TO_LEFT


@lru_cache(maxsize=1024)
def name(tag: str) -> str:
    """The language as a teacher calls it, in English; the tag itself where Babel knows no name for it."""
    names = (ENGLISH.languages.get(shorter.replace("-", "_")) for shorter in _shorter(tag))
    return next((found for found in names if found), tag)


@lru_cache(maxsize=1024)
def name_for(tag: str, reader: str) -> str:
    """The language as somebody who reads `reader` calls it; in English where CLDR does not say."""
    here = locale(reader)
    names = (here.languages.get(shorter.replace("-", "_")) for shorter in _shorter(tag)) if here else iter(())
    return next((found for found in names if found), name(tag))


@lru_cache(maxsize=1024)
def own_name(tag: str) -> str:
    """The language as its speakers call it: Español, Kiswahili, 简体中文."""
    if tag in OWN_NAMES:
        return OWN_NAMES[tag]
    try:
        found = Locale.parse(tag, sep="-").get_display_name() or tag
    except (UnknownLocaleError, ValueError):
        found = name(tag)
    return found[:1].upper() + found[1:]


def nearest(tag: str, known: Iterable[str]) -> str | None:
    """Of the languages that there are, the one that who reads `tag` reads best: itself, its parent, or one that is the same."""
    there = list(known)
    readable = (*parents(tag), *(other for other in there if same(other, tag)))
    return next((other for other in readable if other in there), None)


@lru_cache(maxsize=1024)
def locale(tag: str) -> Locale | None:
    """The nearest locale that CLDR can write dates in, or nothing.

    CLDR lists languages such as Navajo whose months it has no names for; it would write "M12" and "Thu".
    """
    for shorter in parents(tag):
        try:
            found = Locale.parse(shorter, sep="-")
        except (UnknownLocaleError, ValueError):
            continue
        if not found.months["format"]["wide"][12].startswith("M12") and found.days["format"]["wide"][3] != "Thu":
            return found
    return None


def _usual_script(language: langcodes.Language) -> str:
    """As CLDR's list has it; langcodes has one too, but answers "Latn" for what it does not know."""
    known = get_global("likely_subtags")
    likely = known.get(f"{language.language}_{language.territory}") or known.get(language.language or "") or ""
    return next((subtag for subtag in likely.split("_") if len(subtag) == 4), "")


@lru_cache(maxsize=1024)
def in_region(tag: str, region: str) -> str:
    """The tag as it is written where the family lives, where CLDR knows that: es in the US says 3:30 p.m., and es alone 15:30."""
    here = f"{tag}-{region}"
    try:
        known = langcodes.Language.get(tag).territory is None and Locale.parse(here, sep="-")
    except (UnknownLocaleError, ValueError):
        return tag
    return here if known else tag


def _shorter(tag: str) -> Iterator[str]:
    with suppress(LanguageTagError):
        tag = langcodes.standardize_tag(tag)
    subtags = tag.split("-")
    while subtags:
        yield "-".join(subtags)
        subtags.pop()
