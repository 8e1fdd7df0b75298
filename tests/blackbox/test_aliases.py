"""What aliases and .forward files make of an address: every kind of target, lists with owners, loops, and
what becomes of the rest when one target fails."""

import os
import pwd
import re
import shutil

import pytest

from harness import ROOT, USERS, Sink, wait_until

ME = USERS[0] if ROOT else pwd.getpwuid(os.geteuid()).pw_name
OTHER = USERS[2] if ROOT else ME


@pytest.fixture
def sink():
    sink = Sink()
    yield sink
    sink.close()


@pytest.fixture
def place(folder):
    """A folder in which every user may write, and one for .forward files."""
    for name in ("out", "forward"):
        (folder / name).mkdir()
    (folder / "out").chmod(0o1777)
    return folder


def options(place, sink, **more):
    return dict(myorigin="$mydomain", relayhost=f"[127.0.0.1]:{sink.port}", recipient_delimiter="'+'",
                forward_path="{'%s/forward/${user}${recipient_delimiter}${extension}', '%s/forward/$user'}" %
                (place, place), **more)


def forward_file(place, name, text, user=ME):
    path = place / "forward" / name
    path.write_text(text)
    path.chmod(0o644)
    if ROOT:
        shutil.chown(path, user)
    return path


def queue_id(reply):
    return reply.split()[-1]


def outcome(server, reply, pattern):
    return server.wait_log(rf"{queue_id(reply)}: to=<[^\n]*{pattern}")


def count(path):
    return path.read_text().count("Subject: test") if path.exists() else 0


def test_loops_end(posthouse, place, sink):
    server = posthouse(**options(place, sink))
    server.aliases.write_text(f"away: x@far.example\none: two\ntwo: one, {ME}\nlist1: list2\nlist2: list1\n"
                              "owner-list1: away\nowner-list2: away\n")
    forward_file(place, ME, f"{OTHER}\n")
    forward_file(place, OTHER, f"{ME}\n", OTHER)
    with server:
        outcome(server, server.send("a@test.example", "away@test.example",
                                    "Delivered-To: away@test.example\r\nSubject: test\r\n\r\nhello\r\n"),
                r"dsn=5\.4\.6, status=bounced \(mail forwarding loop for away@test.example\)")
        server.send("a@client.example", "list1@test.example")
        server.wait_log(r"dsn=5\.4\.6, status=bounced \(mail forwarding loop for list1@test.example\)")
        if ROOT:
            outcome(server, server.send("a@client.example", f"{ME}@test.example"), r"")
            server.wait_log(rf"to=<{OTHER}@test.example>.*dsn=5\.4\.6, status=bounced \(alias expansion loop\)")


def test_tables_of_several_types(posthouse, place, sink):
    """In their order; what patterns give are addresses, and never more than one for one group."""
    pattern, table = place / "pattern", place / "people"
    pattern.write_text("/^list-(.+)$/ $1@far.example\n/^run-(.*)$/ |/usr/bin/touch $1\n/^both$/ never\n")
    table.write_text(f"both: first@far.example\nrun-safe: run@far.example\nowner-list-x: {ME}\n")
    server = posthouse(**options(place, sink))
    server.configure(alias_maps=f"{{flat:{server.aliases}, hash:{table}, regex:{pattern}}}",
                     alias_database=f"{{hash:{table}}}")
    server.command("newaliases")
    with server:
        for number, (name, expected) in enumerate((("list-a.b", "a.b"), ("BOTH", "first"), ("run-safe", "run")), 1):
            server.send("a@client.example", f"{name}@test.example")
            sink.wait(number)
            assert sink.messages[-1][:2] == ("a@client.example", [f"{expected}@far.example"])
        server.send("a@client.example", "list-x@test.example")
        sink.wait(4)
        assert sink.messages[3][:2] == ("owner-list-x@test.example", ["x@far.example"])
        outcome(server, server.send("a@client.example", "run-x@test.example"),
                r"dsn=4\.3\.5, status=deferred \(alias run-x: a table of patterns may not name a command")
        for name in ('"list-x@evil.example,y"', '"list-x y"', '"list-|y"'):
            outcome(server, server.send("a@test.example", f"{name}@test.example"), r"dsn=5\.1\.1, status=bounced")
        assert len(sink.messages) == 4


def test_strangers(posthouse, place, sink):
    with posthouse(**options(place, sink), luser_relay="'lost+$local@far.example'") as server:
        server.send("a@client.example", "nobody-here@test.example")
        sink.wait(1)
        assert sink.messages[0][1] == ["lost+nobody-here@far.example"]
        server.stop()
        server.configure(luser_relay="@far.example", fallback_transport=f"smtp:[127.0.0.1]:{sink.port}")
        server.start()
        server.send("a@client.example", "nobody-here@test.example")
        sink.wait(2)
        assert sink.messages[1][1] == ["nobody-here@test.example"]
        server.stop()
        server.configure(mailbox_transport=f"smtp:[127.0.0.1]:{sink.port}")
        server.start()
        server.send("a@client.example", f"{ME}@test.example")
        sink.wait(3)
        assert sink.messages[2][1] == [f"{ME}@test.example"]
        assert server.letters(ME) == []
        server.stop()
        server.configure(luser_relay="@far.example", fallback_transport=None, mailbox_transport=None)
        server.start()
        server.send("a@client.example", "nobody-here@test.example")
        sink.wait(4)
        assert sink.messages[3][1] == ["nobody-here@far.example"]
        server.stop()


def test_nothing_is_lost_when_all_processes_die_while_forwarding(posthouse, place, sink):
    server = posthouse(**options(place, sink))
    server.aliases.write_text("away: x@far.example, y@far.example\n")
    server.start()
    sent = 0
    for _ in range(3):
        before = server.log().count("forwarded as")
        for _ in range(20):
            server.send("a@client.example", "away@test.example", f"Subject: test {sent}.\r\n\r\nhello\r\n")
            sent += 1
        wait_until(lambda: server.log().count("forwarded as") > before, "a forwarded message")
        server.kill()
        server.start()
    server.command("posthouse", "queue", "flush")
    server.wait_empty()
    server.stop()
    for number in range(sent):
        copies = [m for m in sink.messages if f"Subject: test {number}.\r\n".encode() in m[2]]
        assert copies and all(len(m[1]) == 2 for m in copies), number
