"""Tables by their commands, aliases, and mailboxes."""

import os
import pwd
import re

import pytest

from harness import ROOT, USERS


def write(path, text):
    """As an editor does: a new file takes the old one's place."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.rename(path)


def test_tables_are_built_and_asked(posthouse):
    server = posthouse()
    table, aliases = server.folder / "table", server.aliases
    table.write_text("Alpha one\nbeta two,\n  three\n")
    aliases.write_text("Root: nixhat\n\"joe smith\": joe\n")
    server.command("postmap", table)
    assert server.command("postmap", "-q", "ALPHA", f"hash:{table}")[1] == "one\n"
    assert server.command("postmap", "-q", "gamma", f"hash:{table}", check=False)[:2] == (1, "")
    assert server.command("postmap", "-q", "-", table, input="alpha\ngamma\nbeta\n")[1] == \
        "alpha\tone\nbeta\ttwo,  three\n"
    assert server.command("postmap", "-s", table)[1] == "alpha\tone\nbeta\ttwo,  three\n"
    server.command("newaliases")
    assert server.command("postalias", "-q", "joe smith", aliases)[1] == "joe\n"
    server.command("posthouse", "map", "build", f"hash:{aliases}")
    assert server.command("posthouse", "map", "query", f"hash:{aliases}", "root")[1] == "nixhat\n"
    assert server.command("posthouse", "map", "query", f"flat:{aliases}", "root")[1] == "nixhat\n"
    pattern = server.folder / "pattern"
    pattern.write_text("/^list-(.*)$/ $1@lists.example\n")
    assert server.command("posthouse", "map", "query", f"regex:{pattern}", "list-a")[1] == "a@lists.example\n"


def test_errors_of_tables_name_file_and_line(posthouse):
    server = posthouse()
    server.aliases.write_text("root: nixhat\n")
    server.command("newaliases")
    write(server.aliases, "root: other\noops\n")
    code, _, errors = server.command("newaliases", check=False)
    assert code == 1 and f"{server.aliases}:2: expected" in errors
    assert server.command("postalias", "-q", "root", server.aliases)[1] == "nixhat\n"
    pattern = server.folder / "pattern"
    pattern.write_text("/a/ 1\n/(/ 2\n")
    code, _, errors = server.command("posthouse", "map", "build", f"regex:{pattern}", check=False)
    assert code == 1 and f"{pattern}:2: bad pattern" in errors
    server.command("postmap", server.aliases, check=False)
    data = bytearray((server.folder / "aliases.cdb").read_bytes())
    data[2050] ^= 1
    (server.folder / "aliases.cdb").write_bytes(data)
    code, _, errors = server.command("postalias", "-q", "root", server.aliases, check=False)
    assert code == 1 and "is damaged" in errors


def test_aliases_lead_to_mailboxes_and_hosts(posthouse):
    server = posthouse()
    server.aliases.write_text(f"support: {USERS[0]}\nall: {USERS[0]}, {USERS[1]}\nring: rong\nrong: ring\n")
    with server:
        server.send("a@client.example", "support@test.example")
        letter = server.wait_letters(1)[0]
        assert letter["X-Original-To"] == letter["Delivered-To"] == "support@test.example"
        server.wait_log(rf"local\[\d+\]: \w+: to=<{USERS[0]}@\S+>, orig_to=<support@test\.example>, relay=local, "
                        r"delay=\S+, delays=\S+, dsn=2\.0\.0, status=sent \(delivered to mailbox\)")
        server.send("a@client.example", "all@test.example")
        server.wait_letters(2)
        server.wait_letters(1, user=USERS[1])
        server.send("a@client.example", "ring@test.example")
        server.wait_log(r"dsn=5\.4\.6, status=bounced \(alias database loop for ring\)")


def send_until(server, recipient, pattern):
    """Sends letters, one after the other is dealt with, until the outcome of one matches."""
    for _ in range(1000):
        queue_id = server.send("a@client.example", recipient).split()[-1]
        outcome = server.wait_log(rf"{queue_id}: to=<.*status=.*")[0].group()
        if re.search(pattern, outcome):
            return
    raise AssertionError(f"never {pattern}: {server.log()[-3000:]}")


def test_a_changed_table_is_noticed(posthouse):
    server = posthouse(local_recipient_maps="{}")
    server.aliases.write_text(f"support: {USERS[0]}\n")
    with server:
        send_until(server, "support@test.example", f"to=<{USERS[0]}@")
        write(server.aliases, "support: oops\nbroken\n")
        while "the old table stays in force" not in server.log():
            send_until(server, "support@test.example", f"to=<{USERS[0]}@.*status=sent")
        write(server.aliases, f"support: {USERS[1]}\n")
        send_until(server, "support@test.example", f"to=<{USERS[1]}@.*status=sent")
        server.aliases.unlink()
        send_until(server, "support@test.example", r"dsn=4\.3\.0, status=deferred \(alias lookup: ")


def test_unknown_users_and_root(posthouse):
    with posthouse(local_recipient_maps="{}") as server:
        server.send("a@test.example", "no-such-user@test.example")
        server.wait_log(r'dsn=5\.1\.1, status=bounced \(unknown user: "no-such-user"\)')
        server.send("a@client.example", "root@test.example")
        server.wait_log(r"dsn=4\.3\.5, status=deferred \(mail is not delivered with root's rights: add an alias")


def test_postmaster_is_reachable(posthouse):
    server = posthouse()
    with server:
        owner = pwd.getpwuid(os.geteuid()).pw_name if not ROOT else "daemon"
        server.send("a@client.example", "PostMaster@test.example")
        server.wait_letters(1, user=owner)
        server.wait_log("no alias for postmaster or root: mail for postmaster goes to the mailbox of")


def test_what_was_here_before_is_returned(posthouse):
    with posthouse() as server:
        user = f"{USERS[0]}@test.example"
        server.send("a@client.example", user, f"Subject: x\r\ndelivered-to: {user}\r\n\r\nhello\r\n")
        server.wait_log(rf"dsn=5\.4\.6, status=bounced \(mail forwarding loop for {user}\)")
        assert server.letters() == []


def test_a_full_mailbox(posthouse):
    with posthouse(mailbox_size_limit="2000") as server:
        user = f"{USERS[0]}@test.example"
        server.send("a@client.example", user)
        server.wait_letters(1)
        before = (server.mail / USERS[0]).read_bytes()
        server.send("a@client.example", user, "Subject: x\r\n\r\n" + "From here\r\n" * 300)
        server.wait_log(r"dsn=5\.2\.2, status=bounced \(cannot update mailbox .* has reached its size limit\)")
        assert (server.mail / USERS[0]).read_bytes() == before
        server.send("a@client.example", user, "Subject: y\r\n\r\nFrom here\r\n")
        assert server.wait_letters(2)[1].get_payload() == ">From here\n"


@pytest.mark.skipif(not ROOT, reason="mailboxes of others need root")
def test_mailboxes_belong_to_their_users(posthouse):
    with posthouse() as server:
        server.send("a@client.example", [f"{user}@test.example" for user in USERS])
        for user in USERS:
            server.wait_letters(1, user=user)
            status = (server.mail / user).stat()
            assert status.st_uid == pwd.getpwnam(user).pw_uid
            assert status.st_mode & 0o077 == 0
        target = server.folder / "target"
        target.write_text("")
        (server.mail / "lp").symlink_to(target)
        server.send("a@client.example", "lp@test.example")
        server.wait_log(r"to=<lp@test\.example>.*dsn=4\.\d\.\d, status=deferred \(mailbox \S+ is a symbolic link")
        assert target.read_text() == ""
