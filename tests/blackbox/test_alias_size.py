"""The alias file of tests/bench/aliases: 100,000 entries, lists of 10,000 members. What a list expands to is
exact, comes once, and does not fill the memory."""

import collections
import pathlib
import re
import subprocess
import sys

import pytest

from harness import SANITIZED, Sink, wait_until

MAKE = pathlib.Path(__file__).parent.parent / "bench/aliases"
LISTS = {"plain": "s@far.example", "names": "s@far.example", "nested": "s@far.example",
         "included": "s@far.example", "owned": "owner@sink.example"}


@pytest.fixture
def sink():
    sink = Sink()
    yield sink
    sink.close()


def memory(server):
    """The most memory that a process of local delivery has had, in MB."""
    pids = set(re.findall(r"/local\[(\d+)\]", server.log()))
    return max(int(re.search(r"VmHWM:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text()).group(1))
               for pid in pids) / 1024


def expand(server, sink, name):
    """Sends a letter to the list and returns who got it, from whom."""
    del sink.messages[:]
    expected = (server.folder / "lists" / f"expected.{name}").read_text().split()
    server.send("s@far.example", f"{name}@test.example")
    wait_until(lambda: sum(len(rcpt) for _, rcpt, _ in list(sink.messages)) >= len(expected), f"the members of {name}")
    server.wait_empty()
    return expected, collections.Counter((mail, to) for mail, rcpt, _ in sink.messages for to in rcpt)


def test_lists_of_ten_thousand(posthouse, sink):
    server = posthouse(myorigin="test.example", relayhost=f"[127.0.0.1]:{sink.port}", local_recipient_maps="{}",
                       expand_owner_alias="yes")
    lists = server.folder / "lists"
    subprocess.run([sys.executable, MAKE, lists], check=True)
    server.configure(alias_maps="{hash:%s/aliases}" % lists, alias_database="{hash:%s/aliases}" % lists)
    server.command("newaliases")
    with server:
        for name, sender in LISTS.items():
            expected, got = expand(server, sink, name)
            assert got == collections.Counter((sender, to) for to in expected), name
        first = memory(server)
        for name in LISTS:
            expand(server, sink, name)
        if not SANITIZED:
            assert first < 100 and memory(server) < first * 1.5


def test_a_ring_of_lists(posthouse, sink):
    """Each of a hundred lists names the next one, the last one the first."""
    server = posthouse(myorigin="test.example", relayhost=f"[127.0.0.1]:{sink.port}", local_recipient_maps="{}")
    server.aliases.write_text("".join(f"l{number}: m{number}@sink.example, l{(number + 1) % 100}\n" for number in range(100)))
    server.aliases.chmod(0o644)
    with server:
        server.send("s@far.example", "l0@test.example")
        server.wait_log("warning: alias database loop for l0, found on the way from l0@test.example")
        sink.wait(2)
        server.wait_empty()
    assert sorted(to for _, rcpt, _ in sink.messages for to in rcpt) == sorted(f"m{number}@sink.example" for number in range(100))


def test_a_list_that_is_too_long_comes_back(posthouse, sink):
    """More addresses than a message may have: a report, and nobody gets half of it."""
    server = posthouse(myorigin="test.example", relayhost=f"[127.0.0.1]:{sink.port}", local_recipient_maps="{}")
    server.aliases.write_text("many: " + ",".join(f"m{number}@sink.example" for number in range(100001)) + "\n")
    server.aliases.chmod(0o644)
    with server:
        server.send("s@far.example", "many@test.example")
        server.wait_log("to=<many@test.example>.*status=bounced .alias expansion: more than 100000 addresses")
        sink.wait(1)
        server.wait_empty()
    assert [(mail, rcpt) for mail, rcpt, _ in sink.messages] == [("", ["s@far.example"])]
