"""How hard an English text is to read, and what makes it so, before anybody translates it.

Under 150 words of grade-5 English beat legal wording by about 40 % (FACTS, trial 7).
"""

import re
from dataclasses import dataclass
from functools import lru_cache

import pyphen

from puente.translations.fields import FIELD
from puente.translations.segments import sentences

HARDEST_GRADE = 5.0
MOST_WORDS = 150
FEWEST_WORDS = 8  # of fewer the formula says nothing
LONG_SENTENCE = 20  # words
HARD_SYLLABLES = 4
WORD = re.compile(r"[A-Za-z]+(?:['’-][A-Za-z]+)*")
# A field stands for a name, a day or a number: none of them is the author's to make easier.
STANDS_FOR = "Ana"


@dataclass(frozen=True)
class Reading:
    """`grade` is the school year in which most can read it (Flesch and Kincaid, 1975). What is hard: the longest sentences, and the
    words with most syllables, each once."""

    words: int
    grade: float
    long_sentences: tuple[str, ...]
    hard_words: tuple[str, ...]

    @property
    def advice(self) -> list[str]:
        """What the author should think of, in sentences; nothing where it is short and easy."""
        said = []
        if self.words > MOST_WORDS:
            said.append(f"It has {self.words} words. Families read under {MOST_WORDS} best.")
        if self.grade > HARDEST_GRADE and self.words >= FEWEST_WORDS:
            said.append(f"It reads like grade {self.grade:.0f}; grade {HARDEST_GRADE:.0f} or below reaches more families.")
            said += [f"This sentence is long: “{sentence}”" for sentence in self.long_sentences]
            said += [f"These words are hard: {', '.join(self.hard_words)}."] if self.hard_words else []
        return said


# A class's updates are made of a few texts.
@lru_cache(maxsize=1024)
def read(text: str) -> Reading:
    """The reading of an English text. Names, numbers and fields count as easy words."""
    plain = FIELD.sub(STANDS_FOR, text)
    written = [sentence for sentence in sentences(plain, "en") if WORD.search(sentence)]
    words = [word for sentence in written for word in WORD.findall(sentence)]
    if not words:
        return Reading(0, 0.0, (), ())
    first_words = {WORD.findall(sentence)[0] for sentence in written}
    counted = [(word, 1 if _is_name(word, first_words) else _syllables(word)) for word in words]
    grade = 0.39 * len(words) / len(written) + 11.8 * sum(count for _, count in counted) / len(words) - 15.59
    long_ones = sorted((s for s in written if len(WORD.findall(s)) > LONG_SENTENCE), key=len, reverse=True)
    hard = dict.fromkeys(word.lower() for word, count in counted if count >= HARD_SYLLABLES)
    return Reading(len(words), max(round(grade, 1), 0.0), tuple(long_ones[:3]), tuple(hard)[:8])


def _is_name(word: str, first_words: set[str]) -> bool:
    return word[0].isupper() and word not in first_words


def _syllables(word: str) -> int:
    """As hyphens would stand, and at least as many as there are groups of vowels that are spoken."""
    plain = word.lower().replace("'", "").replace("’", "")
    groups = len(re.findall(r"[aeiouy]+", re.sub(r"(?:[^laeiouy]e|ed|es)$", lambda end: end[0][0], plain)))
    return max(len(_hyphens().inserted(plain, "\0").split("\0")), groups, 1)


@lru_cache(maxsize=1)
def _hyphens() -> pyphen.Pyphen:
    return pyphen.Pyphen(lang="en_US")
