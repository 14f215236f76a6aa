"""A server on this machine that answers as vLLM does, or as the test wants."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from studio.engine.lm.tickets import GREETING

Body = dict[str, object]
REFUSAL = json.dumps({"error": {"message": f"extra_args['studio'] is damaged ({GREETING})", "code": 400}})


class StubServer(ThreadingHTTPServer):
    """`writes` gives the events of one text; `greets` is the answer to the greeting."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.models: object = {"data": [{"id": "acestep-5Hz-lm-tiny", "max_model_len": 1024}]}
        self.key = "secret"
        self.greets: tuple[int, str] = (400, REFUSAL)
        self.writes: Callable[[Body], Iterator[str]] = lambda body: events([1])
        self.answers: Body = {}
        self.asked: list[Body] = []
        self.broken = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: StubServer

    def do_GET(self) -> None:
        self._reply(200, json.dumps(self.server.models))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if body["sampling_params"].get("extra_args") == {"studio": "hello"}:
            return self._reply(*self.server.greets)
        self.server.asked.append(body)
        if not body["stream"]:
            return self._reply(200, json.dumps(self.server.answers))
        self.send_response(200)
        self.end_headers()
        try:
            for event in self.server.writes(body):
                self.wfile.write(event.encode())
                self.wfile.flush()
        except OSError:
            self.server.broken += 1
        return None

    def _reply(self, status: int, text: str) -> None:
        if self.headers.get("Authorization") != f"Bearer {self.server.key}":
            status, text = 401, '{"error": "Unauthorized"}'
        self.send_response(status)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


def events(tokens: Sequence[int], end: bool = True) -> Iterator[str]:
    """Yield tokens as vLLM sends them, several at once now and then."""
    for at in range(0, len(tokens), 3):
        part = list(tokens[at : at + 3])
        yield f"data: {json.dumps({'request_id': 'r', 'choices': [{'index': 0, 'token_ids': part}]})}\n\n"
    if end:
        yield "data: [DONE]\n\n"


@contextmanager
def serve() -> Iterator[StubServer]:
    server = StubServer()
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
