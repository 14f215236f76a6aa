"""Requests as flat JSON-ready mappings and back: the form every take stores (keys of product.md 2.3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import TypedDict, TypeVar

from studio.engine.audio.span import Seconds
from studio.engine.edits import Complete, Cover, Extract, Lego, Repaint, RepaintMode, SourceRequest
from studio.engine.requests import Metas, Output, Request, Task, TextToMusic, Track
from studio.engine.sampling import (
    Guidance,
    Method,
    Retake,
    Sampling,
    Solver,
    WaveletCorrection,
    WaveletMode,
    is_number,
)
from studio.errors import InvalidRequest

SOURCE_END = -1.0  # how the original writes "to the end of the source"
Choice = TypeVar("Choice", bound=StrEnum)


class Shared(TypedDict):
    """The fields every request class has."""

    caption: str
    lyrics: str
    instrumental: bool
    vocal_language: str
    metas: Metas
    sampling: Sampling
    guidance: Guidance
    output: Output
    reference: Path | None
    seeds: tuple[int, ...]


def settings_of(request: Request) -> Mapping[str, object]:
    """Return the request as one flat JSON-ready mapping; `request_from` gives the request back."""
    return {
        "task_type": request.task.value,
        "caption": request.caption,
        "lyrics": request.lyrics,
        "instrumental": request.instrumental,
        "vocal_language": request.vocal_language,
        "bpm": request.metas.bpm,
        "keyscale": request.metas.key_scale,
        "timesignature": request.metas.time_signature,
        "reference_audio": None if request.reference is None else str(request.reference),
        "seeds": list(request.seeds),
        "batch_size": len(request.seeds),
        **_sampling_settings(request.sampling),
        **_guidance_settings(request.guidance),
        **_output_settings(request.output),
        **_task_settings(request),
    }


def request_from(settings: Mapping[str, object]) -> Request:
    """Rebuild and check a request from its mapping; a key that an older version didn't write takes its default.

    Raises InvalidRequest naming the key whose value can't be one.
    """
    read = _Reader(settings)
    builders: Mapping[str, Callable[[_Reader], Request]] = {
        Task.TEXT2MUSIC: _text2music,
        Task.COVER: _cover,
        Task.REPAINT: _repaint,
        Task.LEGO: _lego,
        Task.EXTRACT: _extract,
        Task.COMPLETE: _complete,
    }
    task = read.text("task_type", Task.TEXT2MUSIC)
    if task not in builders:
        raise InvalidRequest("task_type", f"be one of {', '.join(builders)}", task)
    return builders[task](read)


def end_of(written: float) -> float | None:
    """Return the end of a region as requests have it, None for the end of the source."""
    return None if written == SOURCE_END else written


def _sampling_settings(sampling: Sampling) -> dict[str, object]:
    wavelet, retake = sampling.wavelet, sampling.retake
    return {
        "inference_steps": sampling.steps,
        "shift": sampling.shift,
        "timesteps": None if sampling.timesteps is None else list(sampling.timesteps),
        "trained_only": sampling.trained_only,
        "infer_method": sampling.method.value,
        "sampler_mode": sampling.solver.value,
        "velocity_norm_threshold": sampling.velocity_limit,
        "velocity_ema_factor": sampling.velocity_smoothing,
        "dcw_mode": None if wavelet is None else wavelet.mode.value,
        "dcw_scaler": None if wavelet is None else wavelet.strength,
        "dcw_high_scaler": None if wavelet is None else wavelet.high_strength,
        "retake_seeds": None if retake is None else list(retake.seeds),
        "retake_variance": None if retake is None else retake.variance,
    }


def _guidance_settings(guidance: Guidance) -> dict[str, object]:
    return {
        "guidance_scale": guidance.scale,
        "use_adg": guidance.adg,
        "cfg_interval_start": guidance.start,
        "cfg_interval_end": guidance.end,
    }


def _output_settings(output: Output) -> dict[str, object]:
    return {
        "enable_normalization": output.normalize,
        "normalization_db": output.peak,
        "fade_in_duration": output.fade_in,
        "fade_out_duration": output.fade_out,
        "latent_shift": output.latent_shift,
        "latent_rescale": output.latent_rescale,
    }


def _task_settings(request: Request) -> dict[str, object]:
    settings: dict[str, object] = {}
    if isinstance(request, TextToMusic):
        settings = {
            "duration": request.duration,
            "audio_codes": list(request.audio_codes),
            "audio_cover_strength": request.cover_strength,
        }
    if isinstance(request, SourceRequest):
        settings["src_audio"] = str(request.source)
    if isinstance(request, Cover):
        settings["audio_cover_strength"] = request.strength
        settings["cover_noise_strength"] = request.noise_strength
        settings["cover_quantized"] = request.quantized
    if isinstance(request, Repaint):
        settings["repaint_mode"] = request.mode.value
        settings["repaint_strength"] = request.repaint_strength
        if request.more:  # one region is written as it always was
            settings["repainting_more"] = [[start, SOURCE_END if end is None else end] for start, end in request.more]
    if isinstance(request, Repaint | Lego):
        settings["repainting_start"] = request.start
        settings["repainting_end"] = SOURCE_END if request.end is None else request.end
    if isinstance(request, Lego | Extract):
        settings["track_name"] = request.track.value
    if isinstance(request, Complete):
        settings["complete_track_classes"] = [track.value for track in request.tracks]
    return settings


class _Reader:
    """Typed values of a stored mapping; a wrong kind is an error that names the key."""

    def __init__(self, settings: Mapping[str, object]) -> None:
        self._settings = settings

    def missing(self, key: str) -> bool:
        return self._settings.get(key) is None

    def text(self, key: str, default: str = "") -> str:
        value = self._settings.get(key, default)
        if not isinstance(value, str):
            raise InvalidRequest(key, "be text", value)
        return value

    def label(self, key: str) -> str | None:
        return None if self.missing(key) else self.text(key)

    def flag(self, key: str, default: bool) -> bool:
        value = self._settings.get(key, default)
        if not isinstance(value, bool):
            raise InvalidRequest(key, "be true or false", value)
        return value

    def number(self, key: str, default: float) -> float:
        value = self._settings.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InvalidRequest(key, "be a number", value)
        return value

    def number_or_none(self, key: str) -> float | None:
        return None if self.missing(key) else self.number(key, 0.0)

    def whole_or_none(self, key: str) -> int | None:
        value = self._settings.get(key)
        if value is not None and type(value) is not int:
            raise InvalidRequest(key, "be a whole number", value)
        return value

    def items(self, key: str) -> tuple[object, ...]:
        value = self._settings.get(key) or []
        if not isinstance(value, list | tuple):
            raise InvalidRequest(key, "be a list", value)
        return tuple(value)

    def wholes(self, key: str) -> tuple[int, ...]:
        return tuple(_whole(key, value) for value in self.items(key))

    def numbers(self, key: str) -> tuple[float, ...] | None:
        if self.missing(key):
            return None
        return tuple(_number(key, value) for value in self.items(key))

    def choice(self, key: str, kind: type[Choice], default: Choice | None = None) -> Choice:
        value = self._settings.get(key, default)
        if value not in list(kind):
            raise InvalidRequest(key, f"be one of {', '.join(kind)}", value)
        return kind(str(value))


def _whole(key: str, value: object) -> int:
    if type(value) is not int:
        raise InvalidRequest(key, "hold whole numbers", value)
    return value


def _number(key: str, value: object) -> float:
    if not is_number(value):
        raise InvalidRequest(key, "hold numbers", value)
    return value


def _shared(read: _Reader) -> Shared:
    reference = read.label("reference_audio")
    return {
        "caption": read.text("caption"),
        "lyrics": read.text("lyrics"),
        "instrumental": read.flag("instrumental", False),
        "vocal_language": read.text("vocal_language", "unknown"),
        "metas": Metas(
            bpm=read.whole_or_none("bpm"),
            key_scale=read.label("keyscale"),
            time_signature=read.label("timesignature"),
        ),
        "sampling": _sampling(read),
        "guidance": Guidance(
            scale=read.number_or_none("guidance_scale"),
            adg=read.flag("use_adg", False),
            start=read.number("cfg_interval_start", 0.0),
            end=read.number("cfg_interval_end", 1.0),
        ),
        "output": _output(read),
        "reference": None if reference is None else Path(reference),
        "seeds": read.wholes("seeds"),
    }


def _sampling(read: _Reader) -> Sampling:
    wavelet, retake = None, None
    if read.label("dcw_mode") is not None:
        wavelet = WaveletCorrection(
            mode=read.choice("dcw_mode", WaveletMode),
            strength=read.number("dcw_scaler", 0.05),
            high_strength=read.number("dcw_high_scaler", 0.02),
        )
    if (variance := read.number_or_none("retake_variance")) is not None:
        retake = Retake(seeds=read.wholes("retake_seeds"), variance=variance)
    return Sampling(
        steps=read.whole_or_none("inference_steps"),
        shift=read.number_or_none("shift"),
        timesteps=read.numbers("timesteps"),
        trained_only=read.flag("trained_only", False),
        method=read.choice("infer_method", Method, Method.ODE),
        solver=read.choice("sampler_mode", Solver, Solver.EULER),
        velocity_limit=read.number("velocity_norm_threshold", 0.0),
        velocity_smoothing=read.number("velocity_ema_factor", 0.0),
        wavelet=wavelet,
        retake=retake,
    )


def _output(read: _Reader) -> Output:
    return Output(
        normalize=read.flag("enable_normalization", True),
        peak=read.number("normalization_db", -1.0),
        fade_in=read.number("fade_in_duration", 0.0),
        fade_out=read.number("fade_out_duration", 0.0),
        latent_shift=read.number("latent_shift", 0.0),
        latent_rescale=read.number("latent_rescale", 1.0),
    )


def _source(read: _Reader) -> Path:
    return Path(read.text("src_audio"))


def _span_end(read: _Reader) -> float | None:
    return end_of(read.number("repainting_end", SOURCE_END))


def _more_regions(read: _Reader) -> tuple[Seconds, ...]:
    regions = []
    for pair in read.items("repainting_more"):
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise InvalidRequest("repainting_more", "hold pairs of seconds", pair)
        start, end = (_number("repainting_more", value) for value in pair)
        regions.append((start, end_of(end)))
    return tuple(regions)


def _text2music(read: _Reader) -> TextToMusic:
    return TextToMusic(
        **_shared(read),
        duration=read.number_or_none("duration"),
        audio_codes=read.wholes("audio_codes"),
        cover_strength=read.number("audio_cover_strength", 1.0),
    )


def _cover(read: _Reader) -> Cover:
    return Cover(
        **_shared(read),
        source=_source(read),
        strength=read.number("audio_cover_strength", 1.0),
        noise_strength=read.number("cover_noise_strength", 0.0),
        quantized=None if read.missing("cover_quantized") else read.flag("cover_quantized", True),
    )


def _repaint(read: _Reader) -> Repaint:
    return Repaint(
        **_shared(read),
        source=_source(read),
        start=read.number("repainting_start", 0.0),
        end=_span_end(read),
        more=_more_regions(read),
        mode=read.choice("repaint_mode", RepaintMode, RepaintMode.BALANCED),
        repaint_strength=read.number("repaint_strength", 0.5),
    )


def _lego(read: _Reader) -> Lego:
    return Lego(
        **_shared(read),
        source=_source(read),
        track=read.choice("track_name", Track),
        start=read.number("repainting_start", 0.0),
        end=_span_end(read),
    )


def _extract(read: _Reader) -> Extract:
    return Extract(**_shared(read), source=_source(read), track=read.choice("track_name", Track))


def _complete(read: _Reader) -> Complete:
    names = read.items("complete_track_classes")
    for name in names:
        if name not in list(Track):
            raise InvalidRequest("complete_track_classes", f"hold only {', '.join(Track)}", name)
    return Complete(**_shared(read), source=_source(read), tracks=tuple(Track(str(name)) for name in names))
