"""Second instances, broken configurations and tables, storms of signals; what stays flat over time."""

import os
import pwd
import re
import shutil
import signal
import subprocess
import time

import pytest

from harness import LOADS, MODULES, OWNER, PEERS, ROOT, SANITIZED, Posthouse, Sink, environment, wait_until


def family(server):
    """{role: pid} of the serving generation."""
    text = (server.run_directory / "status").read_text()
    generation = re.search(r"^generation (\d+) (\d+) serving", text, re.M)
    if not generation:
        return None
    roles = re.findall(rf"^role {generation.group(1)} (\w+) \d+ (\d+) ready", text, re.M)
    if len(roles) < 5:
        return None
    return {"supervisor": server.process.pid, "generation": int(generation.group(2)), **{r: int(p) for r, p in roles}}


def figures(pids):
    """{role: (descriptors, resident KiB that are its own)}"""
    result = {}
    for role, pid in pids.items():
        with open(f"/proc/{pid}/smaps_rollup") as file:
            own = sum(int(n) for n in re.findall(r"^Private_\w+:\s+(\d+)", file.read(), re.M))
        result[role] = (len(os.listdir(f"/proc/{pid}/fd")), own)
    return result


def serves(server, count):
    server.send("a@client.example", "games@test.example")
    return server.wait_letters(count)


def test_a_second_one_is_refused(posthouse):
    server = posthouse()
    with server:
        before = wait_until(lambda: family(server), "all roles")
        port = server.port
        second = subprocess.run(["posthoused", "-F", "-c", server.config], env=environment(server.config), text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=30)
        assert second.returncode != 0 and f"already running, pid {server.process.pid}" in second.stdout, second
        # the sockets, the pid file and the status are still the first one's
        assert server.port == port and family(server) == before
        assert int((server.run_directory / "master.pid").read_text()) == server.process.pid
        server.command("sendmail", "games@test.example", input="Subject: x\n\nx\n")
        server.wait_letters(1)
        assert "empty" in server.command("mailq")[1]
        serves(server, 2)


def test_a_stale_pid_file(posthouse):
    server = posthouse()
    server.start()
    pid = server.process.pid
    server.kill()
    time.sleep(0.2)
    assert (server.run_directory / "master.pid").read_text().strip() == str(pid)
    code, out, err = server.command("posthouse", "status", check=False)
    assert code == 3, (code, out, err)
    # the number is somebody else's by now
    (server.run_directory / "master.pid").write_text(f"{os.getpid()}\n")
    assert server.command("posthouse", "stop", check=False)[0] != 0
    assert server.command("posthouse", "reload", check=False)[0] != 0
    server.start()
    serves(server, 1)
    server.stop()
    assert not (server.run_directory / "master.pid").exists()


@pytest.mark.skipif(not ROOT, reason="owners")
def test_run_directory(posthouse, folder):
    server = posthouse()
    server.run_directory.mkdir()
    (server.run_directory / "of somebody").touch()
    os.chown(server.run_directory, 65534, 65534)
    server.run_directory.chmod(0o755)
    with pytest.raises(AssertionError, match="run_directory.*belongs to user 65534"):
        server.start()
    shutil.rmtree(server.run_directory)
    server.run_directory.write_text("a file")
    with pytest.raises(AssertionError, match="run_directory.*not a directory"):
        server.start()
    server.run_directory.unlink()
    # what others left there is neither followed nor in the way
    server.run_directory.mkdir()
    os.chown(server.run_directory, 0, pwd.getpwnam(OWNER).pw_gid)
    server.run_directory.chmod(0o1775)
    victim = folder / "victim"
    victim.write_text("precious")
    for name in ("status", ".status.new", "smtp.port", ".smtp.port", "submit", "control", "queue"):
        (server.run_directory / name).symlink_to(victim)
        os.lchown(server.run_directory / name, *pwd.getpwnam(OWNER)[2:4])
    server.start()
    serves(server, 1)
    server.stop()
    assert victim.read_text() == "precious"
    os.link(victim, server.run_directory / "master.pid")
    server.start()
    serves(server, 2)
    server.stop()
    assert victim.read_text() == "precious"


def test_an_unreadable_configuration(posthouse, folder):
    server = posthouse()
    text = server.config.read_text()
    for content in (b"", b"\0" * 100, os.urandom(5000), text.encode()[:-20], b"load(" * 10000, b"{" * 100000,
                    text.encode() + b"myhostname = '" + b"x" * 100000 + b"'\n",
                    b"a = $b\nb = $a\n" + text.encode(), text.replace("myhostname = ", "myhostname = $myhostname").encode()):
        server.config.write_bytes(content)
        code, out, err = server.command("posthouse", "check", check=False)
        assert code not in (0, -6, -11, 139) and code > 0 and "Sanitizer" not in err and out + err, (content[:40], code)
    server.config.unlink()
    server.config.mkdir()
    assert server.command("posthouse", "check", check=False)[0] > 0
    server.config.rmdir()
    code, out, err = server.command("posthouse", "check", check=False)
    assert code > 0 and "No such file" in out + err


def test_broken_reloads_while_mail_flows(posthouse, folder):
    """A module that is gone, a configuration that is broken: refused with the reason, and the old one serves on."""
    modules = folder / "modules"
    shutil.copytree(MODULES, modules)
    count = 0
    with posthouse(module_directory=modules) as server:
        good = server.config.read_text()
        before = wait_until(lambda: family(server), "all roles")
        (modules / "map_regex.so").rename(modules / "gone")
        for change, expected in ((lambda t: t, "map_regex"), (lambda t: t.replace("map_regex, ", "") + "alias_maps = {regex:/x}\n", "regex"),
                                 (lambda t: "nonsense\n", ""), (lambda t: t.replace("module = smtp", "module = smtpp"), "smtpp")):
            server.config.write_text(change(good))
            code, out, err = server.command("posthouse", "reload", check=False)
            assert code != 0 and expected in out + err, (expected, out, err)
            count += 1
            serves(server, count)
        server.config.write_text(good)
        (modules / "gone").rename(modules / "map_regex.so")
        server.command("posthouse", "reload")
        wait_until(lambda: family(server) and family(server)["generation"] != before["generation"], "the new generation")
        serves(server, count + 1)


def test_a_storm_of_reloads(posthouse):
    """Twenty SIGHUPs in a second, good and bad, and sessions that go on."""
    with posthouse() as server:
        held = server.client()
        held.hello()
        held.expect("MAIL FROM:<a@client.example>", 250)
        for n in range(20):
            server.configure(nonsense=None if n % 3 else "1")
            server.process.send_signal(signal.SIGHUP)
            time.sleep(0.05)
        server.configure(nonsense=None)
        server.process.send_signal(signal.SIGHUP)
        held.expect("RCPT TO:<games@test.example>", 250)
        held.expect("DATA", 354)
        held.expect("Subject: held\r\n\r\nx\r\n.", 250)
        held.close()
        server.wait_letters(1)
        serves(server, 2)
        wait_until(lambda: len(re.findall("^generation", (server.run_directory / "status").read_text(), re.M)) <= 3 and
                   not re.search("^generation.*starting", (server.run_directory / "status").read_text(), re.M), "an end of the storm")
        serves(server, 3)


# ---- Tables -------------------------------------------------------------------------------------------------


def test_a_table_that_goes_away(posthouse, folder):
    """While it cannot be read mail waits: nobody's address is called unknown for that."""
    aliases = folder / "aliases"
    aliases.write_text("staff: games\n")
    with posthouse(minimal_backoff_time="1s", maximal_backoff_time="1s", local_recipient_maps="{}") as server:
        server.send("a@client.example", "staff@test.example")
        server.wait_letters(1)
        for n, breaking in enumerate((lambda: aliases.unlink(), lambda: aliases.mkdir(),
                                      lambda: (aliases.rmdir(), aliases.symlink_to("/nonexistent")))):
            breaking()
            server.send("a@client.example", "staff@test.example", f"Subject: b{n}\r\n\r\nx\r\n")
        time.sleep(1.2)
        assert "status=bounced" not in server.log()
        aliases.unlink()
        aliases.write_text("staff: games\n# again\n")
        server.wait_letters(4)
        server.wait_empty()
        assert "status=bounced" not in server.log()


def test_a_broken_cdb(posthouse, folder):
    aliases = folder / "aliases"
    aliases.write_text("".join(f"u{n}: games\n" for n in range(500)))
    server = posthouse(alias_maps="{hash:%s}" % aliases, minimal_backoff_time="1s", maximal_backoff_time="1s")
    server.command("postalias", aliases)
    cdb = folder / "aliases.cdb"
    whole = cdb.read_bytes()
    broken = [b"", whole[:1000], whole[:-9], b"\xff" * len(whole), os.urandom(len(whole)), whole[:16] + b"\xff" * 2032 + whole[2048:],
              b"\xf0\xff\xff\xff\x7f\xff\xff\xff" * 256 + whole[2048:]]
    with server:
        for n, content in enumerate(broken):
            temporary = folder / "new.cdb"
            temporary.write_bytes(content)
            temporary.rename(cdb)
            server.send("a@client.example", f"u{n}@test.example")
            cdb.write_bytes(content)  # also in place, under the reader
            os.truncate(cdb, len(content) // 2)
        time.sleep(1)
        assert "status=bounced" not in server.log(), re.findall(".*bounced.*", server.log())
        temporary.write_bytes(whole)
        temporary.rename(cdb)
        server.wait_letters(len(broken))
        server.wait_empty()
        assert "fatal" not in server.log() and "killed" not in server.log()
    cdb.write_bytes(b"\xff" * 3000)
    code, out, err = server.command("posthouse", "check", check=False)
    with pytest.raises(AssertionError, match="aliases.cdb"):
        server.start()


def test_a_regex_that_does_not_compile(posthouse, folder):
    table = folder / "table"
    table.write_text("/^good@/ games\n/(unclosed/ x\n/a{99999999}/ y\nif /x/\n")
    server = posthouse(alias_maps="{regex:%s}" % table)
    code, out, err = server.command("posthouse", "check", check=False)
    told = out + err
    if code == 0:
        with pytest.raises(AssertionError) as failure:
            server.start()
        told = str(failure.value)
    assert f"{table}" in told and ("line 2" in told or ":2" in told), told


def test_a_regex_that_explodes(posthouse, folder):
    """Catastrophic backtracking is bounded: the letter waits or goes on, the role lives."""
    table = folder / "table"
    table.write_text("/^(a+)+b$/ games\n/^(([a-z]+)*)*x@/ games\n")
    with posthouse(alias_maps="{regex:%s}" % table, local_recipient_maps="{}", watchdog_abort_time="5s") as server:
        began = time.monotonic()
        server.send("a@client.example", "a" * 60 + "@test.example")
        server.wait_log(r"to=<a{60}@test.example>.*status=", patience=10)
        assert time.monotonic() - began < 4
        serves(server, 1)


# ---- Over time --------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_flat_over_twenty_thousand(posthouse):
    source = PEERS / "usr/sbin/smtp-source"
    if not source.exists():
        pytest.skip("no smtp-source")
    env = dict(os.environ, LD_LIBRARY_PATH=f"{PEERS}/usr/lib/postfix", MAIL_CONFIG=str(PEERS))
    with posthouse(default_transport="discard", relay_transport="discard", smtpd_client_connection_count_limit=0) as server:
        pids = wait_until(lambda: family(server), "all roles")

        def burst(count):
            done = subprocess.run([source, "-4", "-s", "20", "-m", str(count), "-d", "-l", "2000", "-f", "a@client.example",
                                   "-t", "b@far.example", f"inet:127.0.0.1:{server.port}"], env=env, timeout=60)
            assert done.returncode == 0
            server.wait_empty(60)
        def grown(first, last):
            return [(role, first[role], last[role]) for role in pids if last[role][0] > first[role][0] + 3 or
                    (not SANITIZED and last[role][1] > first[role][1] * 1.25 + 1024)]
        burst(4000)
        first = figures(pids)
        burst(16000)
        last = figures(pids)
        # a longer backlog than before takes memory too, but not each time again
        for _ in range(3):
            if not grown(first, last):
                break
            first = last
            burst(8000)
            last = figures(pids)
        assert family(server) == pids
        print("\ndescriptors, own KiB after 4,000 and 20,000 letters:",
              ", ".join(f"{role} {first[role]} {last[role]}" for role in pids))
        assert not grown(first, last)
