"""The program itself dies."""

from __future__ import annotations

from ..fault import Fault, Scene, start_again


class ProgramKilled(Fault):
    """SIGKILL to `fedrl-ray train`; the same command is then given again."""

    trace = "resumed"

    def inject(self, scene: Scene) -> None:
        scene.program.kill()

    def repair(self, scene: Scene) -> list[str]:
        return start_again(scene, within=1.0)
