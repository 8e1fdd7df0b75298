"""Mail goes on to other hosts: relayhost, mail exchangers from a real DNS server, and what goes wrong there."""

import os
import re
import subprocess
import time

import pytest

from harness import PEERS, Sink, free_port, peer_environment, wait_until


def relay(sink, **more):
    return dict(relayhost=f"[127.0.0.1]:{sink.port}", **more)


def test_relayhost(posthouse):
    sink = Sink()
    with posthouse(**relay(sink)) as server:
        server.send("a@client.example", ["b@far.example", "c@far.example"], "Subject: x\r\n\r\n..dot\r\nend\r\n")
        sender, recipients, content = sink.wait()[0]
        assert (sender, sorted(recipients)) == ("a@client.example", ["b@far.example", "c@far.example"])
        assert content.endswith(b"Subject: x\r\n\r\n.dot\r\nend\r\n")
        assert content.startswith(b"Received: from client.example")
        server.wait_log(r"posthouse/smtp\[\d+\]: [0-9A-F]+: to=<b@far.example>, relay=127.0.0.1\[127.0.0.1\]:%d, "
                        r"delay=[\d.]+, delays=[\d./]+, dsn=2.0.0, status=sent \(250 2.0.0 taken\)" % sink.port)
        server.wait_empty()
    sink.close()


def test_smtp_sink(posthouse, folder):
    port = free_port()
    env = peer_environment()
    sink = subprocess.Popen([PEERS / "usr/sbin/smtp-sink", *(["-u", "nobody"] if os.geteuid() == 0 else []), "-c",
                             f"127.0.0.1:{port}", "100"], env=env, stdout=subprocess.DEVNULL)
    try:
        with posthouse(relayhost=f"[127.0.0.1]:{port}") as server:
            subprocess.run([PEERS / "usr/sbin/smtp-source", "-s", "10", "-m", "200", "-l", "4096", "-f",
                            "a@client.example", "-t", "b@far.example", f"127.0.0.1:{server.port}"], env=env,
                           check=True, timeout=60)
            server.wait_log(r"status=sent", 200)
            server.wait_log(r": removed", 200)
            server.wait_empty()
    finally:
        sink.kill()
        sink.wait()


def test_each_recipient_has_its_own_fate(posthouse):
    fates = {"good": "250 ok", "later": "450 4.2.0 later", "never": "550 5.1.1 no such user"}
    sink = Sink(replies={"RCPT": lambda line: fates[re.search("<(.*)@", line).group(1)]})
    with posthouse(**relay(sink)) as server:
        server.send("news@test.example", [f"{name}@far.example" for name in fates])
        server.wait_log(r"to=<good@far.example>.*status=sent")
        server.wait_log(r"to=<later@far.example>, relay=127.0.0.1\[127.0.0.1\]:\d+, .*dsn=4.2.0, status=deferred \(host .* said: 450 4.2.0 later")
        server.wait_log(r"to=<never@far.example>.*dsn=5.1.1, status=bounced \(host .* said: 550 5.1.1 no such user")
        report = server.wait_letters(1, "news")[0]
        assert report["Return-Path"] == "<>" and report.get_content_type() == "multipart/report"
        status = report.get_payload()[1].as_string()
        assert "Final-Recipient: rfc822; never@far.example" in status and "Status: 5.1.1" in status
        assert "later@far.example" in server.command("mailq")[1]
        fates["later"] = "250 ok"
        server.command("posthouse", "queue", "flush")
        server.wait_log(r"to=<later@far.example>.*status=sent")
        server.wait_empty()
    sink.close()


def test_no_report_about_a_report(posthouse):
    sink = Sink(replies={"RCPT": "550 5.1.1 no"})
    with posthouse(**relay(sink)) as server:
        server.send("", "b@far.example")
        server.wait_log("status=bounced")
        server.wait_log(": removed")
        server.wait_empty()
        assert "non-delivery notification:" not in server.log()
    sink.close()


@pytest.mark.parametrize("verb,reply,expect", [
    ("CONNECT", "421 busy", "4.0.0"), ("CONNECT", "554 no", "5.0.0"), ("MAIL", "451 4.3.0 wait", "4.3.0"),
    ("DATA", "451 4.3.2 wait", "4.3.2"), ("END", "452 4.3.1 full", "4.3.1"), ("END", None, "4.4.2"), ("RCPT", None, "4.4.2"),
    ("EHLO", "garbage", "4"), ("MAIL", "421 4.7.0 go away", "4.7.0")])
def test_what_fails_for_now_is_deferred(posthouse, verb, reply, expect):
    sink = Sink(replies={verb: reply})
    with posthouse(**relay(sink)) as server:
        server.send("a@client.example", "b@far.example")
        server.wait_log(r"to=<b@far.example>.*status=deferred")
        assert server.letters() == []
        sink.replies.clear()
        server.command("posthouse", "queue", "flush")
        sink.wait()
        server.wait_empty()
    sink.close()


def test_stepwise_without_pipelining(posthouse):
    sink = Sink(extensions=(), replies={"EHLO": "502 5.5.1 what?"})
    with posthouse(**relay(sink)) as server:
        server.send("a@client.example", ["b@far.example", "c@far.example"])
        assert len(sink.wait()[0][1]) == 2
    sink.close()


def test_nobody_there(posthouse):
    port = free_port()
    with posthouse(relayhost=f"[127.0.0.1]:{port}", minimal_backoff_time="1s", maximal_backoff_time="2s") as server:
        server.send("a@client.example", "b@far.example")
        server.wait_log(r"status=deferred \(connect to 127.0.0.1\[127.0.0.1\]:%d: Connection refused\)" % port)
        sink = Sink(port=port)
        sink.wait()
        server.wait_empty()
        sink.close()


ZONE = """$ORIGIN %s.
$TTL 60
@ SOA ns hostmaster 1 60 60 60 60
@ NS ns
ns A 127.0.0.1
two MX 10 dead
two MX 20 alive
six MX 10 alive6
direct A 127.0.0.1
backup MX 10 alive
backup MX 20 mx.test.example.
null MX 0 .
loop MX 10 mx.test
alive A 127.0.0.1
alive6 AAAA ::1
dead A 127.0.0.9
"""


@pytest.fixture
def nsd(folder):
    """A real name server for the zone far.example."""
    port = free_port()
    zone = folder / "zone"
    zone.write_text(ZONE % "far.example")
    config = folder / "nsd.conf"
    config.write_text(f"""server:
  ip-address: 127.0.0.1@{port}
  username: ""
  zonesdir: "{folder}"
  database: ""
  pidfile: "{folder}/nsd.pid"
  xfrdfile: "{folder}/xfrd"
  zonelistfile: "{folder}/zonelist"
  server-count: 1
remote-control:
  control-enable: no
zone:
  name: far.example
  zonefile: zone
""")
    process = subprocess.Popen([PEERS / "usr/sbin/nsd", "-d", "-c", config], env=peer_environment(),
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    import dns.exception
    import dns.message
    import dns.query

    def answers():
        try:
            return dns.query.udp(dns.message.make_query("far.example", "SOA"), "127.0.0.1", 0.2, port).answer
        except (dns.exception.DNSException, OSError):
            return None
    wait_until(answers, "nsd")
    yield port
    process.terminate()
    process.wait()


def test_mail_exchangers(posthouse, nsd):
    sink = Sink()
    with posthouse(dns_servers="{127.0.0.1@%d}" % nsd, smtp_tcp_port=sink.port, smtp_mx_loopback="yes", inet_protocols="all") as server:
        server.send("a@client.example", ["u@two.far.example", "u@direct.far.example"])
        sink.wait(2)
        server.wait_log(r"to=<u@two.far.example>, relay=alive.far.example\[127.0.0.1\]:%d, .*status=sent" % sink.port)
        server.wait_log(r"to=<u@direct.far.example>, relay=direct.far.example\[127.0.0.1\]")
        six = Sink("::1", port=sink.port)
        server.send("a@client.example", "u@six.far.example")
        six.wait()
        server.wait_log(r"relay=alive6.far.example\[::1\]:%d" % sink.port)
        six.close()
    sink.close()


def test_fallback_relay(posthouse, nsd):
    """What is not found, not reached, or put off goes there; what is refused, or takes no mail, comes back."""
    moody = Sink(host="127.0.0.1", replies={"RCPT": lambda argument: "250 2.1.5 ok" if "good" in argument else
                                            "550 5.1.1 nobody" if "bad" in argument else "451 4.2.0 not now"})
    last = Sink(host="127.0.0.1")
    server = posthouse(dns_servers="{127.0.0.1@%d}" % nsd, smtp_tcp_port=moody.port, smtp_mx_loopback="yes",
                       smtp_fallback_relay="{'[127.0.0.1]:%d', '[127.0.0.1]:%d'}" % (free_port(), last.port))
    fates = {"a@none.far.example": last, "a@dead.far.example": last, "good@direct.far.example": moody, "later@direct.far.example": last}
    with server:
        server.send("a@client.example", [*fates, "bad@direct.far.example", "a@null.far.example", "later@backup.far.example"])
        for address, sink in fates.items():
            server.wait_log(r"to=<%s>, relay=\S+\[127\.0\.0\.1\]:%d, .*status=sent" % (re.escape(address), sink.port))
        server.wait_log(r"to=<bad@direct\.far\.example>, relay=.*:%d, .*dsn=5\.1\.1, status=bounced" % moody.port)
        server.wait_log(r"to=<a@null\.far\.example>, .*dsn=5\.1\.10, status=bounced")
        server.wait_log(r"to=<later@backup\.far\.example>, .*dsn=4\.2\.0, status=deferred")  # we are its exchanger, too
        wait_until(lambda: sorted(r for _, rcpts, _ in last.messages for r in rcpts if "client" not in r) ==
                   sorted(a for a, sink in fates.items() if sink is last), "the rest")
    last.close()
    server = posthouse(dns_servers="{127.0.0.1@%d}" % nsd, smtp_fallback_relay="'[127.0.0.1]:%d'" % free_port())
    with server:
        server.send("a@client.example", "a@none.far.example")
        server.wait_log(r"to=<a@none\.far\.example>, .*status=deferred \(connect to 127\.0\.0\.1\[127\.0\.0\.1\]:\d+: Connection refused\)")
    moody.close()


def test_mistaken_fallback_relay(posthouse):
    server = posthouse(smtp_fallback_relay="{'[127.0.0.1]:smpt'}")
    code, _, errors = server.command("posthouse", "check", check=False)
    assert code == 1 and "smtp_fallback_relay: " in errors, errors


def test_domains_without_mail(posthouse, nsd):
    with posthouse(dns_servers="{127.0.0.1@%d}" % nsd) as server:
        server.send("news@test.example", ["u@null.far.example", "u@nothing.far.example", "u@alive6.far.example"])
        server.wait_log(r"to=<u@null.far.example>.*dsn=5.1.10, status=bounced")
        server.wait_log(r"to=<u@nothing.far.example>.*dsn=5.1.2, status=bounced")
        server.wait_letters(1, "news")


def test_name_server_that_never_answers(posthouse):
    import socket
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        with posthouse(dns_servers="{127.0.0.1@%d}" % silent.getsockname()[1], dns_timeout="1s") as server:
            server.send("a@client.example", "u@two.far.example")
            server.wait_log(r"to=<u@two.far.example>.*dsn=4.4.3, status=deferred")


def test_mail_exchangers_that_cannot_be_looked_up(posthouse):
    """A server that knows addresses and fails at the rest: the mail waits, unless that is ignored."""
    import dns.message
    import dns.rcode
    import dns.rdatatype
    import dns.rrset
    import socket
    import threading

    server_socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server_socket.bind(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                query, client = server_socket.recvfrom(4096)
            except OSError:
                return
            reply = dns.message.make_response(dns.message.from_wire(query))
            question = reply.question[0]
            if question.rdtype == dns.rdatatype.A:
                reply.answer.append(dns.rrset.from_text(question.name, 60, "IN", "A", "127.0.0.1"))
            else:
                reply.set_rcode(dns.rcode.SERVFAIL)
            server_socket.sendto(reply.to_wire(), client)
    threading.Thread(target=serve, daemon=True).start()
    sink = Sink()
    with posthouse(dns_servers="{127.0.0.1@%d}" % server_socket.getsockname()[1], smtp_tcp_port=sink.port,
                   smtp_mx_loopback="yes", smtp_host_lookup="{dns}") as server:
        server.send("a@client.example", "u@half.far.example")
        server.wait_log(r"to=<u@half.far.example>.*dsn=4.4.3, status=deferred")
        server.configure(ignore_mx_lookup_error="yes")
        server.command("posthouse", "reload")
        server.command("posthouse", "queue", "flush")
        sink.wait()
        server.wait_log(r"to=<u@half.far.example>, relay=half.far.example\[127.0.0.1\].*status=sent")
    server_socket.close()
    sink.close()


def test_hop_count(posthouse):
    with posthouse(hopcount_limit="10") as server:
        with server.client() as client:
            client.hello()
            client.expect("MAIL FROM:<a@client.example>", 250)
            client.expect("RCPT TO:<games@test.example>", 250)
            client.expect("DATA", 354)
            code, text = client.say(b"Received: x\r\n" * 12 + b"\r\nhi\r\n.")
            assert code == 554 and "5.4.6" in text
