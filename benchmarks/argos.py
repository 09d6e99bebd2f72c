"""Argos's own way, for comparison: `argostranslate.translate.translate` in a loop, one text after the other.

A process of its own, which reads a JSON list of texts, and says the translations and what they took. Argos finds sentences with
stanza or minisbd (gigabytes of torch, and AGPL). Here sentencex does that for it, in next to no time, so it is in Argos's favour.
"""

import json
import os
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

import sentencex

from benchmarks.figures import Clock


class _Sentences:
    def __init__(self, language: str, **_: object) -> None:
        self._language = language

    def sentences(self, text: str) -> list[str]:
        return sentencex.segment(self._language, text)  # type: ignore[attr-defined]


def main() -> None:
    pack, source, target = sys.argv[1:]
    with tempfile.TemporaryDirectory() as home:
        os.environ |= {"HOME": home, "XDG_DATA_HOME": home, "XDG_CONFIG_HOME": home, "XDG_CACHE_HOME": home}
        translate = _argos(Path(pack), Path(home))
        texts = json.load(sys.stdin)
        translate(texts[0], source, target)  # loads the model
        with Clock() as clock:
            said = [translate(text, source, target) for text in texts]
    print(json.dumps({"said": said, "seconds": clock.seconds, "cpu": clock.cpu}))


def _argos(pack: Path, home: Path) -> Any:
    """Argos's translate, with the unpacked pack as the only one that is installed."""
    packages = home / "argos-translate" / "packages"
    packages.mkdir(parents=True)
    (packages / pack.name).symlink_to(pack)
    minisbd, models = ModuleType("minisbd"), ModuleType("minisbd.models")
    minisbd.SBDetect, minisbd.models = _Sentences, models  # type: ignore[attr-defined]
    models.list_models = lambda: [pack.name.split("-")[1].split("_")[0]]  # type: ignore[attr-defined]
    sys.modules |= {"minisbd": minisbd, "minisbd.models": models, "stanza": ModuleType("stanza")}
    from argostranslate import translate

    return translate.translate


if __name__ == "__main__":
    main()
