"""Which language a family reads: set by one text, asked about where they write in another, and never changed by a guess.

LANG, IDIOMA, 语言 …              we ask which, with the languages' own names
Español, Tiếng Việt, Kiswahili …   from now on in that language, and the answer is in it
a text in another language         we ask in both, at most once a month; 1 is yes, 2 is no
"""

from collections.abc import Iterator
from functools import lru_cache

import structlog
from babel import Locale
from sqlalchemy.ext.asyncio import AsyncSession

from puente.messaging import answers, audiences, composing, consent, outbox
from puente.messaging.answers import Choice
from puente.messaging.channels.base import Heard
from puente.messaging.composing import Draft
from puente.models import Contact, Kind, MessageState, Person
from puente.translations import detection, languages
from puente.translations.phrases import SPOKEN, is_spoken

log = structlog.get_logger()

WHICH = "Which language do you want our messages in?"
ANOTHER = "You wrote in another language. Do you want our messages in that language? Reply 1 for yes, 2 for no."
THIS = "Do you want our messages in this language? Reply 1 for yes, 2 for no."
CHANGED = "From now on, you will get our messages in this language."
STAYS = "The language of your messages stays the same."
YES, NO = "1", "2"
YES_OR_NO = (Choice(YES, say="Yes."), Choice(NO, say="No."))

# How families ask for it, in the catalogue's languages.
ASKING = """
    LANG; LANGUAGE; LANGUAGES; IDIOMA; LENGUA; LENGUAJE; LANGUE; LÍNGUA; LUGHA; LUUQAD; LUQAD; WIKA; NGON NGU; NGÔN NGỮ
    ЯЗЫК; МОВА; لغة; اللغة; زبان; 语言; 語言; 언어
"""
# Names that CLDR does not give, as families write them.
ALSO = {
    "en": "inglés; anglais; tiếng anh; 英语; 英文; 영어; английский; англійська; الإنجليزية; انگلیسی; angle; ingiriis; kiingereza",
    "es": "espanol; castellano; spanish",
    "fa": "farsi; dari; persian; دری",
    "ht": "kreyol; kreyòl; creole; krèyol",
    "pt": "portugues; brasileiro",
    "so": "soomaali; somali; af soomaali; af-soomaali",
    "sw": "swahili; kiswahili",
    "tl": "tagalog; filipino; pilipino",
    "vi": "tieng viet; viet; việt",
    "zh-Hans": "chinese; mandarin; 中文; 汉语; 普通话; 简体中文; 简体",
}  # fmt: skip


async def hear(session: AsyncSession, heard: Heard, contact: Contact) -> bool:
    """Do what a text asks about the language of its writer. Returns whether it asked for anything."""
    person = await session.get_one(Person, contact.person_id)
    if consent.folded(heard.text) in _asking():
        names = [name for _, name in own_names()]
        choices = [Choice(name, text=name) for name in names]
        await answers.say(session, contact, f"{WHICH}\n{{languages}}", heard, {"languages": ", ".join(names)}, choices)
        return True
    if wanted := named(heard.text):
        await _change(session, heard, contact, person, wanted)
        return True
    offered = await _offered(session, contact, heard) if heard.text.strip() in (YES, NO) else None
    if offered is None:
        return False
    if heard.text.strip() == YES:
        await _change(session, heard, contact, person, offered)
    else:
        await answers.say(session, contact, STAYS, heard)
    return True


async def ask_if_other(session: AsyncSession, heard: Heard, contact: Contact) -> str | None:
    """The language that a text is surely in, where that is another than its writer's: they are asked, in both, once a month."""
    person = await session.get_one(Person, contact.person_id)
    other = detection.is_other(heard.text, person.language)
    tag = languages.nearest(other, SPOKEN) if other else None
    if tag is None:
        return other
    draft = Draft(
        kind=Kind.system,
        text=f"{ANOTHER}\n{{other}}",
        fields={"other": {"word": THIS, "in": tag}, **answers.buttons(YES_OR_NO)},
        audience=audiences.only(f"contact:{contact.id}"),
        origin=f"language:{contact.id}:{tag}:{heard.at:%Y-%m}",
    )
    if not contact.stopped_at and is_spoken(person.language):
        await composing.write_new(session, draft, heard.at, state=MessageState.ready)
    return other


def named(text: str) -> str | None:
    """The language that the whole text is a name of."""
    return _named().get(consent.folded(text)) if len(text) <= 40 else None


@lru_cache(maxsize=1)
def own_names() -> tuple[tuple[str, str], ...]:
    """The languages that we speak by heart, each with the name that its speakers give it."""
    return tuple((tag, languages.own_name(tag)) for tag in SPOKEN)


async def _offered(session: AsyncSession, contact: Contact, heard: Heard) -> str | None:
    """The language that we have asked this contact about, if nothing else was delivered there since."""
    last = await outbox.last_said(session, contact.id or 0, heard.reply_ref)
    match last.fields if last else None:
        case {"other": {"word": word, "in": str(tag)}} if word == THIS:
            return tag
    return None


async def _change(session: AsyncSession, heard: Heard, contact: Contact, person: Person, tag: str) -> None:
    # Who reads Mexico's Spanish and asks for Spanish has it already, and keeps its dates.
    person.language = person.language if languages.same(person.language, tag) else tag
    person.chose_language_at = heard.at
    await session.flush()
    await answers.say(session, contact, CHANGED, heard)
    log.info("language.changed", person=person.id, language=tag)


@lru_cache(maxsize=1)
def _asking() -> frozenset[str]:
    return frozenset(consent.folded(word) for word in ASKING.replace("\n", ";").split(";") if word.strip())


@lru_cache(maxsize=1)
def _named() -> dict[str, str]:
    """From a language's name, folded, to its tag: in itself, in English, and in Spanish. A name of two languages names neither."""
    found: dict[str, set[str]] = {}
    for tag in SPOKEN:
        for name in _names(tag):
            found.setdefault(consent.folded(name), set()).add(tag)
    return {name: tags.pop() for name, tags in found.items() if len(tags) == 1 and name}


def _names(tag: str) -> Iterator[str]:
    # Not the codes: "so" and "es" are words.
    yield from (languages.own_name(tag), languages.name(tag))
    for reader in ("es", "fr", "ar", "ru", "vi"):
        yield Locale(reader).languages.get(languages.written(tag)[0], "")
    yield from ALSO.get(tag, "").split(";")
