"""The 5 Hz language model: it plans a song's facts and audio codes, and reads codes back as text."""
