"""Starts vLLM's engine in this process, with room that makes preemption impossible (lm.md 9.3, libraries.md 1).

Only imported when vLLM is installed. It takes its switches from the environment, which only studio/config.py may touch;
setting them on its own module has the same effect.
"""

from __future__ import annotations

import logging
from pathlib import Path

import torch
import vllm.envs  # type: ignore[import-not-found]  # an optional extra

from studio.engine.device import AUTO
from studio.engine.lm.vllm_room import cache_bytes, context_of, prompt_room
from studio.engine.lm.vocabulary import Vocabulary
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

from vllm import EngineArgs, LLMEngine  # noqa: E402
from vllm.platforms import current_platform  # type: ignore[import-not-found]  # noqa: E402

from studio.engine.lm.vllm_plugin import NAME, register  # noqa: E402
from studio.engine.lm.vllm_processor import PairProcessor  # noqa: E402


def start(folder: Path, vocabulary: Vocabulary, *, device: str, dtype: str, context: int, rows: int) -> LLMEngine:
    """Return a running engine; raises BackendError for another device than this vLLM was built for."""
    kind = str(current_platform.device_type)
    if device != AUTO and device.partition(":")[0] != kind:
        raise BackendError(f"vllm can't start: this build runs on {kind}, not on {device}")
    if device.partition(":")[2] not in ("", "0"):
        raise BackendError(f"vllm can't start on {device}: it takes the first device; choose with CUDA_VISIBLE_DEVICES")
    number = ("float32" if kind == "cpu" else "bfloat16") if dtype == AUTO else dtype
    length = context_of(folder, context)
    register()
    config = EngineArgs(
        model=str(folder),
        runner="generate",
        hf_overrides={"architectures": [NAME]},
        skip_tokenizer_init=True,
        dtype=number,
        enforce_eager=True,
        max_model_len=length,
        max_num_seqs=rows,
        max_num_batched_tokens=prompt_room(length),
        enable_chunked_prefill=False,
        async_scheduling=False,
        kv_cache_memory_bytes=cache_bytes(folder, length, rows, getattr(torch, number), kind),
        logits_processors=[PairProcessor],
        use_tqdm_on_load=False,
        disable_log_stats=True,
        seed=0,
    ).create_engine_config()
    config.parallel_config.distributed_executor_backend = "uni"  # the CPU build would start another process
    return LLMEngine.from_vllm_config(config)
