"""What the school itself has taught the translator, its memory and its glossary, as the translator asks for them.

Read from the database once, and again when somebody has changed a word, in this process or in another.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from time import monotonic

from puente.models import MadeBy
from puente.models.database import Sessions
from puente.translations import glossary, memory
from puente.translations.glossary import Terms

FRESH = 1.0  # seconds after which it asks again whether another process has changed a word
AT_ONCE = 2_000  # sentences looked for in one statement


class Words:
    """Without `sessions` there is no memory, and only the starter glossary."""

    def __init__(self, sessions: Sessions | None = None, now: Callable[[], datetime] | None = None) -> None:
        self._sessions, self._now = sessions, now
        self._terms: dict[tuple[str, str], Terms] = {}
        self._version = 0
        self._looked = float("-inf")

    async def changed(self) -> bool:
        """Whether a word was changed since the last time that this was asked."""
        if self._sessions is None or monotonic() - self._looked < FRESH:
            return False
        before, self._version = self._version, await memory.version(self._sessions)
        self._looked = monotonic()
        if self._version != before:
            self._terms.clear()
        return self._version != before

    def look_again(self) -> None:
        """Somebody in this process has just changed a word."""
        self._looked = float("-inf")

    async def terms(self, source: str, target: str) -> Terms:
        if (source, target) not in self._terms:
            self._terms[source, target] = await self._read_terms(source, target)
        return self._terms[source, target]

    async def recall(self, sentences: Iterable[str], source: str, target: str, engine: str) -> dict[str, tuple[str, MadeBy]]:
        """How these sentences were said before: `memory.recall`."""
        wanted, found = list(dict.fromkeys(sentences)), {}
        if self._sessions is None:
            return {}
        async with self._sessions() as session:
            for start in range(0, len(wanted), AT_ONCE):
                found |= await memory.recall(session, wanted[start : start + AT_ONCE], source, target, engine)
        return found

    async def keep(self, said: Mapping[str, str], source: str, target: str, engine: str) -> None:
        if self._sessions is None or self._now is None or not said:
            return
        async with self._sessions.begin() as session:
            await memory.keep(session, said, source, target, engine, self._now())

    async def _read_terms(self, source: str, target: str) -> Terms:
        if self._sessions is None:
            return Terms(glossary.starter(target) if source == glossary.STARTER_LANGUAGE else ())
        async with self._sessions() as session:
            return await glossary.terms(session, source, target)
