"""The command behind `studio lm-server`: vLLM's own server with our processor and scheduler (docs/language-model.md).

The key comes from VLLM_API_KEY, for arguments can be seen by everybody on a machine.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch

from studio.engine.device import AUTO
from studio.engine.lm.backend import CONTEXT
from studio.engine.lm.checkpoint import verify_lm
from studio.engine.lm.vllm_plugin import NAME
from studio.engine.lm.vllm_room import cache_bytes, context_of, prompt_room
from studio.errors import InvalidRequest

_ENVIRONMENT = {
    "VLLM_USE_V2_MODEL_RUNNER": "0",  # the V2 runner refuses processors of the first kind
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "TORCH_COMPILE_DISABLE": "1",  # its first compilation takes half a minute on a CPU
    "HF_HUB_OFFLINE": "1",
}


def server_command(
    folder: Path,
    *,
    host: str = "127.0.0.1",
    port: int,
    dtype: str = AUTO,
    context: int = CONTEXT,
    rows: int = 16,
) -> list[str]:
    """Return the command that serves the checkpoint in `folder` to `rows` requests at once; a guided text takes two.

    It is called by the folder's name, by which the client finds it. Raises CheckpointError or InvalidRequest.
    """
    verify_lm(folder)
    kind = "cuda" if torch.cuda.is_available() else "cpu"
    number = ("float32" if kind == "cpu" else "bfloat16") if dtype == AUTO else dtype
    if number not in ("float32", "bfloat16"):
        raise InvalidRequest("dtype", "be bfloat16 or float32 for the language model", dtype)
    length = context_of(folder, context)
    options = {
        "model": folder,
        "served-model-name": folder.resolve().name,
        "host": host,
        "port": port,
        "runner": "generate",
        "hf-overrides": json.dumps({"architectures": [NAME]}),
        "dtype": number,
        "max-model-len": length,
        "max-num-seqs": rows,
        "max-num-batched-tokens": prompt_room(length),
        "kv-cache-memory-bytes": cache_bytes(folder, length, rows, getattr(torch, number), kind),
        "logits-processors": "studio.engine.lm.vllm_processor:PairProcessor",
        "scheduler-cls": "studio.engine.lm.vllm_scheduler.PairScheduler",
    }
    switches = (
        "skip-tokenizer-init enable-scale-out enforce-eager no-enable-chunked-prefill no-async-scheduling "
        "disable-log-stats disable-uvicorn-access-log"
    )
    return [
        "env",
        *(f"{name}={value}" for name, value in _ENVIRONMENT.items()),
        *(sys.executable, "-m", "vllm.entrypoints.openai.api_server"),
        *(f"--{name}={value}" for name, value in options.items()),
        *(f"--{name}" for name in switches.split()),
    ]
