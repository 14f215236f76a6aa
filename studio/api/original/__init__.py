"""The REST surface of the original, so that its clients work with this studio (product.md 4)."""

from studio.api.original.app import build

__all__ = ["build"]
