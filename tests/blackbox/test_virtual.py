"""Virtual mailboxes: people who are no users of this host, with mailboxes that belong to a user and a group of theirs."""

import fcntl
import mailbox
import os
import pathlib
import re
import shutil

import pytest

from harness import OWNER, ROOT, USERS, wait_until

# Numbers that no user of the system has; without root's rights all is ours.
UID, GID, OTHER_UID = (54321, 54322, 54323) if ROOT else (os.geteuid(), os.getegid(), os.geteuid())


def virtual(posthouse, boxes=None, **params):
    """A server with mailboxes in server.folder/box; boxes: the text of virtual_mailbox_maps."""
    server = posthouse(recipient_delimiter="'+'", virtual_mailbox_domains="{box.example, other.example}")
    base = server.folder / "box"
    base.mkdir()
    base.chmod(0o1777)
    server.boxes, server.uids, server.gids = (server.folder / name for name in ("boxes", "uids", "gids"))
    server.boxes.write_text(boxes or "joe@box.example joe\nmd@box.example box.example/md/\n@other.example all/\n"
                                     "sue+list@box.example list/\nsue@box.example sue/\n")
    server.uids.write_text(f"joe@box.example {UID}\nmd@box.example {OTHER_UID}\n@other.example {UID}\nsue@box.example {UID}\n")
    server.gids.write_text(f"@box.example {GID}\n@other.example {GID}\n")
    for table in (server.boxes, server.uids, server.gids):
        table.chmod(0o600)  # root's alone
        if not ROOT:
            continue
        shutil.chown(table, OWNER)
    server.configure(**{**dict(virtual_mailbox_base=base, virtual_mailbox_maps=f"flat:{server.boxes}",
                               virtual_uid_maps=f"flat:{server.uids}", virtual_gid_maps=f"flat:{server.gids}",
                               virtual_minimum_uid=min(UID, 100) or 1), **params})
    server.base = base
    return server


def owner_of(path):
    status = pathlib.Path(path).stat()
    return status.st_uid, status.st_gid


def test_mailboxes(posthouse):
    """mbox and Maildir, each with its owner; headers as in every mailbox."""
    with virtual(posthouse) as server:
        for _ in range(2):
            server.send("a@client.example", ["joe@box.example", "md@box.example"], "Subject: x\r\n\r\nFrom here\r\n.dot\r\n")
        server.wait_log(r"posthouse/virtual\[\d+\]: \w+: to=<joe@box\.example>, relay=virtual, delay=\S+, delays=\S+, dsn=2\.0\.0, "
                        r"status=sent \(delivered to mailbox\)", 2)
        server.wait_log(r"to=<md@box\.example>, relay=virtual, .*dsn=2\.0\.0, status=sent \(delivered to maildir\)", 2)
        server.wait_empty()
        letters = list(mailbox.mbox(server.base / "joe", create=False))
        assert len(letters) == 2 and letters[0].get_payload() == ">From here\ndot\n"
        assert [name for name, _ in letters[0].items()][:4] == ["Return-Path", "X-Original-To", "Delivered-To", "Received"]
        assert letters[0]["Return-Path"] == "<a@client.example>" and letters[0]["Delivered-To"] == "joe@box.example"
        folder = server.base / "box.example/md"
        box = mailbox.Maildir(folder, create=False)
        assert len(box) == 2 and not os.listdir(folder / "tmp")
        assert all(box.get_string(key).endswith("\n\nFrom here\ndot\n") for key in box.keys())
        assert owner_of(server.base / "joe") == (UID, GID)
        for path in (folder.parent, folder, folder / "new", folder / "cur", *(folder / "new").iterdir()):
            assert owner_of(path) == (OTHER_UID, GID) and path.stat().st_mode & 0o77 == 0, path
        assert not (server.base / "joe.lock").exists()


def test_addresses_with_extensions(posthouse):
    """The address, the address without its extension, the whole domain: as virtual_mailbox_maps is asked in the session."""
    with virtual(posthouse) as server:
        for address, box, original in (("sue+list@box.example", "list", None), ("sue+more@box.example", "sue", None),
                                       ("Sue@Box.Example", "sue", None), ("any.body@other.example", "all", None)):
            server.send("a@client.example", address)
            server.wait_log(rf"to=<{re.escape(address)}>.*status=sent \(delivered to maildir\)")
            found = [m for m in mailbox.Maildir(server.base / box, create=False) if m["Delivered-To"] == address]
            assert len(found) == 1 and found[0]["X-Original-To"] == address, (address, found)
        with server.client() as client:
            client.hello()
            client.expect("MAIL FROM:<a@client.example>", 250)
            client.expect("RCPT TO:<nobody@box.example>", 550, "User unknown in virtual mailbox table")


def test_aliases_lead_to_mailboxes(posthouse):
    """virtual_alias_maps before; the old address is in X-Original-To and the log."""
    server = virtual(posthouse, virtual_alias_maps="'inline:{info@box.example=joe@box.example}'")
    with server:
        server.send("a@client.example", "info@box.example")
        server.wait_log(r"to=<joe@box\.example>, orig_to=<info@box\.example>, relay=virtual, .*status=sent")
        letter = mailbox.mbox(server.base / "joe", create=False)[0]
        assert letter["X-Original-To"] == "info@box.example" and letter["Delivered-To"] == "joe@box.example"


def test_unknown_users_are_returned(posthouse):
    """Where the session does not refuse them already."""
    with virtual(posthouse, smtpd_reject_unlisted_recipient="no") as server:
        server.send(f"{USERS[0]}@test.example", ["nobody@box.example", "joe@box.example"])
        server.wait_log(r'to=<nobody@box\.example>, relay=virtual, .*dsn=5\.1\.1, status=bounced \(unknown user: "nobody@box\.example"\)')
        server.wait_log(r"to=<joe@box\.example>.*status=sent")
        report = server.wait_letters(1)[0].get_payload()[1].as_string()
        assert "Final-Recipient: rfc822; nobody@box.example" in report and "Status: 5.1.1" in report


def test_tables_that_fail(posthouse):
    """Each of them: the mail waits, and is delivered when the table is back."""
    server = virtual(posthouse, smtpd_reject_unlisted_recipient="no", transport_maps="'inline:{box.example=virtual:}'")
    with server:
        for table, name in ((server.boxes, "virtual_mailbox_maps"), (server.uids, "virtual_uid_maps"), (server.gids, "virtual_gid_maps")):
            away = table.with_suffix(".away")
            table.rename(away)
            user = f"joe+{name}@box.example"
            server.send("a@client.example", user)
            server.wait_log(rf"to=<joe\+{name}@box\.example>.*dsn=4\.3\.0, status=deferred \(.*{table.name}")
            away.rename(table)
            server.command("posthouse", "queue", "flush")
            server.wait_log(rf"to=<joe\+{name}@box\.example>.*dsn=2\.0\.0, status=sent")
        server.wait_empty()
        assert len(mailbox.mbox(server.base / "joe", create=False)) == 3 and "status=bounced" not in server.log()


def test_a_table_of_domains(posthouse):
    """virtual_mailbox_domains from a table: what it has is delivered here, and refused where it is not; when it fails, nothing is."""
    server = virtual(posthouse)
    domains = server.folder / "domains"
    domains.write_text("box.example x\n")
    server.configure(virtual_mailbox_domains=f"flat:{domains}", mynetworks="{127.0.0.9/32}")
    with server:
        server.send("a@client.example", "joe@box.example")
        server.wait_log(r"to=<joe@box\.example>, relay=virtual, .*status=sent")
        with server.client() as client:
            client.hello()
            client.expect("MAIL FROM:<a@client.example>", 250)
            client.expect("RCPT TO:<any@other.example>", 554, "Relay access denied")
            client.expect("RCPT TO:<joe@box.example>", 250)
        domains.unlink()

        def fails():
            with server.client() as client:
                client.hello()
                client.expect("MAIL FROM:<a@client.example>", 250)
                return client.say("RCPT TO:<joe@box.example>")[0] == 451
        wait_until(fails, "the table to fail")


@pytest.mark.parametrize("uid, gid, why", [
    ("0", GID, 'bad uid "0"'), (UID, "0", 'bad gid "0"'), ("games", GID, 'bad uid "games"'),
    ("99", GID, r"below virtual_minimum_uid \(100\)"), ("", GID, "bad uid|not found in virtual_uid_maps"),
    ("4294967296", GID, "bad uid"), ("-1", GID, "bad uid"),
])
def test_nobodys_rights(posthouse, uid, gid, why):
    """What is no user of mailboxes is a mistake of ours: the mail waits."""
    server = virtual(posthouse)
    server.configure(virtual_uid_maps=f"'inline:{{joe@box.example={uid}}}'", virtual_gid_maps=f"'inline:{{joe@box.example={gid}}}'",
                     virtual_minimum_uid=100)
    if not uid:
        server.configure(virtual_uid_maps="'inline:{x@box.example=5000}'")
    with server:
        server.send("a@client.example", "joe@box.example")
        server.wait_log(rf"to=<joe@box\.example>.*dsn=4\.3\.5, status=deferred \(recipient joe@box\.example: .*({why})")
        assert not (server.base / "joe").exists()


@pytest.mark.skipif(not ROOT, reason="needs root")
def test_not_with_the_rights_of_the_queue(posthouse):
    import pwd
    uid = pwd.getpwnam(OWNER).pw_uid
    server = virtual(posthouse)
    server.configure(virtual_uid_maps=f"static:{uid}", virtual_gid_maps=f"static:{GID}", virtual_minimum_uid=1)
    with server:
        server.send("a@client.example", "joe@box.example")
        server.wait_log(r"to=<joe@box\.example>.*dsn=4\.3\.5, status=deferred \(nothing is delivered with the rights of mail_owner")
        assert not (server.base / "joe").exists()


def test_static_owner_and_limit(posthouse):
    """static: for all; a message that does not fit is returned, in both formats."""
    server = virtual(posthouse)
    server.configure(virtual_uid_maps=f"static:{UID}", virtual_gid_maps=f"static:{GID}", virtual_mailbox_limit=1500)
    big = "Subject: x\r\n\r\n" + ("x" * 70 + "\r\n") * 40
    with server:
        server.send("a@client.example", ["joe@box.example", "md@box.example"])
        server.wait_log(r"status=sent", 2)
        server.send("", ["joe@box.example", "md@box.example"], big)
        server.wait_log(r"to=<joe@box\.example>.*dsn=5\.2\.2, status=bounced \(cannot update mailbox \S+/joe for user joe@box\.example\. .*size limit")
        server.wait_log(r"to=<md@box\.example>.*dsn=5\.2\.2, status=bounced \(maildir delivery failed: the message is larger")
        assert len(mailbox.mbox(server.base / "joe", create=False)) == 1
        assert len(mailbox.Maildir(server.base / "box.example/md", create=False)) == 1
        assert os.listdir(server.base / "box.example/md/tmp") == []


@pytest.mark.parametrize("value", ["../joe", "a/../../joe/", "..", ".", "a/./b", "/"])
def test_paths_stay_below_the_base(posthouse, value):
    server = virtual(posthouse, boxes=f"joe@box.example {value}\n")
    with server:
        server.send("a@client.example", "joe@box.example")
        server.wait_log(r"to=<joe@box\.example>.*dsn=4\.3\.5, status=deferred \(virtual_mailbox_maps: \"\S+\" is no mailbox below virtual_mailbox_base")
    assert list(server.base.iterdir()) == []


def test_patterns_and_strange_addresses(posthouse):
    """A pattern may make a path of an address; one with a slash in it reaches no pattern."""
    server = virtual(posthouse)
    patterns = server.folder / "patterns"
    patterns.write_text("/^(.*)@box\\.example$/ p/$1/\n")
    server.configure(virtual_mailbox_maps=f"regex:{patterns}", virtual_uid_maps=f"static:{UID}", virtual_gid_maps=f"static:{GID}",
                     smtpd_reject_unlisted_recipient="no")
    with server:
        server.send("a@client.example", ["joe@box.example", "../joe@box.example", "joe/new@box.example", "..@box.example",
                                         '".."@box.example', '"a b"@box.example'])
        server.wait_log(r"to=<joe@box\.example>.*status=sent \(delivered to maildir\)")
        for address in (r'"\.\./joe"@box\.example', r"joe/new@box\.example"):
            server.wait_log(rf'to=<{address}>.*dsn=5\.1\.1, status=bounced \(unknown user')
        server.wait_log(r'to=<"(\.\.|a b)"@box\.example>.*status=sent', 2)
        assert len(mailbox.Maildir(server.base / "p/joe", create=False)) == 1
        assert [p.name for p in server.base.iterdir()] == ["p"]
        assert sorted(p.name for p in (server.base / "p").iterdir()) == ['".."', '"a b"', "joe"]  # as they are written, with quotes


def test_links_and_strangers_files(posthouse):
    """An mbox that is a link, or somebody else's, is not written to."""
    server = virtual(posthouse, boxes="link@box.example link\ntheirs@box.example theirs\n")
    server.configure(virtual_uid_maps=f"static:{UID}", virtual_gid_maps=f"static:{GID}")
    (server.base / "link").symlink_to(server.base / "elsewhere")
    (server.base / "theirs").write_text("precious")
    (server.base / "theirs").chmod(0o666)
    with server:
        server.send("a@client.example", ["link@box.example", "theirs@box.example"])
        server.wait_log(r"to=<link@box\.example>.*dsn=4\.2\.0, status=deferred \(mailbox \S+/link is a symbolic link\)")
        if ROOT:
            server.wait_log(rf"to=<theirs@box\.example>.*dsn=4\.2\.0, status=deferred \(mailbox \S+/theirs belongs to user 0 and not to {UID}\)")
            assert (server.base / "theirs").read_text() == "precious"
    assert not (server.base / "elsewhere").exists()


def test_a_letter_that_was_here(posthouse):
    with virtual(posthouse) as server:
        server.send("", "joe@box.example", "Subject: x\r\nDelivered-To: joe@box.example\r\n\r\nhello\r\n")
        server.wait_log(r"to=<joe@box\.example>.*dsn=5\.4\.6, status=bounced \(mail forwarding loop for joe@box\.example\)")


def test_many_at_once(posthouse):
    """A letter to many, of several users, in several batches: everybody has it once."""
    count = 150
    names = [f"u{i}" for i in range(count)]
    server = virtual(posthouse, boxes="".join(f"{n}@box.example {n}/\n" for n in names))
    server.configure(virtual_uid_maps=f"'inline:{{{', '.join(f'{n}@box.example={UID if i % 3 else OTHER_UID}' for i, n in enumerate(names))}}}'")
    with server:
        for start in range(0, count, 50):
            server.send("a@client.example", [f"{n}@box.example" for n in names[start:start + 50]])
        server.wait_log(r"relay=virtual, .*status=sent \(delivered to maildir\)", count)
        server.wait_empty()
        for i, name in enumerate(names):
            assert len(os.listdir(server.base / name / "new")) == 1
            assert owner_of(server.base / name)[0] == (UID if i % 3 else OTHER_UID)


@pytest.mark.slow  # as long as a lock is waited for
@pytest.mark.parametrize("kinds", ["fcntl", "dotlock", "flock", "{fcntl, dotlock}"])
def test_locks(posthouse, kinds):
    """A mailbox that another program has locked waits; which lock counts is the parameter's to say."""
    server = virtual(posthouse, virtual_mailbox_lock=kinds)
    (server.base / "joe").write_text("")
    os.chown(server.base / "joe", UID, GID)
    with open(server.base / "joe", "r+b") as file:
        if "fcntl" in kinds:
            fcntl.lockf(file, fcntl.LOCK_EX)
        elif kinds == "flock":
            fcntl.flock(file, fcntl.LOCK_EX)
        else:
            (server.base / "joe.lock").write_text(f"{os.getpid()}\n")
        with server:
            server.send("a@client.example", ["joe@box.example", "md@box.example"])
            server.wait_log(r"to=<joe@box\.example>.*dsn=4\.2\.0, status=deferred \(mailbox \S+/joe is locked by another program\)", patience=90)
            assert (server.base / "joe").stat().st_size == 0
            file.close()
            (server.base / "joe.lock").unlink(missing_ok=True)
            server.command("posthouse", "queue", "flush")
            server.wait_log(r"to=<joe@box\.example>.*status=sent")
            server.wait_empty()


@pytest.mark.parametrize("setting, error", [
    ("virtual_mailbox_lock = maybe", 'virtual_mailbox_lock: "maybe" is none of fcntl, flock, dotlock'),
    ("virtual_minimum_uid = 0", "virtual_minimum_uid"),
    ("virtual_mailbox_base = box", "virtual_mailbox_base"),
])
def test_mistakes(posthouse, setting, error):
    server = posthouse()
    server.configure(**dict([setting.split(" = ")]))
    code, _, err = server.command("posthoused", "-F", "-c", server.config, check=False)
    assert code == 1 and error in err, err


def test_a_transport_that_is_missing(posthouse):
    """Domains of virtual mailboxes, and nobody who delivers."""
    server = posthouse(loads="load(listener_smtp, listener_local)\nload(map_flat, map_hash, map_unix, queue_log, transport_local, transport_smtp)\n",
                       virtual_mailbox_domains="box.example")
    _, _, err = server.command("posthouse", "check", check=False)
    assert "virtual_transport is virtual (its default), but there is no transport of that name; load(transport_virtual) makes one" in err, err
