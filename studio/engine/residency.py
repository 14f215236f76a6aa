"""Where the parts of a model are: offloading keeps those in RAM that aren't working (engine.md 8)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain

import torch
from torch import nn

from studio.engine.device import empty_cache
from studio.engine.memory import DIT

HOME = torch.device("cpu")
VAE = "vae"


class Residency:
    """Brings each part of a model to the compute device for its stage of the pipeline and home to RAM after it.

    Without `offload` everything stays on the device; with it all but the DiT goes home; with `offload_dit` the DiT too.
    While one part works, no other offloaded part is on the device. At home the VAE is float32, which CPUs decode in.
    """

    def __init__(
        self,
        parts: Mapping[str, nn.Module | None],
        device: torch.device,
        *,
        offload: bool = False,
        offload_dit: bool = False,
        moved: Callable[[str, torch.device], None] | None = None,
    ) -> None:
        """Place every part of the model, each by its component name; `moved` hears of every later move."""
        self._parts = {name: part for name, part in parts.items() if part is not None}
        self.device = device
        self._moved = moved
        self._working: dict[str, int] = {}
        self.offloaded = frozenset(name for name in self._parts if offload and (name != DIT or offload_dit))
        self._dtypes = {name: _dtype(self._parts[name]) for name in self.offloaded & {VAE}}
        for name in self._parts:
            self._move(name, HOME if name in self.offloaded else device)
        empty_cache(device)

    @contextmanager
    def using(self, *names: str) -> Iterator[None]:
        """Have these parts on the compute device inside the block; names the checkpoint has no part for are skipped.

        Whatever of a part's tensors is needed after the block must be copied: a part takes its weights home.
        """
        entered: list[str] = []
        try:
            for name in names:
                if name in self.offloaded:
                    self._enter(name, entered)
            yield
        finally:
            self._leave(entered)

    def on_device(self) -> frozenset[str]:
        """Return the names of the parts that are on the compute device now."""
        return frozenset(self._parts) - self.offloaded | frozenset(self._working)

    def _enter(self, name: str, entered: list[str]) -> None:
        """Note the part before it is moved: a move that fails half way is then undone too."""
        self._working[name] = self._working.get(name, 0) + 1
        entered.append(name)
        if self._working[name] == 1:
            self._carry(name, self.device)

    def _leave(self, entered: list[str]) -> None:
        left = False
        for name in reversed(entered):
            self._working[name] -= 1
            if self._working[name] == 0:
                del self._working[name]
                self._carry(name, HOME)
                left = True
        if left:
            empty_cache(self.device)

    def _carry(self, name: str, place: torch.device) -> None:
        if self._moved is not None:
            self._moved(name, place)
        self._move(name, place)

    def _move(self, name: str, place: torch.device) -> None:
        part = self._parts[name]
        # Weights made in inference mode could never be changed outside of it, by an adapter for instance.
        with torch.inference_mode(mode=False):
            if name in self._dtypes:
                # torch's own, for that of diffusers' classes warns of every cast.
                nn.Module.to(part, place, torch.float32 if place == HOME else self._dtypes[name])
            else:
                part.to(place)  # int8 weights can be moved, but not cast


def _dtype(part: nn.Module) -> torch.dtype:
    """The number type of a part; an autoencoder without anything to train has its numbers in buffers."""
    return next(tensor.dtype for tensor in chain(part.parameters(), part.buffers()) if tensor.is_floating_point())
