"""Unknown recipients and senders are refused at RCPT, by the table of their class; one that cannot be asked says "later"."""

import json
import re

import pytest


def inline(entries):
    return "'inline:{ %s }'" % ", ".join("{ %s = %s }" % item for item in entries.items())


AWAY = "'fail:the table is away'"
CLASSES = dict(
    recipient_delimiter="'+'",
    virtual_alias_domains="alias.example", virtual_alias_maps=inline({"known@alias.example": "games@test.example",
                                                                      "any@test.example": "games@test.example"}),
    virtual_mailbox_domains="box.example", virtual_mailbox_maps=inline({"known@box.example": "known/"}), virtual_transport="discard",
    relay_domains="behind.example", relay_recipient_maps=inline({"known@behind.example": "x", "@all.behind.example": "x"}),
    relay_transport="discard", default_transport="discard",
    canonical_maps=inline({"old@test.example": "games@test.example", "old@box.example": "known@box.example"}),
    relocated_maps=inline({"moved@far.example": "new@far.example", "news@test.example": "news@new.example"}),
    transport_maps=inline({"gone.example": "error:5.1.2 it is gone", "later.example": "retry:", "other.example": "discard:"}))


def refused(address, code, why, what="Recipient"):
    return address, f"{code} <{address}>: {what} address rejected: {why}"


def unknown(address, table):
    return refused(address, "550 5.1.1", f"User unknown in {table}")


RECIPIENTS = [
    ("games@test.example", 250), ("GAMES@Test.Example", 250), ("games+tag@test.example", 250), ("games", 250), ("games@[127.0.0.1]", 250),
    ("any@test.example", 250), ("old@test.example", 250), ("staff@test.example", 250), ("Staff+x@test.example", 250),
    ("postmaster@test.example", 250), ("postmaster", 250), ("postmaster@alias.example", 250),
    unknown("no-such@test.example", "local recipient table"), unknown("no-such+games@test.example", "local recipient table"),
    unknown("no-such", "local recipient table"), unknown("no-such@[127.0.0.1]", "local recipient table"),
    ("known@alias.example", 250), ("known+tag@alias.example", 250), unknown("games@alias.example", "virtual alias table"),
    ("known@box.example", 250), ("known+tag@box.example", 250), ("old@box.example", 250), unknown("games@box.example", "virtual mailbox table"),
    ("known@behind.example", 250), ("any@all.behind.example", 250), unknown("games@behind.example", "relay recipient table"),
    ("any@far.example", 250), ("any@other.example", 250),
    refused("moved@far.example", "550 5.1.6", "User has moved to new@far.example"),
    refused("news@test.example", "550 5.1.6", "User has moved to news@new.example"),
    refused("any@gone.example", "550 5.1.2", "it is gone"), refused("any@later.example", "450 4.1.1", "Address is undeliverable"),
]


def test_recipients(posthouse):
    server = posthouse(**CLASSES, smtpd_hard_error_limit=1000, smtpd_soft_error_limit=1000)
    server.aliases.write_text("staff: games\n")
    with server:
        with server.client() as client:
            client.hello()
            client.expect("MAIL FROM:<no-such@test.example>", 250)
            for address, expected in RECIPIENTS:
                code, text = client.say(f"RCPT TO:<{address}>")
                assert code == expected or text == expected, (address, text)
            client.expect("RSET", 250)
            # VRFY says the same
            client.expect("VRFY <games@test.example>", 252)
            client.expect("VRFY games", 252)
            client.expect("VRFY no-such", 550, "5.1.1")
            client.expect("VRFY nobody-at@alias.example", 550, "virtual alias table")
        server.wait_log(r"NOQUEUE: reject: VRFY from .*: 550 5\.1\.1 <no-such>: Recipient address rejected: User unknown in local "
                        "recipient table")
        log = server.log()
        assert re.search(r"reject: RCPT from unknown\[127\.0\.0\.1\]: 550 5\.1\.1 <no-such@test\.example>: Recipient address rejected: "
                         r"User unknown in local recipient table; from=<no-such@test\.example> to=<no-such@test\.example> proto=ESMTP", log)


def test_senders_and_codes(posthouse):
    with posthouse(**CLASSES, smtpd_reject_unlisted_sender="yes", unknown_local_recipient_reject_code=450,
                   unknown_relay_recipient_reject_code=451, unknown_virtual_alias_reject_code=452,
                   unknown_virtual_mailbox_reject_code=553, show_user_unknown_table_name="no") as server:
        with server.client() as client:
            client.hello()
            for sender, expected in (("games@test.example", 250), ("known@box.example", 250), ("", 250), ("any@far.example", 250),
                                     refused("no-such@test.example", "450 4.1.0", "User unknown", "Sender"),
                                     refused("no-such@box.example", "553 5.1.0", "User unknown", "Sender")):
                client.expect(f"MAIL FROM:<{sender}>", 250)
                code, text = client.say("RCPT TO:<games@test.example>")
                assert code == expected or text == expected, (sender, text)
                client.expect("RSET", 250)
            client.expect("MAIL FROM:<games@test.example>", 250)
            for address, code in (("x@behind.example", "451 4.1.1"), ("x@alias.example", "452 4.1.1"), ("x@box.example", "553 5.1.1")):
                assert client.say(f"RCPT TO:<{address}>")[1] == f"{code} <{address}>: Recipient address rejected: User unknown"
    # without smtpd_delay_reject a sender is refused when it is named
    with posthouse(**CLASSES, smtpd_reject_unlisted_sender="yes", smtpd_delay_reject="no") as server:
        with server.client() as client:
            client.hello()
            client.expect("MAIL FROM:<no-such@test.example>", 550, "5.1.0")


@pytest.mark.parametrize("parameter,address", [
    ("local_recipient_maps", "games@test.example"), ("virtual_alias_maps", "games@alias.example"),
    ("virtual_mailbox_maps", "known@box.example"), ("relay_recipient_maps", "known@behind.example"),
    ("canonical_maps", "games@box.example"), ("relocated_maps", "any@far.example"), ("transport_maps", "any@far.example")])
def test_a_table_that_cannot_be_asked(posthouse, parameter, address):
    with posthouse(**(CLASSES | {parameter: AWAY})) as server:
        with server.client() as client:
            client.hello()
            client.expect("MAIL FROM:<a@client.example>", 250)
            client.expect(f"RCPT TO:<{address}>", 451, f"4.3.0 <{address}>: Temporary lookup failure")


def test_everybody_is_welcome(posthouse):
    """Empty tables list all; and so does the switch."""
    for params in (dict(local_recipient_maps="{}"), dict(smtpd_reject_unlisted_recipient="no")):
        with posthouse(**params) as server:
            with server.client() as client:
                client.hello()
                client.expect("MAIL FROM:<a@client.example>", 250)
                client.expect("RCPT TO:<no-such@test.example>", 250)


def test_owners_of_addresses(posthouse):
    """Nobody can log in yet: explain plays one who has."""
    with posthouse(smtpd_sender_login_maps=inline({"games@test.example": "boss"}),
                   smtpd_sender_restrictions="{reject_sender_login_mismatch}") as server:
        for login, said in (("boss", None), ("clerk", "not owned by user clerk"), (None, "not logged in")):
            told = json.loads(server.command(
                "posthouse", "explain", "-c", server.config, "--client", "127.0.0.1", "--from", "games@test.example",
                "--to", "games@test.example", "-j", *(["--sasl", login] if login else []), check=False)[1])
            reply = told["recipients"][0]["reply"]
            assert told["accepted"] == (said is None), told
            assert said is None or (reply["code"], reply["status"], reply["text"]) == (
                553, "5.7.1", f"<games@test.example>: Sender address rejected: {said}"), reply
