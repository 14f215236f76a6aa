"""Datasets for training: songs with their captions, in the original's files. Needs no torch."""
