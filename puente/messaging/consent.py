"""Consent: a family's STOP, START and HELP, and what a carrier tells us about an address. Every change is a line in the ledger.

`obey` is where a STOP is handled. `note_failure` is where a carrier's "opted out" and "no such number" are.
"""

import unicodedata
from collections.abc import Sequence
from datetime import datetime
from typing import Literal

import structlog
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging import outbox
from puente.messaging.channels.base import Heard, Trouble
from puente.models import ConsentEntry, Contact, Delivery, Person, Task, TaskKind, database
from puente.translations import languages

log = structlog.get_logger()

Wish = Literal["stop", "start", "help"]

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
        ANZA; شروع; TANGIRA
    """,
    "help": """
        HELP; INFO
        AYUDA; AJUDA; AIDE
        TRO GIUP; TRỢ GIÚP; GIUP DO; GIÚP ĐỠ
        مساعدة
        帮助; 幫助
        ПОМОЩЬ; СПРАВКА
        MSAADA; کمک; UBUFASHA
    """,
}

# The words that our own sentences name: one of the above in the reader's language. STOP and START always work too.
STOP_WORD = {"ar": "توقف", "es": "ALTO", "fr": "ARRET", "pt": "PARAR", "ru": "СТОП", "vi": "DUNG", "zh": "停止"}
START_WORD = "START"

ASKED_TO_STOP = "This contact asked us to stop."


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
    """Do what a family asked, for every person at that address, before anything else happens to the text."""
    ids = [contact.id for contact in contacts if contact.id is not None]
    if wish == "stop":
        await _stop(session, ids, by=heard.text.strip()[:64], source=heard.origin, at=heard.at)
    elif wish == "start":
        await session.execute(update(Contact).where(col(Contact.id).in_(ids)).values(stopped_at=None))
        _enter(session, ids, "granted", heard.text.strip()[:64], heard.origin, heard.at)
    log.info("consent.changed", wish=wish, contacts=len(ids))


async def note_failure(session: AsyncSession, delivery_id: int, trouble: Trouble, reason: str, at: datetime) -> None:
    """What a delivery that failed says about its contact. Either way a person is asked to reach the family."""
    row = (
        await session.execute(
            select(Contact, Delivery, col(Person.language))
            .join(Delivery, col(Delivery.contact_id) == col(Contact.id))
            .join(Person, col(Person.id) == col(Contact.person_id))
            .where(col(Delivery.id) == delivery_id)
        )
    ).one()
    contact, delivery, language = row
    reason = outbox.short(reason) or ""
    if trouble is Trouble.stopped:
        # The carrier knows the number, not the person: whoever shares it is stopped too.
        sharing = select(col(Contact.id)).where(col(Contact.channel) == contact.channel, col(Contact.address) == contact.address)
        await _stop(
            session,
            [number for number in await session.scalars(sharing) if number],
            by="carrier",
            source=f"delivery:{delivery_id}",
            at=at,
        )
    elif trouble is Trouble.bad_address and contact.bad_at is None:
        contact.bad_at, contact.bad_reason = at, reason
    kind = TaskKind.repair if trouble is Trouble.bad_address else TaskKind.call
    key = f"repair:{contact.id}" if kind is TaskKind.repair else f"call:{delivery.message_id}:{contact.person_id}"
    task = Task(
        key=key, kind=kind, reason=reason, message_id=delivery.message_id, person_id=contact.person_id, contact_id=contact.id,
        language=language, created_at=at,
    )  # fmt: skip
    await database.add_once(session, task)


async def _stop(session: AsyncSession, contact_ids: Sequence[int], *, by: str, source: str, at: datetime) -> None:
    await session.execute(
        update(Contact).where(col(Contact.id).in_(contact_ids), col(Contact.stopped_at).is_(None)).values(stopped_at=at)
    )
    await outbox.cancel_for(session, contact_ids, ASKED_TO_STOP)
    _enter(session, contact_ids, "stopped", by, source, at)


def _enter(session: AsyncSession, contact_ids: Sequence[int], change: str, by: str, source: str, at: datetime) -> None:
    session.add_all(ConsentEntry(contact_id=contact_id, change=change, by=by, source=source, at=at) for contact_id in contact_ids)
