"""What the processes of the tests see of the machine, where root may make that their own: ports, mounts and users. Each process
that runs tests has its own, and what it starts shares them."""

import contextlib
import ctypes
import os
import pathlib
import subprocess

CLONE_NEWNS, CLONE_NEWNET = 0x20000, 0x40000000
MS_REC, MS_PRIVATE = 0x4000, 0x40000

libc = ctypes.CDLL(None)


def enter_network():
    """A loopback interface: a port that was free a moment ago, or is closed for a moment, is not taken by another's server or
    outgoing connection."""
    if os.geteuid() != 0 or libc.unshare(CLONE_NEWNET) == -1:
        return False
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    return True


def enter_mounts():
    """What is mounted is seen by nobody else and ends with the process."""
    return os.geteuid() == 0 and libc.unshare(CLONE_NEWNS) == 0 and libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None) == 0


NETWORK, MOUNTS = enter_network(), enter_mounts()


@contextlib.contextmanager
def replaced(path, copy, text):
    """For a while another file is at a path: a copy with this text. Needs MOUNTS."""
    copy.write_text(text)
    subprocess.run(["mount", "--bind", copy, path], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", path], check=True)


@contextlib.contextmanager
def accounts(folder, users):
    """Users with homes of their own, {name: uid}, beside those of the system; yields the path of the homes. Needs MOUNTS."""
    homes = folder / "home"
    homes.mkdir()
    passwd, group = pathlib.Path("/etc/passwd"), pathlib.Path("/etc/group")
    users_text, groups_text = passwd.read_text(), group.read_text()
    for name, uid in users.items():
        (homes / name).mkdir()
        os.chown(homes / name, uid, uid)
        users_text += f"{name}:x:{uid}:{uid}::{homes / name}:/bin/sh\n"
        groups_text += f"{name}:x:{uid}:\n"
    with replaced(passwd, folder / "passwd", users_text), replaced(group, folder / "group", groups_text):
        yield homes
