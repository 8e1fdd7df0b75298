"""Mail comes in over SMTP and lands in a mailbox."""

import re
import time

import pytest

from harness import USERS


def test_letter_to_a_mailbox(posthouse):
    with posthouse() as server:
        reply = server.send("alice@client.example", f"{USERS[0]}@test.example")
        assert reply.startswith("250 2.0.0 Ok: queued as ")
        letter = server.wait_letters()[0]
        names = [name for name, _ in letter.items()]
        assert names[:4] == ["Return-Path", "X-Original-To", "Delivered-To", "Received"]
        assert letter["Return-Path"] == "<alice@client.example>"
        assert letter["Delivered-To"] == f"{USERS[0]}@test.example"
        assert letter.get_payload() == "hello\n"
        server.wait_log(r"posthouse/qmgr\[\d+\]: [0-9A-F]+: removed")
        server.wait_empty()


def test_relay_is_refused_for_strangers(posthouse):
    with posthouse(mynetworks="{127.0.0.2/32}") as server:
        with server.client() as client:
            client.hello()
            client.expect("MAIL FROM:<a@client.example>", 250)
            client.expect("RCPT TO:<b@elsewhere.example>", 554, "5.7.1 <b@elsewhere.example>: Relay access denied")
            for hidden in ("b%elsewhere.example@test.example", "elsewhere.example!b@test.example",
                           '"b@elsewhere.example"@test.example', "b@elsewhere.example@test.example"):
                code, _ = client.say(f"RCPT TO:<{hidden}>")
                assert code // 100 == 5, hidden
        server.wait_log(r"NOQUEUE: reject: RCPT from \S+\[127\.0\.0\.1\]: 554 5\.7\.1 <b@elsewhere.example>: "
                        r"Relay access denied; from=<a@client.example> to=<b@elsewhere.example> "
                        r"proto=ESMTP helo=<client.example>")


@pytest.mark.parametrize("end", [b"\n.\n", b"\r\n.\n", b"\n.\r\n", b"\r.\r", b"\r\n.\r", b"\r\r\n.\r\r\n", b"\r\n\0.\r\n"])
def test_nothing_else_ends_data(posthouse, end):
    with posthouse() as server:
        with server.client() as client:
            client.hello()
            client.expect("MAIL FROM:<a@client.example>", 250)
            client.expect(f"RCPT TO:<{USERS[0]}@test.example>", 250)
            client.expect("DATA", 354)
            client.raw(b"Subject: x\r\n\r\none" + end + b"MAIL FROM:<evil@client.example>\r\nRCPT TO:<news@test.example>\r\n"
                       b"DATA\r\nSubject: smuggled\r\n\r\nboo\r\n.\r\n")
            code, _ = client.reply()
            assert code in (250, 550), code
            assert client.say("NOOP")[0] == 250
        assert server.letters("news") == []
        if code == 250:
            assert len(server.wait_letters(1)) == 1


def test_footer(posthouse):
    """What stands below a refusal, with the time that the log has."""
    with posthouse(smtpd_reject_footer=r"'\c; call us.\nAt $localtime from $client_address:$client_port to $server_port'") as server:
        with server.client() as client:
            port = client.socket.getsockname()[1]
            code, text = client.say("XYZZY")
    first, second = text.split("\r\n")
    assert code == 500 and first == "500-5.5.2 Error: command not recognized; call us."
    said = re.fullmatch(rf"500 5\.5\.2 At (.+) from 127\.0\.0\.1:{port} to {server.port}", second).group(1)
    now = time.time()
    assert said in [time.strftime("%b %d %H:%M:%S", time.localtime(now - ago)) for ago in range(60)]


def test_port_logging(posthouse):
    """The client's port, wherever the log names the client."""
    with posthouse(smtpd_client_port_logging="yes", mynetworks="{127.0.0.99}") as server:
        with server.client() as client:
            port = client.socket.getsockname()[1]
            client.hello()
            client.expect("MAIL FROM:<a@far.example>", 250)
            client.expect("RCPT TO:<b@else.example>", 554)
            client.expect(f"RCPT TO:<{USERS[0]}@test.example>", 250)
            client.expect("VRFY @", 501)
            client.expect("QUIT", 221)
        label = rf"unknown\[127\.0\.0\.1\]:{port}"
        server.wait_log(f"disconnect from {label} ehlo=1")
        for line in (f"connect from {label}\n", f"reject: RCPT from {label}: 554 5.7.1 <b@else", f": client={label}\n",
                     f"Illegal address syntax from {label} in VRFY command"):
            server.wait_log(line)


def test_relay_after_recipient(posthouse):
    """The lists about the recipient change places; no list of the two is left out."""
    with posthouse(smtpd_relay_before_recipient_restrictions="no", mynetworks="{127.0.0.99}",
                   smtpd_recipient_restrictions="{'check_recipient_access inline:{{b@else.example=450 later}}'}") as server:
        with server.client() as client:
            client.hello()
            client.expect("MAIL FROM:<a@far.example>", 250)
            client.expect("RCPT TO:<b@else.example>", 450, "later")
            client.expect("RCPT TO:<c@else.example>", 554, "Relay access denied")
