"""fail2ban understands our log, by its filter for Postfix as Debian ships it, when syslog_name says postfix."""

import collections
import os
import subprocess

import pytest

from harness import PEERS, Client, NameServer, Posthouse, scratch

ZONES = {
    "names.example": "good A 127.0.0.2\ngood MX 10 good\n" + "".join(f"c{n} A 127.0.0.{n}\n" for n in range(20, 60)),
    "0.127.in-addr.arpa": "".join(f"{n}.0 PTR c{n}.names.example.\n" for n in range(20, 60)),
}

GOOD, OURS, UNKNOWN = "MAIL FROM:<a@good.names.example>", "RCPT TO:<games@test.example>", "RCPT TO:<no-such@test.example>"
EHLO = "EHLO good.names.example"

# The client's last number, what it says, and with what that is refused.
REFUSED = [
    (20, [EHLO, GOOD, "RCPT TO:<u@far.example>"], "554 5.7.1 <u@far.example>: Relay access denied"),
    (21, [EHLO, GOOD, UNKNOWN], "550 5.1.1 <no-such@test.example>: Recipient address rejected: User unknown"),
    (22, ["HELO short", GOOD, OURS], "504 5.5.2 <short>: Helo command rejected: need fully-qualified hostname"),
    (23, ["HELO no.names.example", GOOD, OURS], "450 4.7.1 <no.names.example>: Helo command rejected: Host not found"),
    (24, [EHLO, "MAIL FROM:<a@no.names.example>", OURS], "450 4.1.8 <a@no.names.example>: Sender address rejected: Domain not found"),
    (25, [EHLO, GOOD, OURS], "554 5.7.1 <c25.names.example[127.0.0.25]>: Client host rejected: Access denied"),
    (70, [EHLO, GOOD, OURS], "450 4.7.25 Client host rejected: cannot find your hostname, [127.0.0.70]"),
    # with a queue ID: a recipient was accepted before
    (26, [EHLO, GOOD, OURS, UNKNOWN], "550 5.1.1 <no-such@test.example>: Recipient address rejected: User unknown"),
    (27, [EHLO, "MAIL FROM:<>", OURS, "RCPT TO:<news@test.example>", "DATA"],
     "550 5.5.3 <DATA>: Data command rejected: Multi-recipient bounce"),
    (28, [EHLO, "VRFY no-such@test.example"], "550 5.1.1 <no-such@test.example>: Recipient address rejected: User unknown"),
]
# Those that the filter leaves alone when Postfix says them: our lines are not made to look worse than they are.
LEFT_ALONE = [
    (40, [EHLO, GOOD, OURS, "RSET"], "250 2.0.0 Ok"),
    (41, ["HELO -bad-", GOOD, OURS], "501 5.5.2 <-bad->: Helo command rejected: Invalid name"),
    (42, [EHLO, "MAIL FROM:<a@short>", OURS], "504 5.5.2 <a@short>: Sender address rejected: need fully-qualified address"),
]


@pytest.fixture(scope="module")
def log():
    """The log of a server that has had all of these sessions, and some that end badly."""
    with scratch() as folder, NameServer(folder, ZONES) as names:
        (folder / "access").write_text("127.0.0.25 REJECT\n")
        with Posthouse(folder / "server", dns_servers=names.servers, dns_timeout="5s", syslog_name="postfix",
                       smtpd_peername_lookup="yes", mynetworks="{127.0.0.99/32}", smtpd_error_sleep_time="0s",
                       smtpd_soft_error_limit=3, smtpd_hard_error_limit=3,
                       smtpd_client_restrictions="{'check_client_access flat:%s/access', reject_unknown_client_hostname}" % folder,
                       smtpd_helo_restrictions="{reject_invalid_helo_hostname, reject_non_fqdn_helo_hostname, "
                                               "reject_unknown_helo_hostname}",
                       smtpd_sender_restrictions="{reject_non_fqdn_sender, reject_unknown_sender_domain}",
                       smtpd_data_restrictions="{reject_multi_recipient_bounce}") as server:
            for number, commands, said in REFUSED + LEFT_ALONE:
                with server.client(source=(f"127.0.0.{number}", 0)) as client:
                    for command in commands:
                        reply = client.say(command)[1]
                    assert reply.startswith(said), (number, reply)
                    client.expect("QUIT", 221)
            with server.client(source=("127.0.0.50", 0)) as client:
                while client.say("NONSENSE")[0] == 500:
                    pass
            with server.client(source=("127.0.0.51", 0)) as client:
                client.say(EHLO)
                client.say(GOOD)
            with Client(server.port, source=("127.0.0.52", 0), greeting=None) as client:
                client.raw(b"HELO good.names.example\r\nMAIL FROM:<a@good.names.example>\r\n")
                client.reply()
                client.reply()
            server.wait_log("disconnect from ", len(REFUSED + LEFT_ALONE) + 3)
        yield server.log_file


def matched(log, mode):
    """The clients that the filter counts in a mode, and how often."""
    done = subprocess.run(
        ["/usr/bin/python3", PEERS / "usr/bin/fail2ban-regex", "-c", PEERS / "etc/fail2ban", "--out", "id", log,
         f"{PEERS}/etc/fail2ban/filter.d/postfix.conf[mode={mode}]"],
        env=dict(os.environ, PYTHONPATH=str(PEERS / "usr/lib/python3/dist-packages")), text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    assert done.returncode == 0, done
    return collections.Counter(int(line.rsplit(".", 1)[1]) for line in done.stdout.split())


ALL_REFUSED = {number: 1 for number, _, _ in REFUSED}


@pytest.mark.parametrize("mode,expected", [
    ("more", ALL_REFUSED | {50: 1, 52: 1}),
    ("normal", ALL_REFUSED | {50: 1, 52: 1}),
    ("errors", {50: 1}),
    ("ddos", {51: 1}),
    ("aggressive", ALL_REFUSED | {50: 1, 51: 1, 52: 1}),
])
def test_filter(log, mode, expected):
    assert matched(log, mode) == expected, log.read_text()
