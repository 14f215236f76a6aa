"""Every track taken out of composed songs that no training saw, against the true stems.

    python -m bench.extract --count 20

For each track, and for whichever has the tune ("lead"): the gain over the mixture as an estimate of the stem, in band
magnitudes and as SI-SDR, beside the take of another track (control) and the stem through the autoencoder (ceiling).
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import torch

from mini.composer.song import TRACKS
from mini.evaluation.material import MODELS, Setting, player
from mini.evaluation.stems import GUIDANCE, KINDS, extract


def main() -> None:
    """Print the table and how long it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--count", type=int, default=20, help="songs; in each play drums, bass and somebody with a tune"
    )
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--models", type=Path, default=MODELS, help="folder of the checkpoint's folder")
    parser.add_argument("--base", default="acestep-mini-base")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--guidance", type=float, default=GUIDANCE)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    kinds = (*KINDS, *(track for track in TRACKS if track not in KINDS))
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        setting = Setting(
            seconds=args.seconds,
            models=args.models,
            base=args.base,
            device=args.device,
            guidance=args.guidance,
            folder=Path(folder),
        )
        print(extract(setting, player(setting.base, setting), args.count, kinds).markdown)
    print(f"{(time.monotonic() - began) / 60:.1f} minutes")


if __name__ == "__main__":
    main()
