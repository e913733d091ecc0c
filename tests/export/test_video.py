"""Videos show the very episode that the evaluation scored, for every family that draws itself."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fedrl_ray.common.errors import UserError
from fedrl_ray.config.loading import from_dict
from fedrl_ray.export import recorder
from fedrl_ray.export.video import VideoOptions, record_videos
from fedrl_ray.runs.run_directory import EVALUATIONS, read_rows
from tests.support.export_runs import KINDS
from tests.support.malformed_place import fedrl
from tests.support.runs import train
from tests.support.small import SMALL, merged
from tests.support.user_envs import DRAWN_SPRING, DrawnSpring

for package in recorder.PACKAGES:
    pytest.importorskip(package, reason=f"{package} is not installed")


@pytest.fixture(scope="module", params=["discrete", "continuous", "tabular", "user"])
def trained(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of each kind; the nominal environment is not on its grid of four."""
    kind = request.param
    data = SMALL | KINDS["discrete" if kind == "user" else kind]
    data = merged(data, {"evaluation": {"grid": 4, "episodes": 3}})
    data = merged(data, {"federation": {"num_agents": 2, "steps": 80}})
    if kind == "tabular":
        data["environment"] |= {"perturb": {"success_rate": {"low": 0.3, "high": 0.9}}}
    if kind == "user":
        data["environment"] = DRAWN_SPRING
    path = tmp_path_factory.mktemp(kind) / "run"
    train(from_dict(data), path)
    return path


def length(path: Path) -> int:
    """Return the number of pictures in a video file."""
    import imageio_ffmpeg

    return int(imageio_ffmpeg.count_frames_and_secs(str(path))[0])


def test_a_video_shows_the_logged_episode(trained: Path) -> None:
    index = record_videos(trained, VideoOptions())
    row = read_rows(trained / EVALUATIONS)[-1]
    assert json.loads((trained / "videos" / "videos.json").read_text()) == index
    nominal, worst = index["videos"]
    assert (nominal["name"], worst["name"]) == ("nominal", "worst")
    at = int(np.argmin(row["returns"]))
    assert worst["dynamics"] == {n: values[at] for n, values in row["dynamics"].items()}
    assert worst["episode_return"] == row["episode_returns"][at][worst["episode"]]
    assert worst["mean_return"] == pytest.approx(row["worst"], rel=1e-12)
    assert nominal["mean_return"] == pytest.approx(row["nominal"], rel=1e-12)
    for video in index["videos"]:
        assert video["episode_return"] == video["evaluation_return"]
        # moviepy may drop the last picture, whose time it rounds
        shown = length(trained / "videos" / video["file"])
        assert video["steps"] <= shown <= video["steps"] + 1
    left = {path.name for path in (trained / "videos").iterdir()}
    assert left == {"nominal.mp4", "worst.mp4", "videos.json"}


@pytest.mark.parametrize("trained", ["user"], indirect=True)
def test_every_episode_of_both_environments_can_be_shown(trained: Path, tmp_path: Path) -> None:
    row = read_rows(trained / EVALUATIONS)[-1]
    at, nominal = int(np.argmin(row["returns"])), []
    for episode in range(3):
        options = VideoOptions(output=tmp_path / str(episode), episode=episode)
        shown = record_videos(trained, options)["videos"]
        assert shown[1]["episode_return"] == row["episode_returns"][at][episode]
        nominal.append(shown[0]["episode_return"])
    assert np.mean(nominal) == row["nominal"]


@pytest.mark.parametrize("trained", ["discrete"], indirect=True)
def test_worst_is_that_of_the_logged_evaluation(trained: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    rows = read_rows(run / EVALUATIONS)
    at = int(np.argmax(rows[-1]["returns"]))
    rows[-1]["episode_returns"][at] = [-1.0, -2.0, -3.0]
    (run / EVALUATIONS).write_text("".join(json.dumps(row) + "\n" for row in rows))
    worst = record_videos(run, VideoOptions())["videos"][1]
    assert worst["dynamics"]["pole_length"] == rows[-1]["dynamics"]["pole_length"][at]
    assert worst["evaluation_return"] == -2.0 and worst["episode_return"] > 0
    found = fedrl("video", str(run))
    assert found.status == 0 and "the evaluation scored -2.0" in found.err
    again = record_videos(run, VideoOptions(overrides=["evaluation.episodes=2"]))["videos"][1]
    assert again["episode_return"] == again["evaluation_return"]


@pytest.mark.parametrize("trained", ["discrete"], indirect=True)
def test_the_command_updates_the_report(trained: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    shutil.rmtree(run / "videos", ignore_errors=True)
    assert fedrl("report", str(run), "--output", str(run / "report.html")).status == 0
    assert "<video" not in (run / "report.html").read_text()
    found = fedrl("video", str(run), "--json")
    assert found.status == 0 and len(json.loads(found.out)["videos"]) == 2
    page = (run / "report.html").read_text()
    assert page.count('src="data:video/mp4;base64,') == 2 and "media-src data:" in page


@pytest.mark.parametrize("trained", ["discrete"], indirect=True)
@pytest.mark.parametrize(
    ("index", "part"),
    [
        ('{"round": 4', "videos.json: it: Invalid JSON"),
        ('{"round": 4, "videos": [{"name": "worst"}]}', "videos.json: videos.0.file"),
        ('{"round": 4, "videos": [{"file": "../secret.mp4"}]}', "videos.json: videos.0"),
    ],
)
def test_an_edited_index_is_one_line(trained: Path, tmp_path: Path, index: str, part: str) -> None:
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    (run / "videos").mkdir(exist_ok=True)
    (run / "videos" / "videos.json").write_text(index)
    found = fedrl("report", str(run), "--output", str(tmp_path / "r.html"))
    assert found.status == 2 and part in found.err and len(found.err.splitlines()) == 1


@pytest.mark.parametrize("trained", ["user"], indirect=True)
@pytest.mark.parametrize(
    ("fault", "part"),
    [
        ("list", "must return an array [H, W, 3] of uint8; got list"),
        ("grey", "got uint8 of shape (31, 40)"),
        ("float", "got float64 of shape (31, 40, 3)"),
        ("grows", "pictures of one size"),
        ("raises", "render raised ZeroDivisionError: a bug of the user's own"),
        ("ansi", "needs the render mode rgb_array for a video"),
    ],
)
def test_a_users_picture_that_is_none_is_one_line(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str, part: str
) -> None:
    monkeypatch.setattr(DrawnSpring, "fault", fault)
    with pytest.raises(UserError) as caught:
        record_videos(trained, VideoOptions(output=tmp_path / "out"))
    assert part in str(caught.value) and "\n" not in str(caught.value)
    assert not list((tmp_path).rglob("*.mp4"))
