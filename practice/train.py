"""Train the practice pack, one way: `python -m practice.train en es`. `make practice-pack` does both.

It takes its time from `--minutes`, keeps what it has learned in `--folder` every few minutes, and goes on from there when it is
started again. At the end it writes the pack, and its card with figures that the pack itself has earned on pairs it never saw.
"""

import argparse
import json
import math
import random
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import monotonic

import ctranslate2
import sacrebleu
import sentencepiece
import torch
from torch import Tensor, nn

from practice import pairs
from practice.model import BEGIN, END, LONGEST, WIDTH, Model, pack
from practice.pairs import Pair

PIECES = 8_000
TOKENS = 2_000  # target pieces in one batch
FASTEST, WARM_UP = 1.5e-3, 600  # the learning rate, and after how many batches it is reached
SMOOTHING, AVERAGE = 0.1, 0.999
VARIANTS = 24  # of each school pair, in every round through the general pairs
KEEP = 300  # seconds between two times that it keeps what it has learned
NAMES = {"en": "English", "es": "Spanish"}

Batch = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", choices=NAMES)
    parser.add_argument("target", choices=NAMES)
    parser.add_argument("--corpus", type=Path, default=Path("../shared/corpus/en-es"), help="where the general pairs lie")
    parser.add_argument("--folder", type=Path, default=Path("build/practice"), help="where it keeps what it has learned")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--rows", type=int, default=None, help="no more general pairs than these, to try it out")
    asked = parser.parse_args()
    folder = asked.folder / f"{asked.source}-{asked.target}"
    folder.mkdir(parents=True, exist_ok=True)
    general = pairs.general(asked.corpus, "train")[: asked.rows]
    pieces = _pieces(asked.folder / "sentencepiece", general)
    model = _train(folder, pieces, general, asked.source, asked.minutes * 60)
    file = asked.folder / f"practice-{asked.source}_{asked.target}.argosmodel"
    pack(model, pieces, asked.source, asked.target, _card(asked.source, asked.target, {}), file)
    figures = _judge(file, folder, asked.corpus, asked.source)
    pack(model, pieces, asked.source, asked.target, _card(asked.source, asked.target, figures), file)
    print(json.dumps({"pack": str(file), "megabytes": round(file.stat().st_size / 1e6, 1), **figures}, ensure_ascii=False))


def _pieces(place: Path, general: Sequence[Pair]) -> Path:
    """The word pieces of both languages, learned from all pairs together. Markers are pieces of their own."""
    file = place.with_suffix(".model")
    if not file.exists():
        known = [*general, *(pair for side in NAMES for pair in pairs.school(side, held_out=False) for _ in range(VARIANTS))]
        sentences = (sentence for pair in known for sentence in (pair.en, pair.es))
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=sentences, model_prefix=str(place), vocab_size=PIECES, character_coverage=1.0,
            user_defined_symbols=[f"{{{number}}}" for number in range(10)], hard_vocab_limit=False, minloglevel=2,
        )  # fmt: skip
    return file


def _train(folder: Path, pieces: Path, general: Sequence[Pair], source: str, seconds: float) -> Model:
    torch.manual_seed(1)
    processor = sentencepiece.SentencePieceProcessor(model_file=str(pieces))
    model, mean = Model(processor.get_piece_size()), Model(processor.get_piece_size(), dropout=0.0)
    mean.load_state_dict(model.state_dict())
    learner = torch.optim.Adam(model.parameters(), lr=FASTEST, betas=(0.9, 0.98), eps=1e-9)
    kept, step = folder / "kept.pt", 0
    if kept.exists():
        state = torch.load(kept)
        model.load_state_dict(state["model"])
        mean.load_state_dict(state["mean"])
        learner.load_state_dict(state["learner"])
        step, seconds = state["step"], max(0.0, seconds - state["seconds"])
    began, last, loss_sum = monotonic(), monotonic(), 0.0
    for batch in _batches(general, processor, source, seed=step):
        spent = monotonic() - began
        if spent > seconds:
            break
        step += 1
        for group in learner.param_groups:
            group["lr"] = _rate(step, spent / seconds)
        loss_sum += _learn(model, mean, learner, batch, step)
        if step % 100 == 0:
            print(f"step {step}, {spent / 60:.0f} min, loss {loss_sum / 100:.3f}", flush=True)
            loss_sum = 0.0
        if monotonic() - last > KEEP:
            last = monotonic()
            _keep(kept, model, mean, learner, step, monotonic() - began)
    _keep(kept, model, mean, learner, step, monotonic() - began)
    mean.eval()
    return mean


def _rate(step: int, share: float) -> float:
    """Up to the fastest, then down as the root of the steps, and to nothing in the last tenth of the time."""
    rate = FASTEST * min(step / WARM_UP, math.sqrt(WARM_UP / max(step, 1)))
    return rate * min(1.0, max(0.05, (1 - share) * 10))


def _learn(model: Model, mean: Model, learner: torch.optim.Optimizer, batch: Batch, step: int) -> float:
    source, source_pad, said, said_pad, wanted = batch
    model.train()
    scores = model(source, said, source_pad, said_pad)
    loss = nn.functional.cross_entropy(
        scores.flatten(0, 1), wanted.flatten(), ignore_index=-1, label_smoothing=SMOOTHING
    )  # fmt: skip
    learner.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    learner.step()
    with torch.no_grad():
        weight = min(AVERAGE, step / (step + 10))
        for ours, theirs in zip(mean.parameters(), model.parameters(), strict=True):
            ours.lerp_(theirs, 1 - weight)
    return loss.item()


def _keep(file: Path, model: Model, mean: Model, learner: torch.optim.Optimizer, step: int, seconds: float) -> None:
    state = {
        "model": model.state_dict(),
        "mean": mean.state_dict(),
        "learner": learner.state_dict(),
        "step": step,
        "seconds": seconds,
    }
    new = file.with_suffix(".new")
    torch.save(state, new)
    new.replace(file)


def _batches(general: Sequence[Pair], processor: sentencepiece.SentencePieceProcessor, source: str, seed: int) -> Iterator[Batch]:
    """For ever: all general pairs and some variants of each school pair, those of about one length together."""
    chance = random.Random(seed)
    while True:
        own = pairs.school(source, held_out=False)
        known = [*general, *(pairs.varied(pair, chance) for pair in own for _ in range(VARIANTS))]
        sides = [pair.sides(source) for pair in known]
        coded = list(
            zip(processor.encode([said for said, _ in sides]), processor.encode([meant for _, meant in sides]), strict=True)
        )
        coded = [pair for pair in coded if 0 < len(pair[0]) < LONGEST and 0 < len(pair[1]) < LONGEST]
        chance.shuffle(coded)
        coded.sort(key=lambda pair: (len(pair[1]) // 4, len(pair[0]) // 4))
        groups, group = [], []
        for pair in coded:
            if group and (len(group) + 1) * (len(pair[1]) + 1) > TOKENS:
                groups.append(group)
                group = []
            group.append(pair)
        groups.append(group)
        chance.shuffle(groups)
        yield from map(_batch, groups)


def _batch(group: Sequence[tuple[list[int], list[int]]]) -> Batch:
    source, source_pad = _padded([[*before, END] for before, _ in group], END)
    said, said_pad = _padded([[BEGIN, *after] for _, after in group], END)
    wanted, _ = _padded([[*after, END] for _, after in group], -1)
    return source, source_pad, said, said_pad, wanted


def _padded(rows: Sequence[list[int]], filler: int) -> tuple[Tensor, Tensor]:
    longest = max(map(len, rows))
    table = torch.tensor([row + [filler] * (longest - len(row)) for row in rows])
    empty = torch.tensor([[False] * len(row) + [True] * (longest - len(row)) for row in rows])
    return table, empty


def _judge(file: Path, folder: Path, corpus: Path, source: str) -> dict[str, object]:
    """chrF of the pack itself, greedily, on the general development pairs and on the school pairs that were held out."""
    with zipfile.ZipFile(file) as archive:
        archive.extractall(folder)
        root = folder / archive.namelist()[0].split("/")[0]
    processor = sentencepiece.SentencePieceProcessor(model_file=str(root / "sentencepiece.model"))
    translator = ctranslate2.Translator(str(root / "model"), inter_threads=2, intra_threads=1)

    def score(known: Sequence[Pair]) -> float:
        sides = [pair.sides(source) for pair in known]
        coded = processor.encode([said for said, _ in sides], out_type=str)
        answers = translator.translate_batch(coded, beam_size=1, max_batch_size=32)
        said = [processor.decode_pieces(answer.hypotheses[0]) for answer in answers]
        return round(sacrebleu.corpus_chrf(said, [[meant for _, meant in sides]]).score, 1)

    return {"chrf_general": score(pairs.general(corpus, "dev")), "chrf_school": score(pairs.school(source, held_out=True))}


def _card(source: str, target: str, figures: dict[str, object]) -> dict[str, object]:
    """What Argos's package manager reads, and what a person should know before they use it."""
    return {
        "package_version": "1.0", "argos_version": "1.9", "type": "translate",
        "from_code": source, "from_name": NAMES[source], "to_code": target, "to_name": NAMES[target],
        "practice": True, "width": WIDTH,
        "license": "Apache-2.0, trained on pairs of CC BY 2.0, CC0, MIT and Apache-2.0", **figures,
        "about": "For the demonstration, the tests and training staff. It knows school talk and little else. Not for families.",
        "sources": "Tatoeba (CC BY 2.0, tatoeba.org, manythings.org), TICO-19 (CC0), Kolibri (MIT), VITA-MIN (MIT), "
        "Bloom Housing (Apache-2.0), and school sentences written for Puente (Apache-2.0).",
    }  # fmt: skip


if __name__ == "__main__":
    main()
