"""What a sender asks about reports (RFC 3461): how it is said, kept, passed on; and the reports themselves."""

import pytest

from harness import USERS, Sink

ME = USERS[0]


class DsnSink(Sink):
    """A next hop that keeps the commands of each transaction. dsn: it announces DSN."""

    def __init__(self, dsn=True, replies=None, **options):
        self.said = []

        def heard(verb):
            def answer(text):
                self.said.append(text)
                reply = (replies or {}).get(verb, "250 2.1.0 Ok")
                return reply(text) if callable(reply) else reply
            return answer
        extensions = ("PIPELINING", "8BITMIME", "SIZE 0") + (("DSN",) if dsn else ())
        super().__init__(replies={**(replies or {}), "MAIL": heard("MAIL"), "RCPT": heard("RCPT")},
                         extensions=extensions, **options)


@pytest.fixture
def sink():
    sink = DsnSink()
    yield sink
    sink.close()


def relay(sink, **more):
    return dict(relayhost=f"[127.0.0.1]:{sink.port}", **more)


def send(server, sender, recipients, text="Subject: test\r\n\r\nhello\r\n", mail=""):
    """recipients: {address: parameters of RCPT}."""
    with server.client() as client:
        client.hello()
        client.expect(f"MAIL FROM:<{sender}>{mail}", 250)
        for recipient, parameters in recipients.items():
            client.expect(f"RCPT TO:<{recipient}>{parameters}", 250)
        client.expect("DATA", 354)
        return client.expect(text.encode() + b".", 250).split()[-1]


def test_parameters_are_judged(posthouse):
    with posthouse() as server, server.client() as client:
        assert "DSN" in client.hello().replace("250-", "250 ").split("250 ")[-1]
        client.expect("MAIL FROM:<a@client.example> RET=ALL", 501, "5.5.4 Bad RET parameter syntax")
        client.expect("MAIL FROM:<a@client.example> RET=FULL RET=FULL", 501, "5.5.4 Bad RET parameter syntax")
        client.expect("MAIL FROM:<a@client.example> ENVID=a+zz", 501, "5.5.4 Bad ENVID parameter syntax")
        client.expect("MAIL FROM:<a@client.example> ENVID=" + 101 * "x", 501, "5.5.4 Bad ENVID parameter syntax")
        client.expect("MAIL FROM:<a@client.example> RET=HDRS ENVID=" + 100 * "x", 250)
        for bad in ("NEVER,SUCCESS", "", "FAILURE,FAILURE", "OFTEN"):
            client.expect(f"RCPT TO:<{ME}@test.example> NOTIFY={bad}", 501, "5.5.4 Error: Bad NOTIFY parameter syntax")
        for bad in ("x@test.example", "rfc822;", ";x", "rfc822;a+0Db", "rfc822;" + 494 * "x"):
            client.expect(f"RCPT TO:<{ME}@test.example> ORCPT={bad}", 501, "5.5.4 Error: Bad ORCPT parameter syntax")
        client.expect(f"RCPT TO:<{ME}@test.example> ORCPT=rfc822;x NOTIFY=SUCCESS,DELAY,FAILURE", 250)
        client.expect(f"RCPT TO:<{ME}@test.example> NOTE=x", 555, "5.5.4 Unsupported option: NOTE")


def test_dsn_can_be_hidden(posthouse):
    with posthouse(listener="smtpd_discard_ehlo_keywords = {dsn}") as server, server.client() as client:
        assert "DSN" not in client.hello()
        for parameter in ("RET=FULL", "ENVID=x"):
            client.expect(f"MAIL FROM:<a@client.example> {parameter}", 501, "5.7.1 DSN support is disabled")
        client.expect("MAIL FROM:<a@client.example>", 250)
        client.expect(f"RCPT TO:<{ME}@test.example> NOTIFY=NEVER", 501, "5.7.1 DSN support is disabled")


def test_passed_on_to_who_announces_it(posthouse, sink):
    with posthouse(**relay(sink)) as server:
        send(server, "a@client.example", {"b@far.example": " NOTIFY=SUCCESS,DELAY ORCPT=rfc822;old+2Bb+40far.example",
                                          "c@far.example": " NOTIFY=NEVER", "d@far.example": ""},
             mail=" RET=HDRS ENVID=id+2B1+201")
        sink.wait()
        assert " RET=HDRS ENVID=id+2B1+201" in sink.said[0]
        assert sorted(sink.said[1:]) == [
            "RCPT TO:<b@far.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;old+2Bb@far.example",
            "RCPT TO:<c@far.example> NOTIFY=NEVER ORCPT=rfc822;c@far.example",
            "RCPT TO:<d@far.example> ORCPT=rfc822;d@far.example"]
        server.wait_empty()


def test_not_told_to_who_does_not(posthouse):
    sink = DsnSink(dsn=False)
    with posthouse(**relay(sink)) as server:
        send(server, "a@client.example", {"b@far.example": " NOTIFY=NEVER ORCPT=rfc822;b"}, mail=" RET=HDRS ENVID=x")
        sink.wait()
        assert "RET" not in sink.said[0] and sink.said[1] == "RCPT TO:<b@far.example>"
    sink.close()


def test_kept_over_a_restart(posthouse, sink):
    sink.replies["DATA"] = "451 4.3.0 later"
    server = posthouse(**relay(sink))
    with server:
        send(server, "a@client.example", {"b@far.example": " NOTIFY=FAILURE ORCPT=x400;b"}, mail=" RET=FULL ENVID=y")
        server.wait_log("status=deferred")
    sink.said.clear()
    del sink.replies["DATA"]
    with server:
        server.command("posthouse", "queue", "flush")
        sink.wait()
        assert " RET=FULL ENVID=y" in sink.said[0]
        assert sink.said[1] == "RCPT TO:<b@far.example> NOTIFY=FAILURE ORCPT=x400;b"


def test_through_aliases(posthouse, sink, folder):
    """The original recipient stays what the sender wrote, through each kind of alias."""
    virtual = folder / "virtual"
    virtual.write_text("v@test.example x@far.example\n")
    canonical = folder / "canonical"
    canonical.write_text("c@test.example y@far.example\n")
    server = posthouse(virtual_alias_maps="flat:%s" % virtual, recipient_canonical_maps="flat:%s" % canonical,
                       local_recipient_maps="{}", **relay(sink))
    server.aliases.write_text("one: z@far.example\n")
    with server:
        for name in ("v", "c", "one"):
            send(server, "a@client.example", {f"{name}@test.example": " NOTIFY=FAILURE"}, mail=" ENVID=e RET=FULL")
        sink.wait(3)
        assert {line for line in sink.said if line.startswith("RCPT")} == {
            "RCPT TO:<x@far.example> NOTIFY=FAILURE ORCPT=rfc822;v@test.example",
            "RCPT TO:<y@far.example> NOTIFY=FAILURE ORCPT=rfc822;c@test.example",
            "RCPT TO:<z@far.example> NOTIFY=FAILURE ORCPT=rfc822;one@test.example"}
        assert all("RET=FULL ENVID=e" in line for line in sink.said if line.startswith("MAIL"))
        sink.said.clear()
        send(server, "a@client.example", {"one@test.example": " ORCPT=rfc822;first@elsewhere.example"})
        sink.wait(4)
        assert sink.said[1] == "RCPT TO:<z@far.example> ORCPT=rfc822;first@elsewhere.example"
        server.wait_empty()


def test_sendmail_options(posthouse, sink):
    with posthouse(**relay(sink)) as server:
        server.command("sendmail", "-f", "a@client.example", "-N", "success,delay", "-R", "hdrs", "-V", "a=b c".replace(" ", "+"),
                       "b@far.example", input="Subject: x\n\nx\n")
        sink.wait()
        assert " RET=HDRS ENVID=a+3Db+2Bc" in sink.said[0]
        assert sink.said[1] == "RCPT TO:<b@far.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;b@far.example"
        for options in (("-N", "never,delay"), ("-R", "all"), ("-V", "a b")):
            assert server.command("sendmail", *options, "b@far.example", input="x", check=False)[0] == 64
