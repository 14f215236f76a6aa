"""Procedural songs with perfect ground truth: tempo, key, metre, structure, words with times, and stems."""

from mini.composer.arrange import render
from mini.composer.form import Section
from mini.composer.lyrics import lyrics_of
from mini.composer.melody import WordTime, word_times
from mini.composer.song import Song, draw_song
from mini.composer.words import caption_of

__all__ = ["Section", "Song", "WordTime", "caption_of", "draw_song", "lyrics_of", "render", "word_times"]
