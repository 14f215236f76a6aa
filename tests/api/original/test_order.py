"""What the fields of release_task mean, one rule of product.md 4.3 a test."""

from __future__ import annotations

import json

import pytest

from studio.api.original.order import read_order
from studio.errors import InvalidRequest
from studio.services.asks import CreateSample, Format

SONG = {"prompt": "calm piano"}


@pytest.mark.parametrize(
    ("sent", "key", "value"),
    [
        ({"caption": "rain"}, "caption", "rain"),
        ({"prompt": "rain"}, "caption", "rain"),
        ({"lyrics": "la"}, "lyrics", "la"),
        ({"thinking": True}, "thinking", True),
        ({"language": "it"}, "vocal_language", "it"),
        ({"vocalLanguage": "it"}, "vocal_language", "it"),
        ({"bpm": 97}, "bpm", 97),
        ({"key": "A minor"}, "keyscale", "A minor"),
        ({"keyscale": "A minor"}, "keyscale", "A minor"),
        ({"keyScale": "A minor"}, "keyscale", "A minor"),
        ({"timesignature": "3"}, "timesignature", "3"),
        ({"timeSignature": "3"}, "timesignature", "3"),
        ({"duration": 30}, "duration", 30),
        ({"target_duration": 30}, "duration", 30),
        ({"audioDuration": "30"}, "duration", "30"),
        ({"inferenceSteps": 4}, "inference_steps", 4),
        ({"guidanceScale": 3.5}, "guidance_scale", 3.5),
        ({"useRandomSeed": "false"}, "use_random_seed", False),
        ({"seed": 7}, "seed", 7),
        ({"batchSize": 1}, "batch_size", 1),
        ({"audioFormat": "wav"}, "audio_format", "wav"),
        ({"shift": 1.0}, "shift", 1.0),
        ({"inferMethod": "sde"}, "infer_method", "sde"),
        ({"timesteps": [1, 0.5, 0.2]}, "timesteps", "1, 0.5, 0.2"),
        ({"timesteps": "0.9, 0.5"}, "timesteps", "0.9, 0.5"),
        ({"use_adg": "on"}, "use_adg", True),
        ({"cfgIntervalStart": 0.1}, "cfg_interval_start", 0.1),
        ({"cfg_interval_end": 0.9}, "cfg_interval_end", 0.9),
        ({"taskType": "cover"}, "task_type", "cover"),
        ({"reference_audio_path": "uploads/me/a.wav"}, "reference_audio", "uploads/me/a.wav"),
        ({"ref_audio": "uploads/me/a.wav"}, "reference_audio", "uploads/me/a.wav"),
        ({"ctxAudio": "uploads/me/a.wav"}, "src_audio", "uploads/me/a.wav"),
        ({"srcAudioPath": "uploads/me/a.wav"}, "src_audio", "uploads/me/a.wav"),
        ({"repainting_start": 2}, "repainting_start", 2),
        ({"repaintingEnd": 5}, "repainting_end", 5),
        ({"repainting_end": None}, "repainting_end", -1.0),
        ({"audio_cover_strength": 0.4}, "audio_cover_strength", 0.4),
        ({"audio_code_string": "<|audio_code_1|>"}, "audio_codes", "<|audio_code_1|>"),
        ({"trackName": "drums"}, "track_name", "drums"),
        ({"instruments": "drums, bass"}, "complete_track_classes", ["drums", "bass"]),
        ({"track_classes": '["drums"]'}, "complete_track_classes", ["drums"]),
        ({"lmTopK": 40}, "lm_top_k", 40),
        ({"lm_top_p": 0.5}, "lm_top_p", 0.5),
        ({"lm_temperature": 1.0}, "lm_temperature", 1.0),
        ({"lmCfgScale": 1.5}, "lm_cfg_scale", 1.5),
        ({"lm_repetition_penalty": 1.1}, "lm_repetition_penalty", 1.1),
        ({"lm_negative_prompt": "noise"}, "lm_negative_prompt", "noise"),
        ({"useCotCaption": 0}, "use_cot_caption", False),
        ({"use-cot-language": "no"}, "use_cot_language", False),
        ({"constrained_decoding_debug": True}, "constrained_decoding_debug", True),
        ({"parallel_thinking": False}, "allow_lm_batch", False),
        ({"isFormatCaption": True}, "formatted", True),
    ],
)
def test_a_field_is_read_under_each_of_its_names(sent: dict[str, object], key: str, value: object) -> None:
    assert read_order(sent).form[key] == value


def test_what_is_not_sent_has_the_originals_default() -> None:
    form = read_order(SONG).form
    defaults = {
        "thinking": False,
        "vocal_language": "en",
        "bpm": None,
        "keyscale": "",
        "timesignature": "",
        "duration": -1.0,  # no duration
        "inference_steps": 8,
        "guidance_scale": None,  # 7.0 where the checkpoint has guidance at all
        "use_random_seed": True,
        "batch_size": 2,
        "audio_format": "mp3",
        "shift": 3.0,
        "infer_method": "ode",
        "timesteps": "",
        "use_adg": False,
        "cfg_interval_start": 0.0,
        "cfg_interval_end": 1.0,
        "task_type": "text2music",
        "repainting_start": 0.0,
        "repainting_end": -1.0,  # to the end of the source
        "audio_cover_strength": 1.0,
        "audio_codes": "",
        "lm_temperature": 0.85,
        "lm_cfg_scale": 2.5,
        "lm_top_k": 0,
        "lm_top_p": 0.9,
        "lm_repetition_penalty": 1.0,
        "lm_negative_prompt": "NO USER INPUT",
        "use_cot_caption": True,
        "use_cot_language": True,
        "constrained_decoding_debug": False,
        "allow_lm_batch": True,
        "formatted": False,
    }
    assert {key: form[key] for key in defaults} == defaults


def test_defaults_that_a_client_writes_out_are_no_wishes() -> None:
    written = {"guidance_scale": 7.0, "lm_backend": "vllm", "use_tiled_decode": True, "analysis_only": False}
    assert read_order({**SONG, **written, "bpm": None, "key_scale": "", "instruction": ""}) == read_order(SONG)


@pytest.mark.parametrize("nest", ["metas", "metadata", "user_metadata", "userMetadata", "param_obj"])
@pytest.mark.parametrize("written", [dict, json.dumps])
def test_facts_may_be_nested(nest: str, written: type[dict[str, object]]) -> None:
    form = read_order({**SONG, nest: written({"bpm": 90, "key": "C major", "language": "fr"})}).form
    assert (form["bpm"], form["keyscale"], form["vocal_language"]) == (90, "C major", "fr")


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ({"mood": "sad"}, "request must hold only the fields .*, got 'mood'"),
        ({"bpm": 90, "metas": {"bpm": 91}}, "bpm must say the same as the other value for bpm, 90, got 91"),
        ({"prompt": "a", "caption": "b"}, "caption must say the same as the other value for prompt, 'a', got 'b'"),
        ({"metas": [1]}, "metas must hold fields by name"),
        ({"param_obj": "{"}, "param_obj must be JSON"),
        ({"thinking": "perhaps"}, "thinking must be true or false, got 'perhaps'"),
        ({"use_tiled_decode": False}, "use_tiled_decode must be true"),
        ({"constrained_decoding": False}, "constrained_decoding must be true"),
        ({"analysis_only": True}, "analysis_only must be false"),
        ({"full_analysis_only": "1"}, "full_analysis_only must be false"),
        ({"instruction": "Sing:"}, "instruction must be empty or 'Fill the audio semantic mask"),
        ({"track_classes": 3}, "track_classes must be a list, got 3"),
        ({"sample_query": "rain", "prompt": "sun"}, "prompt must be empty with a sample"),
        ({"sample_mode": True, "lyrics": "la"}, "lyrics must be empty with a sample"),
        ({"sample_mode": True, "use_format": True}, "use_format must be false with a sample"),
        ({"use_format": True, "audio_duration": "long"}, "audio_duration must be a number or empty, got 'long'"),
        ({"use_format": True, "lm_top_p": "?"}, "lm_top_p must be a number"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_its_name(sent: dict[str, object], told: str) -> None:
    with pytest.raises(InvalidRequest, match=told):
        read_order(sent)


def test_the_instruction_of_the_task_may_be_sent() -> None:
    for track, own in (("", "Generate the track based on the audio context:"), ("drums", "Generate the DRUMS track")):
        lego = {"task_type": "lego", "track_name": track, "instruction": own}
        if track:
            lego["instruction"] += " based on the audio context"
        assert read_order(lego).form["task_type"] == "lego"


@pytest.mark.parametrize("name", ["sample_query", "sampleQuery", "description", "desc"])
def test_a_wish_says_its_language_and_whether_anybody_sings(name: str) -> None:
    assert read_order({name: "a German drinking song"}).words == CreateSample(
        description="a German drinking song", language="de"
    )
    alone = read_order({name: "Guitar SOLO"})
    assert alone.words == CreateSample(description="Guitar SOLO", instrumental=True)
    assert (alone.form["instrumental"], alone.form["vocal_language"]) == (True, "unknown")
    assert read_order({name: "an instrumental waltz"}).form["instrumental"] is True
    assert read_order({name: "Latin pop"}).words == CreateSample(description="Latin pop")


def test_facts_given_beside_a_wish_win() -> None:
    order = read_order({"desc": "a German song", "language": "it", "bpm": 70, "lm_temperature": "0.5"})
    assert isinstance(order.words, CreateSample)
    assert (order.words.language, order.words.sampling.temperature, order.form["bpm"]) == ("it", 0.5, 70)


def test_sample_mode_without_a_wish_leaves_the_song_to_the_language_model() -> None:
    order = read_order({"sample_mode": "true"})
    assert (order.words, order.form["caption"]) == (CreateSample(), "NO USER INPUT")


@pytest.mark.parametrize("name", ["use_format", "useFormat", "format"])
def test_format_takes_words_and_facts(name: str) -> None:
    order = read_order({**SONG, name: True, "lyrics": "la", "bpm": "90", "key": "Am"})
    assert order.words == Format(
        caption="calm piano", lyrics="la", bpm=90, key_scale="Am", duration=-1.0, language="en"
    )


def test_models_are_named() -> None:
    order = read_order({**SONG, "ditModel": "acestep-v15-turbo", "lm_model_path": "lm", "lm_backend": "pt"})
    assert (order.model, order.lm_model, order.lm_backend) == ("acestep-v15-turbo", "lm", "pt")
