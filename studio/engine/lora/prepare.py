"""From a dataset to tensor files, as the original writes them (training.md 3)."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from studio.engine.audio.shape import Audio, is_silent
from studio.engine.audio.source import prepare_source
from studio.engine.conditioning import embed, silence
from studio.engine.dataset.files import dataset_row, write_json
from studio.engine.dataset.preparation import Crop, Preparation, Prepared, Progress
from studio.engine.dataset.samples import Dataset, Sample
from studio.engine.lora.layout import MANIFEST
from studio.engine.manifest import sha256
from studio.engine.model_spec import Sound
from studio.engine.prompts import Prompt, caption_prompt, instruction_for, lyrics_prompt, metas_text, sung_lyrics
from studio.engine.requests import Metas
from studio.engine.vae import encode
from studio.errors import AudioError, InvalidRequest

if TYPE_CHECKING:  # takes eight seconds to import
    from studio.engine.loader import Components

REFERENCE_FRAMES = 750  # of silence, in place of a reference, as at inference
FORMAT = 1
CHUNK_SECONDS = 30.0
Using = Callable[..., AbstractContextManager[object]]  # brings parts, each by its name, to the device


def _all_there(*_names: str) -> AbstractContextManager[object]:
    return nullcontext()


def prepare(  # one argument a thing it needs
    dataset: Dataset,
    folder: Path,
    parts: Components,
    sound: Sound,
    model: str,
    how: Preparation,
    progress: Progress | None = None,
    using: Using = _all_there,
) -> Prepared:
    """Write `<id>.pt` for each labeled sample and the manifest; what is there already is kept.

    `using` brings the parts that the step at hand needs to the device. A song that can't be read is a fault and the
    rest goes on. The manifest is written after every song, so a run that is stopped by an error out of `progress` or
    killed is taken up where it was. Raises InvalidRequest when no sample is labeled, StorageError.
    """
    labeled, captions = dataset.labeled, dataset.captions()
    if not labeled:
        raise InvalidRequest("dataset", "hold labeled samples (a caption makes one labeled)", len(dataset.samples))
    folder.mkdir(parents=True, exist_ok=True)
    known = _known(folder)
    files: dict[str, dict[str, str]] = {}
    faults, notes, written = list[str](), list[str](), 0
    for done, sample in enumerate(labeled):
        if progress is not None:
            progress(done, len(labeled), sample.filename)
        name = f"{sample.id}.pt"
        try:
            key = _key(sample, captions[sample.id], model, how)
            if not how.again and known.get(name, {}).get("key") == key and (folder / name).is_file():
                files[name] = known[name]
                continue
            tensors = encode_sample(sample, captions[sample.id], parts, sound, how, notes, using)
        except (AudioError, InvalidRequest, OSError) as error:
            faults.append(f"{sample.filename}: {error}")
            continue
        tensors["studio"] = {"format": FORMAT, "model": model, "key": key}
        files[name] = {"key": key, "sha256": _save(folder / name, tensors)}
        written += 1
        _write_manifest(folder, dataset, model, known | files)
    _write_manifest(folder, dataset, model, files)
    return Prepared(written=written, skipped=len(files) - written, faults=tuple(faults), notes=tuple(notes))


@torch.no_grad()
def encode_sample(
    sample: Sample,
    caption: str,
    parts: Components,
    sound: Sound,
    how: Preparation,
    notes: list[str] | None = None,
    using: Using = _all_there,
) -> dict[str, Tensor | dict[str, object]]:
    """Return the content of one file: latents `[T, C]`, mask `[T]`, states `[L, H]`, mask `[L]`, context `[T, 2C]`.

    The latents are drawn from the autoencoder's posterior with a seed that follows from the sample's id. The lyrics
    have the form that inference uses (training.md 3.4), the timbre reference is silence. `notes` gets a line when the
    song is cut. Raises AudioError.
    """
    whole = prepare_source(Path(sample.audio_path), sound, limit=24 * 3600.0).audio
    audio = _cut(whole, sound, how)
    if notes is not None and audio.shape[1] < whole.shape[1]:
        seconds = whole.shape[1] / sound.sample_rate
        notes.append(f"{sample.filename}: {how.max_duration:g} of {seconds:.0f} s are used, from the {how.crop}")
    if is_silent(audio):
        raise AudioError("nothing can be heard in it")
    generator = torch.Generator().manual_seed(int(hashlib.sha256(sample.id.encode()).hexdigest()[:12], 16))
    chunk = round(CHUNK_SECONDS * sound.sample_rate / sound.hop_length)
    with using("vae"):
        latents = encode(parts.vae, sound, audio, chunk, generator)
    frames, dtype = latents.shape[0], parts.dtype
    states, mask = _condition(sample, caption, parts, using)
    calm = silence(parts.condition_encoder, frames, parts.device)[0]
    return {
        "target_latents": latents.to("cpu", dtype),
        "attention_mask": torch.ones(frames, dtype=dtype),
        "encoder_hidden_states": states[0].cpu(),
        "encoder_attention_mask": mask[0].bool().cpu(),
        "context_latents": torch.cat([calm, torch.ones_like(calm)], dim=-1).to("cpu", dtype),
        "metadata": _metadata(sample, caption),
    }


def _condition(sample: Sample, caption: str, parts: Components, using: Using) -> tuple[Tensor, Tensor]:
    metas = metas_text(_metas(sample), sample.duration)
    prompt = Prompt(
        caption=caption_prompt(instruction_for("text2music"), caption, metas),
        lyrics=lyrics_prompt(sung_lyrics(sample.lyrics, sample.is_instrumental), sample.language),
    )
    with using("text_encoder"):
        texts = embed(parts.tokenizer, parts.text_encoder, [prompt])
    encoder = parts.condition_encoder
    reference = silence(encoder, REFERENCE_FRAMES, parts.device)
    with using("condition_encoder"):
        states, mask = encoder(
            text_hidden_states=texts.caption,
            text_attention_mask=texts.caption_mask,
            lyric_hidden_states=texts.lyrics,
            lyric_attention_mask=texts.lyrics_mask,
            refer_audio_acoustic_hidden_states_packed=reference.to(parts.dtype),
            refer_audio_order_mask=torch.zeros(1, dtype=torch.long, device=parts.device),
        )
    return states, mask


def _metas(sample: Sample) -> Metas:
    """The facts as a request has them; what a request would refuse is refused here too."""
    key, time = ("" if said == "N/A" else said for said in (sample.keyscale, sample.timesignature))
    return Metas(bpm=sample.bpm or None, key_scale=key or None, time_signature=time or None)


def _metadata(sample: Sample, caption: str) -> dict[str, object]:
    names = ("audio_path", "filename", "lyrics", "duration", "bpm", "keyscale", "timesignature", "language")
    row: dict[str, object] = {name: getattr(sample, name) for name in names}
    return row | {"caption": caption, "is_instrumental": sample.is_instrumental, "preprocess_mode": "lora"}


def _cut(audio: Audio, sound: Sound, how: Preparation) -> Audio:
    most, length = sound.samples(how.max_duration), audio.shape[1]
    if length <= most:
        missing = -length % sound.hop_length
        return np.pad(audio, ((0, 0), (0, missing)))
    start = (length - most) // 2 if how.crop is Crop.MIDDLE else 0
    return audio[:, start : start + most]


def _key(sample: Sample, caption: str, model: str, how: Preparation) -> str:
    """Names everything that the tensors of a sample follow from."""
    said = [
        FORMAT,
        model,
        sample.id,
        sha256(Path(sample.audio_path)),
        how.max_duration,
        how.crop,
        _metadata(sample, caption),
    ]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _save(path: Path, tensors: Mapping[str, object]) -> str:
    """Write a tensor file at once or not at all; returns its SHA-256."""
    partial = path.with_name(f".{path.name}.partial")
    torch.save(dict(tensors), partial)
    os.replace(partial, path)
    return sha256(path)


def _known(folder: Path) -> dict[str, dict[str, str]]:
    try:
        content = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        files = content["studio"]["files"]
    except (OSError, ValueError, KeyError, TypeError):  # none, or another tool's: everything is encoded
        return {}
    return dict(files)


def _write_manifest(folder: Path, dataset: Dataset, model: str, files: Mapping[str, Mapping[str, str]]) -> None:
    content = {
        "metadata": dataset_row(dataset)["metadata"],
        "samples": sorted(files),
        "num_samples": len(files),
        "studio": {"format": FORMAT, "model": model, "files": dict(files)},
    }
    write_json(folder / MANIFEST, content, ascii_only=True)
