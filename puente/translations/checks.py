"""What is wrong with a machine's translation, in words that a teacher understands. Pure functions; nothing here knows an engine.

Each check is a failure that was published about a real translator. A good translation held back costs a person a minute; a wrong
number sent costs a family a day: in doubt they speak up.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache

from puente.translations import days, detection, languages, segments
from puente.translations.fields import FIELD
from puente.translations.languages import ENGLISH
from puente.translations.segments import EMOJI, LINK, PROTECTED, THING

LOOSE_TO = 12  # up to this many letters the length says little
SHORTEST, LONGEST = 0.3, 3.5
SAME_WORDS = 5  # this many words in a row that stayed in the source language are no longer a name
SIGNS = "$€£¥₹%"
ODD_SHORT, ODD_LONG = 0.5, 2.2
ALIKE_WHEN_BACK = 0.32  # of two school sentences that have nothing to do with each other, 98 in 100 are less alike
CLOCK = re.compile(r"\{at_\d+\}|(?<![\d:])\d{1,2}:\d{2}(?![\d:])")
AMOUNT = re.compile(r"[$€£¥₹]\s?(\d(?:[\d.,]*\d)?)")
# The same syllable three times in a word, or one mark five times: what small models do with a name that they do not know.
STAMMER = re.compile(r"([^\W\d_]{2,4})\1{2}|([^\w\s])\2{4}")
NAME = re.compile(r"(?<![.!?:;¡¿\n“\"(] )(?<=[\w,’'] )[A-ZÀ-ÖØ-Þ][a-zß-öø-ÿ]{2,}\b")
FEASTS = (
    "Christmas Thanksgiving Halloween Easter Hanukkah Kwanzaa Ramadan Eid Diwali Labor Memorial Veterans Independence Valentine "
    "Day Night Week Street Avenue Highway School Room Grade Teacher Mr Mrs Ms Dr Mom Dad God Internet Native American Navidad María"
)
BRACKETS = re.compile(r"[(\[【（［{♪]")
THOUSANDS = re.compile(r"(?<![\d.,])\d{1,3}(?:[.,٬’'\u00a0\u202f]\d{3})+(?!\d)")
UNREADABLE = ("⁇", "<unk>", "\ufffd")

# How a language says no. Best effort: a language that is not in here is not looked at, and there are more ways than these.
NO = {
    "ar": r"غياب|لا|لم|لن|ليس\w*|ما|غير|بدون|دون|بلا|عدم|ولا|فلا|ولم|ولن",
    "en": r"no|not|\w+n['’]t|cannot|never|none|nobody|nothing|nowhere|neither|nor|without|unable|hardly|barely|impossible",
    "es": r"no|nunca|jam[aá]s|nadie|nada|ning[uú]n\w*|sin|tampoco|ni|apenas|imposible",
    "fa": r"نه|نیست\w*|نمی\w*|نباید|نشد\w*|تعطیل|ن(?:توان|کن|شو|بود|دار|خواه|رس|ده|یای|یاور|گذار|رو|خور)\w*|هیچ\w*|بدون|هرگز|ممنوع",
    "fr": r"ne|n['’]\w+|pas|jamais|rien|aucun\w*|sans|non|nulle?",
    "ht": r"p|pa|pap|pat|poko|okenn|janm|san|non|anyen|pèsonn",
    "ko": r"\w*(?:않|없|못|안|아니|아닙|마세|마십|말아|금지)\w*",
    "pt": r"não|nao|nunca|jamais|ninguém|nada|nenhum\w*|sem|nem|tampouco",
    "ru": r"не|нет|не(?:понятн|возможн|ясн|доступн|льзя)\w*|никогда|никто|никого|ничего|ни|без",
    "so": r"ma\w*|aan\w*|ha\w*|waxba|cidna|\w*la['’]aan",
    "sw": r"si\w*|h[au]\w{3,}|\w*sip\w+|usi\w+|msi\w+|\w*si[yw]\w+|hakuna|hapana|bila|kamwe|wala",
    "tl": r"hindi|di|huwag|wag|wala|walang|bawal",
    "uk": r"не|ні|не(?:зрозуміл|можлив|доступн)\w*|немає|нема|ніколи|ніхто|нікого|нічого|без|неможливо",
    "vi": r"nghỉ|vắng|không|chưa|chẳng|đừng|chớ",
    "zh": r"\w*[不没沒无無別别未非勿免禁]\w*",
}
# Languages whose words for it are so much like others that they only count where they are missing.
LOOSELY_HEARD = {"so", "sw"}
NEGATIONS = {language: re.compile(rf"(?<!\w)(?:{words})(?!\w)", re.IGNORECASE) for language, words in NO.items()}
# Sayings with such a word in them that are said without one elsewhere.
NO_NEGATION = re.compile(
    r"\bno (?:later|more|less|fewer|matter|doubt|problem|worries)\b|\bnot only\b|\bno\.(?=\s*\d)|\b(?:do not|don['’]t) forget\b"
    r"|\bsin embargo\b|\bsin falta\b|\bno h?ay de q(?:u[eé])?\b|\bde nada\b|\bpara nada\b|\bno m[aá]s\b"
    r"|\bno se le olvide\b|[,¿] ?no\?|\bnot until\b|\b(?:được|phải|có) không\b|非常|免[费費]|[别別]人|无论|無論|(\w)[不没沒]\1",
    re.IGNORECASE,
)

# How Unicode's names of letters begin, for each script that a family may read.
SCRIPTS = {
    "Arab": ("ARABIC",),
    "Armn": ("ARMENIAN",),
    "Beng": ("BENGALI",),
    "Cyrl": ("CYRILLIC",),
    "Deva": ("DEVANAGARI",),
    "Ethi": ("ETHIOPIC",),
    "Geor": ("GEORGIAN",),
    "Grek": ("GREEK",),
    "Gujr": ("GUJARATI",),
    "Guru": ("GURMUKHI",),
    "Hans": ("CJK",),
    "Hant": ("CJK",),
    "Hebr": ("HEBREW",),
    "Jpan": ("CJK", "HIRAGANA", "KATAKANA"),
    "Khmr": ("KHMER",),
    "Kore": ("HANGUL", "CJK"),
    "Laoo": ("LAO",),
    "Latn": ("LATIN",),
    "Mymr": ("MYANMAR",),
    "Taml": ("TAMIL",),
    "Telu": ("TELUGU",),
    "Thai": ("THAI",),
}


def problems(source: str, target: str, source_language: str, target_language: str) -> list[str]:
    """Everything that speaks against sending `target` as the translation of `source`. Empty means that nothing was found."""
    lost, senseless = weigh(source, target, source_language, target_language)
    return [*lost, *senseless]


def weigh(source: str, target: str, source_language: str, target_language: str) -> tuple[list[str], list[str]]:
    """The same in two parts: what got lost or changed on the way, and what shows that the machine did not understand.

    Where only something got lost it may be asked again, to say the same with everything in it. Otherwise it would only guess.
    """
    if not target.strip() or (_words(source) and not _words(target)):
        return [], ["The translation is empty."] if source.strip() else []
    return (
        _losses(source, target, source_language, target_language),
        _nonsense(source, target, source_language, target_language),
    )


def _losses(source: str, target: str, source_language: str, target_language: str) -> list[str]:
    return [
        *_changed_fields(source, target),
        *_changed_links(source, target),
        *_changed_things(source, target),
        *_changed_numbers(source, target, source_language, target_language),
        *_changed_days(source, target, source_language, target_language),
        *_swapped(source, target),
        *_lost_emoji(source, target),
    ]


def _nonsense(source: str, target: str, source_language: str, target_language: str) -> list[str]:
    return [
        *_lost_negation(source, target, source_language, target_language),
        *_repeated(source, target),
        *_added_remarks(source, target),
        *_unreadable(source, target),
        *_untouched(source, target, source_language, target_language),
        *_wrong_script(source, target, target_language),
        *_wrong_language(target, target_language),
        *_wrong_length(source, target),
    ]


def doubts(source: str, target: str, source_language: str, target_language: str) -> list[str]:
    """What a reader of the translation should know, though it may be right: each is true of some good translations too."""
    return [
        *_lost_names(source, target, source_language, target_language),
        *_reordered_numbers(source, target),
        *_odd_negation(source, target, source_language, target_language),
        *_odd_length(source, target),
        *_bare_word(source),
    ]


def lost_names(source: str, target: str, source_language: str, target_language: str) -> list[str]:
    """Words with a capital inside an English or Spanish sentence that do not stand in its translation, so probably names that got
    lost. Where the letters are others, a name may be written in those."""
    if languages.written(source_language)[0] not in ("en", "es") or languages.written(target_language)[1] != "Latn":
        return []
    said = {_folded(word) for word in _words(target)}
    names = dict.fromkeys(found[0] for found in NAME.finditer(_plain(source)))
    return [name for name in names if name.casefold() not in _known_capitals() and _folded(name) not in said]


def differs_when_back(source: str, back: str, language: str) -> list[str]:
    """What speaks against a translation, seen from what a machine makes of it in the language of the source."""
    found = []
    if Counter(_numbers(source)) != Counter(_numbers(back)) or days.weekdays(source, language) != days.weekdays(back, language):
        found.append("Translated back, its numbers or days are not the same.")
    negations = NEGATIONS.get(languages.written(language)[0])
    if negations and bool(negations.search(_affirmed(source))) != bool(negations.search(_affirmed(back))):
        found.append("Translated back, a “not” is missing or was added.")
    if _length(source) > LOOSE_TO and _likeness(_words(source), _words(back)) < ALIKE_WHEN_BACK:
        found.append("Translated back, it says something else.")
    return found


def _changed_fields(source: str, target: str) -> Iterator[str]:
    wanted, found = Counter(FIELD.findall(source)), Counter(FIELD.findall(target))
    for name in dict.fromkeys([*wanted, *found]):
        if found[name] < wanted[name]:
            yield f"The field {{{name}}} got lost."
        elif found[name] > wanted[name]:
            yield f"The field {{{name}}} stands there more often than it was written."


def _changed_links(source: str, target: str) -> Iterator[str]:
    if Counter(LINK.findall(source)) != Counter(LINK.findall(target)):
        yield "A link or an e-mail address got lost or changed."


def _changed_things(source: str, target: str) -> Iterator[str]:
    if Counter(THING.findall(source)) - Counter(THING.findall(target)):
        yield "A time, an amount, a phone number, a room or a name got lost or changed."


def _changed_numbers(source: str, target: str, source_language: str, target_language: str) -> Iterator[str]:
    before, after = Counter(_numbers(source)), Counter(_numbers(target))
    # "In December" is "in month 12" in Chinese.
    if days.counts_months(target_language):
        after -= Counter(map(str, days.months(source, source_language))) - before
    if before != after:
        yield "The numbers are not the same."
    elif not _signs(target) <= _signs(source):
        yield "A money or percent sign is not the one that was written."


def _changed_days(source: str, target: str, source_language: str, target_language: str) -> Iterator[str]:
    if not days.knows(target_language):
        return
    for named, word in ((days.weekdays, "day of the week"), (days.months, "month")):
        wanted = named(_plain(source), source_language)
        if wanted and wanted != named(_plain(target), target_language):
            yield f"A {word} is not the one that was written, or got lost."


def _swapped(source: str, target: str) -> Iterator[str]:
    """Times and amounts keep their order in every language: from 8:30 to 3:15, five dollars or eight."""
    for pattern in (CLOCK, AMOUNT):
        before, after = pattern.findall(source), pattern.findall(target)
        if before != after and sorted(before) == sorted(after):
            yield "Two times or amounts have changed places."


def _lost_emoji(source: str, target: str) -> Iterator[str]:
    if Counter(EMOJI.findall(source)) != Counter(EMOJI.findall(target)):
        yield "An emoji got lost or was added."


def _lost_negation(source: str, target: str, source_language: str, target_language: str) -> Iterator[str]:
    written, said = (NEGATIONS.get(languages.written(tag)[0]) for tag in (source_language, target_language))
    if written and said and written.search(_affirmed(source)) and not said.search(_plain(target)):
        yield "A “not” seems to have got lost, so that it may say the opposite."


def _repeated(source: str, target: str) -> Iterator[str]:
    looping = _loops(_words(target), 1, 3) > max(2, _loops(_words(source), 1, 3))
    stuttering = _loops(_words(target), 4, 2) > max(1, _loops(_words(source), 4, 2))
    if looping or stuttering or (_hums(target) and not _hums(source)) or (STAMMER.search(target) and not STAMMER.search(source)):
        yield "A word or a phrase is repeated over and over."


def _added_remarks(source: str, target: str) -> Iterator[str]:
    if len(BRACKETS.findall(FIELD.sub("", target))) > len(BRACKETS.findall(FIELD.sub("", source))):
        yield "A remark in brackets was added that nobody wrote."


def _unreadable(source: str, target: str) -> Iterator[str]:
    if any(mark in target and mark not in source for mark in UNREADABLE):
        yield "A word could not be read by the language pack."


def _untouched(source: str, target: str, source_language: str, target_language: str) -> Iterator[str]:
    if languages.same(source_language, target_language):
        return
    before, after = _words(source), _words(target)
    if before and before == after and (len(before) > 1 or len(before[0]) > 3):
        yield f"The text was left in {languages.name(source_language)}."
    elif _left_alone(source, after):
        yield f"A part of the text was left in {languages.name(source_language)}."


def _wrong_script(source: str, target: str, language: str) -> Iterator[str]:
    wanted = SCRIPTS.get(languages.written(language)[1])
    if wanted is None:
        return
    # Names may stay in their own letters.
    kept = set(_words(source))
    letters = [letter for word in _words(target) if word not in kept for letter in word if letter.isalpha()]
    right = sum(unicodedata.name(letter, "").startswith(wanted) for letter in letters)
    if right * 2 < len(letters):
        yield f"The translation is not in the letters of {languages.name(language)}."


def _wrong_language(target: str, language: str) -> Iterator[str]:
    if other := detection.is_other(target, language):
        yield f"The translation seems to be in {languages.name(other)}, not in {languages.name(language)}."


def _lost_names(source: str, target: str, source_language: str, target_language: str) -> Iterator[str]:
    for name in lost_names(source, target, source_language, target_language):
        yield f"“{name}” does not stand in the translation. If it is a name, it got lost."


def _reordered_numbers(source: str, target: str) -> Iterator[str]:
    before, after = _numbers(source), _numbers(target)
    if before != after and sorted(before) == sorted(after):
        yield "The numbers stand in another order."


def _odd_negation(source: str, target: str, source_language: str, target_language: str) -> Iterator[str]:
    written, said = (NEGATIONS.get(languages.written(tag)[0]) for tag in (source_language, target_language))
    if written and said and written.search(_plain(source)) and not said.search(_plain(target)):
        yield "There is a “not” in the text and none in the translation."
    if languages.written(target_language)[0] in LOOSELY_HEARD:
        return
    if written and said and not written.search(_plain(source)) and said.search(_affirmed(target)):
        yield "There is a “not” in the translation and none in the text."


def _odd_length(source: str, target: str) -> Iterator[str]:
    before, after = _length(source), _length(target)
    if before > LOOSE_TO and not ODD_SHORT * before <= after <= ODD_LONG * before:
        yield "The translation is unusually short or long."


def _bare_word(source: str) -> Iterator[str]:
    if len(_words(source)) == 1:
        yield "A single word may mean something else here: nothing around it says what is meant."


def _wrong_length(source: str, target: str) -> Iterator[str]:
    before, after = _length(source), _length(target)
    # The shorter a text, the less its length says: "OK" may become "De acuerdo, está bien".
    if after > max(LONGEST * before, 30 + 2 * before):
        yield "The translation is much longer than the text."
    elif before > LOOSE_TO and after < SHORTEST * before:
        yield "The translation is much shorter than the text."


def _plain(text: str) -> str:
    return PROTECTED.sub(" ", text)


def _likeness(before: list[str], after: list[str]) -> float:
    """How many of their letters, and of groups of two to four, two texts share, from 0 to 1, as chrF counts (Popović 2015)."""
    shares = []
    for length in range(1, 5):
        ours, theirs = (_groups("".join(words), length) for words in (before, after))
        shares.append(2 * (ours & theirs).total() / max(1, ours.total() + theirs.total()))
    return sum(shares) / len(shares)


def _groups(letters: str, length: int) -> Counter[str]:
    return Counter(letters[start : start + length] for start in range(len(letters) - length + 1))


def _affirmed(text: str) -> str:
    """The text without the sayings that hold a “not” and mean none."""
    return NO_NEGATION.sub("", _plain(text))


def _folded(word: str) -> str:
    return segments.without_accents(word).removesuffix("'s").removesuffix("’s")


@lru_cache(maxsize=1)
def _known_capitals() -> frozenset[str]:
    """Words that English writes with a capital and translates: days, months, languages, countries, feasts."""
    names = [*ENGLISH.languages.values(), *ENGLISH.territories.values(), *ENGLISH.days["format"]["wide"].values()]
    names += [*ENGLISH.months["format"]["wide"].values(), FEASTS]
    return frozenset(word.casefold() for name in names for word in name.split())


def _words(text: str) -> list[str]:
    return [word.casefold() for word in _spelled(text)]


def _spelled(text: str) -> list[str]:
    letters = (letter if unicodedata.category(letter)[0] in "LM" or letter in "'’" else " " for letter in _plain(text))
    return [word for spaced in unicodedata.normalize("NFC", "".join(letters)).split() if (word := spaced.strip("'’"))]


def _numbers(text: str) -> list[str]:
    """The digits as they follow each other, in any script's digits, without the marks that group thousands."""
    digits = "".join(str(unicodedata.decimal(letter, letter)) for letter in _plain(text))
    return re.findall(r"\d+", THOUSANDS.sub(lambda found: re.sub(r"\D", "", found[0]), digits))


def _signs(text: str) -> set[str]:
    return {sign for sign in unicodedata.normalize("NFKC", text).replace("٪", "%") if sign in SIGNS}


def _loops(words: list[str], shortest: int, least: int) -> int:
    """How often in a row the most repeated phrase of at least `shortest` words is said, where it is said `least` times; or 0."""
    most = 0
    for length in range(shortest, min(12, len(words) // least) + 1):
        row = 1
        for place in range(length, len(words)):
            row = row + 1 if words[place] == words[place - length] else 1
            # `row` counts words that agree with the phrase before them; the phrase itself was the first time.
            most = max(most, (row - 1) // length + 1)
    return most if most >= least else 0


def _hums(text: str) -> bool:
    """Syllables or characters in a loop, as in a script that sets no spaces between words."""
    letters = "".join(letter for letter in _plain(text).casefold() if letter.isalpha())
    return re.search(r"(.{1,12}?)\1{4,}", letters) is not None


def _left_alone(source: str, after: list[str]) -> bool:
    """Whether a run of the source's words stands in the translation as it was; names in capitals may."""
    spelled = _spelled(source)
    said = f" {' '.join(after)} "
    runs = (spelled[place : place + SAME_WORDS] for place in range(len(spelled) - SAME_WORDS + 1))
    return any(f" {' '.join(run).casefold()} " in said for run in runs if not all(word[0].isupper() for word in run))


def _length(text: str) -> int:
    """Letters, where a Chinese or Japanese character says as much as three and a Korean syllable as two."""
    weights = {"CJK": 3, "HIRAGANA": 2, "KATAKANA": 2, "HANGUL": 2}
    return sum(weights.get(unicodedata.name(letter, "").split(" ")[0], 1) for letter in _plain(text) if letter.isalpha())
