"""Finding takes, listening to them, and what a person does with them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import AwareDatetime, Field
from starlette.responses import FileResponse, PlainTextResponse

from studio.api.bodies import Body, Favourite, Lrc, Rating, Sensitivity, Sight, Tags, Title
from studio.api.doors import Making, Seat
from studio.api.faults import FAULTS_OF_FILES
from studio.errors import NotFound
from studio.services import library
from studio.services.details import TakeDetails
from studio.services.library import Facets, Lineage, Order, Page, Whose
from studio.services.uploads import Upload
from studio.services.views import JobView, TakeView
from studio.services.writing import Score

router = APIRouter(tags=["takes"])
Number = Annotated[float | None, Field(allow_inf_nan=False)]
LARGEST = 2**31 - 1  # of a whole number in the database
_AUDIO = {"schema": {"type": "string", "format": "binary"}}
SOUND: dict[int | str, dict[str, object]] = {
    200: {"content": {"audio/*": _AUDIO}, "description": "The whole file"},
    206: {"content": {"audio/*": _AUDIO}, "description": "The bytes that were asked for"},
    **FAULTS_OF_FILES,
}


class Wanted(Body):
    """What is looked for: within one facet any choice will do, between facets all must hold, and so must all tags."""

    text: str = ""
    tasks: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    adapters: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    bpm_from: Number = None
    bpm_to: Number = None
    heard: tuple[str, ...] = ()  # such as bpm:off
    loudness_from: Number = None  # LUFS
    loudness_to: Number = None
    rating: int = Field(default=0, ge=0, le=5)  # stars at least
    favourites: bool = False
    tags: tuple[str, ...] = ()
    collection: str = ""
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    whose: Whose = Whose.MINE
    trashed: bool = False
    order: Order = Order.NEWEST

    def query(self) -> library.Query:
        """Return the same as the services ask for it."""
        ranges = {"bpm_from", "bpm_to", "loudness_from", "loudness_to"}
        rest = self.model_dump(include=set(Wanted.model_fields) - ranges)
        return library.Query(bpm=(self.bpm_from, self.bpm_to), loudness=(self.loudness_from, self.loudness_to), **rest)


class WantedPage(Wanted):
    """The same, and which page of it; the anchor of an answer keeps the next page still."""

    page: int = Field(default=1, ge=1, le=LARGEST)
    anchor: int | None = Field(default=None, ge=0, le=LARGEST)


@router.get("/takes")
def search(studio: Seat, wanted: Annotated[WantedPage, Query()]) -> Page:
    """Find takes by words and facets, 24 a page."""
    return studio.library.search(wanted.query(), wanted.page, anchor=wanted.anchor)


@router.get("/takes/facets")
def facets(studio: Seat, wanted: Annotated[Wanted, Query()]) -> Facets:
    """Count how many takes each choice of each facet would leave."""
    return studio.library.facets(wanted.query())


@router.get("/takes/{take_id}")
def take(studio: Seat, take_id: str) -> TakeView:
    """Give a take with the settings it was asked for and those it was made with."""
    return studio.library.take(take_id)


@router.get("/takes/{take_id}/details")
def details(studio: Seat, take_id: str) -> TakeDetails:
    """Give what was heard in a take, its outline, its score and its timed lyrics."""
    if (known := studio.takes.details([take_id]).get(take_id)) is None:
        raise NotFound(f"there is no take {take_id!r}")
    return known


@router.get("/takes/{take_id}/lineage")
def lineage(studio: Seat, take_id: str) -> Lineage:
    """Give what a take came from and what was made from it."""
    return studio.library.lineage(take_id)


@router.get("/takes/{take_id}/audio", response_class=FileResponse, responses=SOUND)
def audio(studio: Seat, take_id: str, request: Request) -> FileResponse:
    """Send a take's file, whole or by byte ranges; sent whole it is told to the audit log as a download."""
    file = studio.media.file(take_id, saving="Range" not in request.headers)
    return FileResponse(file.path, media_type=file.mime, filename=file.filename)


@router.get("/takes/{take_id}/lrc", response_class=PlainTextResponse, responses=FAULTS_OF_FILES)
def lrc(studio: Seat, take_id: str) -> PlainTextResponse:
    """Send the lyrics with their times as a .lrc file."""
    return PlainTextResponse(studio.takes.lrc_file(take_id)[1])


@router.post("/takes/{take_id}/lrc", status_code=202)
def time_lyrics(studio: Making, take_id: str) -> JobView:
    """Find out when the lines of a take are sung."""
    return studio.generation.job(studio.takes.time_lyrics(take_id))


@router.put("/takes/{take_id}/lrc", status_code=204)
def edit_lyrics(studio: Making, take_id: str, body: Lrc) -> None:
    """Correct the times."""
    studio.takes.edit_lyrics(take_id, body.lrc)


@router.post("/takes/{take_id}/score", status_code=202)
def score(studio: Making, take_id: str, body: Sensitivity) -> JobView:
    """Score how well a take fits its words; the details of the take have the score once the job is done."""
    job_id = studio.writing.submit(Score(take_id=take_id, sensitivity=body.sensitivity))
    return studio.generation.job(job_id)


@router.post("/takes/{take_id}/upload", status_code=201)
def as_upload(studio: Making, take_id: str) -> Upload:
    """Put a copy of a take among the uploads, for a cover or a repaint of it."""
    return studio.uploads.add("take", *studio.takes.audio_file(take_id))


@router.put("/takes/{take_id}/title")
def name(studio: Making, take_id: str, body: Title) -> TakeView:
    """Give a take a title."""
    studio.library.marks.name(take_id, body.title)
    return studio.library.take(take_id)


@router.put("/takes/{take_id}/rating")
def rate(studio: Making, take_id: str, body: Rating) -> TakeView:
    """Give a take stars."""
    studio.library.marks.rate(take_id, body.rating)
    return studio.library.take(take_id)


@router.put("/takes/{take_id}/favourite")
def favour(studio: Making, take_id: str, body: Favourite) -> TakeView:
    """Make a take a favourite, or one no more."""
    studio.library.marks.favour(take_id, body.favourite)
    return studio.library.take(take_id)


@router.put("/takes/{take_id}/tags")
def tag(studio: Making, take_id: str, body: Tags) -> TakeView:
    """Give a take exactly these tags."""
    studio.library.tags.replace(take_id, body.tags)
    return studio.library.take(take_id)


@router.put("/takes/{take_id}/visibility")
def show(studio: Making, take_id: str, body: Sight) -> TakeView:
    """Show a take to the team, or take it back."""
    studio.library.sharing.show([take_id], body.visibility)
    return studio.library.take(take_id)


@router.delete("/takes/{take_id}", status_code=204)
def trash(studio: Making, take_id: str) -> None:
    """Move a take to the trash."""
    studio.library.trash.put([take_id])


@router.post("/takes/{take_id}/restore")
def restore(studio: Making, take_id: str) -> TakeView:
    """Take a take out of the trash."""
    studio.library.trash.restore([take_id])
    return studio.library.take(take_id)
