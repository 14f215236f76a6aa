"""The REST API: routes for programs over the services, with an OpenAPI document."""

from studio.api.app import build

__all__ = ["build"]
