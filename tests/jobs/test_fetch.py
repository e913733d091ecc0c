"""`fetch` trusts nothing that it receives: archives, metadata, pickles."""

from __future__ import annotations

import io
import json
import random
import tarfile
from types import SimpleNamespace

import pytest

from fedrl_ray.common.errors import RunError, UserError
from fedrl_ray.jobs import pack, records
from fedrl_ray.jobs.fetch import Reader, fetch, unpack
from fedrl_ray.jobs.show import fields


def job_of(output: str) -> records.Job:
    return records.Job(
        id="j", status="SUCCEEDED", command="sweep", name="n", output=output, versions={},
        message="", exit_code=0, start=0.0, end=1.0,
    )  # fmt: skip


def bring(output, target):
    return fetch(
        None, job_of(str(output)), target, checkpoints=True, through_job=False, image=False
    )


@pytest.mark.parametrize("scheme", ["", "local://"])
def test_pickles_of_tune_are_dropped_wherever_they_come_from(tmp_path, scheme):
    (tmp_path / "there" / "tune").mkdir(parents=True)
    (tmp_path / "there" / "tune" / "tuner.pkl").write_bytes(b"code")
    (tmp_path / "there" / "sweep.yaml").write_text("name: x\n")
    bring(f"{scheme}{tmp_path}/there", tmp_path / "here")
    assert [p.name for p in (tmp_path / "here").rglob("*")] == ["sweep.yaml"]


def test_a_uri_out_of_reach_is_told_with_the_way_through_the_cluster(tmp_path):
    with pytest.raises(UserError, match=r"no file system for 'hdfs://.*\(--through-job brings it"):
        bring("hdfs://host/run", tmp_path / "here")
    assert list(tmp_path.iterdir()) == []


def archive_of(data: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as writer:
        member = tarfile.TarInfo("config.yaml")
        member.size = len(data)
        writer.addfile(member, io.BytesIO(data))
    return packed.getvalue()


def test_an_archive_cut_short_anywhere_is_refused_in_one_line(tmp_path):
    whole = archive_of(random.Random(0).randbytes(4000))
    for length in range(0, len(whole) - 8, 97):
        with pytest.raises(RunError, match="the packed directory is refused") as told:
            unpack(io.BytesIO(whole[:length]), tmp_path / "out")
        assert "\n" not in str(told.value)


def test_an_archive_with_wrong_bytes_is_unpacked_or_refused(tmp_path):
    whole, draw, refused = archive_of(b"name: x\n" * 500), random.Random(0), 0
    for _ in range(200):
        broken = bytearray(whole)
        broken[draw.randrange(len(broken))] ^= 1 << draw.randrange(8)
        try:
            unpack(io.BytesIO(bytes(broken)), tmp_path / "out")
        except RunError:
            refused += 1
    assert refused > 100


@pytest.mark.parametrize("end", ["{", "[" * 100_000, "5"])
def test_an_end_that_tells_no_size_is_refused(end):
    reader = Reader(io.BytesIO())
    with pytest.raises(RunError, match="arrived damaged"):
        reader.take(f"{pack.BEGIN}\n{pack.END}{end}\n")
        reader.require_complete()


@pytest.mark.parametrize(
    "wrong",
    [
        {"output": 5},
        {"output": ""},
        {"output": ["/a"]},
        {"name": None},
        {"command": "rm"},
        {"versions": {"ray": 2}},
        {"versions": "2.60"},
    ],
)
def test_a_job_whose_metadata_are_not_ours_is_not_ours(wrong):
    told = {"command": "train", "name": "a", "output": "/a", "versions": {"ray": "2.60.0"}}

    def listed(metadata):
        detail = SimpleNamespace(
            metadata={records.KEY: json.dumps(metadata)},
            submission_id="j",
            message="",
            status=SimpleNamespace(value="RUNNING"),
            driver_exit_code=None,
            start_time=1,
            end_time=None,
        )
        client = SimpleNamespace(list_jobs=lambda: [detail], get_address=lambda: "http://h")
        return records.jobs(client)

    assert [job.output for job in listed(told)] == ["/a"]
    assert listed(told | wrong) == []


def test_a_secret_in_a_jobs_output_is_not_shown():
    client = SimpleNamespace(get_address=lambda: "http://h", get_job_logs=lambda job: "")
    known = fields(client, job_of("abfs://c@a.net/run?client_secret=xyz"))
    assert known["output"] == "abfs://c@a.net/run?..."
