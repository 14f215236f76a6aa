"""The arguments that say how a checkpoint is loaded; each stands for the setting of the same name."""

from __future__ import annotations

import argparse

from studio.cli.text import _
from studio.config import Settings, load_settings

NAMES = ("device", "dtype", "attention", "compile", "offload", "offload_dit", "quantization", "max_vram_gb")


def add_setup_arguments(parser: argparse.ArgumentParser) -> None:
    """Add them; what is left out is taken from the settings."""
    group = parser.add_argument_group(_("how the model is loaded"))
    group.add_argument("--device", metavar="D", help=_("auto, cpu, cuda, cuda:1, mps or xpu"))
    group.add_argument("--dtype", metavar="T", help=_("auto, float32, bfloat16 or float16"))
    group.add_argument("--attention", metavar="A", help=_("sdpa or flash"))
    group.add_argument("--compile", metavar="on|off", help=_("run the DiT through torch.compile"))
    group.add_argument("--offload", metavar="on|off", help=_("keep parts that are not working in RAM"))
    group.add_argument("--offload-dit", metavar="on|off", help=_("the DiT too"))
    group.add_argument("--quantization", metavar="none|int8", help=_("how the weights of the DiT are stored"))
    group.add_argument("--max-vram-gb", metavar="GB", help=_("play a GPU of that size"))


def settings_from(args: argparse.Namespace, **more: object) -> Settings:
    """Return the settings with the arguments given in place; InvalidRequest names a wrong one."""
    return load_settings(None, **{name: getattr(args, name) for name in NAMES}, **more)
