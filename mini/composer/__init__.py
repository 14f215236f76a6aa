"""Procedural songs with perfect ground truth: tempo, key, metre, instruments, words and stems."""

from mini.composer.arrange import render
from mini.composer.song import Song, draw_song
from mini.composer.words import caption_of, lyrics_of

__all__ = ["Song", "caption_of", "draw_song", "lyrics_of", "render"]
