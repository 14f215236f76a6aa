"""Starts vLLM's engine in this process, with room that makes preemption impossible (lm.md 9.3, libraries.md 1).

Only imported when vLLM is installed. It takes its switches from the environment, which only studio/config.py may touch;
setting them on its own module has the same effect.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

import torch
import vllm.envs  # type: ignore[import-not-found]  # an optional extra

from studio.engine.device import AUTO, free_memory
from studio.engine.lm.vocabulary import Vocabulary
from studio.engine.model_spec import read_json
from studio.errors import BackendError

for _switch, _value in {
    "VLLM_ENABLE_V1_MULTIPROCESSING": False,  # the processor shares our grammars
    "VLLM_USE_V2_MODEL_RUNNER": False,  # the V2 runner refuses processors of the first kind
    "VLLM_NO_USAGE_STATS": True,
    "VLLM_DO_NOT_TRACK": True,
    "VLLM_CONFIGURE_LOGGING": False,
    "VLLM_LOGGING_LEVEL": "ERROR",
}.items():
    setattr(vllm.envs, _switch, _value)
logging.getLogger("vllm").setLevel(logging.ERROR)

from vllm import EngineArgs, LLMEngine, ModelRegistry  # noqa: E402
from vllm.platforms import current_platform  # type: ignore[import-not-found]  # noqa: E402

from studio.engine.lm.vllm_model import NAME, StudioQwen3ForCausalLM  # noqa: E402
from studio.engine.lm.vllm_processor import PairProcessor  # noqa: E402

_PROMPTS = 16_384  # tokens of prompts in one step
_SHARE = 0.4  # of free memory for the cache


def start(folder: Path, vocabulary: Vocabulary, *, device: str, dtype: str, context: int, rows: int) -> LLMEngine:
    """Return a running engine; raises BackendError for another device than this vLLM was built for."""
    kind = str(current_platform.device_type)
    if device != AUTO and device.partition(":")[0] != kind:
        raise BackendError(f"vllm can't start: this build runs on {kind}, not on {device}")
    if device.partition(":")[2] not in ("", "0"):
        raise BackendError(f"vllm can't start on {device}: it takes the first device; choose with CUDA_VISIBLE_DEVICES")
    number = ("float32" if kind == "cpu" else "bfloat16") if dtype == AUTO else dtype
    length = min(context, int(str(read_json(folder / "config.json").get("max_position_embeddings", context))))
    ModelRegistry.register_model(NAME, StudioQwen3ForCausalLM)
    config = EngineArgs(
        model=str(folder),
        runner="generate",
        hf_overrides={"architectures": [NAME]},
        skip_tokenizer_init=True,
        dtype=number,
        enforce_eager=True,
        max_model_len=length,
        max_num_seqs=rows,
        max_num_batched_tokens=max(_PROMPTS, length),
        enable_chunked_prefill=False,
        async_scheduling=False,
        kv_cache_memory_bytes=_cache_bytes(folder, length, rows, getattr(torch, number), kind),
        logits_processors=[PairProcessor],
        use_tqdm_on_load=False,
        disable_log_stats=True,
        seed=0,
    ).create_engine_config()
    config.parallel_config.distributed_executor_backend = "uni"  # the CPU build would start another process
    return LLMEngine.from_vllm_config(config)


def _cache_bytes(folder: Path, length: int, rows: int, dtype: torch.dtype, kind: str) -> int:
    """Return bytes for every row at full length, if they are there; for one guided text in any case."""
    config = read_json(folder / "config.json")
    layers, heads, width = (int(str(config[key])) for key in ("num_hidden_layers", "num_key_value_heads", "head_dim"))
    each = 2 * layers * heads * width * dtype.itemsize * (length + 256)  # a row's last block, and vLLM's own
    weights = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    free = free_memory(torch.device(kind)) if kind == "cuda" else None
    there = free * 1e9 if free is not None else os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return max(2 * each, int(min(rows * each, (there - weights) * _SHARE)))
