"""Damaged queue files, and garbage where files are expected: at most what is damaged is lost, and it is named."""

import os
import random
import re
import subprocess
import time

import pytest

from harness import ROOT, Sink, free_port, wait_until

LINE = "0123456789" * 7 + "\r\n"


def filled(posthouse, count, **more):
    """A stopped server with letters that wait; {queue ID: subject}, and the port of the next hop."""
    port = free_port()
    server = posthouse(relayhost=f"[127.0.0.1]:{port}", minimal_backoff_time="1s", maximal_backoff_time="1s", **more)
    server.start()
    ids = {}
    for n in range(count):
        reply = server.send("a@client.example", "b@far.example", f"Subject: letter{n}\r\n\r\n" + LINE * 20)
        ids[reply.rpartition(" ")[2]] = f"letter{n}"
    server.wait_log("status=deferred", count)
    server.stop()
    return server, ids, port


def segments(server):
    return sorted((server.queue_directory / "log").glob("*.seg"), key=lambda p: p.stat().st_size)


def segment_with(server, text):
    return next(p for p in segments(server) if text in p.read_bytes())


def forget_checkpoint(server):
    for path in (server.queue_directory / "log").iterdir():
        if path.suffix not in (".seg", ".lock", ".big"):
            path.unlink()


def deliver(server, port, expected):
    sink = Sink(port=port)
    server.start()
    wait_until(lambda: server.command("postqueue", "-f", check=False)[0] == 0, "the queue to be read")
    wait_until(lambda: {subject(m) for m in sink.messages} >= expected, f"{len(expected)} letters; log: {server.log()[-1500:]}")
    sink.close()
    return sink.messages


def subject(message):
    return re.search(rb"Subject: (\S+)", message[2]).group(1).decode()


@pytest.mark.parametrize("where", ["content", "envelope", "header"])
@pytest.mark.parametrize("checkpoint", [True, False])
def test_a_flipped_bit_costs_one_letter(posthouse, where, checkpoint):
    server, ids, port = filled(posthouse, 12)
    path = segment_with(server, b"letter5\r\n")
    content = bytearray(path.read_bytes())
    at = content.index(b"Subject: letter5\r\n")
    start = content.rindex(b"PHr1", 0, at)
    place = {"content": at + 100, "envelope": content.index(b"far.example", start, at), "header": start + 20}[where]
    content[place] ^= 4
    path.write_bytes(content)
    if not checkpoint:
        forget_checkpoint(server)
    got = deliver(server, port, {s for s in ids.values() if s != "letter5"})
    assert sorted(map(subject, got)) == sorted(s for s in ids.values() if s != "letter5")
    assert all(m[2].endswith(LINE.encode() * 20) for m in got)
    bad = next(i for i, s in ids.items() if s == "letter5")
    told = server.wait_log(rf"{path.name}: offset {start}: (a corrupt record|the message is damaged|a record of message)")
    # a damaged header has no queue ID to tell
    assert where == "header" and not checkpoint or any(bad in line for line in server.log().splitlines() if "offset " in line), told
    assert len(re.findall("corrupt record|is damaged|a record of message", server.log())) < 10
    server.stop()


def test_a_truncated_segment(posthouse):
    """What is before the cut is delivered, half a letter never."""
    server, ids, port = filled(posthouse, 12)
    path = segment_with(server, b"letter8\r\n")
    content = path.read_bytes()
    with open(path, "ab") as file:
        file.truncate(content.index(b"Subject: letter8\r\n") + 200)
    before = {s for s in ids.values() if content.index(s.encode() + b"\r\n") < content.index(b"letter8\r\n")}
    got = deliver(server, port, before)
    assert {subject(m) for m in got} == before
    assert all(m[2].endswith(LINE.encode() * 20) for m in got)
    server.wait_log(rf"{path.name}: .*(corrupt|damaged|cannot be read)")
    server.send("a@client.example", "games@test.example")
    server.wait_letters(1)
    server.stop()


def test_random_damage(posthouse):
    """Whatever is in the files: the server starts, tells, delivers what is whole, and takes new mail."""
    seed = int(time.time())
    chance = random.Random(seed)
    server, ids, port = filled(posthouse, 10)
    for path in (server.queue_directory / "log").iterdir():
        size = path.stat().st_size
        if size == 0:
            continue
        content = bytearray(path.read_bytes())
        used = len(content.rstrip(b"\0"))
        for _ in range(30):
            content[chance.randrange(used)] ^= 1 << chance.randrange(8)
        path.write_bytes(content)
    sink = Sink(port=port)
    server.start()
    server.send("a@client.example", "games@test.example")
    server.wait_letters(1)
    server.command("mailq")
    for message in sink.messages:
        assert message[2].endswith(LINE.encode() * 20), seed
    server.stop()
    sink.close()


def test_strange_things_in_the_queue(posthouse):
    server, ids, port = filled(posthouse, 3)
    folder = server.queue_directory / "log"
    (folder / "README").write_text("what is this")
    (folder / "00000001.seg.orig").write_bytes(os.urandom(5000))
    (folder / "7fffffff.seg").write_bytes(os.urandom(70000))
    (folder / "7ffffffe.seg").write_bytes(b"")
    (folder / "7ffffffd.seg").mkdir()
    os.mkfifo(folder / "7ffffffc.seg")
    (folder / "7ffffffb.seg").symlink_to("/etc/passwd")
    (folder / "deep").mkdir()
    (folder / "deep" / "er").write_text("x")
    (folder / ("x" * 200)).write_text("")
    (folder / "\n\033[31m").write_text("")
    for path in folder.rglob("*"):
        if ROOT and not path.is_symlink():
            os.chown(path, *((folder / "owner.lock").stat().st_uid,) * 2)
    got = deliver(server, port, set(ids.values()))
    assert len(got) == 3
    assert (folder / "README").exists() and (folder / "7ffffffd.seg").is_dir()
    assert "\033" not in server.log()
    server.send("a@client.example", "games@test.example")
    server.wait_letters(1)
    server.stop()


# ---- The drop directory ---------------------------------------------------------------------------------------


def dropped(text):
    return b"posthouse-submit 1\n" + text


GOOD = dropped(b"from good@client.example\nto games@test.example\ndata 18\nSubject: g\n\nbody\n\nend\n")


@pytest.mark.skipif(not ROOT, reason="files of several users")
def test_strange_things_in_the_drop_directory(posthouse, folder):
    """None is taken, none stops the others, what nobody will want is out of the way and told."""
    server = posthouse(message_size_limit=100000)
    with server:
        drop = server.queue_directory / "drop"
        wait_until(drop.exists, "the drop directory")
        group = drop.stat().st_gid
        secret = folder / "secret"
        secret.write_bytes(GOOD.replace(b"good@", b"secret@"))

        def put(name, content, uid=65534, gid=None):
            path = drop / (".tmp" + name)
            path.write_bytes(content)
            os.chown(path, uid, group if gid is None else gid)
            path.chmod(0o640)
            path.rename(drop / name)

        put("magic", b"hello, I am no mail\n")
        put("empty", b"")
        put("cut", GOOD[:-10])
        put("huge", dropped(b"to games@test.example\ndata 3000000\n" + b"x" * 3000000 + b"end\n"))
        put("line", dropped(b"to " + b"x" * 3000000))
        put("numbers", dropped(b"to games@test.example\ndata 99999999999999999999\n"))
        put("many", dropped(b"to games@test.example\n" * 200000 + b"data 1\nx\nend\n"))
        put("group", GOOD.replace(b"good@", b"group@"), gid=65534)
        put("order", dropped(b"to games@test.example\nfrom evil@client.example\ndata 1\nx\nend\n"))
        put("inject", dropped(b"to games@test.example\nfrom a@b\r\nc\ndata 1\nx\nend\n"))
        put("n" * 200, b"no")
        put("\033[31m\n", b"no")
        (drop / "symlink").symlink_to(secret)
        os.link(secret, drop / "hardlink")
        os.mkfifo(drop / "fifo")
        (drop / "directory").mkdir()
        (drop / "directory" / "x").write_bytes(GOOD)
        # a lease on one's own file makes others' opening fail for now
        leased = drop / "leased"
        put("leased", GOOD.replace(b"good@", b"leased@"))
        holder = subprocess.Popen(["/usr/bin/python3", "-c", "import fcntl,os,sys,time,signal;signal.signal(signal.SIGIO,signal.SIG_IGN);"
                                   f"f=os.open({str(leased)!r},os.O_RDWR);fcntl.fcntl(f,1024,fcntl.F_WRLCK);print(1,flush=True);time.sleep(60)"],
                                  stdout=subprocess.PIPE)
        holder.stdout.readline()
        put("zgood", GOOD)
        put("0good", GOOD)
        wait_until(lambda: [l["Return-Path"] for l in server.letters()].count("<good@client.example>") == 2,
                   "the good letters", 15)
        holder.kill()
        holder.wait()
        left = wait_until(lambda: all(p.name.endswith(".bad") or p.name == "leased" for p in drop.iterdir()) and
                          [p.name for p in drop.iterdir()], "all others out of the way", 15)
        paths = {l["Return-Path"] for l in server.letters()}
        assert "<secret@client.example>" not in paths and "<group@client.example>" not in paths, paths
        assert all(name + ".bad" in left for name in ("magic", "cut", "huge", "symlink", "hardlink", "fifo", "directory")), left
        assert secret.read_bytes().startswith(b"posthouse-submit")
        assert "\033" not in server.log()
        # mail by the socket is not concerned
        server.command("sendmail", "games@test.example", input="Subject: s\n\nx\n")
        server.wait_letters(3)
