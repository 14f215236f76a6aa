"""What a request carries so that vLLM can write our texts: which text, which half of it, and the job (lm.md 9.3).

Shared by the client and by what runs inside vLLM; needs neither torch nor vLLM.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from studio.engine.lm.backend import Job, job_from_json, job_to_json

KEY = "studio"  # of SamplingParams.extra_args
MAIN, OTHER = "main", "other"
PROTOCOL = 1  # rises when a client and a server of different age would misunderstand each other
GREETING = f"studio protocol {PROTOCOL}"  # in the refusal of HELLO, which only a server with our processor gives
HELLO = {KEY: "hello"}


@dataclass(frozen=True, slots=True)
class Ticket:
    """One request of a text: the only one, or one half of a pair."""

    pair: str
    role: str
    job: Job

    @property
    def roles(self) -> set[str]:
        """The requests that must be in the same step."""
        return {MAIN, OTHER} if self.job.scale > 1.0 else {MAIN}


def ticket(pair: str, role: str, job: Job) -> dict[str, str]:
    """Return the extra arguments of a request; a string, which every way into vLLM carries unchanged."""
    return {KEY: json.dumps({"protocol": PROTOCOL, "pair": pair, "role": role, "job": job_to_json(job)})}


def read_ticket(extra: Mapping[str, object] | None) -> Ticket | None:
    """Return the ticket among a request's extra arguments, if there is one; raises ValueError for a damaged one."""
    text = (extra or {}).get(KEY)
    if text is None:
        return None
    try:
        parts = json.loads(str(text))
        if parts["protocol"] != PROTOCOL:
            raise ValueError(f"it speaks protocol {parts['protocol']!r}")
        found = Ticket(str(parts["pair"]), str(parts["role"]), job_from_json(parts["job"]))
        if found.role not in found.roles:
            raise ValueError(f"role {found.role!r} is none of {sorted(found.roles)}")
    except (TypeError, KeyError, ValueError) as error:
        raise ValueError(f"extra_args[{KEY!r}] is damaged ({GREETING}): {error!r}") from error
    return found
