"""The checkpoints of one run, as its driver uses them."""

from __future__ import annotations

from collections.abc import Callable, Collection

from ..common.errors import CheckpointError, RunError, UserError
from ..storage import checkpoints, locations
from ..storage.agent_shards import Shard
from ..storage.local_mirror import CHECKPOINTS
from ..storage.locations import Location
from ..storage.manifests import Manifest


class CheckpointKeeper:
    """Knows the newest checkpoint, and which ones were refused as torn or edited.

    refused: called with each CheckpointError that makes the keeper pass a checkpoint over.
    """

    def __init__(
        self, directory: Location | None, keep: int, refused: Callable[[CheckpointError], None]
    ) -> None:
        self._directory, self._keep, self._on_refusal = directory, keep, refused
        self._refused: set[Location] = set()
        self.newest: Location | None = None
        """The checkpoint that a rewind would load."""

    @property
    def has_directory(self) -> bool:
        """True if checkpoints can be written."""
        return self._directory is not None

    def staging(self, round_number: int) -> Location:
        """Return a fresh place to write the checkpoint of a round."""
        return checkpoints.staging(self._folder(), round_number)

    def commit(self, aside: Location, manifest: Manifest) -> Location:
        """Turn what was written aside into the newest checkpoint; remove the oldest ones."""
        folder = self._folder()
        self.newest = checkpoints.commit(folder, aside, manifest)
        self._refused.discard(self.newest)
        checkpoints.prune(folder, self._keep)
        return self.newest

    def carry_over(self, aside: Location, agents: Collection[int]) -> list[Shard]:
        """Copy the shards of absent agents from the newest checkpoint."""
        if not agents or self.newest is None:
            return []
        return checkpoints.carry_over(self.newest, aside, agents)

    def newest_sound(self) -> Location:
        """Return the newest checkpoint whose files are as they were written.

        Raises RunError if there is none.
        """
        for path in reversed(checkpoints.existing(self._folder())):
            if path in self._refused:
                continue
            try:
                checkpoints.verify(path)
            except CheckpointError as error:
                self.refuse(path, error)
            else:
                return path
        raise RunError(f"{self._directory}: no checkpoint to go back to reads")

    def refuse(self, path: Location, error: CheckpointError) -> None:
        """Pass a checkpoint over from now on."""
        self._refused.add(path)
        self._on_refusal(error)

    def _folder(self) -> Location:
        if self._directory is None:
            raise UserError("a driver without a directory cannot save")
        return locations.child(self._directory, CHECKPOINTS)
