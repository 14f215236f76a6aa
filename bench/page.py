"""What a rerun of Generate costs the server with everything open: python -m bench.page [runs].

The script runs in AppTest on a real Studio; only the row of a worker that has loaded the bundled base model is written
by hand, so nothing is computed. Measured is the script itself: wall time and the time of its thread on the CPU.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

from streamlit.runtime.scriptrunner import script_runner
from streamlit.testing.v1 import AppTest

from studio.config import ROOT, Settings
from studio.engine.model_spec import spec_for
from studio.jobs.presence import Presence
from studio.storage.database import Database
from studio.storage.times import utc_now
from studio.ui import runtime

LOADED = {
    "tier": "cpu",
    "max_duration": 60,
    "max_batch": 8,
    "quantization": "int8",
    "memory_gb": {"total": 24.0, "free": 12.0},
    "adapters": [{"name": "warm", "scale": 0.5}],
    "use_lora": True,
}


def watched(times: list[tuple[float, float]]) -> None:
    """Note the wall and CPU seconds of every script run."""
    original = script_runner.ScriptRunner._run_script

    def run(self: script_runner.ScriptRunner, rerun_data: object) -> None:
        wall, cpu = time.perf_counter(), time.thread_time()
        original(self, rerun_data)  # type: ignore[arg-type]
        times.append((time.perf_counter() - wall, time.thread_time() - cpu))

    script_runner.ScriptRunner._run_script = run  # type: ignore[method-assign]


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder), secret="only here", lease_seconds=3600)
        runtime.use(settings)
        app = AppTest.from_file(ROOT / "Home.py", default_timeout=120).run()
        database = Database(settings.resolved_database_url)
        presence = Presence(database, utc_now)
        presence.ready(spec_for(ROOT / "data/models/acestep-mini-base"), "cpu", "float32", LOADED)
        presence.tell_lm({"state": "ready", "name": "acestep-5Hz-lm-mini", "backend": "pt"})
        app.switch_page("pages/generate.py").run()
        app.session_state["guide.open"] = True
        app.text_area("create.caption").set_value("calm piano").run()
        times: list[tuple[float, float]] = []
        watched(times)
        for number in range(runs):
            app.number_input("create.bpm").set_value(60 + number).run()
        assert not app.exception, app.exception
        kinds = ("text_area", "text_input", "number_input", "selectbox", "checkbox", "slider", "button", "radio")
        print(f"{sum(len(app.get(kind)) for kind in kinds)} widgets, {runs} reruns")
        for name, values in zip(("wall", "CPU of the script's thread"), zip(*times, strict=True), strict=True):
            ordered = sorted(1000 * value for value in values)
            print(f"{name}: median {statistics.median(ordered):.0f} ms, 95th of 100 {ordered[int(0.95 * runs)]:.0f} ms")
        runtime.studio().close()
        database.close()


if __name__ == "__main__":
    main()
