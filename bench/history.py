"""How long the library takes to answer with 1,000 to 100,000 takes of 40 users, on SQLite and PostgreSQL.

    python -m bench.history [--sizes 1000 10000 100000] [--databases sqlite postgres] [--repeats 30] [--quick]

Two clocks: wall time, and the processor time of this process and of the database's. On a machine that other programs
use, the second one is the library's. PostgreSQL comes from the wheel `pgserver`, or is the server of
STUDIO_TEST_POSTGRES. The biggest user has about a quarter of all takes; "everybody" is what an administrator searches.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import quantiles

from sqlalchemy import Connection, insert, select, text

from studio.config import Settings
from studio.services.library import Order, Query, Whose
from studio.services.library.lineage import Families
from studio.services.library.search import Search
from studio.services.library.shelf import Shelf
from studio.services.principal import Principal
from studio.storage.database import Database
from studio.storage.migrate import migrate
from studio.storage.models import Batch, Entry, Job, Origin, Tag, Take, User
from studio.storage.states import JobState, Role, Visibility
from studio.storage.times import utc_now
from studio.storage.words import WORDS
from tests import postgres

USERS = 40
MODELS = ("turbo", "turbo", "turbo", "sft", "base")
TASKS = ("text2music",) * 8 + ("cover", "repaint")
KEYS = tuple(f"{note} {mode}" for note in "ABCDEFG" for mode in ("major", "minor"))
GENRES = "calm loud slow fast lo fi rock jazz folk techno ambient piano guitar drums strings choir synth bass".split()
CHUNK = 1000  # takes
START = datetime(2025, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Spent:
    """The milliseconds of one answer."""

    wall: float
    processor: float


class Filler:
    """Makes up the takes of many people, the same ones each time."""

    def __init__(self) -> None:
        self._dice = random.Random(5)
        vocabulary = ["".join(self._dice.choices("abcdeilmnorstu", k=self._dice.randint(3, 9))) for _ in range(3000)]
        self._lyrics = [" ".join(self._dice.choices(vocabulary, k=80)) for _ in range(2000)]
        self._made: dict[str, list[str]] = {}  # by user, so that a family stays in one
        self._count = 0

    def fill(self, connection: Connection, takes: int) -> None:
        """Add `takes` takes in batches of up to four."""
        users = [f"{number:032x}" for number in range(USERS)]
        connection.execute(insert(User), [{"id": one, "name": one, "created_at": START} for one in users])
        weights = [1 / (1 + number) for number in range(USERS)]
        while self._count < takes:
            rows: dict[object, list[dict[str, object]]] = {
                table: [] for table in (Batch, Job, Take, Entry, WORDS, Tag, Origin)
            }
            for _ in range(CHUNK // 2):
                self._batch(
                    rows, self._dice.choices(users, weights)[0], min(self._dice.randint(1, 4), takes - self._count)
                )
            for table, values in rows.items():
                if values:
                    connection.execute(insert(table), values)  # type: ignore[arg-type]

    def _batch(self, rows: dict[object, list[dict[str, object]]], user: str, size: int) -> None:
        if not size:
            return
        dice, batch_id = self._dice, f"{self._dice.getrandbits(128):032x}"
        now = START + timedelta(seconds=30 * self._count)
        task, model, bpm, key = dice.choice(TASKS), dice.choice(MODELS), dice.randint(60, 180), dice.choice(KEYS)
        caption, lyrics = " ".join(dice.choices(GENRES, k=6)), dice.choice(self._lyrics)
        settings = {"caption": caption, "lyrics": lyrics, "bpm": bpm, "keyscale": key, "inference_steps": 8}
        owner = {"batch_id": batch_id, "user_id": user, "created_at": now}
        rows[Batch].append(
            {
                "id": batch_id,
                "user_id": user,
                "created_at": now,
                "task": task,
                "model": model,
                "form": {},
                "request": {},
            }
        )
        job = {
            "kind": "generate",
            "requested": {},
            "state": JobState.DONE,
            "phase": "",
            "step": 0,
            "total": 0,
            "error": "",
        }
        more = {"cancel_requested": False, "attempt": 1, "losses": 0}
        rows[Job].append({"id": batch_id, **job, **more, **owner})
        if (family := self._made.setdefault(user, [])) and dice.random() < 0.3:
            parent = dice.choice(family[-200:])
            rows[Origin].append(
                {
                    "batch_id": batch_id,
                    "parent_id": parent,
                    "name": "",
                    "role": dice.choice(list(Role)),
                    "created_at": now,
                }
            )
        facts = {
            "task": task,
            "model": model,
            "adapter": dice.choice(("", "", "jazz", "live")),
            "bpm": bpm,
            "key_scale": key,
            "heard": "".join(dice.choice("pppcon") for _ in range(4)),
            "loudness": round(dice.uniform(-24, -6), 1),
        }
        for index in range(size):
            self._count += 1
            number, take_id = self._count, f"{self._count:032x}"
            family.append(take_id)
            rows[Take].append(
                {"id": take_id, "batch_id": batch_id, "index": index, "seed": number, "format": "mp3", "key": take_id,
                 "duration": 120.0, "sample_rate": 48000, "requested": settings, "effective": settings,
                 "timings": {"total": 9.0}, "created_at": now}
            )  # fmt: skip
            marks = {"title": "", "rating": dice.choice((0, 0, 0, 0, 1, 2, 3, 4, 5)), "favourite": dice.random() < 0.05}
            gone = now if dice.random() < 0.03 else None
            shared = {"visibility": Visibility.PRIVATE if number % 10 else Visibility.TEAM}
            rows[Entry].append(
                {"id": number, "take_id": take_id, **owner, **facts, **marks, **shared, "deleted_at": gone}
            )
            words = {"title": "", "caption": caption, "lyrics": lyrics, "tags": "", "owner": f"u{user}"}
            if dice.random() < 0.1:
                words["tags"] = dice.choice(("keep", "album", "later"))
                rows[Tag].append({"entry_id": number, "name": words["tags"], "user_id": user})
            rows[WORDS].append({"rowid": number, **words})


def questions(database: Database, user: str | None, some_lyric: str) -> dict[str, Callable[[], object]]:
    """What is asked, by name."""
    team = Search(database, None)
    search, two = Search(database, user), Query(models=("turbo",), tasks=("text2music",))
    asked: dict[str, Callable[[], object]] = {
        "two facets, page 1": lambda: search.page(two),
        "two facets, page 50": lambda: search.page(two, 50),
        "rare facets (key, 5 stars, tempo)": lambda: search.page(Query(keys=("C major",), rating=5, bpm=(118, 122))),
        "heard (BPM off, LUFS)": lambda: search.page(Query(heard=("bpm:off",), loudness=(-14.0, None))),
        "tag": lambda: search.page(Query(tags=("keep",))),
        "best rated, page 50": lambda: search.page(Query(order=Order.BEST_RATED), 50),
        "words, common": lambda: search.page(Query(text="piano")),
        "words, rare": lambda: search.page(Query(text=some_lyric)),
        "words and two facets, page 50": lambda: search.page(Query(text="piano", models=("turbo",), rating=1), 50),
        "words, best match": lambda: search.page(Query(text="piano jazz", order=Order.BEST_MATCH)),
        "shared by the team": lambda: team.page(Query(whose=Whose.TEAM), 50),
        "shared by the team, words": lambda: team.page(Query(whose=Whose.TEAM, text="piano"), 50),
        "counts of all facets": lambda: search.facets(Query()),
        "counts with words": lambda: search.facets(Query(text="piano")),
    }
    if user is not None:
        families = Families(Shelf(database, Principal(user_id=user), utc_now))
        with database.read() as session:
            mine = session.scalars(
                select(Entry.take_id).where(Entry.user_id == user).order_by(Entry.id.desc()).limit(200)
            )
            takes = iter(mine.all() * 50)
        asked["tree of a take"] = lambda: families.of(next(takes))
    return asked


def measure(database: Database, question: Callable[[], object], repeats: int) -> list[Spent]:
    """Ask once to warm up, then `repeats` times."""
    question()
    spent = []
    for _ in range(repeats):
        with _backend(database) as backend:
            wall, processor = time.perf_counter(), time.process_time() + backend()
            question()
            spent.append(Spent((time.perf_counter() - wall) * 1e3, (time.process_time() + backend() - processor) * 1e3))
    return spent


@contextmanager
def _backend(database: Database) -> Iterator[Callable[[], float]]:
    """Give a clock of the processor seconds of PostgreSQL's process for our one connection; SQLite is in this one."""
    if database.engine.dialect.name != "postgresql":
        yield lambda: 0.0
        return
    with database.engine.connect() as connection:
        pid = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
    yield lambda: int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


@contextmanager
def opened(kind: str, server: str | None) -> Iterator[Database]:
    """Give an empty, migrated database."""
    with tempfile.TemporaryDirectory() as folder:
        if server is None:
            settings = Settings(data_dir=Path(folder))
            migrate(settings)
            database = Database(settings.resolved_database_url)
            yield database
            database.close()
            return
        with postgres.database(server) as url:
            migrate(Settings(data_dir=Path(folder), database_url=url))
            database = Database(url)
            yield database
            database.close()


def report(kind: str, size: int, server: str | None, repeats: int) -> None:
    """Fill a database and print a line a question."""
    with opened(kind, server) as database:
        start = time.process_time()
        with database.write() as session:
            Filler().fill(session.connection(), size)
        if kind == "postgres":
            with database.engine.connect() as connection:
                connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("VACUUM ANALYZE")
        print(f"{kind}, {size} takes, filled in {time.process_time() - start:.0f} s", flush=True)
        with database.read() as session:
            lyric = session.scalars(select(Take.requested).limit(1)).one()["lyrics"]
        for name, user in (("biggest user", f"{0:032x}"), ("everybody", None)):
            for words, question in questions(database, user, str(lyric).split()[0]).items():
                _print(name, words, measure(database, question, repeats))


def _print(who: str, words: str, spent: list[Spent]) -> None:
    wall, processor = (
        quantiles((getattr(one, clock) for one in spent), n=20, method="inclusive") for clock in ("wall", "processor")
    )
    figures = (
        f"processor median {processor[9]:7.1f} p95 {processor[18]:7.1f}   wall {wall[9]:7.1f} p95 {wall[18]:7.1f} ms"
    )
    print(f"  {who:13} {words:36} {figures}", flush=True)


def main() -> int:
    """Measure every database at every size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--databases", nargs="+", choices=("sqlite", "postgres"), default=["sqlite", "postgres"])
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--quick", action="store_true", help="a smoke test")
    args = parser.parse_args()
    sizes, repeats = ([500], 3) if args.quick else (args.sizes, args.repeats)
    for kind in args.databases:
        if kind == "sqlite":
            for size in sizes:
                report(kind, size, None, repeats)
            continue
        with postgres.server() as server:
            for size in sizes:
                report(kind, size, server, repeats)
    return 0


if __name__ == "__main__":
    sys.exit(main())
