"""The digit with which a family chooses: what people write where a text asks for `1`, `2` or `0`."""

import re
import unicodedata

# Words that people write beside the number of an option, in the catalogue's languages.
BESIDE = frozenset(
    """option number nr num reply choose opción opcion número numero nro choix numéro option opção opcao nimewo chwa opsyon
    chaguo namba nambari lambar lambarka doorasho pilihan bilang lựa chọn số chọn вариант номер варіант خيار رقم الخيار الرقم گزینه
    شماره 选 选择 选项 号 號 번 번호 숫자""".split()  # noqa: SIM905
)
CHINESE = dict(zip("〇零一二三四五六七八九", "00123456789", strict=True))
NOT_A_CHOICE = "?？؟՞%$€£¥"


def digit_of(text: str) -> str | None:
    """The one digit that a text says, in whatever script and with whatever around it: `1`, `١`, `１`, `一`, `1.`, `(1)`, `1️⃣`,
    `Option 1`. A sentence is none, a question neither."""
    if len(text) > 40 or any(mark in text for mark in NOT_A_CHOICE):
        return None
    plain = "".join(CHINESE.get(letter, letter) for letter in unicodedata.normalize("NFKC", text).casefold())
    words = "".join(letter if unicodedata.category(letter)[0] in "LN" else " " for letter in plain if not _is_mark(letter))
    found = re.fullmatch(r"(?P<before>\D*?)(?P<digit>\d)(?P<after>\D*)", words)
    if found is None:
        return None
    beside = f"{found['before']} {found['after']}".split()
    return str(unicodedata.digit(found["digit"])) if all(word in BESIDE for word in beside) else None


def _is_mark(letter: str) -> bool:
    """What stands on another letter and is no letter itself: the frame of 1️⃣."""
    return unicodedata.category(letter) in ("Me", "Cf") or letter == "\ufe0f"
