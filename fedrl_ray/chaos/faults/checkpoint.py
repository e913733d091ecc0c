"""The fault `checkpoint`: the newest checkpoint is corrupt when it is needed."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

from ...storage.checkpoints import existing
from ...storage.local_mirror import CHECKPOINTS
from ..fault import Fault, Scene, send
from ..program import Program


class CheckpointCorrupt(Fault):
    """Flip bits in the newest checkpoint, then kill a worker.

    The run must go on from the checkpoint before. A plain `--resume` must refuse the corrupt
    checkpoint and say why.
    """

    settings = ("checkpoint.keep=3",)
    loses_agents = True
    trace = "checkpoint_refused"

    def inject(self, scene: Scene) -> None:
        """Corrupt the newest checkpoint and kill the last worker, so that it is needed."""
        _corrupt(scene.output)
        send(scene.agents_pid(), signal.SIGKILL)

    def conclude(self, scene: Scene) -> list[str]:
        """Check on a copy of the run that `--resume` refuses a corrupt checkpoint in one line."""
        copy = scene.output.with_name(f"{scene.output.name}-corrupt")
        shutil.copytree(scene.output, copy)
        _corrupt(copy)
        arguments = [str(copy / "config.yaml"), "--output", str(copy), "--resume", "--quiet"]
        log = copy.with_suffix(".log")
        arguments += ["--set", "federation.backend=in_process"]
        again = Program(arguments, scene.program.environment, log)
        again.start()
        again.ends_within(120.0)
        again.kill()
        status, words = again.status, again.output()
        shutil.rmtree(copy)
        log.unlink()
        if status != 2 or "sha256 differs" not in words or len(words.splitlines()) != 1:
            return [
                "--resume: must refuse a corrupt checkpoint with status 2 and one line; got "
                f"status {status}: {words[-300:]}"
            ]
        return []


def _corrupt(run: Path) -> None:
    """Flip the bits of a byte in the middle of the newest checkpoint's first shard."""
    shard = min(existing(run / CHECKPOINTS)[-1].glob("agents_*.safetensors"))
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 0xFF
    shard.write_bytes(data)
