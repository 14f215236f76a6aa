"""`studio serve`, `studio worker` and `studio migrate`: the parts of a running studio."""

from __future__ import annotations

import argparse

from studio.cli.loading import add_setup_arguments, settings_from
from studio.cli.text import Commands, _
from studio.cli.thinking import AUTO, add_model_arguments
from studio.config import Settings, load_settings
from studio.logs import set_up


def add_to(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add serve, worker and migrate to the command line."""
    parser = commands.add_parser("serve", help=_("serve the pages and run one local worker"))
    parser.add_argument(
        "--config", metavar="NAME", help=_("checkpoint to initialise at start, such as acestep-mini-turbo")
    )
    parser.add_argument("--host", help=_("address to listen on (default 127.0.0.1: this machine only)"))
    parser.add_argument(
        "--let-the-network-in-without-sign-in",
        action="store_true",
        help=_("listen on another address than this machine's although everybody there may then do everything"),
    )
    parser.add_argument("--port", help=_("port to listen on (default 7860)"))
    parser.add_argument("--output-dir", metavar="FOLDER", help=_("where takes, history and settings are kept"))
    parser.add_argument("--batch-size", metavar="N", help=_("takes a new form asks for (default 2)"))
    parser.add_argument("--init-llm", action="store_true", help=_("load the 5 Hz language model at start"))
    group = parser.add_argument_group(_("language model"))
    group.add_argument("--lm", metavar="NAME", help=_("the one to load at start (default: the first found)"))
    add_model_arguments(group, prefix="--lm-")
    add_setup_arguments(parser)
    parser.add_argument("--no-worker", action="store_true", help=_("leave the jobs to `studio worker`"))
    parser.set_defaults(run=serve)
    worker = commands.add_parser("worker", help=_("run jobs of the queue until interrupted"))
    worker.add_argument("--config", metavar="NAME", help=_("checkpoint to initialise at start"))
    worker.add_argument(
        "--ray", metavar="ADDRESS", help=_("run one on each GPU of the Ray cluster there, instead of one here")
    )
    add_setup_arguments(worker)
    worker.set_defaults(run=work)
    commands.add_parser("migrate", help=_("create the database or bring it up to date")).set_defaults(run=migrate)


def serve(args: argparse.Namespace) -> int:
    """Serve until interrupted."""
    settings = settings_from(
        args,
        model=args.config,
        host=args.host,
        port=args.port,
        data_dir=args.output_dir,
        batch_size=args.batch_size,
        lm=args.lm or (AUTO if args.init_llm else None),
        lm_backend=args.lm_backend,
        lm_fallback="on" if args.lm_fallback else None,
        network_without_sign_in="on" if args.let_the_network_in_without_sign_in else None,
        worker="off" if args.no_worker else None,
    )
    _check_lm(settings)
    set_up(settings)
    from studio import web

    web.serve(settings)
    return 0


def _check_lm(settings: Settings) -> None:
    """Refuse a language model that isn't there before anything starts; raises NotFound or CheckpointError."""
    from studio.engine.lm.checkpoint import choose_lm, resolve_lm

    dirs = [settings.models_dir, settings.checkpoints_dir]
    if settings.lm == AUTO:
        choose_lm(dirs)
    elif settings.lm:
        resolve_lm(settings.lm, dirs)


def work(args: argparse.Namespace) -> int:
    """Run jobs until interrupted, and then those that run to their end."""
    settings = settings_from(args, model=args.config)
    set_up(settings)
    if args.ray:
        from studio.jobs.cluster import run_cluster

        run_cluster(args.ray, settings)
        return 0
    from studio.jobs.worker import run_worker

    run_worker(settings)
    return 0


def migrate(args: argparse.Namespace) -> int:
    """Bring the database up to date."""
    settings = load_settings()
    from studio.storage.migrate import migrate as upgrade

    upgrade(settings)
    print(_("The database is up to date."))
    return 0
