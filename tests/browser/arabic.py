"""The pages' words in Arabic letters, so that what is shown from right to left is no English turned around. Nobody speaks it.

puente.pot → each phrase letter by letter, with its fields and its six plural forms, about as long as Arabic is → ar.po beside it
"""

import re
import shutil
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po, write_po

from puente.translations.fields import FIELD
from puente.translations.phrases import Phrases
from puente.web.staff.desk import WORDS

LETTERS = str.maketrans("abcdefghijklmnopqrstuvwxyz,;?", "ابجدهفغحيژكلمنوپقرستعڤشخيز،؛؟")
# Three letters become four: what is translated is mostly longer than what was written in English.
THREE = re.compile(r"([ء-ي]{3})")


def in_arabic_letters(english: str) -> str:
    """A phrase said in Arabic letters. Its fields stay as they stand."""
    parts = FIELD.split(english)
    return "".join(f"{{{part}}}" if at % 2 else _said(part) for at, part in enumerate(parts))


def _said(part: str) -> str:
    return THREE.sub(r"\1ه", part.lower().translate(LETTERS))


def arabic_words(folder: Path) -> Phrases:
    """What the pages say, in English and in Arabic letters."""
    shutil.copy(WORDS / "puente.pot", folder)
    with (WORDS / "puente.pot").open("rb") as opened:
        template = read_po(opened)
    arabic = Catalog(locale="ar")
    for message in template:
        if isinstance(message.id, tuple):
            # The form for one may leave its number out: the one for many has all fields.
            arabic.add(message.id, (in_arabic_letters(str(message.id[-1])),) * arabic.num_plurals)
        elif message.id:
            arabic.add(message.id, in_arabic_letters(str(message.id)))
    with (folder / "ar.po").open("wb") as written:
        write_po(written, arabic)
    return Phrases(folder)
