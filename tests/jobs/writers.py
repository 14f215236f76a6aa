"""A stand-in language model without torch: it chooses by rule, and keeps what it is told as the real one does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from studio.config import Settings
from studio.engine.lm.codes import count_for
from studio.engine.lm.effective import chosen_facts, fill_plan, fill_text, told, told_facts
from studio.engine.lm.metadata import Facts, reasoning
from studio.engine.lm.quality import Part, Quality, ScoreRequest
from studio.engine.lm.requests import CreateRequest, FormatRequest, PlanRequest, TextRequest, UnderstandRequest
from studio.engine.lm.requests import settings_of as lm_settings
from studio.engine.lm.results import Description, Parsed, Plan, TakePlan
from studio.engine.run import Phase, Run
from studio.jobs.spec import LanguageModel
from tests.jobs.fakes import FakeEngine

CAPTION = "A calm piano song that slowly builds."


class FakeWriter:
    """Chooses 60 + seed % 100 beats a minute, and codes that are the seed's last three digits."""

    codebook = 64_000

    def __init__(self, wanted: LanguageModel, before_step: Callable[[int], None] = lambda step: None) -> None:
        self.wanted = wanted
        self.plans: list[PlanRequest] = []
        self.unloaded = False
        self.caption = CAPTION
        self.notes: list[str] = []
        self._before_step = before_step

    def status(self) -> dict[str, object]:
        return {
            "lm_model": self.wanted.name,
            "lm_backend": "pt",
            "lm_backend_requested": self.wanted.backend,
            "lm_device": "cpu",
            "lm_dtype": "float32",
            "lm_codebook": self.codebook,
            "lm_notes": self.notes,
        }

    def plan(self, request: PlanRequest, run: Run) -> Plan:
        self.plans.append(request)
        self._work(run, Phase.THINKING)
        if request.make_codes:
            self._work(run, Phase.CODES)
        takes = tuple(self._take(request, seed) for seed in request.seeds)
        return Plan(takes=takes, requested=lm_settings(request), timings={"facts": 0.5, "codes": 1.5, "total": 2.0})

    def create(self, request: CreateRequest, run: Run) -> Description:
        facts = Facts(bpm=90, caption=self.caption, duration=20, keyscale="A minor", timesignature="4", language="en")
        if request.vocal_language != "unknown":
            facts = replace(facts, language=request.vocal_language)
        return self._describe(request, facts, "" if request.instrumental else "[Verse]\nla", run)

    def format(self, request: FormatRequest, run: Run) -> Description:
        values = told_facts(told(request.metas, request.duration, request.vocal_language))
        facts = Facts(**{**Facts(bpm=90, caption=self.caption, keyscale="A minor").known(), **values.known()})
        return self._describe(request, facts, "[Verse]\nbetter", run)

    def understand(self, request: UnderstandRequest, run: Run) -> Description:
        return self._describe(request, Facts(bpm=request.codes[0], caption="heard"), "[Instrumental]", run)

    def score(self, request: ScoreRequest, run: Run) -> Quality:
        self._work(run, Phase.READING)
        fields = {"caption": Part(raw=0.1, score=0.75), "bpm": Part(raw=0.5, score=0.5)}
        return Quality(total=0.7, parts={"caption": 0.75, "facts": 0.5}, fields=fields, requested={})

    def unload(self) -> None:
        self.unloaded = True

    def _work(self, run: Run, phase: Phase) -> None:
        for step in range(4):
            run.step(phase, step, 4)
            self._before_step(step)

    def _take(self, request: PlanRequest, seed: int) -> TakePlan:
        values = told(request.metas, request.duration, request.vocal_language)
        choice = {
            "bpm": 60 + seed % 100,
            "caption": self.caption,
            "duration": 10 + seed % 10,
            "keyscale": "C major",
            "language": "en",
            "timesignature": "3",
        }
        asked = chosen_facts(request, values)
        facts = Facts(**{**told_facts(values).known(), **{name: choice[name] for name in asked}})
        codes: tuple[int, ...] = ()
        if request.make_codes:
            codes = (seed % 1000,) * count_for(request.duration or facts.duration or 10)
        filled = fill_plan(request, facts, codes, bool(asked))
        own = {key: value for key, value in self.status().items() if key in ("lm_model", "lm_backend")}
        effective = {**filled.settings, **own, "lm_notes": [*self.notes, *filled.notes]}
        return TakePlan(seed=seed, facts=facts, reasoning=reasoning(facts), codes=codes, effective=effective)

    def _describe(self, request: TextRequest, facts: Facts, lyrics: str, run: Run) -> Description:
        self._work(run, Phase.THINKING)
        filled = fill_text(request, Parsed(facts, lyrics, ()))
        return Description(
            facts=facts,
            caption=filled.caption,
            lyrics=filled.lyrics,
            requested=lm_settings(request),
            effective={**filled.settings, "lm_model": self.wanted.name, "lm_backend": "pt", "lm_notes": self.notes},
            timings={"text": 0.5, "total": 0.5},
        )


class Desk:
    """A factory of language models that remembers what it built; `broken` ones fail to load with the error given."""

    def __init__(self, before_step: Callable[[int], None] = lambda step: None) -> None:
        self.built: list[FakeWriter] = []
        self.broken: dict[str, Exception] = {}
        self.notes: list[str] = []
        self._before_step = before_step

    def __call__(self, wanted: LanguageModel, settings: Settings, run: Run) -> FakeWriter:
        run.step(Phase.LOADING, 0, 1)
        if wanted.name in self.broken:
            raise self.broken[wanted.name]
        writer = FakeWriter(wanted, self._before_step)
        writer.notes = self.notes
        self.built.append(writer)
        return writer


class HearingEngine(FakeEngine):
    """A stand-in engine that hears the same codes in every file."""

    def to_codes(self, source: Path, run: Run, *, cut: bool = False) -> tuple[int, ...]:
        run.step(Phase.PREPARING, 0, 1)
        return (5, 6, 7)
