"""Holds back the chatter of third-party libraries; needs none of them."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

# These libraries probe for optional parts while they are imported and warn about each they don't find. Loading warns of
# tensors that don't fit, which `_load_model` turns into errors, and of weight_norm, which diffusers still uses.
_NOISY = ("torchao", "torch.utils._pytree", "diffusers", "transformers", "diffusers.quantizers.torchao")


@contextmanager
def quiet() -> Iterator[None]:
    """Hold back what third-party modules log or warn below errors while they are imported or load weights."""
    loggers = [logging.getLogger(name) for name in _NOISY]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
