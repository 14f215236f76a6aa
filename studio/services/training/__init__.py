"""Training adapters: what is prepared for it, one run at a time, and what came of it."""

from studio.services.training.trainings import Trainings

__all__ = ["Trainings"]
