"""Address verification: probes through the real transports, what is remembered of them, and who never waits for them."""

import json
import os
import re
import signal
import socket
import subprocess
import threading
import time

import pytest

from harness import PEERS, ROOT, Client, Sink, free_port, peer_environment, wait_until
from test_deaths import pid_of

# A probe that is in progress is waited for, however slow the machine is.
PATIENT = dict(address_verify_poll_delay="60s")
# One that is not is told to come back.
HASTY = dict(address_verify_poll_count="1")


def verifying(sink, **more):
    """Recipients in far.example, and senders anywhere, are asked for at the sink."""
    return dict(relayhost=f"[127.0.0.1]:{sink.port}", relay_domains="{far.example}",
                smtpd_relay_restrictions="{reject_unauth_destination}", mynetworks="{192.0.2.0/24}",
                smtpd_recipient_restrictions="{reject_unverified_recipient}") | PATIENT | more


def ask(server, recipient, sender="a@client.example"):
    """What the client hears to RCPT."""
    with server.client() as client:
        client.hello()
        client.expect(f"MAIL FROM:<{sender}>", 250)
        return client.say(f"RCPT TO:<{recipient}>")[1]


def answers(**local):
    """RCPT is answered by local part; probed counts who was asked for."""
    probed = []

    def answer(line):
        name = re.search("<(.*)@", line).group(1)
        probed.append(name)
        return local.get(name, "250 2.1.5 Ok")
    return answer, probed


@pytest.fixture
def sink():
    sink = Sink()
    yield sink
    sink.close()


def test_accepted_refused_and_put_off(posthouse, sink):
    sink.replies["RCPT"], probed = answers(nobody="550 5.1.1 no such user", full="452 4.2.2 no room")
    senders = []
    sink.replies["MAIL"] = lambda line: senders.append(line) or "250 2.1.0 Ok"
    with posthouse(**verifying(sink, unverified_recipient_reject_code="550")) as server:
        assert ask(server, "good@far.example") == "250 2.1.5 Ok"
        assert re.fullmatch(
            r"550 5\.1\.1 <nobody@far\.example>: Recipient address rejected: undeliverable address: "
            r"host 127\.0\.0\.1\[127\.0\.0\.1\] said: 550 5\.1\.1 no such user \(in reply to RCPT TO command\)",
            ask(server, "nobody@far.example"))
        assert re.fullmatch(
            r"450 4\.1\.1 <full@far\.example>: Recipient address rejected: unverified address: "
            r"host 127\.0\.0\.1\[127\.0\.0\.1\] said: 452 4\.2\.2 no room \(in reply to RCPT TO command\)",
            ask(server, "full@far.example"))
        server.wait_log(r"to=<good@far.example>, relay=.*dsn=2.1.5, status=deliverable \(250 2.1.5 Ok\)")
        server.wait_log(r"to=<nobody@far.example>, .*dsn=5.1.1, status=undeliverable \(host .* said: 550 5.1.1 no")
        server.wait_log(r"from=<double-bounce@mx.test.example>, size=0, nrcpt=1 \(queue active\)", 3)
        # what was found out is not asked again
        assert ask(server, "good@FAR.example") == "250 2.1.5 Ok"
        assert ask(server, "nobody@far.example").startswith("550 5.1.1 ")
        assert ask(server, "full@far.example").startswith("450 4.1.1 ")
        assert sorted(probed) == ["full", "good", "nobody"]
        assert all("<double-bounce@mx.test.example>" in line for line in senders)
        # no message came of it, here or there
        assert sink.messages == [] and "Mail queue is empty" in server.command("mailq")[1]
        # and mail goes where the probe went
        server.send("a@client.example", "good@far.example")
        assert sink.wait()[0][1] == ["good@far.example"]


def test_default_code_is_temporary(posthouse, sink):
    sink.replies["RCPT"], _ = answers(nobody="550 5.1.1 no such user")
    with posthouse(**verifying(sink)) as server:
        assert "450 4.1.1 <nobody@far.example>: Recipient address rejected: unverified address: host" in \
            ask(server, "nobody@far.example")


def test_senders(posthouse, sink):
    sink.replies["RCPT"], probed = answers(nobody="550 5.1.1 no such user")
    with posthouse(**verifying(sink, smtpd_sender_restrictions="{reject_unverified_sender}",
                               smtpd_recipient_restrictions="{}", unverified_sender_reject_code="553",
                               unverified_sender_reject_reason="'we asked for you'")) as server:
        assert ask(server, "news@test.example", "nobody@else.example") == \
            "553 5.1.7 <nobody@else.example>: Sender address rejected: undeliverable address: we asked for you"
        assert ask(server, "news@test.example", "good@else.example").startswith("250")
        assert ask(server, "news@test.example", "").startswith("250")
        assert ask(server, "news@test.example", "Double-Bounce@mx.test.example").startswith("250")
        assert ask(server, "double-bounce@mx.test.example", "nobody@else.example").startswith("250")
        assert sorted(probed) == ["good", "nobody"]


def test_senders_of_a_table(posthouse, sink):
    """Only those whose addresses are often forged."""
    sink.replies["RCPT"], probed = answers(nobody="550 5.1.1 no such user")
    rule = "{'check_sender_access inline:{ forged.example=reject_unverified_sender }'}"
    with posthouse(**verifying(sink, smtpd_sender_restrictions=rule, smtpd_recipient_restrictions="{}")) as server:
        assert ask(server, "news@test.example", "nobody@forged.example").startswith("450 4.1.7 <nobody@forged.example>: Sender")
        assert ask(server, "news@test.example", "nobody@else.example").startswith("250")
        assert probed == ["nobody"]


def test_in_progress_and_then_known(posthouse, sink):
    go_on = threading.Event()
    sink.replies["RCPT"] = lambda line: go_on.wait(60) and "250 2.1.5 Ok"
    with posthouse(**verifying(sink, **HASTY)) as server:
        text = "450 4.1.1 <late@far.example>: Recipient address rejected: unverified address: " \
            "Address verification in progress"
        assert ask(server, "late@far.example") == text
        assert ask(server, "late@far.example") == text
        go_on.set()
        server.wait_log("status=deliverable")
        wait_until(lambda: ask(server, "late@far.example").startswith("250"), "the outcome")
        assert sink.connections == 1


def test_nobody_there(posthouse, sink):
    port = free_port()
    with posthouse(**verifying(sink, relayhost=f"[127.0.0.1]:{port}", unverified_recipient_defer_code="451",
                               unverified_recipient_reject_code="550")) as server:
        assert ask(server, "x@far.example").startswith(
            "451 4.1.1 <x@far.example>: Recipient address rejected: unverified address: connect to "
            f"127.0.0.1[127.0.0.1]:{port}: Connection refused")
        assert ask(server, "y@far.example").startswith(
            "451 4.1.1 <y@far.example>: Recipient address rejected: unverified address: delivery temporarily suspended: ")


def test_codes_and_actions(posthouse, folder, sink):
    """A code of 250 lets it pass; with defer_if_permit another restriction may still refuse for good."""
    refused = folder / "refused"
    refused.write_text("full@far.example REJECT\n")
    sink.replies["RCPT"], _ = answers(nobody="550 5.1.1 no", full="452 4.2.2 no")
    params = verifying(sink, unverified_recipient_reject_code="250",
                       smtpd_recipient_restrictions="{reject_unverified_recipient, 'check_recipient_access flat:%s'}" % refused)
    with posthouse(**params) as server:
        assert ask(server, "nobody@far.example").startswith("250")
        assert ask(server, "full@far.example").startswith("554 5.7.1")
        server.configure(unverified_recipient_tempfail_action="defer")
        server.command("posthouse", "reload")
        wait_until(lambda: ask(server, "full@far.example").startswith("450 4.1.1"), "the new configuration")


def test_relay_list(posthouse, sink):
    sink.replies["RCPT"], _ = answers(nobody="550 5.1.1 no such user")
    with posthouse(**verifying(sink, smtpd_recipient_restrictions="{}",
                               smtpd_relay_restrictions="{reject_unauth_destination, reject_unverified_recipient}")) as server:
        assert ask(server, "nobody@far.example").startswith("450 4.1.1")
        assert ask(server, "good@far.example").startswith("250")


def test_local_recipients(posthouse, folder, sink):
    """Aliases and users are looked up, and nothing is delivered."""
    aliases, routes = folder / "virtual", folder / "routes"
    aliases.write_text("one@test.example news\ntwo@test.example news, games\n")
    routes.write_text("gone@test.example error:5.1.6 gone away\nhole@test.example discard:\n")
    server = posthouse(**verifying(sink, unverified_recipient_reject_code="550", local_recipient_maps="{}",
                               smtpd_reject_unlisted_recipient="no", myorigin="test.example",
                               virtual_alias_maps="{flat:%s}" % aliases,
                               transport_maps="{flat:%s}" % routes))
    server.aliases.write_text("list: games, nobody\npipe: \"|exit 1\"\nowner: news\n")
    with server:
        for name in ("news", "list", "pipe", "owner", "one", "two", "hole"):
            assert ask(server, f"{name}@test.example").startswith("250"), name
        assert re.match(r'550 5.1.1 <nobodyhere@test.example>: .*undeliverable address: unknown user: "nobodyhere"',
                        ask(server, "nobodyhere@test.example"))
        assert ask(server, "gone@test.example") == \
            "550 5.1.1 <gone@test.example>: Recipient address rejected: undeliverable address: gone away"
        server.wait_log(r"to=<news@test.example>, orig_to=<one@test.example>, .*status=deliverable")
        assert sink.connections == 0 and server.letters("news") == [] and server.letters("games") == []
        assert "Mail queue is empty" in server.command("mailq")[1]


def test_routes_of_probes(posthouse, sink):
    other = Sink()
    other.replies["RCPT"], probed = answers(here="550 5.1.1 not here")
    with posthouse(**verifying(sink, address_verify_relayhost=f"[127.0.0.1]:{other.port}",
                               address_verify_sender="probe@test.example", unverified_recipient_reject_code="550")) as server:
        senders = []
        other.replies["MAIL"] = lambda line: senders.append(line) or "250 2.1.0 Ok"
        assert ask(server, "here@far.example").startswith("550 5.1.1")
        assert ask(server, "there@far.example").startswith("250")
        server.send("a@client.example", "there@far.example")
        sink.wait()
        assert probed == ["here", "there"] and "<probe@test.example>" in senders[0]
        assert sink.connections == 1
    other.close()


def test_concurrent_questions_are_one_probe(posthouse, sink):
    go_on = threading.Event()
    probed = []
    sink.replies["RCPT"] = lambda line: probed.append(line) or (go_on.wait(60) and "250 2.1.5 Ok")
    with posthouse(**verifying(sink, smtpd_processes="3")) as server:
        clients = [Client(server.port) for _ in range(12)]
        for client in clients:
            client.hello()
            client.expect("MAIL FROM:<a@client.example>", 250)
            client.raw(b"RCPT TO:<one@far.example>\r\n")
        wait_until(lambda: probed, "a probe")
        # the others are served meanwhile
        assert ask(server, "news@else.example").startswith("554")
        go_on.set()
        for client in clients:
            assert client.reply()[1] == "250 2.1.5 Ok"
            client.close()
        assert len([line for line in probed if "<one@" in line]) == 1


def test_mail_to_who_probes(posthouse, sink):
    """Whoever verifies our address hears that it is there; mail to it goes nowhere, and nobody hears of it."""
    with posthouse(**verifying(sink, smtpd_recipient_restrictions="{reject}")) as server:
        assert ask(server, "news@test.example").startswith("554")
        server.send("victim@else.example", "double-bounce@mx.test.example")
        server.wait_log(r"to=<double-bounce@mx.test.example>, relay=none, .*dsn=2.0.0, status=sent "
                        r"\(undeliverable postmaster notification discarded\)")
        server.wait_empty()
        assert sink.connections == 0


def test_sender_that_changes(posthouse, sink):
    senders = []
    sink.replies["MAIL"] = lambda line: senders.append(re.search("<(.*)>", line).group(1)) or "250 2.1.0 Ok"
    with posthouse(**verifying(sink, address_verify_sender_ttl="10d")) as server:
        assert ask(server, "good@far.example").startswith("250")
        assert re.fullmatch("double-bounce[0-9A-Z]+@mx.test.example", senders[0])
        assert ask(server, "double-bounce@mx.test.example").startswith("550")
        server.send("victim@else.example", senders[0])
        server.wait_log(r"to=<double-bounce@mx.test.example>.*postmaster notification discarded")


@pytest.mark.parametrize("what", ["reload", "death"])
def test_queue_process_that_ends_meanwhile(posthouse, sink, what):
    """Who waits asks the next one, which sends a probe of its own."""
    go_on, asked = threading.Event(), []
    sink.replies["RCPT"] = lambda line: asked.append(line) or (len(asked) < 2 and go_on.wait(60)) and "250 2.1.5 Ok" or "250 2.1.5 Ok"
    with posthouse(**verifying(sink)) as server, server.client() as client:
        client.hello()
        client.expect("MAIL FROM:<a@client.example>", 250)
        client.raw(b"RCPT TO:<one@far.example>\r\n")
        wait_until(lambda: asked, "a probe")
        if what == "death":
            os.kill(pid_of(server, "queue"), signal.SIGKILL)
        else:
            server.command("posthouse", "reload")
        assert client.reply()[1] == "250 2.1.5 Ok"
        go_on.set()


def test_two_that_verify_each_other(posthouse):
    """The sender of A's probes is verified by B, at A; there it ends, and both learn the truth."""
    def site(name, **more):
        return dict(myhostname=f"mx.{name}.example", mydomain=f"{name}.example", myorigin="$myhostname",
                    smtpd_sender_restrictions="{reject_unverified_sender}", mynetworks="{192.0.2.0/24}",
                    smtpd_relay_restrictions="{reject_unauth_destination}", unverified_sender_reject_code="550") | PATIENT | more

    b = posthouse(**site("b"))
    with b, posthouse(**site("a", relayhost=f"[127.0.0.1]:{b.port}")) as a:
        b.configure(relayhost=f"[127.0.0.1]:{a.port}")
        b.command("posthouse", "reload")
        assert ask(a, "news@a.example", "games@b.example").startswith("250")
        assert "550 5.1.7 <nobodyhere@b.example>: Sender address rejected: undeliverable address: host" in \
            ask(a, "news@a.example", "nobodyhere@b.example")
        assert ask(b, "news@b.example", "games@a.example").startswith("250")
        # each has asked the other for its users, and once for who probes; for that one nobody asks back
        for server, other, probes in ((a, "b", 3), (b, "a", 2)):
            assert server.log().count("(queue active)") == probes
            assert f"to=<double-bounce@mx.{other}.example>" in server.log()


@pytest.mark.parametrize("options,reply", [([], "250"), (["-f", "rcpt"], "550 5.1.1"), (["-r", "rcpt"], "450 4.1.1"),
                                           (["-q", "rcpt"], "450 4.1.1")])
def test_smtp_sink(posthouse, sink, options, reply):
    port = free_port()
    peer = subprocess.Popen([PEERS / "usr/sbin/smtp-sink", *(["-u", "nobody"] if os.geteuid() == 0 else []), *options,
                             f"127.0.0.1:{port}", "100"], env=peer_environment(), stdout=subprocess.DEVNULL)
    try:
        wait_until(lambda: listens(port), "smtp-sink")
        with posthouse(**verifying(sink, relayhost=f"[127.0.0.1]:{port}", unverified_recipient_reject_code="550")) as server:
            assert ask(server, "x@far.example").startswith(reply)
    finally:
        peer.kill()
        peer.wait()


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_transport_that_cannot_be_asked(posthouse, sink):
    with posthouse(**verifying(sink, transport_maps="'inline:{ far.example=one: }'")) as server:
        server.stop()
        server.loads += "load(transport_pipe)\n"
        server.sections += "transport one { module = pipe  argv = '/bin/false'  user = games }\n"
        server.configure()
        server.start()
        assert ask(server, "x@far.example").startswith("250")
        server.wait_log(r"to=<x@far.example>, relay=none, .*status=deliverable \(transport one cannot be probed\)")


def cache_of(server):
    return server.queue_directory / "data" / "verify_cache"


def test_remembered_over_a_restart(posthouse, sink):
    sink.replies["RCPT"], probed = answers(nobody="550 5.1.1 no such user")
    server = posthouse(**verifying(sink))
    with server:
        first = ask(server, "nobody@far.example")
        ask(server, "good@far.example")
    assert cache_of(server).stat().st_mode & 0o777 == 0o600
    sink.replies["RCPT"] = lambda line: probed.append("again") or "250 2.1.5 Ok"
    with server:
        assert ask(server, "nobody@far.example") == first
        assert ask(server, "good@far.example").startswith("250")
        # the queue process dies: what was found out is on disk
        ask(server, "third@far.example")
        wait_until(lambda: b"third@far.example" in cache_of(server).read_bytes(), "the file")
        os.kill(pid_of(server, "queue"), signal.SIGKILL)
        server.wait_log("queue.* signal 9")
        assert ask(server, "third@far.example").startswith("250")
    assert sorted(probed) == ["again", "good", "nobody"]


def test_listed_and_forgotten(posthouse, sink):
    """posthouse verify: what is known, from when and until when; what is deleted is probed again, now and after a restart."""
    sink.replies["RCPT"], probed = answers(nobody="550 5.1.1 no such user")
    server = posthouse(**verifying(sink, relay_domains="{far.example, near.example}",
                                   address_verify_positive_expire_time="2d", address_verify_positive_refresh_time="1d",
                                   address_verify_negative_expire_time="3h", address_verify_negative_refresh_time="2h"))
    verify = lambda *words, **more: server.command("posthouse", "verify", *words, **more)
    listed = lambda *words: [json.loads(line) for line in verify("list", "-j", *words)[1].splitlines()]
    with server:
        assert verify("list")[1] == "0 addresses\n" and listed() == []
        for name in ("good@far.example", "nobody@far.example", "Other@NEAR.example"):
            ask(server, name)
        before = time.time()
        known = {entry["address"]: entry for entry in listed()}
        assert set(known) == {"good@far.example", "nobody@far.example", "Other@near.example"}
        good, nobody = known["good@far.example"], known["nobody@far.example"]
        assert (good["status"], nobody["status"]) == ("deliverable", "undeliverable")
        assert good["expires"] - good["updated"] == 2 * 86400 and good["refresh"] - good["updated"] == 86400
        assert nobody["expires"] - nobody["updated"] == 3 * 3600 and nobody["refresh"] - nobody["updated"] == 2 * 3600
        assert abs(before - good["updated"]) < 60 and 0 <= good["age"] < 60 and "550 5.1.1 no such user" in nobody["text"]
        text = verify("list", "FAR.example")[1].splitlines()
        assert re.fullmatch(r"undeliverable +\d+s +(3h|2h59m) nobody@far\.example \(host .*\)", text[1])
        assert re.fullmatch(r"deliverable +\d+s +(2d|1d23h) good@far\.example \(250 2\.1\.5 Ok\)", text[2])
        assert text[3] == "-- 2 addresses" and len(text) == 4
        assert [entry["address"] for entry in listed("other@near.EXAMPLE")] == ["Other@near.example"]
        assert verify("delete", "GOOD@far.example", "no@far.example", "@near.example", check=False) == (
            65, "deleted: 2 addresses\n", "posthouse: no@far.example: nothing is known of that\n")
        server.wait_log(r"verify: GOOD@far\.example: 1 address forgotten by uid")
        assert [entry["address"] for entry in listed()] == ["nobody@far.example"]
        ask(server, "good@far.example")
        assert probed.count("good") == 2
        assert verify("delete", "far.example")[1] == "deleted: 2 addresses\n"
        if ROOT:
            code, _, error = verify("list", check=False, user="nobody")
            assert code == 77 and "only root and mail_owner" in error
    with server:
        assert listed() == []
        ask(server, "nobody@far.example")
        assert verify("delete", "ALL")[1] == "deleted: 1 address\n" and verify("delete", "ALL")[1] == "deleted: 0 addresses\n"
    for words in ((), ("delete",), ("list", "a", "b"), ("list", "-x"), ("forget",)):
        assert verify(*words, check=False)[0] == 64


def test_damaged_cache(posthouse, sink):
    sink.replies["RCPT"], probed = answers()
    server = posthouse(**verifying(sink))
    with server:
        for name in ("one", "two", "three"):
            ask(server, f"{name}@far.example")
    content = bytearray(cache_of(server).read_bytes())
    content[content.index(b"two@far")] ^= 1
    cache_of(server).write_bytes(content[:-3])
    with server:
        server.wait_log("verify_cache is damaged: [0-9]+ bytes of it are passed over")
        for name in ("one", "two", "three"):
            assert ask(server, f"{name}@far.example").startswith("250")
    assert sorted(probed) == ["one", "three", "three", "two", "two"]
    cache_of(server).write_bytes(b"\0\0\0\0 something else")
    with server:
        server.wait_log("verify_cache is no cache of this version, it is written anew")
        assert ask(server, "one@far.example").startswith("250")
    with server:
        assert ask(server, "one@far.example").startswith("250")
    assert probed.count("one") == 2


def test_cache_that_cannot_be_written(posthouse, sink):
    sink.replies["RCPT"], probed = answers()
    with posthouse(**verifying(sink, address_verify_map="/proc/no/such/cache")) as server:
        assert ask(server, "one@far.example").startswith("250")
        server.wait_log("address_verify_map: /proc/no/such/cache cannot be written, what is found out is kept in memory: No such")
        assert ask(server, "one@far.example").startswith("250")
    assert probed == ["one"]


def test_expiry_and_refresh(posthouse, sink):
    """Of failures: what has expired is found out anew; what is to be refreshed still counts."""
    fates, probed = {}, []
    sink.replies["RCPT"] = lambda line: probed.append(line) or fates.get("now", "550 5.1.1 no")
    with posthouse(**verifying(sink, address_verify_negative_refresh_time="1s",
                               address_verify_negative_expire_time="1h")) as server:
        assert ask(server, "x@far.example").startswith("450")
        fates["now"] = "250 2.1.5 Ok"
        # the old answer, until the probe that it has caused is back
        wait_until(lambda: ask(server, "x@far.example").startswith("250"), "the refreshed answer")
        assert len(probed) == 2
        # a success is not lost to a failure
        server.configure(address_verify_positive_refresh_time="1s", address_verify_positive_expire_time="1h")
        server.command("posthouse", "reload")
        fates["now"] = "550 5.1.1 no"
        wait_until(lambda: ask(server, "x@far.example").startswith("250") and len(probed) == 3, "a probe")
        server.wait_log("status=undeliverable", 2)
        assert ask(server, "x@far.example").startswith("250")
        server.configure(address_verify_positive_expire_time="1s")
        server.command("posthouse", "reload")
        wait_until(lambda: ask(server, "x@far.example").startswith("450"), "the expiry")


def test_failures_are_not_remembered(posthouse, sink):
    sink.replies["RCPT"], probed = answers(nobody="550 5.1.1 no")
    with posthouse(**verifying(sink, address_verify_negative_cache="no")) as server:
        for _ in range(3):
            assert ask(server, "nobody@far.example").startswith("450")
            assert ask(server, "good@far.example").startswith("250")
    assert probed.count("nobody") == 3 and probed.count("good") == 1


def explain(server, *words):
    code, output, _ = server.command("posthouse", "explain", "--client", "192.0.3.1", "--from", "a@client.example",
                                     *words, check=False)
    return code, output


def test_explain_and_check_send_no_probes(posthouse, sink):
    sink.replies["RCPT"], probed = answers(nobody="550 5.1.1 no such user")
    server = posthouse(**verifying(sink, unverified_recipient_reject_code="550"))
    with server:
        assert ask(server, "nobody@far.example").startswith("550")
        assert ask(server, "good@far.example").startswith("250")
    code, output = explain(server, "--to", "nobody@far.example")
    assert code == 1 and "undeliverable address: host 127.0.0.1[127.0.0.1] said: 550 5.1.1" in output
    code, output = explain(server, "--to", "good@far.example")
    assert code == 0 and "is deliverable: 250 2.1.5 Ok" in output
    code, output = explain(server, "--to", "other@far.example")
    assert code == 0 and "nothing is known in address_verify_map" in output
    server.command("posthouse", "check")
    assert sorted(probed) == ["good", "nobody"]


@pytest.mark.parametrize("params,finding", [
    (dict(smtpd_relay_restrictions="{reject_unverified_recipient, reject_unauth_destination}"),
     "smtpd_relay_restrictions: reject_unverified_recipient is asked before anything refuses to relay"),
    (dict(smtpd_sender_restrictions="{reject_unverified_recipient}"),
     "smtpd_sender_restrictions: reject_unverified_recipient is asked before anything refuses to relay"),
    (dict(smtpd_relay_restrictions="{permit_mynetworks}",
          smtpd_recipient_restrictions="{reject_unverified_recipient, reject_unauth_destination}"),
     "smtpd_recipient_restrictions: reject_unverified_recipient is asked before anything refuses to relay"),
    (dict(data_directory="/nonexistent/data"),
     "address_verify_map: there is no folder /nonexistent/data, so that what reject_unverified_recipient finds out"),
    (dict(address_verify_sender="@test.example"), 'address_verify_sender: "@test.example" is no address; write user'),
    (dict(address_verify_map="btree:/x/y"), 'address_verify_map: "btree:/x/y" is not an absolute path'),
    (dict(unverified_recipient_reject_code="200"), "unverified_recipient_reject_code: 200 is"),
    ({}, None),
    (dict(smtpd_recipient_restrictions="{}", smtpd_relay_restrictions="{reject_unauth_destination, reject_unverified_recipient}"), None),
])
def test_findings(posthouse, sink, params, finding):
    server = posthouse(**verifying(sink, **params))
    _, output, errors = server.command("posthouse", "check", check=False)
    if finding is None:
        assert "verif" not in output + errors, output + errors
    else:
        assert finding in output + errors
