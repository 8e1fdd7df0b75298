"""The name of a client: what its address says, whether that says it back, and what cannot be looked up.

Clients have addresses of 127.0.0.0/8; a real name server serves the zones of their names. It refuses to say anything about
127.1.0.0/16 and broken.example: whoever asks has to take that for a failure that may pass."""

import socket

import pytest

from harness import Client, NameServer

LABEL63 = "a" * 63

ZONES = {
    "0.127.in-addr.arpa": "\n".join([
        "2.0 PTR good.names.example.",
        "3.0 PTR other.names.example.",
        "4.0 PTR gone.names.example.",
        "5.0 PTR six.names.example.",
        "6.0 PTR slow.broken.example.",
        # 7.0: nothing
        "8.0 PTR 127.0.0.8.",
        "9.0 PTR bad[name].names.example.",
        "10.0 PTR -hyphen.names.example.",
        "11.0 PTR good_11.names.example.",
        f"12.0 PTR {'.'.join([LABEL63] * 3)}.{'b' * 45}.names.example.",
        "13.0 CNAME 13.customer.0.127.in-addr.arpa.",
        "13.customer PTR good13.names.example.",
        "14.0 PTR 127.0.0.14.5.",
        "",
    ]),
    "names.example": "\n".join([
        "good A 127.0.0.99",
        "good A 127.0.0.2",
        "other A 127.0.0.99",
        "six AAAA ::1",
        "good_11 A 127.0.0.11",
        f"{'.'.join([LABEL63] * 3)}.{'b' * 45} A 127.0.0.12",
        "good13 A 127.0.0.13",
        "",
    ]),
}

LONG = f"{'.'.join([LABEL63] * 3)}.{'b' * 45}.names.example"

# The client, the name that the log shows, and what the restrictions say: of the verified name, of the reverse name, of its forward.
OK, NO, LATER = "ok", "no", "later"
CASES = [
    ("127.0.0.2", "good.names.example", OK, OK, OK),
    ("127.0.0.3", "unknown", NO, OK, NO),
    ("127.0.0.4", "unknown", NO, OK, NO),
    ("127.0.0.5", "unknown", NO, OK, NO),
    ("127.0.0.6", "unknown", LATER, OK, LATER),
    ("127.0.0.7", "unknown", NO, NO, OK),
    ("127.0.0.8", "unknown", NO, NO, OK),
    ("127.0.0.9", "unknown", NO, NO, OK),
    ("127.0.0.10", "unknown", NO, NO, OK),
    ("127.0.0.11", "good_11.names.example", OK, OK, OK),
    ("127.0.0.12", LONG, OK, OK, OK),
    ("127.0.0.13", "good13.names.example", OK, OK, OK),
    ("127.0.0.14", "unknown", NO, NO, OK),
    ("127.1.0.1", "unknown", LATER, LATER, LATER),
    ("127.0.0.1", "localhost", OK, OK, OK),
]

WARNINGS = [
    "hostname other.names.example does not resolve to address 127.0.0.3$",
    "hostname gone.names.example does not resolve to address 127.0.0.4: Name or service not known$",
    "hostname six.names.example does not resolve to address 127.0.0.5: No address associated with hostname$",
    "hostname slow.broken.example does not resolve to address 127.0.0.6: Temporary failure in name resolution$",
    "numeric hostname: 127.0.0.8$",
    r"valid_hostname: invalid character 91\(decimal\): bad\[name\].names.example$",
    "valid_hostname: misplaced hyphen: -hyphen.names.example$",
    "valid_hostname: numeric hostname: 127.0.0.14.5$",
]

RESTRICTIONS = [
    ("reject_unknown_client_hostname", "7.25 Client host rejected: cannot find your hostname, [%s]"),
    ("reject_unknown_reverse_client_hostname", "7.1 Client host rejected: cannot find your reverse hostname, [%s]"),
    ("reject_unknown_forward_client_hostname", "7.25 Client host rejected: cannot resolve your hostname, [%s]"),
]


@pytest.fixture
def nameserver(folder):
    with NameServer(folder, ZONES) as server:
        yield server


def rcpt(server, client):
    with Client(server.port, source=(client, 0)) as session:
        session.hello()
        session.expect("MAIL FROM:<a@client.example>", 250)
        return session.say("RCPT TO:<games@test.example>")[1]


@pytest.mark.parametrize("code", [450, 550])
@pytest.mark.parametrize("which", range(len(RESTRICTIONS)), ids=[name for name, _ in RESTRICTIONS])
def test_names(posthouse, nameserver, which, code):
    """Every client against one restriction; whatever the code is, a failure is temporary."""
    restriction, text = RESTRICTIONS[which]
    with posthouse(dns_servers=nameserver.servers, dns_timeout="5s", smtpd_peername_lookup="yes",
                   smtpd_client_restrictions="{%s}" % restriction, unknown_client_reject_code=code) as server:
        for client, name, *verdicts in CASES:
            expected = {OK: "250 2.1.5 Ok", NO: f"{code} {code // 100}." + text.replace("%s", client),
                        LATER: "450 4." + text.replace("%s", client)}[verdicts[which]]
            assert rcpt(server, client) == expected, client
            server.wait_log(r"]: connect from %s\[%s\]\n" % (name.replace(".", r"\."), client.replace(".", r"\.")))
            if verdicts[which] != OK:
                server.wait_log(r"NOQUEUE: reject: RCPT from %s\[%s\]: %d" % (
                    name, client.replace(".", r"\."), 450 if verdicts[which] == LATER else code))
        for warning in WARNINGS:
            server.wait_log(r"(?m)posthouse/smtpd\[\d+\]: warning: " + warning)


def test_silent_server(posthouse):
    """A server that never answers: the name is unknown for now, once dns_timeout is over."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        with posthouse(dns_servers="{127.0.0.1@%d}" % silent.getsockname()[1], dns_timeout="300ms",
                       smtpd_peername_lookup="yes", unknown_client_reject_code=550,
                       smtpd_client_restrictions="{reject_unknown_client_hostname}") as server:
            assert rcpt(server, "127.0.0.2").startswith("450 4.7.25 ")
            server.configure(smtpd_client_restrictions="{reject_unknown_reverse_client_hostname}")
            server.command("posthouse", "reload")
            assert rcpt(server, "127.0.0.2").startswith("450 4.7.1 ")


def test_without_lookup(posthouse, nameserver):
    """Without smtpd_peername_lookup nobody has a name, and that is certain."""
    with posthouse(dns_servers=nameserver.servers, smtpd_peername_lookup="no", unknown_client_reject_code=550,
                   smtpd_client_restrictions="{reject_unknown_reverse_client_hostname}") as server:
        assert rcpt(server, "127.0.0.2").startswith("550 5.7.1 ")
        server.wait_log(r"connect from unknown\[127.0.0.2\]")
