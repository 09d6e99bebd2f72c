"""A teacher's own draft about one child: sentences of the bank, and what they write themselves. It waits as those from marks do."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from puente.messaging.wording import Says
from puente.models import HubError, Message, MessageState
from puente.programs.progress import drafts
from puente.programs.progress.bank import BANK


class NothingWritten(HubError):
    """Pick a sentence, or write one of your own."""


class NoSuchSentence(HubError):
    """The bank has no sentence with this number."""


class WrittenAlready(HubError):
    """You have written exactly this about this child today, and it was sent or thrown away."""


async def write(
    session: AsyncSession, student_id: str, picked: Sequence[int], text: str, author_id: int, at: datetime, says: Says,
    subject: str | None = None, language: str = "en",
) -> int:  # fmt: skip
    """A draft of sentences of the bank, and of a teacher's own `text` after them. Theirs alone may be in another language than
    English: then those of the bank are said in it too, as people have translated them. Exactly the same on the same day is the same
    draft. Returns its number; raises NothingWritten, NoSuchSentence, WrittenAlready, and a HubError for a field without a value."""
    bank = [starter.sentence for starter in BANK if starter.number in picked]
    if len(bank) < len({*picked}):
        raise NoSuchSentence(NoSuchSentence.__doc__)
    if not bank and not text:
        raise NothingWritten(NothingWritten.__doc__)
    wrote = language if text else "en"
    sentences = [says.say(sentence, wrote) or sentence for sentence in bank]
    message_id = await drafts.write_one(session, student_id, [*sentences, *([text] if text else [])], author_id, at, subject, wrote)
    if (await session.get_one(Message, message_id)).state is not MessageState.draft:
        raise WrittenAlready(WrittenAlready.__doc__)
    return message_id
