"""Replay reads three formats exactly and refuses hostile files with file and line."""

from pathlib import Path

import numpy as np
import pytest

from dvabatch.loadgen import LoadFileError, make_schedule, read_replay
from dvabatch.loadgen.replay import Replay


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(
    ("name", "content", "offsets", "lengths"),
    [
        ("a.csv", "0.5\n0.5\n1.25\n", [0, 0, 750_000_000], None),
        ("a.csv", "timestamp\n0\n1\n", [0, 1_000_000_000], None),
        ("a.csv", "when\r\n0\r\n1e-3\r\n", [0, 1_000_000], None),
        ("a.csv", "0, 7\n2, 9\n", [0, 2_000_000_000], [7, 9]),
        ("a.csv", '\ufeffLength,"Timestamp",user\n3,1,x\n\n4,2,y\n', [0, 1_000_000_000], [3, 4]),
        # Nanoseconds of today's time, which a float would lose.
        ("a.csv", "1700000000.000000001\n1700000000.000000003", [0, 2], None),
        ("a.jsonl", '{"timestamp": 3, "model": "x"}\n{"timestamp": 3.5}\n', [0, 500_000_000], None),
        ("a.jsonl", '{"timestamp": 1, "length": 5}\n{"timestamp": 2, "length": 6}', [0, 1_000_000_000], [5, 6]),
        ("a.txt", "10\n0\n2.5\n", [10_000, 10_000, 12_500], None),
        ("a.txt", "0.0004\n" * 5, [0, 1, 1, 2, 2], None),  # fractions of nanoseconds add up
    ],
)
def test_formats(tmp_path: Path, name: str, content: str, offsets: list[int], lengths: list[int] | None) -> None:
    replay = read_replay(written(tmp_path, name, content))
    assert replay.offsets_ns.tolist() == offsets
    assert (replay.lengths.values.tolist() if replay.lengths else None) == lengths


def test_a_format_can_be_named(tmp_path: Path) -> None:
    path = written(tmp_path, "trace.log", "5\n5\n")
    assert read_replay(path, "intervals").offsets_ns.tolist() == [5000, 10_000]
    with pytest.raises(LoadFileError, match=r"cannot tell the format of a replay by '\.log'"):
        read_replay(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "", "needs at least two arrivals"),
        ("a.csv", "1\n", "needs at least two arrivals"),
        ("a.csv", "1\n1\n", "at different times"),
        ("a.csv", "1\n2\n1.5\n", "line 3: is earlier than the line before"),
        ("a.csv", "1\n\n-2\n", "line 3: the timestamp -2 is negative"),
        ("a.csv", "1\nnan\n", "line 2: 'nan' is not a number"),
        ("a.csv", "1\ninf\n", "line 2: 'inf' is not a number"),
        ("a.csv", "1\n1_0\n", "line 2: '1_0' is not a number"),
        ("a.csv", "1\n\u0662\n", "line 2: .* is not a number"),
        ("a.csv", "1\n1e999999999\n", "line 2: '1e999999999' is not a number"),
        ("a.csv", "1\n1e99\n", "line 2: lies more than 146 years"),
        ("a.csv", "1\n=cmd()\n", "line 2: '=cmd\\(\\)' is not a number"),
        ("a.csv", "1,2,3\n", "line 1: has 3 columns and no header"),
        ("a.csv", "a,b\n1,2\n", "line 1: the header 'a,b' must name one column timestamp"),
        ("a.csv", "timestamp,timestamp\n1,2\n", "line 1: the header"),
        ("a.csv", "1\n2,3\n", "line 2: has 2 columns where the first line has 1"),
        ("a.csv", "1,5\n2,\n", "line 2: '' is not a number"),
        ("a.csv", "1,5\n2,0\n", "line 2: the length 0 is not a whole number from 1"),
        ("a.csv", "1,5\n2,2.5\n", "line 2: the length 2.5 is not whole"),
        ("a.csv", "1,5\n2,1e300\n", "line 2: the length 1E\\+300 is not a whole number"),
        ("a.csv", b"1\n\xff\xfe\n", "line 2: is not UTF-8 text"),
        ("a.csv", "1\n" + "9" * 5000, "line 2: is longer than 4096 bytes"),
        ("a.csv", b"\x00" * 100, "line 1|two arrivals"),
        ("a.txt", "1\n-1\n", "line 2: the interval -1 is negative"),
        ("a.txt", "interval\n1\n", "line 1: 'interval' is not a number"),
        ("a.jsonl", "[1]\n", "line 1: is not a JSON object"),
        ("a.jsonl", '{"timestamp": 1}\n{', "line 2: is not JSON"),
        ("a.jsonl", '{"timestamp": NaN}', "line 1: NaN is not a number"),
        ("a.jsonl", '{"timestamp": -Infinity}', "line 1: -Infinity is not a number"),
        ("a.jsonl", '{"timestamp": 1e9999}', "line 1: '1e9999' is not a number"),
        ("a.jsonl", '{"timestamp": "1"}', "line 1: needs a number of seconds"),
        ("a.jsonl", '{"timestamp": true}', "line 1: needs a number of seconds"),
        ("a.jsonl", '{"time": 1}', 'line 1: needs a number of seconds as "timestamp", got None'),
        ("a.jsonl", "[" * 4000, "line 1: is not JSON"),
        ("a.jsonl", '{"timestamp": 1, "length": true}', "line 1: the length True"),
        ("a.jsonl", '{"timestamp": 1, "length": "5"}', "line 1: the length '5'"),
        ("a.jsonl", '{"timestamp": 1, "length": 5}\n{"timestamp": 2}', "line 2: lengths must come with every arrival"),
        ("a.jsonl", '{"timestamp": 1}\n{"timestamp": 2, "length": 5}', "line 2: lengths must come with every arrival"),
    ],
)
def test_hostile_files_are_refused(tmp_path: Path, name: str, content: str | bytes, message: str) -> None:
    path = written(tmp_path, name, content)
    with pytest.raises(LoadFileError, match=message) as caught:
        read_replay(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(LoadFileError, match=r"none\.csv: cannot be read"):
        read_replay(tmp_path / "none.csv")


def test_the_mean_rate_is_that_of_the_gaps_and_scales_time() -> None:
    replay = Replay(np.array([0, 250_000_000, 1_000_000_000]))
    assert replay.mean_rate_rps == 2.0
    assert replay.at_rate(20.0).offsets_ns.tolist() == [0, 25_000_000, 100_000_000]


def test_a_schedule_of_a_replay_ends_with_it_and_takes_its_lengths(tmp_path: Path) -> None:
    replay = read_replay(written(tmp_path, "a.csv", "0,5\n1,6\n2,7\n"))
    schedule = make_schedule(replay, replay.lengths, num_requests=1000, max_duration_s=1.5, seed=0)
    assert schedule.arrivals_ns.tolist() == [0, 1_000_000_000]
    assert schedule.lengths is not None
    assert schedule.lengths.tolist() == [5, 6]
    assert make_schedule(replay, num_requests=None, max_duration_s=None, seed=0).lengths is None


@pytest.mark.parametrize("offsets", [[], [0], [3, 3], [1, 0], [-1, 0]])
def test_offsets_are_checked(offsets: list[int]) -> None:
    with pytest.raises(ValueError, match="a replay"):
        Replay(np.array(offsets, dtype=np.int64))
