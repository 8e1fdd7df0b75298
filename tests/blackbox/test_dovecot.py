"""A real Dovecot (unpacked by tests/peers) keeps the mail and shows it over IMAP: letters come by LMTP, and into Maildirs of its
users by transport_virtual and by home_mailbox."""

import contextlib
import imaplib
import os
import pathlib
import re
import shutil
import socket
import subprocess

import pytest

from harness import OWNER, PEERS, ROOT, USERS, free_port, peer_environment, wait_until

UID, GID = (54321, 54321) if ROOT else (os.geteuid(), os.getegid())
PASSWORD = "secret"
PROGRAMS = PEERS / "usr/lib/dovecot"

CONFIG = """
base_dir = {here}/base
state_dir = {here}/state
log_path = {here}/log
libexec_dir = {programs}
mail_plugin_dir = {programs}/modules
import_environment = TZ LD_LIBRARY_PATH
protocols = imap lmtp
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain
default_internal_user = {owner}
default_internal_group = {group}
default_login_user = {login}
first_valid_uid = 1
lmtp_save_to_detail_mailbox = no
mail_location = maildir:~/Maildir
mail_plugins = quota
passdb {{
  driver = passwd-file
  args = scheme=plain username_format=%u {here}/users
}}
userdb {{
  driver = passwd-file
  args = username_format=%u {here}/users
}}
service anvil {{
  chroot =
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service lmtp {{
  unix_listener {socket} {{
    mode = 0666
  }}
  inet_listener lmtp {{
    port = {lmtp}
  }}
}}
plugin {{
  quota = maildir:User quota
  quota_rule = *:bytes=100M
}}
"""


class Dovecot:
    """users: {name: (home, quota in bytes or None)}. Started from where it lies unpacked: nothing of it is installed, and the one path
    in its libraries that no setting changes, that of its modules, is written over in copies of them."""

    def __init__(self, folder, users, socket_path=None):
        self.here = pathlib.Path(folder) / "dovecot"
        self.here.mkdir()
        self.here.chmod(0o755)
        self.socket = socket_path or self.here / "lmtp"
        self.imap_port, self.lmtp_port = free_port(), free_port()
        for name in ("base", "state", "lib"):
            (self.here / name).mkdir()
        lines = []
        for name, (home, quota) in users.items():
            home.mkdir(parents=True, exist_ok=True)
            os.chown(home, UID, GID)
            lines.append(f"{name}:{PASSWORD}:{UID}:{GID}::{home}::" + (f"userdb_quota_rule=*:bytes={quota}" if quota else "") + "\n")
        (self.here / "users").write_text("".join(lines))
        group = "daemon" if ROOT else __import__("grp").getgrgid(os.getegid()).gr_name
        (self.here / "conf").write_text(CONFIG.format(
            here=self.here, programs=PROGRAMS, owner=OWNER, group=group, login="nobody" if ROOT else OWNER, socket=self.socket,
            imap=self.imap_port, lmtp=self.lmtp_port))
        self.process = None

    def libraries(self):
        """Copies that look for their modules in a link of the test's folder, and where all libraries are."""
        built_in = b"/usr/lib/dovecot/modules\0"
        link = pathlib.Path(self.here.parent) / "m"
        link.symlink_to(PROGRAMS / "modules")
        path = str(link).encode()
        assert len(path) < len(built_in), f"{link} is longer than the path that it takes the place of: set a shorter TMPDIR"
        for library in PROGRAMS.glob("libdovecot*.so.0"):
            data = library.read_bytes()
            if built_in in data:
                (self.here / "lib" / library.name).write_bytes(data.replace(built_in, path.ljust(len(built_in), b"\0")))
        found = peer_environment()["LD_LIBRARY_PATH"]
        return f"{self.here}/lib:{PROGRAMS}:{PROGRAMS}/modules/old-stats:{found}"

    def __enter__(self):
        # The program would look for doveconf where it is installed; here that comes first and starts it.
        command = [PEERS / "usr/bin/doveconf", "-c", self.here / "conf", "-f", "service=master", "-m", "master", "-e",
                   PEERS / "usr/sbin/dovecot", "-F", "-c", self.here / "conf"]
        self.process = subprocess.Popen(command, env=dict(os.environ, LD_LIBRARY_PATH=self.libraries()), stdin=subprocess.DEVNULL,
                                        stdout=open(self.here / "errors", "w"), stderr=subprocess.STDOUT)

        def answers():
            assert self.process.poll() is None, self.log()
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.imap_port), 1) as probe:
                return probe.recv(4) == b"* OK"
        wait_until(answers, "Dovecot", patience=60)
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            print(self.log())
        self.process.terminate()
        self.process.wait()

    def log(self):
        return "".join((self.here / name).read_text() for name in ("errors", "log") if (self.here / name).exists())

    def letters(self, user):
        """What is in the user's inbox, over IMAP."""
        with imaplib.IMAP4("127.0.0.1", self.imap_port) as client:
            client.login(user, PASSWORD)
            count = int(client.select("INBOX")[1][0])
            return [client.fetch(str(i + 1), "(RFC822)")[1][0][1] for i in range(count)]

    def wait(self, user, count):
        return wait_until(lambda: len(self.letters(user)) >= count and self.letters(user), f"{count} letters for {user}: {self.log()}")


def private(server):
    """The folder for sockets of other servers below the queue."""
    path = server.queue_directory / "private"
    path.mkdir(parents=True)
    if ROOT:
        shutil.chown(server.queue_directory, OWNER)
    return path


TEXT = "From: a@client.example\r\nTo: joe@box.example\r\nSubject: =?utf-8?q?gr=C3=BC=C3=9Fe?=\r\n\r\nhello\r\n..dots\r\nFrom here\r\n"


@pytest.mark.parametrize("way", ["unix", "inet"])
def test_letters_by_lmtp(posthouse, folder, way):
    """Each recipient has the fate that Dovecot gives: saved, over quota, unknown; and the sender hears of it."""
    homes = folder / "homes"
    homes.mkdir()
    users = {"joe@box.example": (homes / "joe", None), "sue@box.example": (homes / "sue", None), "full@box.example": (homes / "full", 100)}
    server = posthouse(virtual_mailbox_domains="box.example", recipient_delimiter="'+'")
    with Dovecot(folder, users, private(server) / "dovecot-lmtp") as dovecot:
        hop = "unix:private/dovecot-lmtp" if way == "unix" else f"inet:127.0.0.1:{dovecot.lmtp_port}"
        server.configure(virtual_transport=f"'lmtp:{hop}'")
        with server:
            server.send(f"{USERS[0]}@test.example", [f"{name}@box.example" for name in ("joe", "full", "nobody", "sue")], TEXT)
            relay = r"mx\.test\.example\[private/dovecot-lmtp\]" if way == "unix" else rf"127\.0\.0\.1\[127\.0\.0\.1\]:{dovecot.lmtp_port}"
            for name in ("joe", "sue"):
                server.wait_log(rf"posthouse/lmtp\[\d+\]: \w+: to=<{name}@box\.example>, relay={relay}, .*dsn=2\.0\.0, status=sent "
                                rf"\(250 2\.0\.0 <{name}@box\.example> \S+ Saved\)")
            server.wait_log(rf"to=<full@box\.example>, relay={relay}, .*dsn=5\.2\.2, status=bounced \(host .* said: 552 5\.2\.2 <full@box\.example> "
                            r"Quota exceeded.*\(in reply to end of DATA command\)\)")
            server.wait_log(rf"to=<nobody@box\.example>, relay={relay}, .*dsn=5\.1\.1, status=bounced \(host .* said: 550 5\.1\.1 <nobody@box\.example> "
                            r"User doesn't exist.*\(in reply to RCPT TO command\)\)")
            report = server.wait_letters(1)[0]
            assert report.get_content_type() == "multipart/report" and report["To"] == f"{USERS[0]}@test.example"
            blocks = report.get_payload()[1].as_string().split("\n\n")
            host = "mx.test.example" if way == "unix" else "127.0.0.1"
            for name, status, code in (("full", "5.2.2", "552 5.2.2"), ("nobody", "5.1.1", "550 5.1.1")):
                block = next(b for b in blocks if f"Final-Recipient: rfc822; {name}@box.example" in b)
                assert "Action: failed" in block and f"Status: {status}" in block and f"Remote-MTA: dns; {host}" in block
                assert f"Diagnostic-Code: smtp; {code} <{name}@box.example>" in block
            for name in ("joe", "sue"):
                [letter] = dovecot.wait(f"{name}@box.example", 1)
                assert letter.startswith(f"Return-Path: <{USERS[0]}@test.example>\r\nReceived: from mx.test.example".encode())
                assert letter.endswith(TEXT.replace("..dots", ".dots").encode())
            assert dovecot.letters("full@box.example") == []
            # another one takes the connection that there is
            server.send("a@client.example", "joe@box.example", TEXT)
            assert len(dovecot.wait("joe@box.example", 2)) == 2
            server.wait_empty()


def test_letters_for_users_by_lmtp(posthouse, folder):
    """mailbox_transport for the users of this host, behind aliases."""
    homes = folder / "homes"
    homes.mkdir()
    server = posthouse(myorigin="$mydomain")
    server.aliases.write_text(f"info: {USERS[1]}\n")
    with Dovecot(folder, {f"{USERS[1]}@test.example": (homes / "x", None)}) as dovecot:
        server.configure(mailbox_transport=f"'lmtp:unix:{dovecot.socket}'")
        with server:
            server.send("a@client.example", "info@test.example", TEXT)
            server.wait_log(rf"to=<{USERS[1]}@test\.example>, .*relay=mx\.test\.example\[{re.escape(str(dovecot.socket))}\], .*status=sent")
            [letter] = dovecot.wait(f"{USERS[1]}@test.example", 1)
            assert letter.endswith(TEXT.replace("..dots", ".dots").encode())


def test_dovecot_is_away(posthouse, folder):
    """The letter waits, and comes when the server is back."""
    homes = folder / "homes"
    homes.mkdir()
    dovecot = Dovecot(folder, {"joe@box.example": (homes / "joe", None)})
    with posthouse(virtual_mailbox_domains="box.example", virtual_transport=f"'lmtp:unix:{dovecot.socket}'") as server:
        server.send("a@client.example", "joe@box.example", TEXT)
        server.wait_log(r"to=<joe@box\.example>.*dsn=4\.4\.1, status=deferred \(connect to mx\.test\.example\[\S+\]: No such file or directory\)")
        with dovecot:
            server.command("posthouse", "queue", "flush")
            assert len(dovecot.wait("joe@box.example", 1)) == 1
            server.wait_empty()


def test_maildirs_by_transport_virtual(posthouse, folder):
    """Dovecot finds what transport_virtual puts into its Maildirs, while it runs and uses them itself."""
    homes = folder / "homes"
    homes.mkdir()
    server = posthouse(virtual_mailbox_domains="box.example", virtual_mailbox_base=homes, virtual_minimum_uid=1,
                       virtual_mailbox_maps="'inline:{joe@box.example=joe/Maildir/, @box.example=all/Maildir/}'",
                       virtual_uid_maps=f"static:{UID}", virtual_gid_maps=f"static:{GID}")
    with Dovecot(folder, {"joe@box.example": (homes / "joe", None), "all@box.example": (homes / "all", None)}) as dovecot, server:
        assert dovecot.letters("joe@box.example") == []
        for _ in range(3):
            server.send("a@client.example", ["joe@box.example", "any@box.example"], TEXT)
        server.wait_log(r"relay=virtual, .*status=sent \(delivered to maildir\)", 6)
        for user, to in (("joe@box.example", "joe"), ("all@box.example", "any")):
            for letter in dovecot.wait(user, 3):
                assert letter.startswith(f"Return-Path: <a@client.example>\r\nX-Original-To: {to}@box.example\r\n"
                                         f"Delivered-To: {to}@box.example\r\nReceived: ".encode())
                assert letter.endswith(TEXT.replace("..dots", ".dots").encode())


def test_maildirs_by_home_mailbox(posthouse, folder, accounts):
    server = posthouse(home_mailbox="Maildir/")
    homes = accounts({"joe": UID})
    with Dovecot(folder, {"joe": (homes / "joe", None)}) as dovecot, server:
        server.send("a@client.example", "joe@test.example", TEXT)
        server.wait_log(r"to=<joe@test\.example>, relay=local, .*status=sent \(delivered to maildir\)")
        [letter] = dovecot.wait("joe", 1)
        assert letter.endswith(TEXT.replace("..dots", ".dots").encode())
