"""Folders on network file systems are refused for writing."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from ochre.errors import NetworkFolderError
from ochre.local import network
from ochre.local.engine import LocalEngine
from ochre.settings import Settings

pytestmark = pytest.mark.skipif(sys.platform in {"win32", "darwin"}, reason="a table of mounts to stand in is Linux's")


@pytest.fixture
def mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Say which file system the folder of the test is on."""

    def say(kind: str) -> None:
        device = tmp_path.stat().st_dev
        table = tmp_path / "mountinfo"
        table.write_text(
            f"21 1 0:1 / /proc rw - proc proc rw\n"
            f"36 35 {os.major(device)}:{os.minor(device)} / /some\\040place rw,noatime master:1 - {kind} server:/ rw\n"
        )
        monkeypatch.setattr(network, "_MOUNTS", table)

    return say


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "fuse.rclone"])
def test_a_folder_on_a_network_file_system_is_refused(tmp_path: Path, mounted, kind: str) -> None:
    mounted(kind)
    with pytest.raises(NetworkFolderError, match=rf"network file system \({kind}\).*shared memory.*ochre run"):
        LocalEngine.open(tmp_path / "db")
    assert not (tmp_path / "db" / "ochre.sqlite3").exists()


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "tmpfs", "overlay", "fuse", "fuse.mergerfs", "fuseblk"])
def test_a_folder_on_this_machine_is_opened(tmp_path: Path, mounted, kind: str) -> None:
    mounted(kind)
    LocalEngine.open(tmp_path / "db").close()


def test_a_setting_allows_it(tmp_path: Path, mounted) -> None:
    mounted("nfs4")
    LocalEngine.open(tmp_path / "db", Settings(allow_network_folder=True)).close()


def test_it_may_be_read(tmp_path: Path, mounted) -> None:
    LocalEngine.open(tmp_path / "db").close()
    mounted("nfs4")
    LocalEngine.open(tmp_path / "db", mode="r").close()


@pytest.mark.parametrize("content", [None, "", "nonsense\n - \n"])
def test_a_system_that_does_not_tell_is_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None
) -> None:
    if content is not None:
        (tmp_path / "mountinfo").write_text(content)
    monkeypatch.setattr(network, "_MOUNTS", tmp_path / "mountinfo")
    LocalEngine.open(tmp_path / "db").close()
