"""What runs as root, what not, and what is open where. All of it needs root."""

import contextlib
import fcntl
import os
import pathlib
import pwd
import re
import shutil
import signal
import subprocess
import sys

import pytest

from harness import OWNER, ROOT, environment, wait_until

pytestmark = pytest.mark.skipif(not ROOT, reason="needs root")


def processes(server):
    """{name: [pid]} of the supervisor, the generation and its roles."""
    out = server.command("posthouse", "status")[1]
    found = {"supervisor": [int(re.search(r"supervisor pid (\d+)", out).group(1))]}
    for name, pid in re.findall(r"^generation \d+: pid (\d+)()", out, re.M):
        found.setdefault("generation", []).append(int(name))
    for name, pid in re.findall(r"^  (\w+) \d+: pid (\d+)", out, re.M):
        found.setdefault(name, []).append(int(pid))
    return found


def status_of(pid):
    return dict(line.split(":\t", 1) for line in
                pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)


def open_files(pid):
    """What descriptors above standard error refer to."""
    folder = pathlib.Path(f"/proc/{pid}/fd")
    found = []
    for entry in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):  # it is closed meanwhile
            if int(entry.name) > 2:
                found.append(os.readlink(entry))
    return found


def become_owner(code):
    """Runs Python code as mail_owner."""
    entry = pwd.getpwnam(OWNER)
    return subprocess.run([sys.executable, "-c", code], user=entry.pw_uid, group=entry.pw_gid,
                          extra_groups=[entry.pw_gid], text=True, capture_output=True, timeout=60)


def test_rights_of_processes(posthouse):
    owner = pwd.getpwnam(OWNER)
    with posthouse() as server:
        server.send("a@client.example", "games@test.example")
        server.wait_letters()
        for name, pids in processes(server).items():
            for pid in pids:
                status = status_of(pid)
                if name in ("supervisor", "generation", "spawner"):
                    assert set(status["Uid"].split()) == {"0"}, name
                    continue
                assert set(status["Uid"].split()) == {str(owner.pw_uid)}, name
                assert set(status["Gid"].split()) == {str(owner.pw_gid)}, name
                assert status["Groups"].split() == [str(owner.pw_gid)], name
                assert status["NoNewPrivs"].strip() == "1", name
                assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 0, name
                assert int(status["Umask"], 8) == 0o077, name
                # Not dumpable: nobody but root may look into it.
                assert os.stat(f"/proc/{pid}/mem").st_uid == 0, name


def allowed(server, name, target):
    """Is the descriptor one that this process needs?"""
    if target == str(server.log_file) or re.match(r"anon_inode:\[(signalfd|eventpoll|eventfd|timerfd)\]$", target):
        return True
    if target.startswith("/memfd:posthouse-limits"):
        return name in ("supervisor", "generation", "smtpd")  # who counts clients, and who hands it on
    if name == "supervisor":
        return target.startswith(("socket:", "/memfd:")) or target == str(server.run_directory / "master.pid")
    if name in ("generation", "spawner"):
        return target.startswith("socket:")
    if target.startswith(("socket:", "pipe:", "anon_inode:inotify")):
        return True
    return target.startswith(str(server.queue_directory)) or target.startswith(str(server.aliases)) or \
        target in ("/dev/urandom", "/etc/hosts")


def strange_descriptors(server):
    return [(name, target) for name, pids in processes(server).items() for pid in pids
            for target in open_files(pid) if not allowed(server, name, target)]


def check_descriptors(server):
    """What is open for a moment, as the pipe to a child of the spawner that has just ended, does not count."""
    with contextlib.suppress(AssertionError):
        wait_until(lambda: not strange_descriptors(server), "the end of a child", 5)
    assert strange_descriptors(server) == []


def test_descriptors(posthouse):
    """Nothing is open in a process that it does not need: not after a reload, and not after the
    generation's parent died and the next one was started from the snapshot."""
    with posthouse() as server:
        server.send("a@client.example", "games@test.example")
        server.wait_letters()
        check_descriptors(server)
        server.command("posthouse", "reload")
        server.wait_log("generation 1 has ended")
        wait_until(lambda: len(processes(server)["generation"]) == 1, "one generation")
        check_descriptors(server)
        old = processes(server)["generation"][-1]
        os.kill(old, signal.SIGKILL)
        wait_until(lambda: [pid for pid in processes(server).get("generation", []) if pid != old] and
                   ", serving" in server.command("posthouse", "status")[1] and
                   "starting" not in server.command("posthouse", "status")[1], "another generation")
        server.send("a@client.example", "games@test.example")
        server.wait_letters(2)
        check_descriptors(server)


def test_inherited_descriptors_are_closed(posthouse, tmp_path):
    server = posthouse()
    secret = tmp_path / "secret"
    secret.write_text("x")
    fd = os.open(secret, os.O_RDONLY)
    os.set_inheritable(fd, True)
    try:
        done = subprocess.run(["sh", "-c", "exec posthoused -c \"$0\" <&- 2>&-", server.config],
                              env=environment(server.config), pass_fds=[fd], timeout=60)
        assert done.returncode == 0
        try:
            for pids in processes(server).values():
                for pid in pids:
                    assert str(secret) not in open_files(pid)
                    for standard in range(3):
                        assert os.readlink(f"/proc/{pid}/fd/{standard}") == "/dev/null"
        finally:
            server.command("posthouse", "stop")
    finally:
        os.close(fd)


def test_snapshot_is_sealed(posthouse):
    with posthouse() as server:
        supervisor = processes(server)["supervisor"][0]
        folder = f"/proc/{supervisor}/fd"
        memory = [fd for fd in os.listdir(folder) if os.readlink(f"{folder}/{fd}").startswith("/memfd:posthouse-configuration")]
        assert len(memory) == 1
        with open(f"{folder}/{memory[0]}", "r+b") as file:
            assert file.read(9) == b"posthouse"
            file.seek(0)
            with pytest.raises(OSError):
                os.write(file.fileno(), b"x")


def test_run_directory_of_mail_owner_is_taken_back(posthouse):
    """Whose directory it is may put links in the place of what root makes there."""
    owner = pwd.getpwnam(OWNER)
    server = posthouse()
    victim = server.folder / "victim"
    victim.write_text("precious")
    victim.chmod(0o600)
    server.run_directory.mkdir()
    for name in ("master.pid", "status", ".status.new", "submit", "submit.new", ".smtp.port"):
        (server.run_directory / name).symlink_to(victim)
    for path in (server.run_directory, *server.run_directory.iterdir()):
        os.chown(path, owner.pw_uid, owner.pw_gid, follow_symlinks=False)
    with server:
        status = server.run_directory.stat()
        assert status.st_uid == 0 and status.st_mode & 0o7777 == 0o1775 and status.st_gid == owner.pw_gid
        done = become_owner(f"import os; os.rename('{server.run_directory}/master.pid', '{server.run_directory}/x')")
        assert "PermissionError" in done.stderr
    assert victim.read_text() == "precious" and victim.stat().st_mode & 0o7777 == 0o600


@pytest.mark.parametrize("name", ["run_directory", "queue_directory"])
def test_folders_above_belong_to_root(posthouse, name):
    server = posthouse()
    above = server.folder / "above"
    above.mkdir()
    os.chown(above, pwd.getpwnam("nobody").pw_uid, -1)
    (above / "here").mkdir()
    server.configure(**{name: above / "here"})
    code, _, err = server.command("posthoused", "-F", "-c", server.config, check=False)
    assert code == 1
    assert f"{name} = {above}/here: the folder {above} above it belongs to user" in err


def test_pid_file_hard_link(posthouse):
    """mail_owner may make files in run_directory before the daemon does."""
    owner = pwd.getpwnam(OWNER)
    server = posthouse()
    server.run_directory.mkdir()
    os.chown(server.run_directory, 0, owner.pw_gid)
    server.run_directory.chmod(0o1775)
    victim = server.folder / "victim"
    victim.write_text("precious")
    os.link(victim, server.run_directory / "master.pid")
    with server:
        assert victim.read_text() == "precious"


def test_a_lock_for_reading_stops_nobody(posthouse):
    """Whoever may read the pid file can lock it for reading; that is no running daemon."""
    server = posthouse().start()
    server.kill()
    wait_until(lambda: not subprocess.run(["pgrep", "-f", str(server.config)], stdout=subprocess.PIPE).stdout,
               "the end of all processes")
    with open(server.run_directory / "master.pid") as file:
        fcntl.lockf(file, fcntl.LOCK_SH)
        assert "not running" in server.command("posthouse", "status", check=False)[1]
        with server:
            assert "is running" in server.command("posthouse", "status")[1]


def test_modules_below_a_folder_of_others(posthouse):
    from harness import MODULES
    server = posthouse()
    home = server.folder / "home"
    shutil.copytree(MODULES, home / "modules")
    os.chown(home, pwd.getpwnam("nobody").pw_uid, -1)
    server.configure(module_directory=home / "modules")
    code, out, err = server.command("posthouse", "check", check=False)
    assert code != 0 and f"the folder {home} above it belongs to user" in out + err
