"""The sockets in run_directory: what others may not do there, and what garbage does."""

import os
import random
import re
import socket
import struct
import subprocess
import sys
import time

import pytest

from harness import ROOT, free_port, wait_until

LIST, FLUSH, SHOW, DELETE, HOLD, RELEASE, REQUEUE = range(1, 8)
pytestmark = pytest.mark.skipif(not ROOT, reason="other users")

# Run as somebody else: speaks on a socket as the arguments say, prints what came back.
CLIENT = r"""
import os, random, socket, sys, time
path, what, seed = sys.argv[1:4]
chance = random.Random(int(seed))
def connect():
    s = socket.socket(socket.AF_UNIX); s.settimeout(0.02 if what == "garbage" else 3); s.connect(path); return s
if what == "many":
    kept = []
    try:
        for _ in range(int(sys.argv[4])):
            kept.append(connect())
    except OSError as error:
        print(error)
    print(len(kept), flush=True)
    sys.stdin.read()
elif what == "garbage":
    for n in range(200):
        try:
            s = connect()
            data = bytes(chance.randrange(256) for _ in range(chance.randrange(1, 400)))
            if n % 3 == 0:  # a header that promises much
                data = chance.choice([b"\xff" * 8, b"\0" * 8, b"\0\0\0\x01\0\0\0\x01", b"\x01\0\0\0\xff\xff\xff\x7f", b"\x04\0\0\0\x10\0\0\0"]) + data
            if n % 7 == 0:
                socket.send_fds(s, [data], [0, 1, 2] * 20)
            else:
                s.sendall(data)
            if n % 2:
                s.recv(100)
            s.close()
        except OSError:
            pass
    print("done")
"""


def waiting(posthouse, **more):
    server = posthouse(relayhost=f"[127.0.0.1]:{free_port()}", **more)
    server.start()
    server.send("me@client.example", "a@far.example")
    server.wait_log("status=deferred")
    return server, server.wait_log(r"(\w+): to=<a@far.example>")[0].group(1)


def other(server, socket_name, what, *more, user="nobody", wait=True):
    seed = str(int(time.time()))
    process = subprocess.Popen(["/usr/bin/python3", "-c", CLIENT, str(server.run_directory / socket_name), what, seed, *map(str, more)],
                               user=user, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    if wait:
        return process.communicate(timeout=60)[0]
    return process


def processes(server):
    text = (server.run_directory / "status").read_text()
    return re.findall(r"^role \d+ (\w+) \d+ (\d+)", text, re.M)


@pytest.mark.parametrize("name", ["control", "submit", "queue"])
def test_garbage(posthouse, name):
    server, _ = waiting(posthouse)
    wait_until(lambda: "starting" not in (server.run_directory / "status").read_text(), "all roles")
    before = processes(server)
    other(server, name, "garbage")
    if name == "queue":
        # nobody may even connect; mail_owner may and is not believed either
        assert oct((server.run_directory / "queue").stat().st_mode)[-3:] == "600"
        other(server, name, "garbage", user="daemon")
    assert "a@far.example" in server.command("mailq")[1]
    server.send("a@client.example", "games@test.example")
    server.wait_letters(1)
    assert processes(server) == before
    for role, pid in before:
        assert len(os.listdir(f"/proc/{pid}/fd")) < 60, role
    server.stop()


def test_what_others_may_not(posthouse):
    server, mine = waiting(posthouse, authorized_flush_users="{games}", authorized_submit_users="{games}")
    for user in ("nobody", "games"):
        for words in (("postsuper", "-d", mine), ("postsuper", "-d", "ALL"), ("postsuper", "-h", mine), ("postsuper", "-H", mine),
                      ("postsuper", "-r", "ALL"), ("postcat", "-q", mine), ("posthouse", "queue", "delete", mine),
                      ("posthouse", "queue", "show", mine), ("posthouse", "queue", "hold", mine), ("posthouse", "queue", "release", mine)):
            code, out, err = server.command(*words, check=False, user=user)
            assert code != 0 and "hello" not in out, (words, out, err)
        assert server.command("posthouse", "reload", check=False, user=user)[0] != 0
        assert server.command("posthouse", "stop", check=False, user=user)[0] != 0
    assert server.command("postqueue", "-f", check=False, user="nobody")[0] == 77
    assert server.command("postqueue", "-f", user="games")[0] == 0
    assert server.command("sendmail", "games@test.example", input="Subject: x\n\nx\n", check=False, user="nobody")[0] != 0
    server.command("sendmail", "games@test.example", input="Subject: x\n\nx\n", user="games")
    server.wait_letters(1)
    assert mine in server.command("mailq")[1]
    assert server.command("postsuper", "-d", mine)[0] == 0
    server.stop()


@pytest.mark.parametrize("name", ["control", "submit"])
def test_many_connections_of_one_user(posthouse, name):
    """One user who opens thousands shuts nobody else out."""
    server, mine = waiting(posthouse)
    greedy = [other(server, name, "many", 900, user="nobody", wait=False) for _ in range(12)]
    try:
        for process in greedy:
            process.stdout.readline()
        for _ in range(3):
            began = time.monotonic()
            server.send("a@client.example", "games@test.example")
            assert mine in server.command("mailq")[1]
            server.command("sendmail", "games@test.example", input="Subject: x\n\nx\n", user="games")
            server.command("postqueue", "-f", user="games")
            assert time.monotonic() - began < 5
        server.wait_letters(6)
        for role, pid in processes(server):
            assert len(os.listdir(f"/proc/{pid}/fd")) < 300, role
    finally:
        for process in greedy:
            process.kill()
            process.wait()
    wait_until(lambda: server.command("mailq", user="nobody", check=False)[0] == 0, "service for the user again")
    server.stop()
