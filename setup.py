"""The build step that copies tune_configs/ into the package. pyproject.toml has everything else."""

from pathlib import Path
from shutil import rmtree

from setuptools import setup
from setuptools.command.build_py import build_py

PRESETS = sorted(str(path) for path in Path("tune_configs").glob("*.yaml"))


class BuildWithPresets(build_py):
    """Copies of the modules, and of the presets as files of fedrl_ray."""

    def run(self) -> None:
        """Copy everything. An editable installation reads the checkout's own tune_configs/."""
        if not PRESETS:
            raise FileNotFoundError("tune_configs/: no experiment files, but a wheel carries them")
        if not self.editable_mode:
            # Every plug-in is a file: one that was deleted must not come back from the last build.
            rmtree(self.build_lib, ignore_errors=True)
        super().run()
        if not self.editable_mode:
            for source, target in self._copies().items():
                self.mkpath(str(Path(target).parent))
                self.copy_file(source, target, preserve_mode=False)

    def get_source_files(self) -> list[str]:
        """Return the files of a source distribution that this step needs."""
        return [*super().get_source_files(), *PRESETS]

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """Return the files that this step writes."""
        copies = [] if self.editable_mode else self._copies().values()
        return [*super().get_outputs(include_bytecode), *copies]

    def _copies(self) -> dict[str, str]:
        return {name: str(Path(self.build_lib, "fedrl_ray", name)) for name in PRESETS}


setup(cmdclass={"build_py": BuildWithPresets})
