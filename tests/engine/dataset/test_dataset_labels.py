"""What labelling and editing make of a song: nobody's own words are written over."""

from __future__ import annotations

import pytest

from studio.engine.dataset.editing import edited, lm_fields, with_instrumental, with_tag
from studio.engine.dataset.labelling import Labelling, Skip, described, to_label, unknown
from studio.engine.dataset.samples import Dataset, Sample
from studio.engine.lm.metadata import Facts
from studio.errors import BackendError, InvalidRequest

HEARD = Facts(bpm=88, caption="heard", genres="folk", keyscale="D major", language="it", timesignature="3", duration=9)


def song(**values: object) -> Sample:
    return Sample(id="a", audio_path="/a.wav", filename="a.wav", **values)  # type: ignore[arg-type]


def sung(**values: object) -> Sample:
    return song(is_instrumental=False, lyrics="la", raw_lyrics="la", **values)


def test_empty_values_are_filled_and_given_ones_kept() -> None:
    made = described(sung(bpm=70, keyscale="A minor", language="en", caption="mine"), HEARD, "invented", Labelling())
    assert (made.bpm, made.keyscale, made.language, made.caption) == (70, "A minor", "en", "mine")
    assert (made.genre, made.timesignature, made.lyrics, made.labeled) == ("folk", "3", "la", True)
    assert lm_fields(made) == {"genre", "timesignature"}


def test_the_models_own_words_are_written_again_a_persons_are_not() -> None:
    first = described(song(), HEARD, "", Labelling())
    assert described(first, Facts(caption="better", bpm=90), "", Labelling()).caption == "better"
    mine = edited(first, {"caption": "mine"})
    again = described(mine, Facts(caption="better", bpm=90), "", Labelling())
    assert (again.caption, again.bpm) == ("mine", 90)
    replaced = described(mine, Facts(caption="better"), "", Labelling(replace_captions=True))
    assert replaced.caption == "better"


def test_an_instrumental_has_neither_lyrics_nor_language() -> None:
    made = described(song(), HEARD, "invented words", Labelling(transcribe_lyrics=True))
    assert (made.lyrics, made.language, made.formatted_lyrics) == ("[Instrumental]", "unknown", "")


def test_lyrics_are_written_only_when_asked() -> None:
    without = song(is_instrumental=False, lyrics="")
    assert described(without, HEARD, "invented", Labelling()).lyrics == ""
    made = described(without, HEARD, "heard words", Labelling(transcribe_lyrics=True))
    assert (made.lyrics, made.formatted_lyrics, made.raw_lyrics) == ("heard words", "heard words", "")
    assert described(sung(), HEARD, "tidy", Labelling(format_lyrics=True)).lyrics == "tidy"
    assert not Labelling(format_lyrics=True).formats(without)


def test_a_model_that_says_nothing_labels_nothing() -> None:
    with pytest.raises(BackendError, match="no caption"):
        described(song(), Facts(bpm=80), "", Labelling())


def test_skipping_metas_leaves_tempo_key_and_metre() -> None:
    made = described(song(), HEARD, "", Labelling(skip=Skip.METAS))
    assert (made.caption, made.genre, made.bpm, made.keyscale, made.timesignature) == ("heard", "folk", None, "", "")


def test_unknown_is_the_tag_or_the_name_and_keeps_what_was_given() -> None:
    made = unknown(song(custom_tag="hrbr"))
    assert (made.caption, made.bpm, made.keyscale, made.timesignature) == ("hrbr", None, "N/A", "N/A")
    assert unknown(song()).caption == "a"
    assert unknown(song(bpm=93, caption="mine", keyscale="A minor")).keyscale == "A minor"
    assert described(made, HEARD, "", Labelling()).keyscale == "D major"


def test_only_what_has_no_label_or_caption_is_chosen() -> None:
    samples = (
        song(labeled=True, caption="x"),
        Sample(id="b", audio_path="/b", labeled=True),
        Sample(id="c", audio_path="/c"),
    )
    chosen = to_label(Dataset(samples=samples), Labelling(only_unlabelled=True))
    assert [sample.id for sample in chosen] == ["b", "c"]


def test_all_instrumental_leaves_songs_with_lyrics_of_their_own() -> None:
    other = Sample(id="b", audio_path="/b", language="it", is_instrumental=False, lyrics="")
    on = with_instrumental(Dataset(samples=(sung(), other)), True)
    assert [(one.is_instrumental, one.lyrics, one.language) for one in on.samples] == [
        (False, "la", "unknown"),
        (True, "[Instrumental]", "unknown"),
    ]
    off = with_instrumental(on, False)
    assert [(one.is_instrumental, one.lyrics) for one in off.samples] == [(False, "la"), (False, "")]
    assert {one.custom_tag for one in with_tag(with_tag(off, "t"), "").samples} == {""}


def test_edits_say_that_a_song_is_labelled_unless_they_say_otherwise() -> None:
    assert edited(song(), {}).labeled
    assert not edited(song(labeled=True), {"labeled": False}).labeled
    assert edited(song(), {"bpm": 0, "keyscale": "Am"}).keyscale == "A minor"
    with pytest.raises(InvalidRequest, match="transcribe_lyrics must be off"):
        Labelling(format_lyrics=True, transcribe_lyrics=True)
    with pytest.raises(InvalidRequest, match="skip must leave"):
        Labelling(skip=Skip.MODEL, format_lyrics=True)
