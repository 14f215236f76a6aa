"""Asking the language model; `/jobs/{job_id}/text` has what it wrote."""

from __future__ import annotations

from fastapi import APIRouter

from studio.api.bodies import AudioSource, FormatWish, SampleWish, UnderstandWish
from studio.api.doors import Making
from studio.errors import InvalidRequest
from studio.services.views import JobView
from studio.services.writing import ToCodes

router = APIRouter(prefix="/writing", tags=["writing"])


@router.post("/sample", status_code=202)
def sample(studio: Making, wish: SampleWish) -> JobView:
    """Have a whole song written from a wish in plain words."""
    return studio.generation.job(studio.writing.submit(wish))


@router.post("/format", status_code=202)
def improve(studio: Making, wish: FormatWish) -> JobView:
    """Have caption and lyrics written out and the facts filled in."""
    return studio.generation.job(studio.writing.submit(wish))


@router.post("/transcribe", status_code=202)
def transcribe(studio: Making, wish: UnderstandWish) -> JobView:
    """Have the music in audio codes described."""
    return studio.generation.job(studio.writing.submit(wish))


@router.post("/codes", status_code=202)
def codes(studio: Making, body: AudioSource) -> JobView:
    """Have an upload turned into audio codes."""
    if studio.uploads.resolve(body.src_audio, "src_audio") is None:
        raise InvalidRequest("src_audio", "be an upload of yours", body.src_audio)
    return studio.generation.job(studio.writing.submit(ToCodes(source=body.src_audio)))
