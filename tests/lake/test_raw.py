"""Landing bytes once, whole, and unchanged."""

from __future__ import annotations

import hashlib
import stat
from pathlib import Path

import pytest

from tapehouse.errors import FeedError, LakeError
from tapehouse.lake.home import Lake


@pytest.mark.parametrize("size", [0, 1, (4 << 20) - 1, 4 << 20, (9 << 20) + 3])
def test_landing_keeps_bytes_and_names_them(lake: Lake, tmp_path: Path, size: int) -> None:
    content = bytes(range(256)) * (size // 256 + 1)
    source = tmp_path / "in.csv"
    source.write_bytes(content[:size])
    landed = lake.raw.land(source)
    assert landed.digest == hashlib.sha256(content[:size]).hexdigest()
    assert (landed.size, landed.origin) == (size, str(source))
    assert landed.path == lake.root / "raw" / landed.digest[:2] / landed.digest
    assert landed.path.read_bytes() == content[:size]
    assert stat.S_IMODE(landed.path.stat().st_mode) == 0o444
    assert lake.raw.verify(landed.digest)
    assert lake.raw.digest(source) == landed.digest


def test_the_same_content_lands_once_whatever_its_name(lake: Lake, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"same")
    (tmp_path / "b").write_bytes(b"same")
    first = lake.raw.land(tmp_path / "a")
    inode = first.path.stat().st_ino
    again = Lake.open(lake.root).raw.land(tmp_path / "b")  # another process would see it from the folder
    assert again.path.stat().st_ino == inode
    assert (again.digest, again.origin) == (first.digest, str(tmp_path / "b"))
    assert lake.raw.digests() == [first.digest]


def test_other_content_of_the_same_size_is_another_batch(lake: Lake, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"aaaa")
    (tmp_path / "b").write_bytes(b"bbbb")
    assert lake.raw.land(tmp_path / "a").digest != lake.raw.land(tmp_path / "b").digest
    assert len(lake.raw.digests()) == 2


def test_verify_finds_a_changed_and_a_missing_file(lake: Lake, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"content")
    landed = lake.raw.land(tmp_path / "a")
    landed.path.chmod(0o644)
    landed.path.write_bytes(b"c0ntent")
    assert not lake.raw.verify(landed.digest)
    landed.path.unlink()
    assert not lake.raw.verify(landed.digest)


@pytest.mark.parametrize("what", ["absent", "folder"])
def test_unreadable_input_is_the_senders_move(lake: Lake, tmp_path: Path, what: str) -> None:
    if what == "folder":
        (tmp_path / what).mkdir()
    with pytest.raises(FeedError, match=what):
        lake.raw.land(tmp_path / what)
    assert not list((lake.root / "raw").iterdir())


def test_a_digest_cannot_lead_out_of_the_folder(lake: Lake) -> None:
    with pytest.raises(LakeError, match="not a sha256"):
        lake.raw.path("../../etc/passwd")
