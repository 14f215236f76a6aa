"""Every task on tiny checkpoints: what is asked of the model, what comes back, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from studio.engine.audio.shape import Audio
from studio.engine.edits import Complete, Cover, Extract, Lego, Repaint, RepaintMode, SourceRequest
from studio.engine.engine import Engine
from studio.engine.listening import audio_codes
from studio.engine.material import Tiling
from studio.engine.requests import Output, Request, TextToMusic, Track
from studio.engine.run import Run
from studio.engine.sampling import Guidance, Method, Retake, Sampling, Solver, WaveletCorrection
from studio.errors import AudioError, Cancelled, InvalidRequest
from tests.engine.conftest import save

RATE = 2400  # Hz, of the tiny checkpoints
SECONDS = 12.3
STEPS = Sampling(steps=2)


@pytest.fixture(scope="module")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12.3 s of stereo noise bursts: 307.5 latent frames."""
    path = tmp_path_factory.mktemp("songs") / "song.wav"
    rng = np.random.default_rng(0)
    audio = rng.uniform(-0.5, 0.5, (round(SECONDS * RATE), 2)) * (np.arange(round(SECONDS * RATE)) % 600 < 300)[:, None]
    soundfile.write(path, audio.astype(np.float32), RATE, subtype="FLOAT")
    return path


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """A turbo checkpoint that knows 40 codes."""
    return Engine.load(save(tmp_path_factory.mktemp("small") / "tiny-40", turbo=True, levels=[8, 5]), device="cpu")


def read(path: Path) -> Audio:
    return np.ascontiguousarray(soundfile.read(path, dtype="float32", always_2d=True)[0].T)


def asks(song: Path) -> dict[str, SourceRequest]:
    common = {"source": song, "seeds": (7,), "sampling": STEPS}
    return {
        "cover": Cover(caption="soft jazz", **common),
        "repaint": Repaint(caption="soft jazz", start=4, end=8, **common),
        "lego": Lego(caption="plucked", track=Track.BASS, **common),
        "extract": Extract(track=Track.DRUMS, **common),
        "complete": Complete(caption="full band", tracks=(Track.DRUMS, Track.BASS), **common),
    }


@pytest.mark.parametrize("task", ["cover", "repaint", "lego", "extract", "complete"])
def test_every_task_makes_sound_as_long_as_its_source(base_engine: Engine, song: Path, task: str) -> None:
    take = base_engine.generate(asks(song)[task])[0]
    assert take.audio.shape == (2, round(SECONDS * RATE))
    assert np.abs(take.audio).max() > 0.01
    assert take.effective["duration"] == pytest.approx(SECONDS)
    assert take.requested["src_audio"] == str(song)


@pytest.mark.parametrize(
    ("task", "sentence"),
    [
        ("cover", "Generate audio semantic tokens based on the given conditions:"),
        ("repaint", "Repaint the mask area based on the given conditions:"),
        ("lego", "Generate the BASS track based on the audio context:"),
        ("extract", "Extract the DRUMS track from the audio:"),
        ("complete", "Complete the input track with DRUMS | BASS:"),
    ],
)
def test_the_instruction_names_the_task(base_engine: Engine, song: Path, task: str, sentence: str) -> None:
    assert base_engine.generate(asks(song)[task])[0].effective["instruction"] == sentence


def test_an_extraction_without_words_is_captioned_with_its_track(base_engine: Engine, song: Path) -> None:
    take = base_engine.generate(asks(song)["extract"])[0]
    assert (take.requested["caption"], take.effective["caption"]) == ("", "drums")


@pytest.mark.parametrize("task", ["lego", "extract", "complete"])
def test_stem_tasks_are_refused_on_turbo(engine: Engine, song: Path, task: str) -> None:
    with pytest.raises(
        InvalidRequest, match="text2music, cover, repaint with tiny-turbo: turbo checkpoints know no more"
    ):
        engine.generate(asks(song)[task])


@pytest.mark.parametrize(
    ("start", "end", "ramp"),
    [(4.0, 8.0, 60), (0.0, 5.0, 60), (7.0, None, 60), (3.0, 4.0, 60)],
)
def test_outside_a_repainted_span_every_sample_is_the_sources(
    engine: Engine, song: Path, start: float, end: float | None, ramp: int
) -> None:
    request = Repaint(caption="new", source=song, start=start, end=end, seeds=(1,), sampling=STEPS)
    take, source = engine.generate(request)[0], read(song)
    first, last = round(start * RATE), round((SECONDS if end is None else end) * RATE)
    assert np.array_equal(take.audio[:, : max(0, first - ramp)], source[:, : max(0, first - ramp)])
    assert np.array_equal(take.audio[:, last + ramp :], source[:, last + ramp :])
    assert not np.allclose(take.audio[:, first:last], source[:, first:last], atol=1e-2)


@pytest.mark.parametrize("mode", list(RepaintMode))
def test_every_repaint_mode_keeps_the_outside(engine: Engine, song: Path, mode: RepaintMode) -> None:
    request = Repaint(caption="new", source=song, start=4, end=8, mode=mode, seeds=(1,), sampling=STEPS)
    take, source = engine.generate(request)[0], read(song)
    assert np.array_equal(take.audio[:, : 4 * RATE - 120], source[:, : 4 * RATE - 120])
    assert np.array_equal(take.audio[:, 8 * RATE + 120 :], source[:, 8 * RATE + 120 :])


def test_a_repaint_reaches_beyond_both_ends(engine: Engine, song: Path) -> None:
    source = read(song)
    before = engine.generate(Repaint(caption="x", source=song, start=-3, end=2, seeds=(1,), sampling=STEPS))[0]
    after = engine.generate(Repaint(caption="x", source=song, start=11, end=15, seeds=(1,), sampling=STEPS))[0]
    assert before.duration == pytest.approx(SECONDS + 3)
    assert after.duration == pytest.approx(15)
    assert np.array_equal(before.audio[:, 5 * RATE + 120 :], source[:, 2 * RATE + 120 :])
    assert np.array_equal(after.audio[:, : 11 * RATE - 120], source[:, : 11 * RATE - 120])


def test_a_repaint_of_everything_is_levelled_like_any_take(engine: Engine, song: Path) -> None:
    take = engine.generate(Repaint(caption="x", source=song, seeds=(1,), sampling=STEPS))[0]
    assert np.abs(take.audio).max() == pytest.approx(0.891, abs=1e-3)


def test_cover_strength_decides_how_long_the_source_is_followed(engine: Engine, song: Path) -> None:
    def cover(strength: float) -> Audio:
        request = Cover(caption="x", source=song, seeds=(1,), strength=strength, sampling=Sampling(steps=4))
        take = engine.generate(request)[0]
        assert take.effective.get("cover_steps") == (None if strength == 1 else int(4 * strength))
        return take.audio

    whole, half, none = (cover(strength) for strength in (1.0, 0.5, 0.0))
    assert not np.allclose(whole, half, atol=1e-3)
    assert not np.allclose(half, none, atol=1e-3)


def test_a_cover_can_start_from_the_noised_source(engine: Engine, song: Path) -> None:
    request = Cover(caption="x", source=song, seeds=(1,), noise_strength=0.5)
    take = engine.generate(request)[0]
    assert take.effective["noise_levels"][0] == 0.5
    assert take.effective["inference_steps"] == 2
    assert take.requested["inference_steps"] is None


def test_audio_codes_decide_length_and_sound(engine: Engine) -> None:
    def play(*codes: int) -> Audio:
        return engine.generate(TextToMusic(caption="x", audio_codes=codes * 60, seeds=(1,), sampling=STEPS))[0].audio

    first, other = play(5), play(1234)
    assert first.shape[1] == 60 * 5 * 96
    assert not np.allclose(first, other, atol=1e-3)


def test_codes_outside_the_checkpoints_codebook_are_refused(small: Engine) -> None:
    assert (small.spec.codes, small.spec.codebook) == (True, 40)
    with pytest.raises(InvalidRequest, match=r"audio_codes must be whole numbers from 0 to 39 with tiny-40, got 40"):
        small.generate(TextToMusic(caption="x", audio_codes=(39, 40, 1), seeds=(1,), sampling=STEPS))


def test_audio_becomes_codes_that_can_be_played(small: Engine, song: Path) -> None:
    codes = small.to_codes(song)
    assert len(codes) == 62  # 307.5 frames, five a code
    assert set(codes) <= set(range(40))
    assert codes == small.to_codes(song)
    take = small.generate(TextToMusic(caption="x", audio_codes=codes, seeds=(1,), sampling=STEPS))[0]
    assert take.effective["duration"] == pytest.approx(62 / 5)
    with pytest.raises(Cancelled):
        small.to_codes(song, Run(cancelled=lambda: True))


def test_audio_that_can_not_become_codes_is_explained(engine: Engine, small: Engine, tmp_path: Path) -> None:
    silent = tmp_path / "silent.wav"
    soundfile.write(silent, np.zeros((RATE * 11, 2)), RATE)
    with pytest.raises(AudioError, match=r"silent\.wav is silent: there is nothing to turn into codes"):
        small.to_codes(silent)
    with pytest.raises(AudioError, match=r"nowhere\.wav"):
        small.to_codes(tmp_path / "nowhere.wav")
    bare = replace(engine._loaded, spec=replace(engine.spec, codes=False))
    with pytest.raises(InvalidRequest, match="model must be one with an audio tokenizer"):
        audio_codes(bare, silent, Tiling(100, lambda tile: None))


def test_a_reference_changes_the_timbre_and_not_the_batch_rule(engine: Engine, song: Path, tmp_path: Path) -> None:
    long = tmp_path / "long.wav"
    soundfile.write(long, np.random.default_rng(1).uniform(-0.3, 0.3, (40 * RATE, 2)), RATE)
    request = TextToMusic(caption="x", seeds=(1, 2), duration=10.0, reference=long, sampling=STEPS)
    batch = engine.generate(request)
    alone = engine.generate(replace(request, seeds=(2,)))[0]
    np.testing.assert_allclose(batch[1].audio, alone.audio, atol=2e-5)
    assert not np.allclose(engine.generate(replace(request, reference=None))[1].audio, alone.audio, atol=1e-3)


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(steps=3, method=Method.SDE),
        Sampling(steps=3, solver=Solver.HEUN),
        Sampling(steps=3, wavelet=WaveletCorrection()),
        Sampling(steps=3, velocity_limit=0.8, velocity_smoothing=0.2),
        Sampling(timesteps=(0.97, 0.5, 0.2)),
    ],
)
def test_every_sampler_repeats_and_changes_the_sound(base_engine: Engine, sampling: Sampling) -> None:
    plain = TextToMusic(caption="x", seeds=(1, 2), duration=10.0, sampling=Sampling(steps=3))
    request = replace(plain, sampling=sampling)
    batch = base_engine.generate(request)
    alone = base_engine.generate(replace(request, seeds=(2,)))[0]
    np.testing.assert_allclose(batch[1].audio, alone.audio, atol=5e-4)
    assert not np.allclose(base_engine.generate(plain)[1].audio, alone.audio, atol=1e-3)


def test_a_retake_turns_from_the_take_to_another(engine: Engine) -> None:
    request = TextToMusic(caption="x", seeds=(1,), duration=10.0, sampling=STEPS)

    def retake(variance: float) -> Audio:
        sampling = replace(STEPS, retake=Retake(seeds=(9,), variance=variance))
        return engine.generate(replace(request, sampling=sampling))[0].audio

    own, other = (engine.generate(replace(request, seeds=seeds))[0].audio for seeds in ((1,), (9,)))
    np.testing.assert_allclose(retake(0.0), own, atol=1e-5)
    np.testing.assert_allclose(retake(1.0), other, atol=1e-4)
    assert np.linalg.norm(retake(0.2) - own) < np.linalg.norm(retake(0.8) - own)


def test_guidance_only_runs_inside_its_interval(base_engine: Engine) -> None:
    request = TextToMusic(caption="x", seeds=(1,), duration=10.0, sampling=Sampling(steps=4, shift=1.0))
    seen: list[int] = []
    hook = base_engine._loaded.parts.transformer.proj_out_conv.register_forward_pre_hook(
        lambda _module, inputs: seen.append(inputs[0].shape[0])
    )
    take = base_engine.generate(replace(request, guidance=Guidance(scale=5.0, start=0.2, end=0.6)))[0]
    hook.remove()
    assert seen == [1, 2, 2, 1]  # levels 1, .75, .5, .25 of which 0.4 to 0.8 are guided
    assert take.effective["guided_noise_levels"] == pytest.approx([0.4, 0.8])


def test_turbo_refuses_a_guidance_scale(engine: Engine) -> None:
    with pytest.raises(InvalidRequest, match="guidance_scale must be 1 or empty on turbo checkpoints"):
        engine.generate(TextToMusic(caption="x", seeds=(1,), guidance=Guidance(scale=5.0)))


def test_the_level_can_be_left_as_the_model_made_it(engine: Engine) -> None:
    request = TextToMusic(caption="x", seeds=(1,), duration=10.0, output=Output(normalize=False, fade_in=1.0))
    audio = engine.generate(request)[0].audio
    assert audio[:, 0].tolist() == [0, 0]
    assert np.abs(audio).max() <= 1


def test_a_silent_source_is_the_checkpoints_silence(engine: Engine, tmp_path: Path) -> None:
    silent = tmp_path / "silent.wav"
    soundfile.write(silent, np.zeros((RATE * 11, 2)), RATE)
    request = Cover(caption="x", source=silent, seeds=(1,), quantized=False, sampling=STEPS)
    assert engine.generate(request)[0].duration == 11


def test_a_missing_source_is_an_error_before_anything_runs(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"nowhere\.wav"):
        engine.generate(Cover(caption="x", source=tmp_path / "nowhere.wav", seeds=(1,)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Cover(caption=" ", source=Path("a.wav"), seeds=(1,)), "caption must not be empty"),
        (
            lambda: Repaint(caption="x", source=Path("a.wav"), seeds=(1,), start=5, end=5),
            "repainting_end must be after",
        ),
        (lambda: Repaint(caption="x", source=Path("a.wav"), seeds=(1,), end=-2), "repainting_end must be 0 seconds or"),
        (lambda: Complete(caption="x", source=Path("a.wav"), seeds=(1,), tracks=()), "name at least one track"),
        (lambda: Cover(caption="x", source=Path("a.wav"), seeds=(1,), strength=1.1), "audio_cover_strength must be"),
        (lambda: Guidance(start=0.8, end=0.2), "cfg_interval_start must not be above"),
        (lambda: Sampling(method=Method.SDE, solver=Solver.HEUN), "sampler_mode must be euler"),
        (lambda: Sampling(timesteps=(0.5, 0.9)), "timesteps must fall"),
        (lambda: Sampling(timesteps=(0.0,)), "at least one number above 0"),
        (lambda: TextToMusic(caption="x", seeds=(1,), audio_codes=(64000,)), "audio_codes must be whole numbers"),
    ],
)
def test_bad_values_name_field_rule_and_value(make: object, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        make()  # type: ignore[operator]


def test_requests_are_hashable_facts(song: Path) -> None:
    requests: list[Request] = [*asks(song).values()]
    assert len({request.task for request in requests}) == 5
