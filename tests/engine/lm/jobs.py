"""Jobs of different lengths and kinds that the backends' tests share."""

from __future__ import annotations

from studio.engine.lm import prompts
from studio.engine.lm.backend import Backend, BackendName, Job
from studio.engine.lm.backends import Loaded
from studio.engine.lm.grammar import GrammarSpec, Mode
from studio.engine.lm.metadata import FIELDS, Facts, reasoning
from studio.engine.lm.planner import Planner
from studio.engine.lm.requests import Draw, Guidance, PlanRequest
from studio.engine.lm.vocabulary import Vocabulary

GREEDY = Draw(temperature=0.0)
CAPTIONS = [
    "calm piano",
    "A bright pop song with drums, bass and a warm female vocal.",
    "rock",
    "soft strings",
    "A calm piano song with a warm, intimate female vocal that slowly builds",
    "folk",
    "chinese folk, slow",
    "pop rock",
    "drums",
    "a song",
]


def codes_job(
    vocabulary: Vocabulary, caption: str, *, count: int = 30, scale: float = 2.0, seed: int = 1, draw: Draw = GREEDY
) -> Job:
    """Codes for a caption, guided when `scale` is above 1."""
    thought = reasoning(Facts(bpm=90 + len(caption), language="en"))
    return Job(
        prompt=tuple(vocabulary.encode(prompts.codes_prompt(caption, "[Verse]\nhello", thought))),
        negative=tuple(vocabulary.encode(prompts.codes_without(""))),
        scale=scale,
        grammar=GrammarSpec(mode=Mode.CODES, least=count, most=count),
        draw=draw,
        seed=seed,
        stream="codes",
        limit=count,
    )


def facts_job(
    vocabulary: Vocabulary, caption: str, *, seed: int = 1, draw: Draw = GREEDY, limit: int = 700, scale: float = 1.0
) -> Job:
    """Facts for a caption, with the language told."""
    fields = tuple(name for name in FIELDS if name != "genres")
    return Job(
        prompt=tuple(vocabulary.encode(prompts.plan_prompt(caption, "hello"))),
        negative=tuple(vocabulary.encode(prompts.without(prompts.PLAN, ""))),
        scale=scale,
        grammar=GrammarSpec(mode=Mode.FACTS, fields=fields, values=(("language", "en"),)),
        draw=draw,
        seed=seed,
        stream="facts",
        limit=limit,
    )


def planner_on(backend: Backend) -> Planner:
    """A planner over a backend that a test has already."""
    return Planner("lm", Loaded(backend=backend, requested=BackendName(backend.name)))


def greedy_plan(caption: str, batch: int, scale: float, *, rewrite_caption: bool) -> PlanRequest:
    """Facts and the codes that follow from them, the likeliest of each."""
    return PlanRequest(
        caption=caption,
        lyrics="[Verse]\nhello",
        seeds=tuple(range(batch)),
        max_duration=12.0,
        rewrite_caption=rewrite_caption,
        guidance=Guidance(scale=scale),
        draw=GREEDY,
    )
