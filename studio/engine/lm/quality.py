"""How well audio codes fit a take's caption, lyrics and facts, as the model judges it (lm.md 5).

The direction is the reverse of writing: the text is scored given the codes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from studio.engine.lm import prompts
from studio.engine.lm.backend import Backend, Reading
from studio.engine.lm.codes import check_codes
from studio.engine.lm.metadata import Facts, facts_yaml
from studio.engine.lm.prompts import THINK, THINK_END
from studio.engine.run import Run
from studio.errors import InvalidRequest

TOP = 10
WEIGHTS: Mapping[str, float] = {"caption": 0.5, "lyrics": 0.3, "facts": 0.2}


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreRequest:
    """A take as it was stored; a smaller `sensitivity` pulls good and bad takes further apart."""

    codes: tuple[int, ...]
    caption: str = ""
    lyrics: str = ""
    facts: Facts = field(default_factory=Facts)  # the model's first, the user's where it has none
    sensitivity: float = 0.5

    def __post_init__(self) -> None:
        check_codes(self.codes)
        check_sensitivity(self.sensitivity)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One scored text: `raw` is recall for facts, else nats of mutual information a token; `score` is 0 to 1."""

    raw: float
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """The score from 0 to 1 and what it is made of."""

    total: float
    parts: Mapping[str, float]  # caption, lyrics, facts: those that were there
    fields: Mapping[str, Part]
    requested: Mapping[str, object]


def score(backend: Backend, request: ScoreRequest, run: Run) -> Quality:
    """Return the quality of a take; raises InvalidRequest when there is no text to compare with."""
    guided, plain = _targets(request)
    if not guided and not plain:
        raise InvalidRequest("caption", "not be empty when there are no lyrics and no facts to score", request.caption)
    vocabulary = backend.vocabulary
    heard = vocabulary.encode(prompts.understand_prompt(request.codes))
    unheard = vocabulary.encode(prompts.without(prompts.UNDERSTAND, ""))
    asked = {name: vocabulary.encode(text) for name, text in {**plain, **guided}.items()}
    pairs = [(heard, ids) for ids in asked.values()] + [(unheard, asked[name]) for name in guided]
    readings = backend.read(pairs, run)
    with_codes = dict(zip(asked, readings, strict=False))
    without = dict(zip(guided, readings[len(asked) :], strict=True))
    fields = {name: Part(raw=(value := recall(with_codes[name])), score=value) for name in plain}
    for name in guided:
        raw = information(with_codes[name], without[name])
        fields[name] = Part(raw=raw, score=squash(raw, request.sensitivity))
    parts = {name: fields[name].score for name in guided}
    if plain:
        parts["facts"] = sum(fields[name].score for name in plain) / len(plain)
    total = sum(WEIGHTS[name] * value for name, value in parts.items()) / sum(WEIGHTS[name] for name in parts)
    return Quality(total=total, parts=parts, fields=fields, requested=asdict(request))


def check_sensitivity(sensitivity: float) -> None:
    """Raise InvalidRequest for a sensitivity outside its range."""
    if not isinstance(sensitivity, int | float) or not 0.01 <= sensitivity <= 1.0:
        raise InvalidRequest("score_scale", "be from 0.01 to 1", sensitivity)


def recall(reading: Reading) -> float:
    """Return the mean over tokens of 1 for the likeliest, falling to 0 below the tenth (lm.md 5.2)."""
    return sum(max(0.0, 1 - (rank - 1) / TOP) for rank in reading.ranks) / len(reading.ranks)


def information(with_codes: Reading, without: Reading) -> float:
    """Return by how many nats a token the codes make the text likelier (pointwise mutual information)."""
    return sum(with_codes.logprobs) / len(with_codes.logprobs) - sum(without.logprobs) / len(without.logprobs)


def squash(information: float, sensitivity: float) -> float:
    """Return the logistic of information over sensitivity; no codes can overflow it."""
    return 0.5 * (1 + math.tanh(information / sensitivity / 2))


def _targets(request: ScoreRequest) -> tuple[dict[str, str], dict[str, str]]:
    """Return the texts scored by information and those scored by recall; the lyrics' empty block has one newline."""
    told = request.facts.known()
    caption = request.facts.caption or request.caption
    guided = {}
    if caption.strip():
        guided["caption"] = _block({"caption": caption})
    if request.lyrics.strip():
        guided["lyrics"] = f"{THINK}\n{THINK_END}\n# Lyric\n{request.lyrics}\n"
    return guided, {name: _block({name: value}) for name, value in told.items() if name != "caption"}


def _block(told: Mapping[str, int | str]) -> str:
    return f"{THINK}\n{facts_yaml(told)}\n{THINK_END}\n"
