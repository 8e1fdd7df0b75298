"""Mailboxes in users' homes: home_mailbox, and what a .forward there says."""

import mailbox
import os

import pytest

from harness import ROOT, Accounts

pytestmark = pytest.mark.skipif(not ROOT, reason="homes of others need root")
JOE, SUE = 54321, 54322


def with_homes(posthouse, **params):
    server = posthouse(**params)
    return server, Accounts(server, {"joe": JOE, "sue": SUE})


def owned(path, uid):
    status = path.stat()
    return status.st_uid == uid and status.st_mode & 0o77 == 0


def test_home_mailbox_is_an_mbox(posthouse):
    server, homes = with_homes(posthouse, home_mailbox="Mailbox")
    with server:
        for name in ("joe", "sue", "joe"):
            server.send("a@client.example", f"{name}@test.example", f"Subject: for {name}\r\n\r\nFrom here\r\n")
        server.wait_log(r"relay=local, .*dsn=2\.0\.0, status=sent \(delivered to mailbox\)", 3)
        assert [m["Subject"] for m in mailbox.mbox(homes["joe"] / "Mailbox", create=False)] == ["for joe"] * 2
        assert [m.get_payload() for m in mailbox.mbox(homes["sue"] / "Mailbox", create=False)] == [">From here\n"]
        assert owned(homes["joe"] / "Mailbox", JOE) and owned(homes["sue"] / "Mailbox", SUE)
        assert os.listdir(homes["joe"]) == ["Mailbox"]  # the .lock is gone
        assert not list(server.mail.iterdir())


def test_home_mailbox_is_a_maildir(posthouse):
    server, homes = with_homes(posthouse, home_mailbox="mail/Maildir/")
    with server:
        server.send("a@client.example", ["joe@test.example", "sue@test.example"])
        server.wait_log(r"relay=local, .*dsn=2\.0\.0, status=sent \(delivered to maildir\)", 2)
        for name, uid in (("joe", JOE), ("sue", SUE)):
            folder = homes[name] / "mail/Maildir"
            [letter] = mailbox.Maildir(folder, create=False)
            assert letter["Delivered-To"] == f"{name}@test.example"
            for path in (folder.parent, folder, folder / "new", folder / "tmp", *(folder / "new").iterdir()):
                assert owned(path, uid), path


def test_a_home_mailbox_of_somebody_else(posthouse):
    """It waits; nothing of it is written."""
    server, homes = with_homes(posthouse, home_mailbox="Mailbox")
    (homes["joe"] / "Mailbox").write_text("precious")
    (homes["joe"] / "Mailbox").chmod(0o666)
    (homes["sue"] / "Mailbox").symlink_to(homes["sue"] / "other")
    with server:
        server.send("a@client.example", ["joe@test.example", "sue@test.example"])
        server.wait_log(rf"to=<joe@\S+ .*dsn=4\.2\.0, status=deferred \(mailbox \S+ belongs to user 0 and not to {JOE}\)")
        server.wait_log(r"to=<sue@\S+ .*dsn=4\.2\.0, status=deferred \(mailbox \S+ is a symbolic link\)")
        assert (homes["joe"] / "Mailbox").read_text() == "precious" and not (homes["sue"] / "other").exists()


def forward(homes, name, uid, text):
    path = homes[name] / ".forward"
    path.write_text(text)
    os.chown(path, uid, uid)
    return path


def test_files_and_commands_of_a_forward(posthouse):
    """With the user's rights, in their home; and the mailbox beside them."""
    server, homes = with_homes(posthouse, home_mailbox="Mailbox")
    forward(homes, "joe", JOE, '\\joe\n~/copies\n"|id -u > seen; cat > letter"\nMaildir/\n'.replace("Maildir/", "~/box/"))
    with server:
        server.send("a@client.example", "joe@test.example")
        server.wait_log(r"status=sent \(delivered to (mailbox|file: \S+|command: .*|maildir)\)", 4)
        server.wait_empty()
        assert len(mailbox.mbox(homes["joe"] / "Mailbox", create=False)) == 1
        assert len(mailbox.mbox(homes["joe"] / "copies", create=False)) == 1
        assert len(mailbox.Maildir(homes["joe"] / "box", create=False)) == 1
        assert (homes["joe"] / "seen").read_text() == f"{JOE}\n" and "Subject: test" in (homes["joe"] / "letter").read_text()
        assert owned(homes["joe"] / "copies", JOE)
