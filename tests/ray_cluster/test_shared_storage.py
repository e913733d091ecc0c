"""The check that every node sees the output: the place of the mark, and the nodes asked."""

from __future__ import annotations

import pytest

from fedrl_ray.ray_cluster import cluster, shared_storage


def test_the_mark_lies_in_a_folder_that_is_there_as_it_may_be_a_mount(tmp_path):
    folder = tmp_path / "mount"
    folder.mkdir()
    with shared_storage.mark_in(folder) as mark:
        assert mark.parent == folder and mark.is_file()
    assert list(folder.iterdir()) == []


def test_the_mark_of_a_folder_to_be_made_lies_beside_it_and_leaves_nothing(tmp_path):
    with shared_storage.mark_in(tmp_path / "runs" / "a") as mark:
        assert mark.parent == tmp_path / "runs" and mark.is_file()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.ray
def test_a_node_that_is_gone_is_not_asked_to_see(local_ray, tmp_path):
    (alive,) = cluster.nodes()
    gone = alive | {"NodeID": "a" * len(alive["NodeID"]), "NodeManagerAddress": "192.0.2.9"}
    (tmp_path / "mark").touch()
    assert shared_storage.blind_nodes([alive, gone], tmp_path / "mark") == []
    assert shared_storage.blind_nodes([alive], tmp_path / "none") == [alive["NodeManagerAddress"]]
