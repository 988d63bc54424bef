"""The engine cache: an engine is there whole, or not at all."""

from __future__ import annotations

import errno
import fcntl
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from engines.cache import CachedEngine, EngineCache, default_root
from engines.errors import CacheError, EngineError

KEY = "ab" * 32


class Maker:
    """Fills a folder, and counts how often it was asked to."""

    def __init__(self, content: bytes = b"engine") -> None:
        self.content = content
        self.count = 0

    def __call__(self, folder: Path) -> None:
        self.count += 1
        (folder / "engine.bin").write_bytes(self.content)


@pytest.fixture
def cache(tmp_path: Path) -> EngineCache:
    return EngineCache(tmp_path)


def fetch(cache: EngineCache, make: Callable[[Path], None], key: str = KEY) -> CachedEngine:
    return cache.fetch(key, make, {"stage": "stage 0"})


def left_behind(cache: EngineCache) -> list[str]:
    """What lies in the cache besides locks, which hold nothing."""
    return sorted(path.name for path in cache.root.iterdir() if path.suffix != ".lock")


def test_a_second_fetch_is_a_hit_and_makes_nothing(cache: EngineCache) -> None:
    make = Maker()
    first, second = fetch(cache, make), fetch(cache, make)
    assert (first.hit, second.hit, make.count) == (False, True, 1)
    assert (second.folder, second.size_bytes, second.build_s) == (first.folder, len(b"engine"), first.build_s)
    assert (second.folder / "engine.bin").read_bytes() == b"engine"
    assert second.meta["stage"] == "stage 0"


def test_an_engine_of_another_key_is_another(cache: EngineCache) -> None:
    one, other = fetch(cache, Maker(b"one")), fetch(cache, Maker(b"other"), "cd" * 32)
    assert not other.hit
    assert (one.folder / "engine.bin").read_bytes() == b"one"
    assert (other.folder / "engine.bin").read_bytes() == b"other"


def _flip(folder: Path) -> None:
    (folder / "engine.bin").write_bytes(b"engin3")


def _shorten(folder: Path) -> None:
    (folder / "engine.bin").write_bytes(b"")


def _remove(folder: Path) -> None:
    (folder / "engine.bin").unlink()


def _forget(folder: Path) -> None:
    (folder / "meta.json").unlink()


def _garble(folder: Path) -> None:
    (folder / "meta.json").write_text('{"files": 7}')


@pytest.mark.parametrize("damage", [_flip, _shorten, _remove, _forget, _garble])
def test_a_damaged_engine_is_built_again(cache: EngineCache, damage: Callable[[Path], None]) -> None:
    make = Maker()
    damage(fetch(cache, make).folder)
    again = fetch(cache, make)
    assert (again.hit, make.count) == (False, 2)
    assert (again.folder / "engine.bin").read_bytes() == b"engine"
    assert fetch(cache, make).hit


@pytest.mark.parametrize("end", [KeyboardInterrupt(), EngineError("no such operator")])
def test_an_interrupted_build_leaves_nothing(cache: EngineCache, end: BaseException) -> None:
    def cut_off(folder: Path) -> None:
        (folder / "engine.bin").write_bytes(b"eng")
        raise end

    with pytest.raises(type(end)):
        fetch(cache, cut_off)
    assert left_behind(cache) == []
    assert cache.entries() == []
    assert not fetch(cache, Maker()).hit


def test_what_a_killed_build_left_is_no_part_of_the_next(cache: EngineCache) -> None:
    half = cache.root / f".building-{KEY}"
    half.mkdir(parents=True)
    (half / "half.bin").write_bytes(b"half")
    made = fetch(cache, Maker())
    assert sorted(path.name for path in made.folder.iterdir()) == ["engine.bin", "meta.json"]
    assert left_behind(cache) == [KEY]


def test_of_two_at_once_the_second_takes_what_the_first_made(
    cache: EngineCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside, both, go_on = threading.Event(), threading.Event(), threading.Event()
    flock = fcntl.flock

    def noted(handle: int, how: int) -> None:
        if inside.is_set():
            both.set()
        flock(handle, how)

    monkeypatch.setattr(fcntl, "flock", noted)
    made, found = Maker(b"first"), Maker(b"second")
    engines: dict[str, CachedEngine] = {}

    def slowly(folder: Path) -> None:
        inside.set()
        assert go_on.wait(30)
        made(folder)

    first = threading.Thread(target=lambda: engines.update(first=fetch(cache, slowly)))
    first.start()
    assert inside.wait(30)
    second = threading.Thread(target=lambda: engines.update(second=fetch(cache, found)))
    second.start()
    assert both.wait(30)
    go_on.set()
    first.join(30)
    second.join(30)
    assert (engines["first"].hit, engines["second"].hit, found.count) == (False, True, 0)
    assert (engines["second"].folder / "engine.bin").read_bytes() == b"first"
    assert left_behind(cache) == [KEY]


def test_engines_of_other_keys_do_not_wait_for_each_other(cache: EngineCache) -> None:
    def nested(folder: Path) -> None:
        assert not fetch(cache, Maker(), "cd" * 32).hit
        Maker()(folder)

    fetch(cache, nested)
    assert len(cache.entries()) == 2


def test_entries_are_the_whole_engines_newest_first(cache: EngineCache) -> None:
    assert cache.entries() == []
    for age, key in enumerate(("aa", "bb", "cc")):
        os.utime(fetch(cache, Maker(), key).folder, (1000.0 - age, 1000.0 - age))
    (cache.root / "a stray file").write_text("")
    assert [entry.key for entry in cache.entries()] == ["aa", "bb", "cc"]


def test_clear_says_what_went(cache: EngineCache) -> None:
    assert cache.clear() == (0, 0)
    fetch(cache, Maker(b"1234"), "aa")
    fetch(cache, Maker(b"56"), "bb")
    assert cache.clear() == (2, 6)
    assert (cache.entries(), cache.root.exists()) == ([], False)
    assert not fetch(cache, Maker(), "aa").hit


def test_a_root_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CacheError, match=r"file.*cannot be written.*DVABATCH_CACHE"):
        fetch(EngineCache(tmp_path / "file"), Maker())


def test_a_full_disk_is_named_and_leaves_nothing(cache: EngineCache) -> None:
    def too_much(folder: Path) -> None:
        (folder / "engine.bin").write_bytes(b"eng")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(CacheError, match="No space left on device; free space"):
        fetch(cache, too_much)
    assert left_behind(cache) == []


def test_the_root_is_the_users_choice_or_a_cache_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVABATCH_CACHE", "/own")
    assert default_root() == Path("/own")
    monkeypatch.delenv("DVABATCH_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert default_root() == Path("/xdg/dvabatch")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_root() == Path.home() / ".cache" / "dvabatch"
