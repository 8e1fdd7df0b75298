"""Deliveries with a user's rights: commands and what becomes of them, Maildirs, whose rights they have."""

import grp
import mailbox
import os
import pathlib
import pwd
import re
import shutil
import subprocess

import pytest

from harness import OWNER, PEERS, ROOT, USERS, wait_until

USER = USERS[0]
ACCOUNT = pwd.getpwnam(USER) if ROOT else pwd.getpwuid(os.geteuid())


def script(server, name, text):
    """A program that every user may run; it can leave files in server.out."""
    path = server.folder / name
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)
    return path


def out_of(server):
    path = server.folder / "out"
    if not path.exists():
        path.mkdir()
        path.chmod(0o1777)
    return path


def no_children(server):
    """The spawner has no child left, living or dead."""
    out = server.command("posthouse", "status")[1]
    pid = next(line.split("pid ")[1].split()[0].rstrip(",") for line in out.splitlines() if "spawner" in line)
    children = pathlib.Path(f"/proc/{pid}/task/{pid}/children")
    wait_until(lambda: children.read_text().split() == [], "the end of the spawner's children")


def test_mailbox_command(posthouse):
    server = posthouse(recipient_delimiter="'+'")
    out = out_of(server)
    server.configure(mailbox_command=f"""'{script(server, "take", f'''
(id -u; id -g; id -G; pwd) > {out}/id
env > {out}/env
cat > {out}/letter
echo "$1" > {out}/argument
''')} "$EXTENSION"'""", export_environment="{TZ, 'GREETING=hello'}")
    with server:
        server.send("a$b@client.example", f"{USER}+e$x|`y`@test.example", "Subject: x\r\n\r\nFrom here\r\n")
        server.wait_log(r"dsn=2\.0\.0, status=sent \(delivered to command: .*take \"\$EXTENSION\"\)")
        uid, gid, groups, folder = (out / "id").read_text().splitlines()
        assert int(uid) == ACCOUNT.pw_uid and int(gid) == ACCOUNT.pw_gid and "0" not in groups.split()[:0 if not ROOT else None]
        env = dict(line.split("=", 1) for line in (out / "env").read_text().splitlines())
        assert env["USER"] == env["LOGNAME"] == USER and env["HOME"] == pwd.getpwnam(USER).pw_dir
        assert env["RECIPIENT"] == f"{USER}+e_x__y_@test.example" and env["SENDER"] == "a_b@client.example"
        assert env["LOCAL"] == f"{USER}+e_x__y_" and env["DOMAIN"] == "test.example"
        assert env["EXTENSION"] == "e_x__y_" and env["GREETING"] == "hello"
        assert set(env) <= {"USER", "LOGNAME", "HOME", "SHELL", "PATH", "TZ", "GREETING", "PWD", "OLDPWD", "_", "SHLVL",
                            "RECIPIENT", "ORIGINAL_RECIPIENT", "SENDER", "LOCAL", "DOMAIN", "EXTENSION",
                            "CLIENT_ADDRESS", "CLIENT_HELO", "CLIENT_HOSTNAME", "CLIENT_PROTOCOL"}
        assert (out / "argument").read_text() == "e_x__y_\n"
        letter = (out / "letter").read_text()
        assert letter.startswith("From a$b@client.example  ")
        assert "\nReturn-Path: <a$b@client.example>\n" in letter and "\r" not in letter
        assert f"\nDelivered-To: {USER}+e$x|`y`@test.example\n" in letter and letter.endswith("\n\nFrom here\n")
        assert not (server.mail / USER).exists()
        no_children(server)


# What the command does; the outcome.
ENDS = {
    "tempfail": ("echo not now; exit 75", r"dsn=4\.3\.0, status=deferred \(temporary failure. Command output: not now\)"),
    "nouser": ("exit 67", r"dsn=5\.1\.1, status=bounced \(user unknown\)"),
    "own": ("echo 4.7.1 come back; exit 1", r"dsn=4\.7\.1, status=deferred \(come back\)"),
    "other": ("printf 'a\\tb\\033'; exit 3", r'dsn=5\.3\.0, status=bounced \(Command died with status 3: ".*other". Command output: a b_\)'),
    "signal": ("kill -9 $$", r'dsn=4\.3\.0, status=deferred \(Command died with signal 9: ".*signal"\)'),
    "hang": ("trap '' TERM; sleep 1000 & sleep 1000", r'dsn=5\.3\.0, status=bounced \(Command time limit exceeded: ".*hang"\)'),
    "forks": ("sleep 1000 & echo started", r'dsn=2\.0\.0, status=sent \(delivered to command: .*forks \(started\)\)'),
    "flood": ("yes | head -c 5000000", r'dsn=2\.0\.0, status=sent \(delivered to command: .*flood \((y ){380,400}y?\)\)'),
    "deaf": ("exec <&-; exit 0", r"dsn=2\.0\.0, status=sent \(delivered to command: .*deaf\)"),
}


def test_ends_of_commands(posthouse):
    """One transport for each, as each has its own mailbox_command."""
    server = posthouse()
    sections, table = "", ""
    for name, (text, _) in ENDS.items():
        sections += (f"transport t{name} {{ module = local mailbox_command = '{script(server, name, text)}' "
                     f"command_time_limit = 2s }}\n")
        table += f"{name}.example t{name}:\n"
    missing = server.folder / "nothing-here"
    sections += f"transport tmissing {{ module = local mailbox_command = {missing} }}\n"
    server.sections += sections
    server.configure()
    outcomes = dict(ENDS, missing=("", rf'dsn=5\.3\.0, status=bounced \(Command died with status 127: "{missing}". Command output: .*not found'))
    body = "Subject: x\r\n\r\n" + "0123456789" * 60 + "\r\n"
    for name, (_, expected) in outcomes.items():
        server.configure(local_transport=f"t{name}")
        with server:
            server.send("", f"{USER}@test.example", body + ("x" * 70 + "\r\n") * 3000)
            server.wait_log(rf"to=<{USER}@test\.example>.*{expected}")
            no_children(server)
        server.log_file.unlink()
        shutil.rmtree(server.queue_directory)
    left = subprocess.run(["pgrep", "-f", f"{server.folder}"], stdout=subprocess.PIPE, text=True).stdout
    assert left == ""


def test_mailbox_command_maps(posthouse):
    server = posthouse()
    out = out_of(server)
    table = server.folder / "commands"
    table.write_text(f"{USERS[1]} cat >{out}/mapped\n")
    table.chmod(0o600)  # the user need not see it
    server.configure(mailbox_command_maps=f"flat:{table}")
    with server:
        server.send("a@client.example", [f"{name}@test.example" for name in USERS[:2]])
        server.wait_letters(1)
        server.wait_log(r"status=sent \(delivered to command: cat >")
        assert "Subject: test" in (out / "mapped").read_text()
        table.unlink()
        server.send("a@client.example", f"{USERS[1]}@test.example")
        server.wait_log(r"dsn=4\.3\.0, status=deferred \(mailbox_command_maps|dsn=2\.0\.0", 3)


def test_spool_of_maildirs(posthouse):
    server = posthouse()
    server.configure(mail_spool_directory=f"{server.mail}/")
    with server:
        for _ in range(3):
            server.send("a@client.example", f"{USER}@test.example", "Subject: x\r\n\r\nFrom here\r\n.dot\r\n")
        server.wait_log(r"dsn=2\.0\.0, status=sent \(delivered to maildir\)", 3)
        folder = server.mail / USER
        box = mailbox.Maildir(folder, create=False)
        assert len(box) == 3 and not os.listdir(folder / "tmp")
        for key in box.keys():
            text = box.get_string(key)
            assert text.startswith("Return-Path: <a@client.example>\n") and "\n\nFrom here\ndot\n" in text
        for path in (folder, folder / "new", folder / "tmp", folder / "cur", *(folder / "new").iterdir()):
            status = path.stat()
            assert status.st_mode & 0o77 == 0 and (not ROOT or status.st_uid == ACCOUNT.pw_uid), path


def test_targets_of_aliases(posthouse):
    """What an alias table names has default_privs, and nothing else."""
    server = posthouse()
    out = out_of(server)
    account = pwd.getpwnam("nobody") if ROOT else ACCOUNT
    server.aliases.write_text(f'prog: "|(id -u; id -G) > {out}/id"\nfile: {out}/file\nfolder: {out}/deep/folder/\n'
                              f"nowhere: /nowhere/at/all\nlink: {out}/link\nmine: {out}/mine\n")
    (out / "link").symlink_to(out / "elsewhere")
    (out / "mine").write_text("precious")
    (out / "mine").chmod(0o600)
    with server:
        server.send("a@client.example", "prog@test.example")
        server.wait_log(r"to=<prog@\S+ .*dsn=2\.0\.0, status=sent \(delivered to command: ")
        uid, groups = (out / "id").read_text().splitlines()
        assert int(uid) == account.pw_uid and (not ROOT or groups == str(account.pw_gid))
        for _ in range(2):
            server.send("a@client.example", "file@test.example")
        server.wait_log(rf"dsn=2\.0\.0, status=sent \(delivered to file: {out}/file\)", 2)
        assert len(mailbox.mbox(out / "file", create=False)) == 2
        status = (out / "file").stat()
        assert status.st_uid == account.pw_uid and status.st_mode & 0o777 == 0o600
        server.send("a@client.example", "folder@test.example")
        server.wait_log(r"dsn=2\.0\.0, status=sent \(delivered to maildir\)")
        assert len(mailbox.Maildir(out / "deep/folder", create=False)) == 1
        server.send("", "nowhere@test.example")
        server.wait_log(r"dsn=5\.2\.0, status=bounced \(cannot open destination file /nowhere/at/all: No such file")
        server.send("a@client.example", "link@test.example")
        server.wait_log(rf"dsn=4\.2\.0, status=deferred \(file {out}/link is a symbolic link\)")
        assert not (out / "elsewhere").exists()
        if ROOT:  # root's file is not open to others
            server.send("", "mine@test.example")
            server.wait_log(rf"dsn=5\.2\.0, status=bounced \(cannot open destination file {out}/mine: Permission denied")
            assert (out / "mine").read_text() == "precious"


@pytest.mark.skipif(not ROOT, reason="needs root")
@pytest.mark.parametrize("name", ["root", OWNER, "no-such-user-here"])
def test_default_privs_are_somebodys(posthouse, name):
    server = posthouse(default_privs=name)
    code, _, err = server.command("posthoused", "-F", "-c", server.config, check=False)
    assert code == 1 and f"default_privs = {name}: " in err and "name an" in err


def test_pipe(posthouse):
    """Values stay in their arguments, the rights are the section's, and results come back."""
    server = posthouse(recipient_delimiter="'+'", local_recipient_maps="{}")
    out = out_of(server)
    program = script(server, "take", f"""
id -u > {out}/uid; id -G > {out}/groups
for word in "$@"; do echo "<$word>"; done >> {out}/words
cat >> {out}/letter
exit $(cat {out}/code)
""")
    (out / "code").write_text("0")
    group = "nogroup" if ROOT else ""
    account = pwd.getpwnam(USERS[1]) if ROOT else ACCOUNT
    server.loads += "load(transport_pipe)\n"
    server.sections += f"""
transport one {{ module = pipe user = {account.pw_name}{":" + group if group else ""} flags = 'FR.>B' eol = '\\r\\n' size = 1000
    argv = '{program} -f ${{sender}} to=${{recipient}} $user/$extension@$domain -- ${{nexthop}}' }}
transport each {{ module = pipe user = {account.pw_name} flags = 'DOhu' argv = '{program} ${{recipient}}' }}
"""
    server.configure(local_transport="one:Next.Hop")
    with server:
        server.send("a$b@client.example", ["\"x y;$(id)\"+e@test.example", "C@test.example"],
                    "Subject: x\r\n\r\nFrom here\r\n..dot\r\n")
        server.wait_log(r"relay=one, .*dsn=2\.0\.0, status=sent \(delivered via one service\)", 2)
        assert (out / "words").read_text().splitlines() == [
            "<-f>", "<a$b@client.example>", "<to=x y;$(id)+e@test.example>", "<to=C@test.example>",
            "<x y;$(id)/e@test.example>", "<C/@test.example>", "<-->", "<Next.Hop>"]
        letter = (out / "letter").read_bytes()
        assert letter.startswith(b"From a$b@client.example  ") and b"\r\nReturn-Path: <a$b@client.example>\r\n" in letter
        assert letter.endswith(b"\r\n\r\n>From here\r\n..dot\r\n\r\n")
        assert int((out / "uid").read_text()) == account.pw_uid
        if ROOT:
            assert (out / "groups").read_text().split() == [str(grp.getgrnam(group).gr_gid)]
        (out / "code").write_text("75")
        server.send("", "later@test.example")
        server.wait_log(r"to=<later@\S+ relay=one, .*dsn=4\.3\.0, status=deferred \(temporary failure\)")
        server.send("", "big@test.example", "Subject: x\r\n\r\n" + "x" * 900 + "\r\n")
        server.wait_log(r"to=<big@.*dsn=5\.2\.3, status=bounced \(message size \d+ exceeds size limit 1000 of service one\)")
        (out / "code").write_text("0")
        (out / "letter").unlink()
        server.configure(local_transport="each")
        server.command("posthouse", "reload")
        server.wait_log("generation 2 serves")
        wait_until(lambda: "generation 1 has ended" in server.log(), "the end of the old generation")
        server.send("a@client.example", ["Ab@test.example", "cd@test.example"])
        server.wait_log(r"relay=each, .*status=sent \(delivered via each service\)", 2)
        assert (out / "letter").read_text().count("\nDelivered-To: ") == 2
        assert (out / "words").read_text().splitlines()[-2:] == ["<ab@test.example>", "<cd@test.example>"]
        no_children(server)


def test_pipe_knows_who_handed_it_in(posthouse):
    """A client of SMTP, and the sendmail command."""
    server = posthouse(local_recipient_maps="{}", local_transport="who")
    out = out_of(server)
    program = script(server, "take", f'for word in "$@"; do echo "<$word>"; done > {out}/words; cat >/dev/null')
    account = pwd.getpwnam(USERS[1]) if ROOT else ACCOUNT
    server.loads += "load(transport_pipe)\n"
    server.sections += f"""
transport who {{ module = pipe user = {account.pw_name}
    argv = '{program} ${{client_address}} ${{client_hostname}} ${{client_helo}} ${{client_protocol}} u=${{sasl_username}}${{sasl_method}}${{sasl_sender}} ${{envid}} ${{size}} ${{queue_id}} ${{original_recipient}} p=${{client_port}}' }}
"""
    server.configure()
    with server:
        with server.client() as client:
            port = client.socket.getsockname()[1]
            client.hello("a;b$(c)")
            client.expect("MAIL FROM:<a@client.example> RET=HDRS ENVID=QQ314159", 250)
            client.expect("RCPT TO:<joe@test.example>", 250)
            client.expect("DATA", 354)
            reply = client.expect("Subject: x\r\n\r\nhello\r\n.", 250)
        server.wait_log("to=<joe@test.example>, relay=who, .*status=sent")
        words = (out / "words").read_text().splitlines()
        assert words[:6] == ["<127.0.0.1>", "<unknown>", "<a;b$(c)>", "<ESMTP>", "<u=>", "<QQ314159>"]
        assert words[7:] == [f"<{reply.split()[-1]}>", "<joe@test.example>", f"<p={port}>"] and words[6].strip("<>").isdigit()
        server.command("sendmail", "sue@test.example", input="Subject: x\n\nhello\n")
        server.wait_log("to=<sue@test.example>, relay=who, .*status=sent")
        words = (out / "words").read_text().splitlines()
        assert words[:6] == ["<>", "<>", "<>", "<>", "<u=>", "<>"] and words[8:] == ["<sue@test.example>", "<p=>"]


def test_pipe_flags(posthouse):
    """Quotes, braces, the empty sender, loops, and what a report of success says."""
    server = posthouse(local_recipient_maps="{}", local_transport="quoted")
    out = out_of(server)
    program = script(server, "take", f'for word in "$@"; do echo "<$word>"; done > {out}/words; cat > {out}/letter')
    user = USERS[1] if ROOT else ACCOUNT.pw_name
    server.loads += "load(transport_pipe)\n"
    server.sections += f"""
transport quoted {{ module = pipe user = {user} flags = 'Rq' null_sender = ''
    argv = '{program} $sender {{ a  $user}} $recipient' }}
transport final {{ module = pipe user = {user} flags = 'RDX' null_sender = 'nobody at all' eol = '\\015\\012' argv = '{program} $sender' }}
"""
    server.configure()
    with server:
        server.send("", '"x y"@test.example')
        server.wait_log(r"relay=quoted, .*status=sent")
        assert (out / "words").read_text().splitlines() == ["<>", "<a  x y>", '<"x y"@test.example>']
        assert (out / "letter").read_text().startswith("Return-Path: <>\n")
        server.command("sendmail", "-N", "success", "x@test.example", input="Subject: y\n\nhello\n")
        server.wait_log(r"to=<x@test.example>, relay=quoted, .*status=sent")
        wait_until(lambda: b"\nAction: relayed" in (out / "letter").read_bytes(), "the report")
        server.configure(local_transport="final")
        server.command("posthouse", "reload")
        server.wait_log("generation 2 serves")
        wait_until(lambda: "generation 1 has ended" in server.log(), "the end of the old generation")
        server.send("", "z@test.example")
        server.wait_log(r"relay=final, .*status=sent")
        assert (out / "words").read_text().splitlines() == ["<nobody at all>"]
        assert (out / "letter").read_bytes().startswith(b"Return-Path: <nobody at all>\r\nDelivered-To: z@test.example\r\n")
        server.send("", "again@test.example", "Delivered-To: Again@test.example\r\n\r\nhello\r\n")
        server.wait_log(r"to=<again@.*dsn=5\.4\.6, status=bounced \(mail forwarding loop for again@test.example\)")
        server.command("sendmail", "-N", "success", "x@test.example", input="Subject: y\n\nhello\n")
        wait_until(lambda: b"\nAction: delivered" in (out / "letter").read_bytes(), "the report")
        no_children(server)


def root_directory(server):
    """A folder with a shell and a few commands in it, and the libraries that they want."""
    root = server.folder / "jail"
    for program in ("sh", "id", "cat", "pwd", "ls"):
        path = shutil.which(program)
        told = subprocess.run(["ldd", path], capture_output=True, text=True, check=True).stdout
        for file in {path, *re.findall(r"(/\S+) \(0x", told)}:
            copy = root / file.lstrip("/")
            copy.parent.mkdir(parents=True, exist_ok=True)
            if not copy.exists():
                shutil.copy(file, copy)
    for folder in (root, *(x for x in root.rglob("*") if x.is_dir())):
        folder.chmod(0o755)
    return root


@pytest.mark.skipif(not ROOT, reason="needs root")
def test_pipe_chroot(posthouse):
    """The command sees its folder as the root, is its user, and gains nothing by a set-id bit."""
    server = posthouse(local_recipient_maps="{}", local_transport="jail")
    root = root_directory(server)
    account = pwd.getpwnam(USERS[1])
    (root / "out").mkdir()
    shutil.chown(root / "out", account.pw_uid)
    shell, id_ = shutil.which("sh"), shutil.which("id")
    shutil.copy(id_, root / "setid")
    (root / "setid").chmod(0o6755)
    program = root / "take"
    program.write_text(f"#!{shell}\ncd \"$1\" || exit 1\nid -u > /out/uid; id -G > /out/groups; /setid -u > /out/setid\n"
                       "pwd > /out/pwd; ls -a / > /out/root; cat > /out/letter\n")
    program.chmod(0o755)
    server.loads += "load(transport_pipe)\n"
    server.sections += f"""
transport jail {{ module = pipe user = {account.pw_name} flags = F chroot = {root} argv = '/take .' }}
transport deeper {{ module = pipe user = {account.pw_name} chroot = {root} directory = /out argv = '/take .' }}
transport lost {{ module = pipe user = {account.pw_name} chroot = {root} directory = {root} argv = '/take .' }}
"""
    server.configure(transport_maps="'inline:{ deep@test.example=deeper: lost@test.example=lost: }'")
    said = lambda name: (root / "out" / name).read_text().strip()
    with server:
        server.send("a@client.example", "x@test.example")
        server.wait_log(r"relay=jail, .*dsn=2\.0\.0, status=sent \(delivered via jail service\)")
        assert said("uid") == said("setid") == str(account.pw_uid)
        assert sorted(said("groups").split()) == sorted(map(str, os.getgrouplist(account.pw_name, account.pw_gid)))
        assert said("pwd") == "/" and set(said("root").split()) == {".", "..", *os.listdir(root)}
        assert said("letter").startswith("From a@client.example ") and said("letter").endswith("hello")
        server.send("a@client.example", "deep@test.example")
        server.wait_log(r"relay=deeper, .*status=sent")
        assert said("pwd") == "/out"
        server.send("a@client.example", "lost@test.example")
        server.wait_log(r"relay=lost, .*dsn=4\.3\.0, status=deferred \(temporary failure. Command output: cannot change directory to ")
        root.rename(server.folder / "away")
        server.send("a@client.example", "late@test.example")
        server.wait_log(rf"to=<late@.*dsn=4\.3\.5, status=deferred \(cannot change the root directory to {root}: No such file")
        (server.folder / "away").rename(root)
        no_children(server)


@pytest.mark.skipif(ROOT, reason="needs to be nobody special")
def test_pipe_chroot_takes_root(posthouse):
    server = posthouse()
    server.loads += "load(transport_pipe)\n"
    server.sections += f"transport one {{ module = pipe user = {ACCOUNT.pw_name} chroot = / argv = /bin/cat }}\n"
    server.configure()
    code, _, err = server.command("posthoused", "-F", "-c", server.config, check=False)
    assert code == 1 and "chroot = /: that takes root's rights" in err


@pytest.mark.parametrize("section, error", [
    ("user = nobody argv = /bin/cat chroot = /no/such/root", "chroot = /no/such/root: No such file or directory" if ROOT else "chroot"),
    ("user = nobody argv = /bin/cat chroot = /etc/passwd", "chroot = /etc/passwd: Not a directory" if ROOT else "chroot"),
    ("user = nobody argv = /bin/cat chroot = here", "chroot: \"here\" is not an absolute path"),
    ("user = nobody argv = '/bin/cat {a'", "argv: expected white space around arguments in braces"),
    ("user = root argv = /bin/cat", "user = root: nothing is delivered with root's rights"),
    (f"user = {OWNER} argv = /bin/cat", "that is mail_owner"),
    ("user = 'nobody:root' argv = /bin/cat", "root's group"),
    ("argv = /bin/cat", "user: expected the user whose rights"),
    ("user = nobody argv = '/bin/cat $what'", '"$what" is no macro'),
    ("user = nobody argv = /bin/cat flags = DZ", '"Z" is no flag'),
])
def test_pipe_mistakes(posthouse, section, error):
    if not ROOT and "root" in section + error or not ROOT and "owner" in error:
        pytest.skip("needs root")
    server = posthouse()
    server.loads += "load(transport_pipe)\n"
    server.sections += f"transport one {{ module = pipe {section} }}\n"
    server.configure()
    code, _, err = server.command("posthoused", "-F", "-c", server.config, check=False)
    assert code == 1 and error in err, err


def peer(name):
    for path in (shutil.which(name), PEERS / "usr/bin" / name):
        if path and pathlib.Path(path).exists():
            return path
    pytest.skip(f"no {name} here")


def test_procmail(posthouse):
    server = posthouse(recipient_delimiter="'+'")
    out = out_of(server)
    recipes = server.folder / "procmailrc"
    recipes.write_text(f"MAILDIR={out}\nDEFAULT={out}/default\nUMASK=077\n:0\n* ^Subject:.*list\n{out}/list/\n"
                       f":0\n* ^Subject:.*gone\n{{\n EXITCODE=67\n :0\n /dev/null\n}}\n")
    recipes.chmod(0o644)
    server.configure(mailbox_command=f"'{peer('procmail')} -m {recipes}'")
    with server:
        server.send("a@client.example", f"{USER}@test.example", "Subject: a list\r\n\r\nhello\r\n")
        server.send("a@client.example", f"{USER}@test.example", "Subject: other\r\n\r\nhello\r\n")
        server.wait_log(r"dsn=2\.0\.0, status=sent \(delivered to command: ", 2)
        assert [m["Subject"] for m in mailbox.Maildir(out / "list", create=False)] == ["a list"]
        assert [m["Subject"] for m in mailbox.mbox(out / "default", create=False)] == ["other"]
        assert (out / "default").stat().st_uid == ACCOUNT.pw_uid
        server.send("", f"{USER}@test.example", "Subject: gone\r\n\r\nhello\r\n")
        server.wait_log(r"dsn=5\.1\.1, status=bounced \(user unknown")


def test_maildrop(posthouse):
    server = posthouse()
    out = out_of(server)
    rules = server.folder / "mailfilter"
    rules.write_text(f'if (/^Subject:.*list/)\n{{\n to "{out}/list"\n}}\nto "{out}/default"\n')
    os.chown(rules, ACCOUNT.pw_uid, -1)
    rules.chmod(0o600)
    server.configure(mailbox_command=f"'{peer('maildrop')} {rules}'")
    with server:
        server.send("a@client.example", f"{USER}@test.example", "Subject: a list\r\n\r\nhello\r\n")
        server.wait_log(r"status=(sent|deferred|bounced) ")
        server.wait_log(r"dsn=2\.0\.0, status=sent \(delivered to command: ")
        text = (out / "list").read_text()
        assert "\nSubject: a list\n" in text and (out / "list").stat().st_uid == ACCOUNT.pw_uid
