"""What a person thinks of a take: its title, its stars, whether it is a favourite."""

from __future__ import annotations

from studio.errors import InvalidRequest
from studio.services.library.shelf import Shelf
from studio.storage import words

MAX_TITLE = 200  # characters
STARS = 5


class Marks:
    """Titles, stars and favourites."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    def name(self, take_id: str, title: str) -> None:
        """Give a take a title, or take it away with an empty one. Raises NotFound, InvalidRequest."""
        title = " ".join(title.split())
        if len(title) > MAX_TITLE:
            raise InvalidRequest("title", f"be at most {MAX_TITLE} characters", title)
        with self._shelf.database.write() as session:
            entry = self._shelf.entry(session, take_id)
            entry.title = title
            words.change(session.connection(), entry.id, title=title)

    def rate(self, take_id: str, stars: int) -> None:
        """Give a take 1 to 5 stars, or none with 0. Raises NotFound, InvalidRequest."""
        if type(stars) is not int or not 0 <= stars <= STARS:
            raise InvalidRequest("rating", f"be a whole number from 0 to {STARS}", stars)
        with self._shelf.database.write() as session:
            self._shelf.entry(session, take_id).rating = stars

    def favour(self, take_id: str, favourite: bool) -> None:
        """Make a take a favourite, or one no more. Raises NotFound."""
        with self._shelf.database.write() as session:
            self._shelf.entry(session, take_id).favourite = favourite
