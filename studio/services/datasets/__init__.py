"""Datasets for training as pages use them: opened, labelled, edited, saved, turned into tensors."""

from studio.services.datasets.shelf import Datasets

__all__ = ["Datasets"]
