"""The command line; importing it costs no torch."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from studio import __version__
from studio.cli import adapters, backup, dataset, doctor, generate, lm, lm_server, measure, models, serve, train
from studio.cli.text import _
from studio.errors import InvalidRequest, StudioError


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status.

    0 done; 1 it could not be done; 2 the arguments break a rule; 130 interrupted. Messages go to stderr.
    """
    args = _parser().parse_args(argv)
    try:
        return int(args.run(args))
    except InvalidRequest as error:
        print(f"studio: {error}", file=sys.stderr)
        return 2
    except StudioError as error:
        print(f"studio: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(_("studio: interrupted"), file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="studio", description=_("An open music studio over ACE-Step 1.5."))
    parser.add_argument("--version", action="version", version=f"studio {__version__}")
    commands = parser.add_subparsers(metavar=_("command"), required=True)
    for command in (serve, generate, lm, lm_server, measure, models, dataset, train, adapters, backup, doctor):
        command.add_to(commands)
    return parser
