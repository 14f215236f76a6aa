"""Live recording on a page: the microphone, its meter, and the clock it is played to."""
