"""What a model must be told about the languages, which each family of models writes in its own way.

A model is recognised by its vocabulary. NLLB and M2M-100 want a word for the language before the text, and one before the
translation; MADLAD and the OPUS-MT models for several languages want one for the language that they shall speak before the text; a
model that joins just two languages wants none. All of them end a text with `</s>`, unless CTranslate2 was told to do that itself.
"""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path

import langcodes

from puente.models import HubError
from puente.translations import languages

CODE = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*")  # a code becomes part of a file's name
END = "</s>"
# FLORES-200, whose codes NLLB has, names one of several where a tag means them all.
FLORES = {
    "ar": "arb_Arab", "az": "azj_Latn", "et": "est_Latn", "fa": "pes_Arab", "fa-AF": "prs_Arab", "fil": "tgl_Latn",
    "ku": "kmr_Latn", "lv": "lvs_Latn", "mg": "plt_Latn", "mn": "khk_Cyrl", "ms": "zsm_Latn", "ne": "npi_Deva", "no": "nob_Latn",
    "om": "gaz_Latn", "or": "ory_Orya", "prs": "prs_Arab", "ps": "pbt_Arab", "sq": "als_Latn", "sw": "swh_Latn",
    "uz": "uzn_Latn", "yi": "ydd_Hebr", "zh": "zho_Hans", "zh-Hans": "zho_Hans", "zh-Hant": "zho_Hant",
}  # fmt: skip


class NotItsLanguage(HubError):
    """The model does not know one of these languages."""


@dataclass(frozen=True)
class Told:
    """The words before and after the text, and before the translation, by which a model knows the languages."""

    before_source: list[str] = field(default_factory=list)
    after_source: list[str] = field(default_factory=list)
    before_target: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Family:
    """A kind of model. `words` is its vocabulary, `ends` whether it must be told where a text ends."""

    name: str
    words: frozenset[str]
    ends: bool

    def told(self, source: str, target: str) -> Told:
        """What it must be told to translate between two languages. Raises `NotItsLanguage`."""
        end = [END] if self.ends else []
        match self.name:
            case "nllb":
                return Told([self._word(source, "{}")], end, [self._word(target, "{}")])
            case "m2m":
                return Told([self._word(source, "__{}__")], end, [self._word(target, "__{}__")])
            case "madlad":
                return Told([self._word(target, "<2{}>")], end)
            case "many":
                return Told([self._word(target, ">>{}<<")], end)
            case _:
                return Told([], end)

    def _word(self, tag: str, form: str) -> str:
        found = next((word for code in _codes(tag) if (word := form.format(code)) in self.words), None)
        if found is None:
            raise NotItsLanguage(f"The model does not know {languages.name(tag)}.")
        return found


def of(model: Path) -> Family:
    """The family of a CTranslate2 model, by the languages that its vocabulary names."""
    words = _vocabulary(model)
    forms = {"nllb": r"eng_Latn", "m2m": r"__en__", "madlad": r"<2en>", "many": r">>[a-z]{2,3}(?:_\w+)?<<"}
    name = next((name for name, form in forms.items() if any(re.fullmatch(form, word) for word in words)), "two")
    try:
        ends = not json.loads((model / "config.json").read_text(encoding="utf-8")).get("add_source_eos", False)
    except (ValueError, AttributeError):
        ends = True
    return Family(name, words, ends)


def _vocabulary(model: Path) -> frozenset[str]:
    words: set[str] = set()
    for file in model.glob("*vocabulary*"):
        text = file.read_text(encoding="utf-8", errors="replace")
        try:
            words.update(word for word in json.loads(text) if isinstance(word, str))
        except ValueError:
            words.update(text.splitlines())
    return frozenset(words)


def _codes(tag: str) -> list[str]:
    """How a language may be called: as it was asked for, as FLORES calls it, by its two letters and by its three."""
    language, script = languages.written(tag)
    try:
        three = langcodes.Language.get(language).to_alpha3()
    except LookupError:
        three = language
    codes = [tag, FLORES.get(tag), FLORES.get(languages.base(tag)), f"{three}_{script}", language, three, f"{language}_{script}"]
    return [code for code in codes if code]
