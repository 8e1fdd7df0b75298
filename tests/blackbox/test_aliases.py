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


def test_every_kind_of_target(posthouse, place, sink):
    server = posthouse(**options(place, sink), local_recipient_maps="{}")
    (place / "list").write_text(f"# those who read\n{ME}\n\nx@far.example, y@far.example\n")
    server.aliases.write_text(
        f"prog: \"|/usr/bin/tee {place}/out/prog\"\narchive: {place}/out/archive\n"
        f"maildir: {place}/out/maildir/\nlist: :include:{place}/list\nnull: /dev/null\n"
        f"all: list, prog, archive, {ME}, x@far.example, z@far.example, \\{ME}\n"
        f"shut: :include:{place}/shut\nnone: :include:{place}/none\n")
    (place / "shut").write_text(f"|/bin/cat\n{place}/out/never\n")
    with server:
        outcome(server, server.send("a@client.example", "prog@test.example"),
                r"relay=local, .*dsn=2\.0\.0, status=sent \(delivered to command: /usr/bin/tee")
        text = (place / "out/prog").read_text()
        assert "Delivered-To: prog@test.example\n" in text and "Subject: test\n\nhello\n" in text
        outcome(server, server.send("a@client.example", "archive@test.example"),
                rf"status=sent \(delivered to file: {place}/out/archive\)")
        assert count(place / "out/archive") == 1
        outcome(server, server.send("a@client.example", "maildir@test.example"), "status=sent")
        assert len(list((place / "out/maildir/new").iterdir())) == 1
        if ROOT:
            nobody = pwd.getpwnam("nobody").pw_uid
            assert {(place / "out" / name).stat().st_uid for name in ("prog", "archive", "maildir")} == {nobody}
        outcome(server, server.send("a@client.example", "null@test.example"),
                r"status=sent \(delivered to file: /dev/null\)")
        # an include, and a list of lists: each target once
        server.send("a@client.example", "all@test.example")
        sink.wait(1)
        server.wait_letters(1, user=ME)
        server.wait_empty()
        assert sorted(sink.messages[0][1]) == [f"{name}@far.example" for name in "xyz"]
        assert sink.messages[0][0] == "a@client.example"
        assert sink.messages[0][2].count(b"Delivered-To: all@test.example\r\n") == 1
        assert len(server.letters(ME)) == 1 and count(place / "out/archive") == 2
        # commands and files of an include are not allowed by default
        outcome(server, server.send("a@test.example", "shut@test.example"),
                r"dsn=5\.7\.1, status=bounced \(mail to command is restricted\)")
        server.wait_log(r"to=<shut@test.example>.*dsn=5\.7\.1, status=bounced \(mail to file is restricted\)")
        outcome(server, server.send("a@client.example", "none@test.example"),
                r"dsn=4\.3\.5, status=deferred \(there is no file \S+/none to include\)")
        # never from an envelope
        for address in (f'"|/usr/bin/touch {place}/out/evil"', f'"{place}/out/evil"', '":include:/etc/passwd"'):
            outcome(server, server.send("a@test.example", f"{address}@test.example"),
                    r"dsn=5\.1\.1, status=bounced \(unknown user")
        assert not (place / "out/evil").exists() and not (place / "out/never").exists()


def test_lists_have_owners(posthouse, place, sink):
    server = posthouse(**options(place, sink))
    server.aliases.write_text(f"list: {ME}, x@far.example, |/usr/bin/tee -a {place}/out/prog\nowner-list: {OTHER}\n"
                              f"big: list, y@far.example\nlist-request: {OTHER}\n")
    with server:
        reply = server.send("a@client.example", "list@test.example")
        outcome(server, reply, r"status=sent \(forwarded as [0-9A-Z]+\)")
        sink.wait(1)
        assert sink.messages[0][0] == "owner-list@test.example"
        assert sink.messages[0][1] == ["x@far.example"]
        letter = server.wait_letters(1, user=ME)[0]
        assert letter["Return-Path"] == "<owner-list@test.example>"
        assert "list@test.example" in letter.get_all("Delivered-To")
        server.wait_empty()
        assert "Return-Path: <owner-list@test.example>" in (place / "out/prog").read_text()
        # a list in a list: its own owner for its members, the sender for the others
        server.send("a@client.example", "big@test.example")
        sink.wait(3)
        assert {message[1][0]: message[0] for message in sink.messages[1:]} == {
            "x@far.example": "owner-list@test.example", "y@far.example": "a@client.example"}
        # reports have no owner
        server.send("", "list@test.example")
        sink.wait(4)
        assert sink.messages[3][0] == ""


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
        server.wait_log(r"dsn=5\.4\.6, status=bounced \(alias database loop for list1\)")
        if ROOT:
            outcome(server, server.send("a@client.example", f"{ME}@test.example"), r"")
            server.wait_log(rf"to=<{OTHER}@test.example>.*dsn=5\.4\.6, status=bounced \(alias expansion loop\)")


def test_forward_files(posthouse, place, sink):
    server = posthouse(**options(place, sink))
    path = forward_file(place, ME, f"# mine\n\\{ME}\nx@far.example\n\"|/usr/bin/tee {place}/out/prog\"\n{place}/out/box\n")
    forward_file(place, f"{ME}+away", "y@far.example\n")
    server.aliases.write_text(f"to: {ME}\nbox: \\{ME}\n")
    with server:
        user = f"{ME}@test.example"
        server.send("a@client.example", user)
        sink.wait(1)
        server.wait_letters(1, user=ME)
        server.wait_empty()
        assert sink.messages[0][1] == ["x@far.example"]
        assert f"Delivered-To: {user}\r\n".encode() in sink.messages[0][2]
        assert count(place / "out/box") == 1 and count(place / "out/prog") == 1
        for name in ("box", "prog"):
            assert (place / "out" / name).stat().st_uid == pwd.getpwnam(ME).pw_uid
        # an extension of its own, and one that has none
        server.send("a@client.example", f"{ME}+away@test.example")
        sink.wait(2)
        assert sink.messages[1][1] == ["y@far.example"]
        server.send("a@client.example", f"{ME}+else@test.example")
        sink.wait(3)
        server.wait_letters(2, user=ME)
        # its own name; nothing in it; comments only: all the mailbox
        for number, text in enumerate((f"{ME}\n", "", "# nothing\n"), 3):
            path.write_text(text)
            server.send("a@client.example", user)
            server.wait_letters(number, user=ME)
        # an alias leads there as well, and "\\user" does not
        path.write_text("z@far.example\n")
        server.send("a@client.example", "to@test.example")
        sink.wait(4)
        server.send("a@client.example", "box@test.example")
        server.wait_letters(6, user=ME)
        # one that others may write is not used, one that cannot be read puts the mail off
        path.chmod(0o666)
        server.send("a@client.example", user)
        server.wait_letters(7, user=ME)
        assert re.search(rf"{path}: not used: ", server.log())
        path.chmod(0o644)
        path.write_text("a #b c\n")
        outcome(server, server.send("a@client.example", user), r"dsn=4\.3\.5, status=deferred")


def test_tables_of_several_types(posthouse, place, sink):
    """In their order; what patterns give are addresses, and never more than one for one group."""
    pattern, table = place / "pattern", place / "people"
    pattern.write_text("/^list-(.+)$/ $1@far.example\n/^run-(.*)$/ |/usr/bin/touch $1\n/^both$/ never\n")
    table.write_text(f"both: first@far.example\nrun-safe: run@far.example\nowner-list-x: {ME}\n")
    server = posthouse(**options(place, sink), local_recipient_maps="{}")
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


def test_extensions_go_on(posthouse, place, sink):
    """propagate_unmatched_extensions: alias, forward, include; what was found by its extension keeps it for itself."""
    server = posthouse(**options(place, sink), local_recipient_maps="{}")
    (place / "list").write_text("c@far.example\n")
    server.aliases.write_text(f"list: a@far.example, \"b c\"@far.example, :include:{place}/list\nlist+own: o@far.example\n")
    forward_file(place, ME, f"f@far.example\n:include:{place}/list\n")
    forward_file(place, f"{ME}+own", "g@far.example\n")

    def got(to):
        del sink.messages[:]
        server.send("s@client.example", f"{to}@test.example")
        sink.wait(1)
        server.wait_empty()
        return sorted(rcpt.split("@")[0] for _, rcpts, _ in sink.messages for rcpt in rcpts)

    expected = {
        "canonical, virtual": (["\"b c\"", "a", "c"], ["c", "f"]),
        "alias": (["\"b c\"", "a+t", "c"], ["c", "f"]),
        "alias, include": (["\"b c\"", "a+t", "c+t"], ["c", "f"]),
        "forward": (["\"b c\"", "a", "c"], ["c", "f+t"]),
        "alias, forward, include": (["\"b c\"", "a+t", "c+t"], ["c+t", "f+t"])}
    for words, (alias, forward) in expected.items():
        server.configure(propagate_unmatched_extensions="{%s}" % words)
        with server:
            assert got("list+t") == alias, words
            assert got("list+own") == ["o"]
            assert got(f"{ME}+t") == forward, words
            assert got(f"{ME}+own") == ["g"]
    code, out, errors = server.command("posthouse", "check", check=False)
    assert code == 0
    server.configure(propagate_unmatched_extensions="{aliases}")
    code, out, errors = server.command("posthouse", "check", check=False)
    assert code != 0 and '"aliases" is none of: alias canonical forward generic include virtual' in out + errors


def test_delivered_to_where_it_is_wanted(posthouse, place, sink):
    """prepend_delivered_header: each of its values, and none."""
    server = posthouse(**options(place, sink), local_recipient_maps="{}")
    server.aliases.write_text(f"all: x@far.example, {place}/out/file, {place}/out/maildir/, \"|/usr/bin/tee {place}/out/command\"\n")

    def run():
        server.send("s@client.example", ["all@test.example", f"{ME}@test.example"])
        sink.wait(1)
        server.wait_letters(1, user=ME)
        server.wait_empty()
        places = {"file": (place / "out/file").read_bytes(), "command": (place / "out/command").read_bytes(),
                  "maildir": next((place / "out/maildir/new").iterdir()).read_bytes(),
                  "mailbox": (server.mail / ME).read_bytes(), "forward": sink.messages[0][2]}
        for path in (place / "out/file", place / "out/command", server.mail / ME):
            path.unlink()
        shutil.rmtree(place / "out/maildir")
        del sink.messages[:]
        for kind in ("file", "command", "maildir", "mailbox"):
            assert b"\nReturn-Path: <s@client.example>\nX-Original-To: " in b"\n" + places[kind].replace(b"From ", b"\nFrom ", 1)
        return {kind for kind, text in places.items() if b"Delivered-To: " in text}

    for words, expected in (("command, file, forward", {"file", "command", "maildir", "mailbox", "forward"}),
                            ("command", {"command"}), ("file", {"file", "maildir", "mailbox"}),
                            ("forward", {"forward"}), ("", set())):
        server.configure(prepend_delivered_header="{%s}" % words)
        with server:
            assert run() == expected, words
    server.configure(prepend_delivered_header="{files}")
    code, out, errors = server.command("posthouse", "check", check=False)
    assert code != 0 and 'prepend_delivered_header: "files" is none of: command file forward' in out + errors


def test_a_maildir_has_a_limit_for_each_message(posthouse, place, sink):
    server = posthouse(**options(place, sink), local_recipient_maps="{}", mailbox_size_limit="2000")
    server.aliases.write_text(f"box: {place}/out/maildir/\n")
    with server:
        for number in range(5):
            outcome(server, server.send("s@client.example", "box@test.example", "Subject: test\r\n\r\n" + "x" * 900 + "\r\n"),
                    "status=sent .delivered to maildir")
        outcome(server, server.send("s@client.example", "box@test.example", "Subject: test\r\n\r\n" + "x\r\n" * 2000),
                r"dsn=5\.2\.2, status=bounced \(maildir delivery failed: the message is larger than the size limit of mailboxes")
    assert len(list((place / "out/maildir/new").iterdir())) == 5 and not list((place / "out/maildir/tmp").iterdir())


def test_strangers(posthouse, place, sink):
    with posthouse(**options(place, sink), local_recipient_maps="{}",
                   luser_relay="'lost+$local@far.example'") as server:
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


def test_a_failing_target_is_retried_alone(posthouse, place, sink):
    server = posthouse(**options(place, sink))
    script = place / "script"
    script.write_text(f"#!/bin/sh\necho >>{place}/out/tries\n[ -e {place}/out/go ] || exit 75\ncat >>{place}/out/prog\n")
    script.chmod(0o755)
    server.aliases.write_text(f"all: |{script}, {ME}, {place}/out/box, x@far.example\n")
    with server:
        reply = server.send("a@client.example", "all@test.example")
        outcome(server, reply, r"dsn=4\.3\.0, status=deferred")
        sink.wait(1)
        server.wait_letters(1, user=ME)
        server.stop()
        server.start()
        server.command("posthouse", "queue", "flush")
        wait_until(lambda: (place / "out/tries").read_text().count("\n") >= 2, "a second try")
        (place / "out/go").write_text("")
        server.command("posthouse", "queue", "flush")
        server.wait_empty()
        assert count(place / "out/prog") == 1
        assert len(sink.messages) == 1 and len(server.letters(ME)) == 1 and count(place / "out/box") == 1


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
