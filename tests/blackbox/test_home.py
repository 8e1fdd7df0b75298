"""Mailboxes in users' homes: home_mailbox, and what a .forward there says."""

import mailbox
import os

import pytest

JOE, SUE = 54321, 54322


@pytest.fixture
def homes(accounts):
    return accounts({"joe": JOE, "sue": SUE})


def owned(path, uid):
    status = path.stat()
    return status.st_uid == uid and status.st_mode & 0o77 == 0


def test_home_mailbox_is_an_mbox(posthouse, homes):
    server = posthouse(home_mailbox="Mailbox")
    with server:
        for name in ("joe", "sue", "joe"):
            server.send("a@client.example", f"{name}@test.example", f"Subject: for {name}\r\n\r\nFrom here\r\n")
        server.wait_log(r"relay=local, .*dsn=2\.0\.0, status=sent \(delivered to mailbox\)", 3)
        assert [m["Subject"] for m in mailbox.mbox(homes / "joe" / "Mailbox", create=False)] == ["for joe"] * 2
        assert [m.get_payload() for m in mailbox.mbox(homes / "sue" / "Mailbox", create=False)] == [">From here\n"]
        assert owned(homes / "joe" / "Mailbox", JOE) and owned(homes / "sue" / "Mailbox", SUE)
        assert os.listdir(homes / "joe") == ["Mailbox"]  # the .lock is gone
        assert not list(server.mail.iterdir())


def test_home_mailbox_is_a_maildir(posthouse, homes):
    server = posthouse(home_mailbox="mail/Maildir/")
    with server:
        server.send("a@client.example", ["joe@test.example", "sue@test.example"])
        server.wait_log(r"relay=local, .*dsn=2\.0\.0, status=sent \(delivered to maildir\)", 2)
        for name, uid in (("joe", JOE), ("sue", SUE)):
            folder = homes / name / "mail/Maildir"
            [letter] = mailbox.Maildir(folder, create=False)
            assert letter["Delivered-To"] == f"{name}@test.example"
            for path in (folder.parent, folder, folder / "new", folder / "tmp", *(folder / "new").iterdir()):
                assert owned(path, uid), path


def test_a_home_mailbox_of_somebody_else(posthouse, homes):
    """It waits; nothing of it is written."""
    server = posthouse(home_mailbox="Mailbox")
    (homes / "joe" / "Mailbox").write_text("precious")
    (homes / "joe" / "Mailbox").chmod(0o666)
    (homes / "sue" / "Mailbox").symlink_to(homes / "sue" / "other")
    with server:
        server.send("a@client.example", ["joe@test.example", "sue@test.example"])
        server.wait_log(rf"to=<joe@\S+ .*dsn=4\.2\.0, status=deferred \(mailbox \S+ belongs to user 0 and not to {JOE}\)")
        server.wait_log(r"to=<sue@\S+ .*dsn=4\.2\.0, status=deferred \(mailbox \S+ is a symbolic link\)")
        assert (homes / "joe" / "Mailbox").read_text() == "precious" and not (homes / "sue" / "other").exists()


def forward(homes, name, uid, text):
    path = homes / name / ".forward"
    path.write_text(text)
    os.chown(path, uid, uid)
    return path


def test_files_and_commands_of_a_forward(posthouse, homes):
    """With the user's rights, in their home; and the mailbox beside them."""
    server = posthouse(home_mailbox="Mailbox")
    forward(homes, "joe", JOE, '\\joe\n~/copies\n"|id -u > seen; cat > letter"\nMaildir/\n'.replace("Maildir/", "~/box/"))
    with server:
        server.send("a@client.example", "joe@test.example")
        server.wait_log(r"status=sent \(delivered to (mailbox|file: \S+|command: .*|maildir)\)", 4)
        server.wait_empty()
        assert len(mailbox.mbox(homes / "joe" / "Mailbox", create=False)) == 1
        assert len(mailbox.mbox(homes / "joe" / "copies", create=False)) == 1
        assert len(mailbox.Maildir(homes / "joe" / "box", create=False)) == 1
        assert (homes / "joe" / "seen").read_text() == f"{JOE}\n" and "Subject: test" in (homes / "joe" / "letter").read_text()
        assert owned(homes / "joe" / "copies", JOE)


def test_what_a_command_is_told(posthouse, homes):
    """Of the client, and of the address behind an alias; the user's own copy is addressed as the letter was."""
    server = posthouse(recipient_delimiter="'+'", mailbox_command="'env > told; cat > letter'")
    server.aliases.write_text("boss: joe+b\n")
    with server:
        server.send("a@client.example", "boss@test.example")
        server.wait_log(r"status=sent \(delivered to command")
        told = dict(line.split("=", 1) for line in (homes / "joe" / "told").read_text().splitlines())
        assert told["RECIPIENT"] == "joe+b@mx.test.example" and told["ORIGINAL_RECIPIENT"] == "boss@test.example"
        assert (told["LOCAL"], told["DOMAIN"], told["EXTENSION"]) == ("joe+b", "mx.test.example", "b")
        assert (told["CLIENT_ADDRESS"], told["CLIENT_HELO"], told["CLIENT_PROTOCOL"]) == ("127.0.0.1", "client.example", "ESMTP")
        assert "SASL_USERNAME" not in told
        assert "Delivered-To: boss@test.example" in (homes / "joe" / "letter").read_text()
        forward(homes, "joe", JOE, "\\joe, ~/copies\n")
        server.send("a@client.example", "joe+c@test.example")
        server.wait_log(r"status=sent \(delivered to command", 2)
        assert "Delivered-To: joe+c@test.example" in (homes / "joe" / "letter").read_text()


COMMAND = '"|cat > got-$EXTENSION; exit $(cat code)"'


def with_code(homes, name, uid, code):
    (homes / name / "code").write_text(code)
    os.chown(homes / name / "code", uid, uid)


def test_what_a_forward_does_not_name_any_more(posthouse, homes):
    """The user's process reads the .forward again before it runs a command or opens a file: what the queue says is not enough."""
    server = posthouse(home_mailbox="Mailbox")
    path = forward(homes, "joe", JOE, COMMAND)
    with_code(homes, "joe", JOE, "75")
    with server:
        reply = server.send("a@client.example", "joe@test.example")
        server.wait_log(r"to=<joe@\S+ .*dsn=4\.3\.0, status=deferred \(temporary failure")
        (homes / "joe" / "got-").unlink()
        with_code(homes, "joe", JOE, "0")
        path.write_text('"|echo another"\n')
        server.command("posthouse", "queue", "flush")
        server.wait_log(r'to=<joe@\S+ .*dsn=4\.3\.5, status=deferred \(no \.forward of "joe" names this command: cat > got-')
        path.unlink()
        server.command("posthouse", "queue", "flush")
        server.wait_log(r'dsn=4\.3\.5, status=deferred \(no \.forward of "joe" names this command: cat > got-', 2)
        path.symlink_to(homes / "sue" / "theirs")  # one that is not used does not count either
        (homes / "sue" / "theirs").write_text(COMMAND)
        server.command("posthouse", "queue", "flush")
        server.wait_log(r'dsn=4\.3\.5, status=deferred \(no \.forward of "joe" names this command: cat > got-', 3)
        assert not (homes / "joe" / "got-").exists()
        path.unlink()
        forward(homes, "joe", JOE, "sue, " + COMMAND)
        server.command("posthouse", "queue", "flush")
        server.wait_log(r"to=<joe@\S+ .*dsn=2\.0\.0, status=sent \(delivered to command: cat > got-")
        assert "Subject: test" in (homes / "joe" / "got-").read_text() and reply
        server.configure(recipient_delimiter="'+'")
        server.command("posthouse", "reload")
        server.send("a@client.example", "joe+Tag@test.example")
        server.wait_log(r"to=<joe\+Tag@\S+ .*status=sent \(delivered to command: cat > got-")
        assert "Subject: test" in (homes / "joe" / "got-Tag").read_text()


@pytest.mark.parametrize("template, name", [
    ("'$home/.forward${recipient_delimiter}${extension}'", ".forward+Some.Thing"),
    ("'$home/fw[1]*/$local'", "fw[1]*/Joe+Some.Thing"),
    ("'$home/${extension?with/$extension}${extension:without}'", "with/Some.Thing"),
    ("'$home/by/$domain/$recipient'", "by/test.example/Joe+Some.Thing@test.example"),
    ("'$home/.forward'", ".forward"),
])
def test_any_place_of_a_forward(posthouse, homes, template, name):
    """Whatever forward_path makes of an address, the user's process finds the file again, and what it includes."""
    server = posthouse(home_mailbox="Mailbox", recipient_delimiter="'+-'", forward_path="{%s}" % template,
                               allow_mail_to_commands="{forward, include}", allow_mail_to_files="{forward, include}",
                               local_recipient_maps="{}")
    path = homes / "joe" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("~/direct\n:include:~/more\n")
    (homes / "joe" / "more").write_text('"|cat > included"\n~/deep\n')
    for made in (path, homes / "joe" / "more"):
        os.chown(made, JOE, JOE)
    with server:
        server.send("a@client.example", "Joe+Some.Thing@test.example")
        server.wait_log(r"status=sent \(delivered to (file: \S+/(direct|deep)|command: cat > included)\)", 3)
        server.wait_empty()
        assert "deferred" not in server.log()
        assert {"direct", "deep", "included"} <= set(os.listdir(homes / "joe"))
