"""Use cases: the only door for pages, routes and the command line. Importing this package does not import torch."""

from studio.services.studio import Studio, open_studio

__all__ = ["Studio", "open_studio"]
