"""`studio lm-server`: serves a 5 Hz language model over HTTP, for a studio on another machine."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from importlib.util import find_spec

from studio.cli.text import Commands, _
from studio.cli.thinking import AUTO
from studio.config import environment_with, load_settings
from studio.engine.lm.backend import CONTEXT
from studio.errors import BackendError

PORT = 8731
_HERE = ("127.0.0.1", "::1", "localhost")


def add_to(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add lm-server to the command line."""
    parser = commands.add_parser(
        "lm-server",
        help=_("serve the 5 Hz language model with vLLM to other machines"),
        description=_(
            "Becomes vLLM's server with the studio's processor. STUDIO_LM_API_KEY here and on the machine with the "
            "pages, whose STUDIO_LM_URL is this server, keeps others out."
        ),
    )
    parser.add_argument(
        "lm", nargs="?", default="", metavar="NAME", help=_("a name or a folder (default: the first found)")
    )
    parser.add_argument("--host", default="127.0.0.1", help=_("address to listen on (default 127.0.0.1)"))
    parser.add_argument("--port", type=int, default=PORT, help=_("port to listen on (default 8731)"))
    parser.add_argument("--dtype", default=AUTO, help=_("auto, float32 or bfloat16"))
    parser.add_argument("--context", type=int, default=CONTEXT, metavar="N", help=_("tokens of prompt and answer"))
    parser.add_argument(
        "--rows", type=int, default=16, metavar="N", help=_("requests at once; a guided text takes two")
    )
    parser.add_argument("--show", action="store_true", help=_("print the command instead of becoming it"))
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Become the server; returns only with --show."""
    settings = load_settings()
    from studio.engine.lm.checkpoint import choose_lm, resolve_lm
    from studio.engine.lm.vllm_server import server_command

    dirs = [settings.models_dir, settings.checkpoints_dir]
    folder = resolve_lm(args.lm or choose_lm(dirs), dirs)
    command = server_command(
        folder, host=args.host, port=args.port, dtype=args.dtype, context=args.context, rows=args.rows
    )
    if args.show:
        print(shlex.join(command))
        return 0
    if find_spec("vllm") is None:
        from studio.engine.lm.backend_vllm import INSTALL

        raise BackendError(f"vllm isn't installed; install it with: {INSTALL}")
    key = {"VLLM_API_KEY": settings.lm_api_key} if settings.lm_api_key else {}
    environment = environment_with(**key)
    if args.host not in _HERE and not environment.get("VLLM_API_KEY"):
        print(
            _("There is no key: whoever reaches this port can use the server. Set STUDIO_LM_API_KEY."), file=sys.stderr
        )
    sys.stdout.flush()
    os.execvpe(command[0], command, environment)
