"""How well takes fit their words, from what is stored with them: the codes' part and the lyrics' part (product.md 2.5).

Either part may be missing; a score says which, and why.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from time import perf_counter

from studio.engine.lora.wanted import AdapterSet
from studio.engine.results import Take
from studio.engine.run import Phase, Run
from studio.engine.score.results import LyricScores
from studio.errors import BackendError, CheckpointError, InvalidRequest, ModelNotReady, NotFound
from studio.jobs.aftercare import made_with, remembered, trace_key, why_untimed
from studio.jobs.lease import Lease
from studio.jobs.resident import Resident
from studio.jobs.resident_lm import LanguageWriter, ResidentLm
from studio.jobs.spec import Generate, LanguageModel, ScoreTake
from studio.jobs.writing import quality_row, score_request, used_model
from studio.storage import models
from studio.storage.artifacts import ArtifactStore
from studio.storage.database import Database
from studio.storage.models import Facts
from studio.storage.times import Clock

NO_CODES = "this take has no codes to judge: it was made without Think and without codes of your own"
NO_MODEL = "its codes were not judged, because no language model is loaded"
# Such as no codes, codes of another codebook, a language model that can't be loaded, no attention that follows lyrics.
_UNABLE = (NotFound, ModelNotReady, InvalidRequest, CheckpointError, BackendError)
Reader = Callable[[], LanguageWriter]
Listen = Callable[[], LyricScores]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scoring:
    """Judges takes just made and takes stored long ago by the same rules."""

    resident: Resident
    lm: ResidentLm
    artifacts: ArtifactStore
    database: Database
    clock: Clock

    def made(self, payload: Generate, sensitivity: float, take: Take, run: Run) -> Facts:
        """Return the score of a take that was just made; raises NotFound when there is nothing to judge it by."""
        engine = self.resident.require(payload.model, run)
        listen = None if take.trace is None else partial(engine.score_lyrics, take)
        return judge(take.requested, take.effective, sensitivity, self._reader(payload.lm, run), listen, run)

    def stored(self, payload: ScoreTake, lease: Lease, run: Run) -> None:
        """Store the score of a take in place of an earlier one; raises NotFound for one that is gone, as `made` does.

        The lyrics' part is the work of the checkpoint that made the take, so that one is loaded, with its adapters.
        """
        take, model, adapters = made_with(self.database, payload.take_id)
        path = self.artifacts.path(trace_key(take.key))
        listen = partial(self._listen, take, path, (model, adapters), run) if path.is_file() else None
        reader = self._reader(payload.lm, run)
        found = judge(take.requested, take.effective, payload.sensitivity, reader, listen, run)
        found["take_id"] = take.id
        with lease.complete(found) as session:
            if session.get(models.Take, take.id) is not None:  # it may be deleted meanwhile
                session.merge(score_row(take.id, found, self.clock))

    def _reader(self, lm: LanguageModel | None, run: Run) -> Reader | None:
        return None if lm is None else partial(self.lm.require, lm, run)

    def _listen(self, take: models.Take, path: Path, maker: tuple[str, AdapterSet], run: Run) -> LyricScores:
        engine = self.resident.dressed(*maker, run)
        from studio.engine.score.trace import load_trace  # needs torch, which is loaded by now

        return engine.score_lyrics(remembered(take, load_trace(path, engine.device)))


def judge(
    requested: Mapping[str, object],
    effective: Mapping[str, object],
    sensitivity: float,
    reader: Reader | None,
    listen: Listen | None,
    run: Run,
) -> Facts:
    """Return both parts of a take's score and why one is missing; raises NotFound when both are.

    `reader` gives the language model that judges the codes, `listen` how the lyrics are followed.
    """
    row: Facts = {"score": None, "score_scale": float(sensitivity)}
    timings, missing = dict[str, float](), list[str]()
    start = perf_counter()
    try:
        row |= _codes_part(requested, effective, sensitivity, reader, run)
        timings["score_codes"] = perf_counter() - start
    except _UNABLE as error:
        missing.append(str(error))
    start = perf_counter()
    try:
        row["lyric_scores"] = _lyrics_part(effective, listen, run)
        timings["score_lyrics"] = perf_counter() - start
    except _UNABLE as error:
        missing.append(str(error))
    if not timings:
        raise NotFound("; ".join(missing))
    return {**row, "timings": timings, "score_notes": missing}


def score_row(take_id: str, found: Facts, clock: Clock) -> models.QualityScore:
    """Return the row of a take's score; without codes its total is how well the take follows its lyrics."""
    total = found["score"]
    if total is None:
        total = found["lyric_scores"]["take"]["score"]  # type: ignore[index]  # written by _lyrics_part
    return models.QualityScore(take_id=take_id, total=float(str(total)), facts=found, created_at=clock())


def _codes_part(
    requested: Mapping[str, object],
    effective: Mapping[str, object],
    sensitivity: float,
    reader: Reader | None,
    run: Run,
) -> Facts:
    request = score_request(requested, effective, sensitivity)
    if request is None:
        raise NotFound(NO_CODES)
    if reader is None:
        raise ModelNotReady(NO_MODEL)
    writer = reader()
    return {**used_model(writer), **quality_row(writer.score(request, run))}


def _lyrics_part(effective: Mapping[str, object], listen: Listen | None, run: Run) -> Facts:
    if listen is None:
        raise NotFound(why_untimed(effective))
    run.step(Phase.READING, 0, 1)
    return asdict(listen())
