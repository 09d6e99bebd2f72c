"""Which language a text is in, found on this machine by py3langid, whose data lies inside the package.

Short texts say little, so it answers only where it is sure: nobody is asked to change their language because of one "ok".
"""

import unicodedata
from functools import lru_cache
from typing import Any

from puente.translations import languages
from puente.translations.segments import PROTECTED

FEWEST_LETTERS = 15
SURE = 0.95
ENOUGH = 2_000  # characters: what follows says no more
# What families at American schools speak at home, of what py3langid knows. Fewer choices make it surer.
_KNOWN = (
    "am ar bn bs de en es fa fr gu ha hi hr ht hy it ja ka km ko ku ln lo mn mr my ne om pa pl ps pt ro ru rw so sq sr sw ta te "
    "th tl tr uk ur uz vi yo zh"
)
KNOWN = _KNOWN.split()
# Near relatives, which no short text tells apart, and whose readers understand the other.
RELATIVES = ({"hr", "bs", "sr"}, {"fa", "ps"}, {"hi", "mr", "ne"}, {"hi", "ur"}, {"ha", "yo"})


def detect(text: str) -> str | None:
    """The language of a text as a code such as "es", or None where nobody can be sure."""
    plain = PROTECTED.sub(" ", text[:ENOUGH])
    letters = "".join(letter for letter in plain if letter.isalpha() or unicodedata.category(letter)[0] in "MZ")
    if sum(letter.isalpha() for letter in letters) < FEWEST_LETTERS:
        return None
    language, sure = _identifier().classify(" ".join(letters.split()))
    return language if sure >= SURE else None


def is_other(text: str, language: str) -> str | None:
    """The language of a text where that is surely not the one it should be in, or a near relative of it."""
    code = languages.written(language)[0]
    found = detect(text)
    if found is None or found == code or code not in KNOWN:
        return None
    return None if any({found, code} <= relatives for relatives in RELATIVES) else found


def load() -> None:
    """Read the data that is otherwise read with the first text."""
    _identifier()


@lru_cache(maxsize=1)
def _identifier() -> Any:
    # Imported late: it reads its data, which takes half a second, and most commands translate nothing.
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages(KNOWN)
    return identifier
