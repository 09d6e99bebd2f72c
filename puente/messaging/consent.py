"""Consent: a family's STOP, START and HELP, and a carrier's "opted out". Every change is a line in the ledger.

`obey` is where a STOP is handled.
"""

import unicodedata
from collections.abc import Sequence
from datetime import datetime
from typing import Literal

import structlog
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging import outbox
from puente.messaging.channels.base import Heard
from puente.models import ConsentEntry, Contact, database
from puente.translations import languages

log = structlog.get_logger()

Wish = Literal["stop", "start", "help"]
Scope = Literal["outreach", "urgent"]

# Where a contact keeps that it was stopped.
COLUMNS: dict[Scope, str] = {"outreach": "stopped_at", "urgent": "urgent_stopped_at"}

# Opting out is any reasonable wording, in any language, at once (47 CFR 64.1200; FACTS, "Consent and hours"). The first line of
# each is Twilio's own. YES is not a START here: it answers a question of ours, and nobody who stopped is asked one.
WORDS: dict[Wish, str] = {
    "stop": """
        STOP; STOPALL; UNSUBSCRIBE; CANCEL; END; QUIT; REVOKE; OPTOUT; OPT OUT; STOP ALL; NO MORE; REMOVE ME; STOP TEXTING ME
        ALTO; PARAR; PARE; BASTA; CANCELAR; BAJA; DETENER; NO MAS; NO MÁS MENSAJES; YA NO QUIERO MENSAJES
        SAIR; CANCELE; NÃO QUERO MAIS
        ARRET; ARRÊT; ARRÊTER; ARRÊTEZ; DÉSABONNER; DÉSINSCRIRE
        DUNG; DỪNG; DỪNG LẠI; NGUNG; NGỪNG; HUY; HỦY
        توقف; إيقاف; ايقاف; قف; إلغاء; الغاء; أوقف
        停止; 停; 退订; 退訂; 取消; 不要再发
        СТОП; ХВАТИТ; ОТПИСАТЬСЯ; ОТМЕНА; ОТПИСКА; ПРЕКРАТИТЬ
        ПРИПИНИТИ; ДОСИТЬ; ВІДПИСАТИСЯ; ЗУПИНИТИ; СКАСУВАТИ
        중지; 그만; 정지; 중단; 수신거부; TIGIL; ITIGIL; HINTO; TAMA NA
        SISPANN; KANPE; ANILE; JOOJI; JOOJIN; KANSAL
        ACHA; SIMAMA; SITISHA; توقف کنید; بس; ایستادن; لغو; HAGARIKA; GUHAGARIKA
    """,
    "start": """
        START; UNSTOP
        EMPEZAR; COMENZAR; INICIAR; ALTA; REANUDAR
        COMEÇAR; VOLTAR
        COMMENCER; REPRENDRE
        BAT DAU; BẮT ĐẦU; TIEP TUC; TIẾP TỤC
        ابدأ; ابدا; بدء; استئناف
        开始; 開始; 恢复; 恢復
        СТАРТ; НАЧАТЬ; ВОЗОБНОВИТЬ
        ПОЧАТИ; ВІДНОВИТИ; 시작; 재개; SIMULAN; MAGSIMULA; KÒMANSE; BILOW
        ANZA; شروع; TANGIRA
    """,
    "help": """
        HELP; INFO
        AYUDA; AJUDA; AIDE
        TRO GIUP; TRỢ GIÚP; GIUP DO; GIÚP ĐỠ
        مساعدة
        帮助; 幫助
        ПОМОЩЬ; СПРАВКА
        ДОПОМОГА; 도움말; 도움; TULONG; ÈD; CAAWIN; CAAWIMAAD
        MSAADA; کمک; UBUFASHA
    """,
}

# The words that our own sentences name: one of the above in the reader's language. STOP and START always work too.
STOP_WORD = {
    "ar": "توقف", "es": "ALTO", "fa": "لغو", "fil": "TIGIL", "fr": "ARRET", "ht": "SISPANN", "ko": "중지", "pt": "PARAR",
    "ru": "СТОП", "so": "JOOJI", "sw": "ACHA", "uk": "СТОП", "vi": "DUNG", "zh": "停止",
}  # fmt: skip
START_WORD = "START"

ASKED_TO_STOP = "This contact asked us to stop."
# A line of the ledger: somebody at the school keeps this contact, whatever the roster says of it.
KEPT = "kept"


def folded(text: str) -> str:
    """A text as it is compared: case and accents folded, punctuation and emoji trimmed, white space single."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", text.casefold().replace("đ", "d")) if not unicodedata.combining(c))
    return " ".join("".join(c if c.isalnum() else " " for c in plain).split())


_WISHES: dict[str, Wish] = {
    folded(word): wish for wish, words in WORDS.items() for word in words.replace("\n", ";").split(";") if word.strip()
}


def wish_of(text: str) -> Wish | None:
    """STOP, START or HELP, if the whole text is one of the words: "we must STOP this bill" is not an opt-out."""
    return _WISHES.get(folded(text))


def stop_word(language: str) -> str:
    """The word that a family who reads this language is told to answer with."""
    return STOP_WORD.get(languages.written(language)[0], "STOP")


async def obey(session: AsyncSession, wish: Wish, contacts: Sequence[Contact], heard: Heard) -> None:
    """Do what a family asked, for every person at that address, before anything else happens to the text.

    A STOP to the school's line silences its outreach; one to the line for emergencies silences both. START opens the line again
    that it was written to, and the line for emergencies opens both.
    """
    ids = [contact.id for contact in contacts if contact.id is not None]
    scopes: Sequence[Scope] = ("outreach", "urgent") if heard.urgent else ("outreach",)
    said = heard.text.strip()[:64]
    if wish == "stop":
        await _stop(session, ids, scopes, by=said, source=heard.origin, at=heard.at)
    elif wish == "start":
        await _start(session, ids, scopes, by=said, source=heard.origin, at=heard.at)
    log.info("consent.changed", wish=wish, contacts=len(ids))


async def stop_at_carrier(
    session: AsyncSession, contact_ids: Sequence[int], *, by: str, source: str, at: datetime, urgent: bool
) -> None:
    """The carrier says that the number has opted out of one of our lines: of the one for emergencies where `urgent`."""
    await _stop(session, contact_ids, ("urgent",) if urgent else ("outreach",), by=by, source=source, at=at)


async def note(
    session: AsyncSession, contact_ids: Sequence[int], change: Literal["stopped", "granted"], scopes: Sequence[Scope], by: str,
    source: str, at: datetime,
) -> None:  # fmt: skip
    """Somebody at the school was told: by mouth, by telephone, on a form. `source` says how, and `by` who wrote it down."""
    do = _stop if change == "stopped" else _start
    await do(session, contact_ids, scopes, by=by, source=source, at=at)


async def _start(
    session: AsyncSession, contact_ids: Sequence[int], scopes: Sequence[Scope], *, by: str, source: str, at: datetime
) -> None:
    opened: dict[str, None] = {COLUMNS[scope]: None for scope in scopes}
    theirs = database.in_order(col(Contact.id), col(Contact.id).in_(contact_ids))
    await session.execute(update(Contact).where(theirs).values(opened))
    _enter(session, contact_ids, "granted", scopes, by, source, at)


async def _stop(
    session: AsyncSession, contact_ids: Sequence[int], scopes: Sequence[Scope], *, by: str, source: str, at: datetime
) -> None:
    for scope in scopes:
        column = getattr(Contact, COLUMNS[scope])
        # Whoever has stopped already is not even locked: carriers say it again with each text, and would all wait for each other.
        theirs = database.in_order(col(Contact.id), col(Contact.id).in_(contact_ids), column.is_(None))
        await session.execute(update(Contact).where(theirs, column.is_(None)).values({COLUMNS[scope]: at}))
    about = outbox.to_contacts(contact_ids, outreach="outreach" in scopes, urgent="urgent" in scopes)
    await outbox.take_back(session, about, ASKED_TO_STOP)
    _enter(session, contact_ids, "stopped", scopes, by, source, at)


def _enter(
    session: AsyncSession, contact_ids: Sequence[int], change: str, scopes: Sequence[Scope], by: str, source: str, at: datetime
) -> None:
    session.add_all(
        ConsentEntry(contact_id=contact_id, change=change, scope=scope, by=by, source=source, at=at)
        for contact_id in contact_ids
        for scope in scopes
    )
