"""The model: PyTorch's own encoder and decoder layers with one table of word pieces, and its way into CTranslate2."""

import json
import math
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

import ctranslate2
import torch
from sentencepiece import SentencePieceProcessor
from torch import Tensor, nn

LAYERS, HEADS, WIDTH, INNER = 3, 4, 256, 1024
LONGEST = 256  # pieces of one sentence
UNKNOWN, BEGIN, END = 0, 1, 2  # sentencepiece's own first three; padding is `END`, which nothing follows


class Model(nn.Module):
    """Norm first, one table of embeddings for both languages and for what is said, sine waves for the places."""

    def __init__(self, pieces: int, dropout: float = 0.1) -> None:
        super().__init__()
        shape = {"d_model": WIDTH, "nhead": HEADS, "dim_feedforward": INNER, "dropout": dropout}
        kept = {"batch_first": True, "norm_first": True}
        self.table = nn.Embedding(pieces, WIDTH)
        self.encoder = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(**shape, **kept), LAYERS, nn.LayerNorm(WIDTH), enable_nested_tensor=False
        )
        self.decoder = nn.TransformerDecoder(nn.TransformerDecoderLayer(**shape, **kept), LAYERS, nn.LayerNorm(WIDTH))
        self.dropout = nn.Dropout(dropout)
        self.register_buffer("waves", waves(LONGEST + 2, WIDTH), persistent=False)
        nn.init.normal_(self.table.weight, std=WIDTH**-0.5)

    def forward(self, source: Tensor, target: Tensor, source_pad: Tensor, target_pad: Tensor) -> Tensor:
        """Scores of the next piece after each of `target`. All are (sentences, pieces); a pad is true where nothing stands."""
        memory = self.encoder(self._place(source), src_key_padding_mask=source_pad)
        later = nn.Transformer.generate_square_subsequent_mask(target.shape[1], dtype=torch.bool)
        said = self.decoder(
            self._place(target), memory, tgt_mask=later, tgt_key_padding_mask=target_pad, memory_key_padding_mask=source_pad,
            tgt_is_causal=True,
        )  # fmt: skip
        return nn.functional.linear(said, self.table.weight)

    def _place(self, pieces: Tensor) -> Tensor:
        return self.dropout(self.table(pieces) * math.sqrt(WIDTH) + self.waves[: pieces.shape[1]])


def waves(places: int, width: int) -> Tensor:
    place = torch.arange(places).unsqueeze(1)
    speed = torch.exp(torch.arange(0, width, 2) * (-math.log(10_000) / width))
    table = torch.zeros(places, width)
    table[:, 0::2], table[:, 1::2] = torch.sin(place * speed), torch.cos(place * speed)
    return table


def pack(model: Model, pieces: Path, source: str, target: str, card: dict[str, object], file: Path) -> None:
    """Write a language pack in Argos's format: one folder with what it is, its word pieces and its model, in whole numbers."""
    spec = _spec(model)
    processor = SentencePieceProcessor(model_file=str(pieces))
    words = [processor.id_to_piece(number) for number in range(processor.get_piece_size())]
    spec.register_source_vocabulary(words)
    spec.register_target_vocabulary(words)
    spec.config.add_source_eos = True
    spec.config.decoder_start_token = "<s>"
    name = f"practice-{source}_{target}"
    with TemporaryDirectory() as folder:
        spec.validate()
        spec.optimize(quantization="int8")
        spec.save(folder)
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(f"{name}/metadata.json", json.dumps(card, ensure_ascii=False, indent=2))
            archive.write(pieces, f"{name}/sentencepiece.model")
            for part in sorted(Path(folder).iterdir()):
                archive.write(part, f"{name}/model/{part.name}")


def _spec(model: Model) -> ctranslate2.specs.TransformerSpec:
    spec = ctranslate2.specs.TransformerSpec.from_config((LAYERS, LAYERS), HEADS, pre_norm=True)
    table, places = _numbers(model.table.weight), _numbers(model.waves)
    spec.encoder.embeddings[0].weight = spec.decoder.embeddings.weight = spec.decoder.projection.weight = table
    spec.encoder.position_encodings.encodings = spec.decoder.position_encodings.encodings = places
    _norm(spec.encoder.layer_norm, model.encoder.norm)
    _norm(spec.decoder.layer_norm, model.decoder.norm)
    for theirs, ours in zip(spec.encoder.layer, model.encoder.layers, strict=True):
        _attention(theirs.self_attention, ours.self_attn, ours.norm1)
        _feed(theirs.ffn, ours, ours.norm2)
    for theirs, ours in zip(spec.decoder.layer, model.decoder.layers, strict=True):
        _attention(theirs.self_attention, ours.self_attn, ours.norm1)
        _attention(theirs.attention, ours.multihead_attn, ours.norm2, to_source=True)
        _feed(theirs.ffn, ours, ours.norm3)
    return spec


def _attention(spec: object, module: nn.MultiheadAttention, norm: nn.Module, *, to_source: bool = False) -> None:
    """Query, key and value are one matrix in PyTorch; CTranslate2 wants the query apart where it asks the source."""
    cuts = [slice(0, WIDTH), slice(WIDTH, 3 * WIDTH)] if to_source else [slice(0, 3 * WIDTH)]
    for place, cut in enumerate(cuts):
        spec.linear[place].weight = _numbers(module.in_proj_weight[cut])
        spec.linear[place].bias = _numbers(module.in_proj_bias[cut])
    _linear(spec.linear[len(cuts)], module.out_proj)
    _norm(spec.layer_norm, norm)


def _feed(spec: object, layer: nn.Module, norm: nn.Module) -> None:
    _linear(spec.linear_0, layer.linear1)
    _linear(spec.linear_1, layer.linear2)
    _norm(spec.layer_norm, norm)


def _linear(spec: object, module: nn.Module) -> None:
    spec.weight, spec.bias = _numbers(module.weight), _numbers(module.bias)


def _norm(spec: object, module: nn.Module) -> None:
    spec.gamma, spec.beta = _numbers(module.weight), _numbers(module.bias)


def _numbers(tensor: Tensor) -> object:
    """A copy: CTranslate2 changes in place what it is given."""
    return tensor.detach().float().numpy().copy()
