"""What of a person's takes the team may look at and listen to."""

from __future__ import annotations

from collections.abc import Sequence

from studio.services.library.shelf import Shelf
from studio.storage.audit import tell
from studio.storage.states import Deed, Visibility


class Sharing:
    """Shows takes to the team, or takes them back."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    def show(self, take_ids: Sequence[str], visibility: Visibility) -> None:
        """Give takes a visibility. Raises NotFound, PermissionDenied for another person's take."""
        with self._shelf.database.write() as session:
            for entry in self._shelf.entries(session, take_ids):
                if entry.visibility != visibility:
                    entry.visibility = visibility
                    told = {"visibility": visibility.value}
                    tell(session, self._shelf.user_id, Deed.SHARED, entry.take_id, self._shelf.clock(), **told)
