"""What an administrator does on the first day, under the names known from Postfix."""

import os
import re
import shutil
import subprocess
import pathlib

import pytest

from harness import PEERS, STAGE

HERE = pathlib.Path(__file__).parent
NAMESPACES = ["unshare", "--mount", "--uts", "--net", "--pid", "--fork", "--mount-proc"]


@pytest.mark.skipif(subprocess.run([*NAMESPACES, "true"], stderr=subprocess.DEVNULL).returncode != 0,
                    reason="needs root with the right to make namespaces")
def test_walkthrough(tmp_path):
    fresh = STAGE / "etc.fresh"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    shutil.copy(HERE.parent.parent / "etc/posthouse.conf", fresh / "posthouse.conf")
    (fresh / "modules.d").mkdir()
    env = dict(os.environ, TZ="Europe/Athens", ASAN_OPTIONS="detect_stack_use_after_return=1:detect_leaks=0")
    done = subprocess.run([*NAMESPACES, HERE / "walkthrough.sh", STAGE, PEERS], env=env, text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300)
    steps = dict(re.findall(r"^=== (\S+)\n(.*?)(?=^=== |\Z)", done.stdout, re.M | re.S))
    print(done.stdout)
    assert done.returncode == 0 and "end" in steps, done.stdout[-5000:]

    assert "\nmyorigin = " in steps["all"] and "\nmessage_size_limit = " in steps["all"]
    assert steps["edit"] == "myorigin = $mydomain\n"
    assert steps["interfaces"] == "inet_interfaces = 192.168.217.131, localhost\n"
    assert steps["relayhost"].strip() == "relayhost ="
    assert steps["mydestination"] == "mydestination = $myhostname, localhost.$mydomain, localhost, $mydomain\n"
    assert steps["mynetworks"] == "mynetworks = 192.168.217.0/24, 127.0.0.0/8, [::1]/128\n"
    assert steps["helo_required"] == "smtpd_helo_required = yes\n"
    assert steps["helo"] == "smtpd_helo_restrictions = permit_mynetworks, reject_invalid_helo_hostname\n"
    assert steps["sender"] == "smtpd_sender_restrictions = permit_mynetworks, reject_unknown_sender_domain\n"
    assert steps["recipient"] == "smtpd_recipient_restrictions = permit_mynetworks, reject_unauth_destination\n"

    letter = steps["spool"]
    expected = [
        r"From root@example.com  \w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}",
        r"Return-Path: <root@example.com>",
        r"X-Original-To: root@example.com",
        r"Delivered-To: root@example.com",
        r"Received: by centos.example.com \(Posthouse, from userid 0\)",
        r"\tid [0-9A-F]+; \w{3}, +\d+ \w{3} \d{4} \d\d:\d\d:\d\d \+0[23]00 \(EES?T\)",
    ]
    lines = letter.splitlines()
    for pattern, line in zip(expected, lines):
        assert re.fullmatch(pattern, line), (pattern, line)
    for header in (r"^To: root@example.com$", r"^Subject: test$", r"^Date: ", r"^From: .*root@example.com",
                   r"^Message-Id: <\d{14}\.[0-9A-F]+@centos.example.com>$"):
        assert re.search(header, letter, re.M | re.I), (header, letter)
    assert "\n\nThis is a test\n" in letter
    assert re.search(r"^-rw------- 1 nixhat (nixhat|mail) ", letter, re.M), letter

    log = steps["maillog"]
    for line in (r"postfix/pickup\[\d+\]: (\w+): uid=0 from=<root",
                 r"postfix/cleanup\[\d+\]: \w+: message-id=<\d{14}\.\w+@centos.example.com>",
                 r"postfix/qmgr\[\d+\]: \w+: from=<root@example.com>, size=\d+, nrcpt=1 \(queue active\)",
                 r"postfix/local\[\d+\]: \w+: to=<nixhat@example.com>, orig_to=<root@example.com>, relay=local, "
                 r"delay=[\d.]+, delays=[\d.]+/[\d.]+/[\d.]+/[\d.]+, dsn=2.0.0, status=sent \(delivered to mailbox\)",
                 r"postfix/qmgr\[\d+\]: \w+: removed"):
        assert re.search(r"^\w{3} [ \d]\d \d\d:\d\d:\d\d centos " + line, log, re.M), (line, log)
    summary = steps["pflogsumm"]
    assert re.search(r"^\s+1\s+received$", summary, re.M) and re.search(r"^\s+1\s+delivered$", summary, re.M), summary
    assert "Mail queue is empty" in steps["mailq"]
