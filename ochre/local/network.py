"""Folders of other machines: SQLite's log needs memory that all its users share, and a network file system has none."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ochre.errors import NetworkFolderError

_MOUNTS = Path("/proc/self/mountinfo")

_KINDS = {
    "afs", "beegfs", "ceph", "cifs", "davfs", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "prl_fs", "smb3",
    "smbfs", "vboxsf", "vmhgfs"
}  # fmt: skip
_FUSE_KINDS = {
    "blobfuse", "blobfuse2", "ceph", "davfs", "davfs2", "gcsfuse", "glusterfs", "goofys", "gvfsd-fuse", "juicefs",
    "mount-s3", "mountpoint-s3", "rclone", "s3fs", "smbnetfs", "sshfs", "vmhgfs-fuse"
}  # fmt: skip
_MACOS_LOCAL = 0x1000  # MNT_LOCAL of <sys/mount.h>
_WINDOWS_REMOTE = 4  # DRIVE_REMOTE of <winbase.h>


def check_local(folder: Path) -> None:
    """Make sure that a folder that is there lies on this machine, as far as the system tells.

    Raises:
        NetworkFolderError: it does not.
    """
    kind = network_kind(folder)
    if kind is not None:
        raise NetworkFolderError(
            f"{folder} is on a network file system ({kind}): writers on several machines would damage the database, "
            "since SQLite's log needs shared memory. Keep the folder on a local disk and let others reach it through "
            "`ochre run`; or, if a single machine ever uses it, open it with Settings(allow_network_folder=True)"
        )


def network_kind(folder: Path) -> str | None:
    """Return which network file system a folder is on, None if it is on none that is known."""
    if sys.platform == "win32":
        return _windows_kind(folder)
    if sys.platform == "darwin":
        return _macos_kind(folder)
    return _linux_kind(folder)


def _linux_kind(folder: Path) -> str | None:
    device = folder.stat().st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    try:
        mounts = _MOUNTS.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    for line in mounts.splitlines():
        # Ids, the device (98:0), places and options; then, behind a lone hyphen, the kind.
        own, _, rest = line.partition(" - ")
        fields, kind = own.split(), rest.split(" ")[0]
        if len(fields) > 2 and fields[2] == wanted:
            name, _, driver = kind.partition(".")
            return kind if kind in _KINDS or (name == "fuse" and driver in _FUSE_KINDS) else None
    return None


def _macos_kind(folder: Path) -> str | None:
    import ctypes

    class StatFs(ctypes.Structure):
        _fields_ = (
            ("sizes", ctypes.c_uint32 * 2),
            ("counts", ctypes.c_uint64 * 5),
            ("id", ctypes.c_int32 * 2),
            ("owner_type_flags_subtype", ctypes.c_uint32 * 4),
            ("kind", ctypes.c_char * 16),
            ("names", ctypes.c_char * 2048),
            ("reserved", ctypes.c_uint32 * 8),
        )

    found = StatFs()
    statfs = ctypes.CDLL(None).statfs
    if statfs(os.fsencode(folder), ctypes.byref(found)) or found.owner_type_flags_subtype[2] & _MACOS_LOCAL:
        return None
    return bytes(found.kind).decode(errors="replace")


def _windows_kind(folder: Path) -> str | None:
    import ctypes

    anchor = folder.resolve().anchor
    kind = ctypes.windll.kernel32.GetDriveTypeW(anchor)  # type: ignore[attr-defined,unused-ignore]
    return "a share" if kind == _WINDOWS_REMOTE else None
