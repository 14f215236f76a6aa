"""For whom a request acts: the owner of the key it shows, or the local user where nobody has to sign in."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Annotated, cast

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from studio.errors import PermissionDenied, SignInNeeded
from studio.services import Studio
from studio.services.principal import Right

_BEARER = HTTPBearer(auto_error=False, description="An API key, made on the page Account")


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """Where the routes find the studio of everybody, and whether people have to sign in."""

    opened: Callable[[], Studio]
    sign_in: Callable[[], bool]


def seat(request: Request, shown: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]) -> Studio:
    """Return the studio as whoever asks may use it.

    Raises SignInNeeded for an unknown key and where a key is needed, PermissionDenied for a disabled account and for a
    request without key under a name that is not this machine's.
    """
    return seat_of(request, "" if shown is None else shown.credentials)


def seat_of(request: Request, key: str) -> Studio:
    """Return the studio as the owner of `key` may use it, or with an empty one as `seat` says."""
    door = cast(Door, request.app.state.door)
    whole = door.opened()
    if key:
        return whole.as_user(whole.accounts.of_key(key))
    if door.sign_in():
        raise SignInNeeded("show an API key in the header Authorization: Bearer KEY; the page Account makes them")
    _check_host(request.url.hostname or "", whole.settings.host)
    return whole


Seat = Annotated[Studio, Depends(seat)]


def maker(studio: Seat) -> Studio:
    """Return the same for somebody who may make things; raises PermissionDenied for a listener."""
    studio.principal.check(Right.MAKE)
    return studio


Making = Annotated[Studio, Depends(maker)]


def _check_host(name: str, host: str) -> None:
    """Raise PermissionDenied for a name that somebody else may have pointed at this machine (DNS rebinding)."""
    here = socket.gethostname().lower()
    if name not in (host, "localhost", here, f"{here}.local") and not _is_address(name):
        raise PermissionDenied(
            f"the studio is not called {name!r}; ask it by its address, or show an API key in the header Authorization"
        )


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
