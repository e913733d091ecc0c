"""The fault `program`: `fedrl-ray train` itself dies."""

from __future__ import annotations

from ..fault import Fault, Scene, start_again


class ProgramKilled(Fault):
    """Kill `fedrl-ray train` (SIGKILL), then give the same command again."""

    trace = "resumed"

    def inject(self, scene: Scene) -> None:
        """Kill the program."""
        scene.program.kill()

    def repair(self, scene: Scene) -> list[str]:
        """Start the program again."""
        return start_again(scene, within=1.0)
