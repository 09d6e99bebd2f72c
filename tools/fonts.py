"""Makes the font files of puente/printing/fonts again: `make fonts`. The same packages give the same bytes.

The Noto fonts are fetched as npm packages of a fixed version. Those of Chinese and Korean alone are 33 MB; here each keeps what its
national standard lists (GB 2312, the syllables of KS X 1001) and what our catalogue says, so that all travel with the code.
"""

import io
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
import unicodedata
from pathlib import Path

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont

from puente.translations.phrases import HERE as PHRASES

FONTS = Path(__file__).parent.parent / "puente" / "printing" / "fonts"
# From our name of the font to its package there.
PACKAGES = {
    "NotoSans": ("@expo-google-fonts/noto-sans", "0.4.2"),
    "NotoSansArabic": ("@expo-google-fonts/noto-sans-arabic", "0.4.3"),
    "NotoSansKR": ("@expo-google-fonts/noto-sans-kr", "0.4.3"),
    "NotoSansSC": ("@expo-google-fonts/noto-sans-sc", "0.4.3"),
}
WEIGHTS = {"Regular": "400Regular", "Bold": "700Bold"}
# Latin with all that Vietnamese stacks on it, phonetic letters and accents, Greek, Cyrillic; marks, currencies, letterlike signs.
LATIN_GREEK_CYRILLIC = (range(0x20, 0x0530), range(0x1E00, 0x2070), range(0x20A0, 0x2200), range(0xFB00, 0xFB07))
# What Chinese and Korean write between their words, in its full width.
MARKS = {chr(code) for code in (*range(0x3000, 0x3040), *range(0xFF01, 0xFF66))} | set(" ·–—‘’“”…→←")
# What sets Chinese and Korean in columns, from the top down.
COLUMNS = ("vert", "vrt2", "valt", "vhal", "vkrn", "vpal")
COLUMN_TABLES = ["BASE", "vhea", "vmtx"]


def main() -> None:
    for name, (package, version) in PACKAGES.items():
        files = fetch(package, version)
        (FONTS / f"{name}.OFL.txt").write_bytes(files["LICENSE_FONT"])
        for weight, folder in WEIGHTS.items():
            made = FONTS / f"{name}-{weight}.ttf"
            subset(files[f"{folder}/{name}_{folder}.ttf"], wanted(name), made)
            print(f"{made.name}: {made.stat().st_size / 1e6:.2f} MB")


def fetch(package: str, version: str) -> dict[str, bytes]:
    """The files of an npm package, by their paths inside it."""
    npm = shutil.which("npm")
    if npm is None:
        raise SystemExit("npm is not on this machine: it fetches the fonts")
    with tempfile.TemporaryDirectory() as folder:
        packed = subprocess.run([npm, "pack", "--json", f"{package}@{version}"], cwd=folder, check=True, capture_output=True)
        archive = Path(folder) / json.loads(packed.stdout)[0]["filename"]
        with tarfile.open(archive) as opened:
            members = ((member, opened.extractfile(member)) for member in opened.getmembers() if member.isfile())
            return {member.name.removeprefix("package/"): file.read() for member, file in members if file}


def wanted(name: str) -> set[int]:
    """The characters that a font keeps. Latin letters inside Chinese and Korean come from NotoSans, so that a page has one kind."""
    match name:
        case "NotoSansSC":
            hanzi = {character for character in _standard("gb2312") if "\u4e00" <= character <= "\u9fff"}
            return _codes(hanzi | _beyond_latin(_catalogue("zh-Hans")) | MARKS)
        case "NotoSansKR":
            hangul = {character for character in _standard("euc_kr") if "HANGUL" in unicodedata.name(character, "")}
            return _codes(hangul | _beyond_latin(_catalogue("ko")) | MARKS)
        case "NotoSans":
            return {code for block in LATIN_GREEK_CYRILLIC for code in block}
        case _:
            return set(range(sys.maxunicode + 1))


def subset(font: bytes, characters: set[int], to: Path) -> None:
    """The font with these characters, its shaping and its names, and without hints, which paper does not need."""
    opened = TTFont(io.BytesIO(font), recalcTimestamp=False)
    options = Options(hinting=False, name_IDs=["*"], notdef_outline=True)
    options.layout_features = [feature for feature in options.layout_features if feature not in COLUMNS]
    options.drop_tables += COLUMN_TABLES
    subsetter = Subsetter(options)
    subsetter.populate(unicodes=characters)
    subsetter.subset(opened)
    opened.save(to)


def _standard(encoding: str) -> set[str]:
    """Every character of a national standard with 94 rows of 94. Of KS X 1001 Puente takes no hanja: families read without them."""
    pairs = (bytes((row, cell)) for row in range(0xA1, 0xFF) for cell in range(0xA1, 0xFF))
    return {pair.decode(encoding, "ignore") for pair in pairs} - {""}


def _catalogue(language: str) -> set[str]:
    return set((PHRASES / f"{language}.po").read_text(encoding="utf-8"))


def _beyond_latin(characters: set[str]) -> set[str]:
    return {character for character in characters if ord(character) >= 0x2E80}


def _codes(characters: set[str]) -> set[int]:
    return {ord(character) for character in characters}


if __name__ == "__main__":
    main()
