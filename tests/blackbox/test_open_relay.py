"""Nobody from outside reaches another domain through us, however the address is dressed up."""

import pytest

from harness import Sink

OUTSIDE = dict(mynetworks="{127.0.0.2/32}")

# Addresses of elsewhere.example, or of something that a later server might take for it.
TRICKS = [
    "b@elsewhere.example", "b@ELSEWHERE.example", "b@elsewhere.example.",
    "b%elsewhere.example@test.example", "b%elsewhere.example@mx.test.example", "b%elsewhere.example",
    '"b@elsewhere.example"@test.example', '"b@elsewhere.example"', '"b%elsewhere.example"@test.example',
    "elsewhere.example!b", "elsewhere.example!b@test.example", '"elsewhere.example!b"@test.example',
    "b@elsewhere.example@test.example", 'b@test.example@elsewhere.example', '"b@"elsewhere.example@test.example',
    "@test.example:b@elsewhere.example", "@test.example,@mx.test.example:b@elsewhere.example",
    "@elsewhere.example:b%elsewhere.example@test.example",
    "b@[192.0.2.1]", "b@[IPv6:2001:db8::1]", "b%[192.0.2.1]@test.example", "b@[127.0.0.9]",
    'b"@"elsewhere.example', '"b"@"elsewhere.example"', "b\\@elsewhere.example@test.example",
    "b@test.example.elsewhere.example", "b@evil-test.example", "b@xtest.example", "b@test.example@",
    "postmaster@elsewhere.example", "postmaster%elsewhere.example@test.example", '"postmaster@elsewhere.example"@test.example',
    "postmaster@elsewhere.example@test.example", "@elsewhere.example:postmaster@elsewhere.example",
    "b@elsewhere.example%test.example", "b@test.example\t@elsewhere.example", "b@.elsewhere.example", "b@elsewhere..example",
    "b@127.0.0.1", "b@2130706433", "b@0x7f000001",
]

POLICIES = {
    "as shipped": {},
    "defer": {"smtpd_relay_restrictions": None},
    "at once": {"smtpd_delay_reject": "no"},
    "in the recipient list": {"smtpd_relay_restrictions": "{}",
                              "smtpd_recipient_restrictions": "{permit_mynetworks, reject_unauth_destination}"},
    "behind others": {"smtpd_delay_reject": "no", "smtpd_relay_restrictions": "{permit_mynetworks, permit_auth_destination, reject}",
                      "smtpd_client_restrictions": "{permit}", "smtpd_helo_restrictions": "{permit}", "smtpd_sender_restrictions": "{permit}"},
}


@pytest.mark.parametrize("policy", POLICIES)
def test_no_trick_relays(posthouse, policy):
    sink = Sink()
    with posthouse(**OUTSIDE, **POLICIES[policy], relayhost=f"[127.0.0.1]:{sink.port}", smtpd_hard_error_limit=1000,
                   smtpd_soft_error_limit=1000) as server:
        with server.client() as client:
            client.hello("test.example")
            for sender in ("a@client.example", "", "a@test.example"):
                client.expect(f"MAIL FROM:<{sender}>", 250)
                for trick in TRICKS:
                    for path in (f"<{trick}>", trick):
                        code, text = client.say(f"RCPT TO:{path}")
                        assert code // 100 in (4, 5), (policy, sender, path, text)
                client.expect("DATA", 554)
                client.expect("RSET", 250)
            # our own are not refused with them
            client.expect("MAIL FROM:<a@client.example>", 250)
            for mine in ("games@test.example", "GAMES@Test.Example", "@elsewhere.example:games@test.example",
                         "games@test.example.", "postmaster", "Postmaster@test.example", "games@[127.0.0.1]", "games"):
                client.expect(f"RCPT TO:<{mine}>", 250)
            client.expect("DATA", 354)
            client.expect("Subject: ours\r\n\r\nx\r\n.", 250)
        server.wait_letters(1)
        server.wait_empty()
    assert sink.messages == []
    sink.close()


def test_the_trusted_may_not_hide_a_route_either(posthouse):
    """What mynetworks may send is not rerouted by our own resolver: the address is taken as it is."""
    sink = Sink()
    with posthouse(relayhost=f"[127.0.0.1]:{sink.port}") as server:
        with server.client() as client:
            client.hello()
            client.expect("MAIL FROM:<a@client.example>", 250)
            client.say("RCPT TO:<b%elsewhere.example@test.example>")
            client.say('RCPT TO:<"b@elsewhere.example"@test.example>')
            client.expect("RCPT TO:<games@test.example>", 250)
            client.expect("DATA", 354)
            client.expect("Subject: x\r\n\r\nx\r\n.", 250)
        server.wait_letters(1)
        server.wait_empty()
        assert all("elsewhere.example" not in r.rpartition("@")[2] for m in sink.messages for r in m[1]), sink.messages
    sink.close()


@pytest.mark.parametrize("relay", ["{}", "{permit_mynetworks}", "{permit}", "{warn_if_reject, reject_unauth_destination}",
                                   "{permit, reject_unauth_destination}", "{defer_if_permit}", "{reject_non_fqdn_recipient}"])
def test_no_relay_restriction_is_no_configuration(posthouse, relay):
    server = posthouse(smtpd_relay_restrictions=relay, smtpd_recipient_restrictions="{}")
    code, out, err = server.command("posthouse", "check", check=False)
    assert code != 0 and "open relay" in out + err, (relay, out + err)
    with pytest.raises(AssertionError, match="open relay"):
        server.start()


def test_a_listener_of_its_own_may_not_be_open(posthouse):
    server = posthouse(listener="smtpd_relay_restrictions = {permit_mynetworks}")
    code, out, err = server.command("posthouse", "check", check=False)
    assert code != 0 and "open relay" in out + err, out + err
