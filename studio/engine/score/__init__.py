"""Where in a take each lyric line is sung, and how well the take follows its lyrics (engine.md 9)."""
