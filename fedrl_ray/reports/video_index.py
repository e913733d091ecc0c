"""videos.json, the facts about the videos beside a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from ..common.errors import UserError
from ..common.validation import first_violation
from ..runs.run_directory import VIDEO_INDEX, VIDEOS


class VideoFacts(TypedDict):
    """A row of videos.json; see `fedrl_ray.export.video`."""

    name: str
    file: Annotated[str, Field(pattern=r"^[\w-]+\.mp4$")]
    dynamics: dict[str, float | str]
    episode: int
    steps: int
    episode_return: float
    evaluation_return: float | None
    mean_return: float | None


class VideoIndex(TypedDict):
    """The content of videos.json."""

    round: int
    videos: list[VideoFacts]


_INDEX = TypeAdapter(VideoIndex)


def read_index(run: Path) -> VideoIndex | None:
    """Return the facts of a run's videos; None if it has none. Raises UserError: a torn file."""
    path = run / VIDEOS / VIDEO_INDEX
    try:
        return _INDEX.validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise UserError(f"{path}: {first_violation(error)}") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
