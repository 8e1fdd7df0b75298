"""What a sender asks about reports (RFC 3461): how it is said, kept, passed on; and the reports themselves."""

import email.utils
import re

import pytest

from harness import USERS, Sink, wait_until
from test_lmtp import LmtpServer

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


# ---- Reports ---------------------------------------------------------------------------------------------------

FIELDS = {"Reporting-MTA", "X-Posthouse-Queue-ID", "X-Posthouse-Sender", "Arrival-Date", "Original-Envelope-Id"}
RECIPIENT_FIELDS = {"Original-Recipient", "Final-Recipient", "Action", "Status", "Remote-MTA", "Diagnostic-Code",
                    "Will-Retry-Until"}


class Report:
    """A letter taken apart as RFC 3462 and RFC 3464 have it; what is not as they say fails the test."""

    def __init__(self, letter):
        assert letter["Return-Path"] == "<>" and letter["Auto-Submitted"].startswith("auto-")
        assert letter.get_content_type() == "multipart/report"
        assert letter.get_param("report-type") == "delivery-status"
        assert letter["MIME-Version"] == "1.0" and email.utils.parseaddr(letter["From"])[1]
        assert email.utils.parsedate_tz(letter["Date"]) and letter["Message-ID"]
        text, status, original = letter.get_payload()
        assert text.get_content_type() == "text/plain"
        assert status.get_content_type() == "message/delivery-status"
        self.letter, self.text, self.original = letter, text.get_payload(), original
        self.message, *recipients = status.get_payload()
        assert set(self.message.keys()) <= FIELDS and self.message["Reporting-MTA"] == "dns; mx.test.example"
        assert email.utils.parsedate_tz(self.message["Arrival-Date"])
        self.recipients = {}
        for fields in recipients:
            assert set(fields.keys()) <= RECIPIENT_FIELDS and len(fields.keys()) == len(set(fields.keys()))
            assert {"Final-Recipient", "Action", "Status"} <= set(fields.keys())
            assert fields["Action"] in ("failed", "delayed", "delivered", "relayed", "expanded")
            assert re.fullmatch(r"[245]\.\d{1,3}\.\d{1,3}", fields["Status"])
            assert re.match(r"(smtp|X-Posthouse); ", fields["Diagnostic-Code"])
            kind, _, address = fields["Final-Recipient"].partition("; ")
            assert kind == "rfc822" and address not in self.recipients
            self.recipients[address] = fields
            assert f"<{address}>" in self.text

    @property
    def whole(self):
        return {"message/rfc822": True, "text/rfc822-headers": False}[self.original.get_content_type()]

    def actions(self):
        return {address: fields["Action"] for address, fields in self.recipients.items()}


# Where the reports go: a user of this host, who sends the letters.
SENDER = f"{USERS[2]}@test.example"


def reports(server, count=1):
    letters = server.wait_letters(count, USERS[2])
    server.wait_empty()
    assert len(letters) == count, letters
    return [Report(letter) for letter in letters]


def report(server):
    return reports(server)[0]


def no_report(server):
    server.wait_empty()
    assert server.letters(USERS[2]) == []


def test_failure(posthouse):
    sink = DsnSink(replies={"RCPT": lambda text: "250 2.1.5 Ok" if "good" in text else "550 5.1.1 unknown here"})
    with posthouse(**relay(sink)) as server:
        id = send(server, SENDER, {"bad@far.example": " NOTIFY=FAILURE ORCPT=rfc822;first+2Blast@far.example",
                                   "worse@far.example": "", "good@far.example": "", "never@far.example": " NOTIFY=NEVER"},
                  mail=" ENVID=QQ+3D1")
        found = report(server)
        server.wait_log(rf"{id}: sender non-delivery notification: [0-9A-F]+")
        assert found.letter["To"] == SENDER and found.letter["Subject"] == "Undelivered Mail Returned to Sender"
        assert found.message["X-Posthouse-Queue-ID"] == id and found.message["X-Posthouse-Sender"] == f"rfc822; {SENDER}"
        assert found.message["Original-Envelope-Id"] == "QQ=1"
        assert found.actions() == {"bad@far.example": "failed", "worse@far.example": "failed"}
        bad = found.recipients["bad@far.example"]
        assert bad["Original-Recipient"] == "rfc822;first+last@far.example" and bad["Status"] == "5.1.1"
        assert bad["Remote-MTA"] == "dns; 127.0.0.1"
        assert bad["Diagnostic-Code"] == "smtp; 550 5.1.1 unknown here"
        assert "Original-Recipient" not in found.recipients["worse@far.example"]
        assert found.whole and found.original.get_payload()[0]["Subject"] == "test"
        assert found.original.get_payload()[0].get_payload() == "hello\n"
    sink.close()


@pytest.mark.parametrize("mail,limit,whole", [("", None, True), (" RET=FULL", None, True), (" RET=HDRS", None, False),
                                              (" RET=FULL", 100, False)])
def test_how_much_comes_back(posthouse, mail, limit, whole):
    with posthouse(bounce_size_limit=limit, default_transport="'error:5.1.2 no way'") as server:
        send(server, SENDER, {"x@far.example": ""}, mail=mail)
        found = report(server)
        assert found.whole == whole
        content = found.original.get_payload()
        text = content[0].as_string() if whole else content
        assert "Subject: test" in text and ("hello" in text) == whole


def test_success_of_a_mailbox(posthouse):
    with posthouse() as server:
        id = send(server, SENDER, {f"{ME}@test.example": " NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;me@old.example"},
                  mail=" ENVID=e1 RET=FULL")
        found = report(server)
        server.wait_log(rf"{id}: sender delivery status notification: [0-9A-F]+")
        assert found.letter["Subject"] == "Successful Mail Delivery Report"
        assert found.actions() == {f"{ME}@test.example": "delivered"} and not found.whole
        fields = found.recipients[f"{ME}@test.example"]
        assert fields["Status"] == "2.0.0" and fields["Original-Recipient"] == "rfc822;me@old.example"
        assert fields["Diagnostic-Code"] == "X-Posthouse; delivered to mailbox"
        assert found.message["Original-Envelope-Id"] == "e1"


def test_success_is_relayed_or_passed_on(posthouse):
    deaf, dsn = DsnSink(dsn=False), DsnSink()
    with posthouse(**relay(deaf)) as server:
        send(server, SENDER, {"a@far.example": " NOTIFY=SUCCESS", "b@far.example": "", "c@far.example": " NOTIFY=FAILURE"})
        found = report(server)
        assert found.actions() == {"a@far.example": "relayed"}
        fields = found.recipients["a@far.example"]
        assert fields["Remote-MTA"] == "dns; 127.0.0.1" and fields["Diagnostic-Code"] == "smtp; 250 2.0.0 taken"
    with posthouse(**relay(dsn)) as server:
        send(server, SENDER, {"a@far.example": " NOTIFY=SUCCESS"})
        dsn.wait()
        no_report(server)
    deaf.close()
    dsn.close()


def test_success_is_told_at_the_end_of_each_pass(posthouse):
    """Those who have their mail are reported while others wait, and once; a restart changes nothing."""
    fates = {"late": "450 4.2.0 later"}
    sink = DsnSink(dsn=False, replies={"RCPT": lambda text: fates.get(re.search("<(.*)@", text).group(1), "250 ok")})
    server = posthouse(**relay(sink))
    with server:
        send(server, SENDER, {"now@far.example": " NOTIFY=SUCCESS", "late@far.example": " NOTIFY=SUCCESS"})
        letters = server.wait_letters(1, USERS[2])
        assert Report(letters[0]).actions() == {"now@far.example": "relayed"}
        server.wait_log(r"from=<>.*\n(.*\n)*.*removed")
    with server:
        fates.clear()
        server.command("posthouse", "queue", "flush")
        found = reports(server, 2)
        assert found[1].actions() == {"late@far.example": "relayed"}
    sink.close()


def test_no_success_is_forgotten_when_all_processes_die(posthouse):
    """Mail that was delivered is reported, perhaps twice."""
    server = posthouse()
    server.start()
    sent = 0
    for _ in range(3):
        before = server.log().count("status=sent")
        for _ in range(15):
            send(server, SENDER, {f"{ME}@test.example": " NOTIFY=SUCCESS"}, mail=f" ENVID=letter-{sent}.")
            sent += 1
        wait_until(lambda: server.log().count("status=sent") > before, "a delivery")
        server.kill()
        server.start()
    ids = {f"letter-{number}." for number in range(sent)}

    def reported():
        return {Report(letter).message["Original-Envelope-Id"] for letter in server.letters(USERS[2])
                if letter.get_payload() and letter.is_multipart() and len(letter.get_payload()) == 3}
    wait_until(lambda: reported() >= ids, "a report on each letter")
    server.stop()


def test_expanded(posthouse, sink, folder):
    """Of several addresses in place of one no success is told, but that they are several."""
    virtual = folder / "virtual"
    virtual.write_text(f"team@test.example x@far.example, {ME}@test.example\n")
    server = posthouse(virtual_alias_maps="flat:%s" % virtual, local_recipient_maps="{}", **relay(sink))
    server.aliases.write_text(f"pair: y@far.example, {ME}\n")
    with server:
        send(server, SENDER, {"team@test.example": " NOTIFY=SUCCESS,DELAY", "pair@test.example": " NOTIFY=SUCCESS ORCPT=rfc822;p"},
             mail=" ENVID=e")
        server.wait_letters(1, USERS[2])
        found = report(server)
        assert found.actions() == {"team@test.example": "expanded", "pair@test.example": "expanded"}
        assert found.recipients["pair@test.example"]["Original-Recipient"] == "rfc822;p"
        assert {fields["Diagnostic-Code"] for fields in found.recipients.values()} == {"X-Posthouse; alias expanded"}
        sink.wait(2)
        assert {line for line in sink.said if line.startswith("RCPT")} == {
            "RCPT TO:<x@far.example> NOTIFY=DELAY ORCPT=rfc822;team@test.example",
            "RCPT TO:<y@far.example> NOTIFY=NEVER ORCPT=rfc822;p"}


def test_alias_of_one(posthouse, sink):
    """One address in place of another takes the wish over; the report names both."""
    server = posthouse(local_recipient_maps="{}", myorigin="$mydomain", **relay(sink))
    server.aliases.write_text(f"boss: {ME}\naway: z@far.example\n")
    with server:
        send(server, SENDER, {"boss@test.example": " NOTIFY=SUCCESS", "away@test.example": " NOTIFY=SUCCESS"})
        found = report(server)
        assert found.actions() == {f"{ME}@test.example": "delivered"}
        assert found.recipients[f"{ME}@test.example"]["Original-Recipient"] == "rfc822;boss@test.example"
        assert "(expanded from <boss@test.example>)" in found.text.replace("\n    ", " ")
        sink.wait()
        assert "RCPT TO:<z@far.example> NOTIFY=SUCCESS ORCPT=rfc822;away@test.example" in sink.said


def test_lists(posthouse, folder):
    """A list with an owner: mail to it is delivered; what fails in it is the owner's to hear, not the sender's."""
    sink = DsnSink(replies={"RCPT": "550 5.1.1 gone"})
    server = posthouse(local_recipient_maps="{}", myorigin="$mydomain", **relay(sink))
    server.aliases.write_text(f"list: x@far.example, \"|/bin/false\"\nowner-list: {ME}\n")
    with server:
        send(server, SENDER, {"list@test.example": " NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;unseen"}, mail=" ENVID=e")
        found = report(server)
        assert found.actions() == {"list@test.example": "delivered"}
        assert found.recipients["list@test.example"]["Diagnostic-Code"] == "X-Posthouse; delivered to mailing list"
        letters = [Report(letter) for letter in server.wait_letters(2, ME)]
        assert {address for letter in letters for address in letter.recipients} == {"x@far.example", "list@test.example"}
        for letter in letters:
            assert letter.letter["To"] == "owner-list@test.example" and "Original-Envelope-Id" not in letter.message
            assert "unseen" not in letter.letter.as_string()
        assert "ENVID" not in sink.said[0] and "NOTIFY" not in sink.said[1]
    sink.close()


def test_delay(posthouse):
    sink = DsnSink(replies={"RCPT": "450 4.2.2 full"})
    server = posthouse(delay_warning_time="1s", minimal_backoff_time="1s", maximal_backoff_time="1s", **relay(sink))
    with server:
        ids = [send(server, sender, {"a@far.example": "", "b@far.example": " NOTIFY=FAILURE", "c@far.example": " NOTIFY=DELAY"})
               for sender in (SENDER, "")]
        server.wait_log(rf"{ids[0]}: sender delay notification: [0-9A-F]+")
        found = Report(server.wait_letters(1, USERS[2])[0])
        assert found.letter["Subject"] == "Delayed Mail (still being retried)"
        assert found.actions() == {"a@far.example": "delayed", "c@far.example": "delayed"} and not found.whole
        fields = found.recipients["a@far.example"]
        assert fields["Status"] == "4.2.2" and fields["Remote-MTA"] == "dns; 127.0.0.1"
        until = email.utils.mktime_tz(email.utils.parsedate_tz(fields["Will-Retry-Until"]))
        assert until - email.utils.mktime_tz(email.utils.parsedate_tz(found.message["Arrival-Date"])) == 5 * 86400
        assert "1 hour(s)" in found.text and "5 day(s)" in found.text
        # not again, over more attempts and a restart
        before = len(sink.said)
        wait_until(lambda: len(sink.said) > before + 12, "more attempts")
    with server:
        before = len(sink.said)
        wait_until(lambda: len(sink.said) > before + 12, "more attempts")
        assert len(server.letters(USERS[2])) == 1
        assert not re.search(rf"{ids[1]}: sender delay notification", server.log())
    sink.close()


def test_no_delay_by_default(posthouse):
    sink = DsnSink(replies={"RCPT": "450 4.2.2 full"})
    with posthouse(minimal_backoff_time="1s", maximal_backoff_time="1s", **relay(sink)) as server:
        send(server, SENDER, {"a@far.example": " NOTIFY=DELAY"})
        wait_until(lambda: len(sink.said) > 6, "more attempts")
        assert server.letters(USERS[2]) == []
    sink.close()


def test_expiry(posthouse):
    sink = DsnSink(replies={"RCPT": "450 4.2.2 full"})
    with posthouse(maximal_queue_lifetime="1s", minimal_backoff_time="1s", maximal_backoff_time="1s", **relay(sink)) as server:
        send(server, SENDER, {"a@far.example": ""})
        found = report(server)
        assert found.actions() == {"a@far.example": "failed"} and found.recipients["a@far.example"]["Status"] == "4.4.7"
        assert "450 4.2.2 full" in found.recipients["a@far.example"]["Diagnostic-Code"]
    sink.close()


def test_nobody_is_told(posthouse):
    """Not a report, not who wants to hear nothing."""
    sink = DsnSink(dsn=False, replies={"RCPT": lambda text: "550 5.1.1 no" if "bad" in text else "250 ok"})
    with posthouse(**relay(sink)) as server:
        for sender, notify in (("", ""), ("", " NOTIFY=SUCCESS,FAILURE"), (SENDER, " NOTIFY=NEVER"), (SENDER, " NOTIFY=DELAY"),
                               ("double-bounce@test.example", "")):
            send(server, sender, {"bad@far.example": notify, "good@far.example": notify})
        no_report(server)
        assert "notification: " not in server.log()
        server.wait_log("undeliverable postmaster notification discarded")
    sink.close()


def test_reports_ask_for_none(posthouse, sink):
    """A report that is relayed to a host with DSN says NOTIFY=NEVER, from nobody."""
    with posthouse(default_transport="'smtp:[127.0.0.1]:%d'" % sink.port, relay_transport="'error:5.1.2 no way'",
                   relay_domains="{bad.example}") as server:
        send(server, "a@far.example", {"x@bad.example": ""})
        sink.wait()
        assert sink.said[0].startswith("MAIL FROM:<>") and sink.said[1].startswith("RCPT TO:<a@far.example> NOTIFY=NEVER")
        server.wait_empty()


def test_both_addresses(posthouse, folder):
    """The one that failed and the one that the sender wrote, whatever has changed it in between."""
    tables = {"virtual": "v@test.example x@bad.example", "canonical": "c@test.example y@bad.example",
              "relocated": "moved@test.example new@elsewhere.example"}
    for name, text in tables.items():
        (folder / name).write_text(text + "\n")
    server = posthouse(virtual_alias_maps=f"flat:{folder}/virtual", recipient_canonical_maps=f"flat:{folder}/canonical",
                       relocated_maps=f"flat:{folder}/relocated", local_recipient_maps="{}", relay_domains="{bad.example}",
                       relay_transport="'error:5.1.2 no way'", smtpd_reject_unlisted_recipient="no")
    server.aliases.write_text("one: z@bad.example\nprog: \"|exit 67\"\n")
    expected = {"v": "x@bad.example", "c": "y@bad.example", "one": "z@bad.example", "plain@bad.example": None,
                "prog": "prog@test.example", "moved": "moved@test.example"}
    with server:
        for name in expected:
            send(server, SENDER, {name if "@" in name else f"{name}@test.example": ""})
        found = {}
        for one in reports(server, len(expected)):
            (address, fields), = one.recipients.items()
            assert fields["Action"] == "failed"
            found[address] = fields["Original-Recipient"]
        assert found.pop("plain@bad.example") is None and found.pop("moved@test.example") is None
        assert found.pop("prog@test.example") in (None, "rfc822;prog@test.example")
        assert found == {"x@bad.example": "rfc822;v@test.example", "y@bad.example": "rfc822;c@test.example",
                         "z@bad.example": "rfc822;one@test.example"}


@pytest.mark.parametrize("dsn", [False, True])
@pytest.mark.parametrize("parameter", ["local_transport", "mailbox_transport"])
def test_lmtp(posthouse, parameter, dsn):
    """Who is delivered to by LMTP has the mail; a server with DSN says so itself."""
    extensions = ("PIPELINING", "8BITMIME") + (("DSN",) if dsn else ())
    with LmtpServer(extensions=extensions, fates={f"{USERS[1]}@test.example": "552 5.2.2 full"}) as peer:
        # reports do not go there
        server = posthouse(**{parameter: f"'lmtp:inet:127.0.0.1:{peer.port}'"}, local_recipient_maps="{}",
                           transport_maps="'inline:{%s=discard:}'" % SENDER)
        with server:
            send(server, SENDER, {f"{ME}@test.example": " NOTIFY=SUCCESS", f"{USERS[1]}@test.example": " NOTIFY=SUCCESS,FAILURE"},
                 mail=" ENVID=l")
            server.wait_log("sender non-delivery notification")
            server.wait_empty()
            assert ("sender delivery status notification" in server.log()) != dsn
            said = " ".join(peer.commands)
            assert ("NOTIFY=SUCCESS" in said) == dsn and ("ENVID=l" in said) == dsn


def test_pipe(posthouse, folder):
    server = posthouse(local_recipient_maps="{}", transport_maps="'inline:{ok@test.example=good:, no@test.example=bad:}'")
    (folder / "off").write_text("#!/bin/sh\necho 5.2.1 off\nexit 1\n")
    (folder / "off").chmod(0o755)
    server.loads += "load(transport_pipe)\n"
    server.sections += f"""
transport good {{ module = pipe user = {USERS[1]} flags = X argv = '/bin/true' }}
transport bad {{ module = pipe user = {USERS[1]} argv = '{folder}/off' }}
"""
    server.configure()
    with server:
        send(server, SENDER, {"ok@test.example": " NOTIFY=SUCCESS", "no@test.example": " NOTIFY=SUCCESS,FAILURE"})
        failure, success = sorted(reports(server, 2), key=lambda found: list(found.recipients))
        assert failure.actions() == {"no@test.example": "failed"} and failure.recipients["no@test.example"]["Status"] == "5.2.1"
        assert success.actions() == {"ok@test.example": "delivered"}
        assert success.recipients["ok@test.example"]["Diagnostic-Code"] == "X-Posthouse; delivered via good service"


def test_named_twice(posthouse, sink):
    """One recipient is one, with what was asked about either."""
    with posthouse(**relay(sink)) as server:
        with server.client() as client:
            client.hello()
            client.expect(f"MAIL FROM:<{SENDER}>", 250)
            for wish in ("NEVER", "SUCCESS", "DELAY ORCPT=rfc822;o"):
                client.expect(f"RCPT TO:<a@far.example> NOTIFY={wish}", 250)
            client.expect("DATA", 354)
            client.expect(b"Subject: x\r\n\r\nx\r\n.", 250)
        sink.wait()
        assert sink.said[1:] == ["RCPT TO:<a@far.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;o"]
        server.wait_empty()


# ---- The postmaster --------------------------------------------------------------------------------------------

def test_postmaster_copies(posthouse):
    sink = DsnSink(replies={"RCPT": lambda text: "550 5.1.1 no" if "bad" in text else "450 4.2.2 full"})
    with posthouse(notify_classes="{bounce, delay}", bounce_notice_recipient=ME, delay_notice_recipient=ME,
                   delay_warning_time="1s", minimal_backoff_time="1s", maximal_backoff_time="1s", **relay(sink)) as server:
        send(server, SENDER, {"bad@far.example": "", "full@far.example": ""})
        letters = server.wait_letters(2, ME)
        subjects = sorted(letter["Subject"] for letter in letters)
        assert subjects == ["Postmaster Copy: Undelivered Mail", "Postmaster Warning: Delayed Mail"]
        for letter in letters:
            assert letter["To"] == f"{ME}@mx.test.example (Postmaster)"
            assert letter["Return-Path"] == "<double-bounce@mx.test.example>"
            assert letter.get_payload()[2].get_content_type() == "text/rfc822-headers"
        server.wait_log("postmaster non-delivery notification")
        server.wait_log("postmaster delay notification")
        assert len(server.wait_letters(2, USERS[2])) == 2
    sink.close()


def test_double_bounce(posthouse):
    sink = DsnSink(replies={"RCPT": "550 5.1.1 no"})
    server = posthouse(**{"2bounce_notice_recipient": ME}, notify_classes="2bounce", **relay(sink))
    with server:
        id = send(server, "", {"bad@far.example": " NOTIFY=NEVER"})
        letter = server.wait_letters(1, ME)[0]
        assert letter["Subject"] == "Postmaster Copy: Undelivered Mail"
        server.wait_log(rf"{id}: postmaster non-delivery notification: ")
        # one that cannot be delivered either
        server.configure(**{"2bounce_notice_recipient": "bad@far.example"})
        server.command("posthouse", "reload")
        send(server, "", {"bad@far.example": ""})
        server.wait_log("undeliverable postmaster notification discarded")
        server.wait_empty()
        assert len(server.letters(ME)) == 1
    sink.close()


def transcript(server, letter):
    assert letter["To"] == f"{ME}@mx.test.example (Postmaster)"
    assert letter["Return-Path"] == "<double-bounce@mx.test.example>"
    assert letter["Subject"] == "Posthouse SMTP server: errors from unknown[127.0.0.1]"
    return letter.get_payload()


def test_transcripts(posthouse):
    """Of sessions with refusals of the classes that the postmaster asked for, and of no others."""
    with posthouse(notify_classes="{policy, protocol}", error_notice_recipient=ME,
                   listener="smtpd_junk_command_limit = 1000") as server:
        with server.client() as client:
            client.hello()
            client.expect("FOO \x01", 500)
            client.expect("MAIL FROM:<a@client.example>", 250)
            client.expect(f"RCPT TO:<no-such-user@test.example>", 550)
            client.expect("QUIT", 221)
        text = transcript(server, server.wait_letters(1, ME)[0])
        for line in (" Out: 220 mx.test.example ESMTP Posthouse", " In:  EHLO client.example", " Out: 250-PIPELINING",
                     " In:  FOO ?", " Out: 500 5.5.2 Error: command not recognized", " In:  RCPT TO:<no-such-user@test.example>",
                     " In:  QUIT", " Out: 221 2.0.0 Bye"):
            assert line in text.split("\n"), text
        assert re.search(r" Out: 550 5\.1\.1 <no-such-user@test\.example>: Recipient address rejected", text)
        # nothing was refused
        server.send("a@client.example", f"{USERS[2]}@test.example")
        server.wait_letters(1, USERS[2])
        server.wait_empty()
        assert len(server.letters(ME)) == 1
        # a long session: the end of it is what counts
        with server.client() as client:
            client.hello()
            for i in range(200):
                client.expect(f"NOOP {i} {'x' * 100}", 250)
            client.expect("RCPT TO:<a@test.example>", 503)
        text = transcript(server, server.wait_letters(2, ME)[1])
        assert "(what was said first is left out)" in text and len(text) < 9000 and "In:  RCPT TO:<a@test.example>" in text


def test_transcripts_of_trouble_by_default(posthouse, folder):
    """A server that cannot be asked is trouble of ours; a stranger who is refused is none."""
    server = posthouse(error_notice_recipient=ME,
                       smtpd_recipient_restrictions="{reject_unlisted_recipient, 'check_policy_service unix:%s/none'}" % folder)
    with server:
        with server.client() as client:
            client.hello()
            client.expect("MAIL FROM:<a@client.example>", 250)
            client.expect("RCPT TO:<no-such-user@test.example>", 550)
        server.wait_log("disconnect from")
        with server.client() as client:
            client.hello()
            client.expect("MAIL FROM:<b@client.example>", 250)
            client.expect(f"RCPT TO:<{ME}@test.example>", 451, "4.3.5")
        text = transcript(server, server.wait_letters(1, ME)[0])
        assert "b@client.example" in text and "a@client.example" not in text
        server.wait_empty()
        assert len(server.letters(ME)) == 1


def test_soft_bounce(posthouse):
    sink = DsnSink(replies={"RCPT": "550 5.1.1 no"})
    with posthouse(soft_bounce="yes", **relay(sink)) as server:
        with server.client() as client:
            client.hello()
            client.expect("FOO", 400, "4.5.2")
            client.expect("MAIL FROM:<a@client.example>", 250)
            client.expect("RCPT TO:<no-such-user@test.example>", 450, "4.1.1")
            server.wait_log(r"reject: RCPT from unknown\[127.0.0.1\]: 450 4\.1\.1")
        send(server, SENDER, {"a@far.example": ""})
        server.wait_log(r"to=<a@far.example>.*dsn=5\.1\.1, status=SOFTBOUNCE \(host .* said: 550 5\.1\.1 no")
        assert "a@far.example" in server.command("mailq")[1] and server.letters(USERS[2]) == []
        server.configure(relayhost=None, default_transport="'error:5.7.1 not here'")
        server.command("posthouse", "reload")
        send(server, SENDER, {"b@far.example": ""})
        server.wait_log(r"to=<b@far.example>.*dsn=5\.7\.1, status=SOFTBOUNCE \(not here\)")
        server.configure(soft_bounce="no")
        server.command("posthouse", "reload")
        server.command("posthouse", "queue", "flush")
        assert {address for found in reports(server, 2) for address in found.recipients} == {"a@far.example", "b@far.example"}
    sink.close()


def test_settings_that_do_nothing(posthouse):
    def said(**params):
        server = posthouse(**params)
        return "".join(server.command("posthouse", "check", check=False)[1:])

    for name, needed in (("2bounce", "2bounce"), ("bounce", "bounce"), ("delay", "delay"),
                         ("error", "policy, protocol, resource or software")):
        text = f"{name}_notice_recipient: does nothing, as notify_classes has no {needed}; add that, or delete this"
        assert text in said(**{f"{name}_notice_recipient": "me"}, notify_classes="{}")
        assert "notice_recipient" not in said(**{f"{name}_notice_recipient": "me"},
                                              notify_classes="{2bounce, bounce, delay, policy}")
    assert 'notify_classes: "bounces" is none of: bounce 2bounce delay' in said(notify_classes="{bounces}")
    assert "delay_warning_time: 4 means seconds; write 4h for hours" in said(delay_warning_time="4")
    assert "delay_warning_time: does nothing" in said(delay_warning_time="5d")
    assert "delay_warning_time" not in said(delay_warning_time="4h")


# ---- Texts of one's own ----------------------------------------------------------------------------------------

TEMPLATES = """# our texts
failure_template = <<EOF
Charset: utf-8
From: The Post Office <post@test.example>
Subject: Alas
Postmaster-Subject: Alas again

Gr\u00fc\u00dfe von ${myhostname}. It costs $$5.
We tried $maximal_queue_lifetime_days days, that is ${maximal_queue_lifetime_hours} hours.
EOF

success_template = <<MARK
Subject: Hooray

It went well.
MARK
"""


def test_templates(posthouse, folder):
    file = folder / "bounce.cf"
    file.write_text(TEMPLATES)
    with posthouse(bounce_template_file=file, default_transport="'error:5.1.2 no way'", maximal_queue_lifetime="3d") as server:
        send(server, SENDER, {"a@far.example": "", f"{ME}@test.example": " NOTIFY=SUCCESS"})
        failure, success = sorted(reports(server, 2), key=lambda found: found.letter["Subject"])
        assert failure.letter["Subject"] == "Alas" and failure.letter["From"] == "The Post Office <post@test.example>"
        part = failure.letter.get_payload()[0]
        assert part.get_content_charset() == "utf-8" and failure.letter["Content-Transfer-Encoding"] == "8bit"
        text = part.get_payload(decode=True).decode()
        assert text.startswith("Gr\u00fc\u00dfe von mx.test.example. It costs $5.\n"
                               "We tried 3 days, that is 72 hours.\n\n<a@far.example>: no way")
        assert success.letter["Subject"] == "Hooray" and success.text.startswith("It went well.\n\n<")
        # the one that the file does not have is as it was
        assert success.letter["From"] == "MAILER-DAEMON@mx.test.example (Mail Delivery System)"
        # what is wrong is named, and what was in force stays
        file.write_text(TEMPLATES.replace("Subject: Hooray", "Subjekt: Hurra").replace("$maximal_queue_lifetime_days",
                                                                                       "$maximal_queue_days"))
        assert server.command("posthouse", "reload", check=False)[0] != 0
        code, output, errors = server.command("posthouse", "check", check=False)
        said = output + errors
        assert code != 0 and f"{file}:9: $maximal_queue_days: there is no such parameter" in said
        assert f'{file}:13: "Subjekt: Hurra": expected Charset:, From:, Subject: or Postmaster-Subject:' in said
        file.write_text("failure_template = <<EOF\nSubject: x\n\nno end\n")
        said = "".join(server.command("posthouse", "check", check=False)[1:])
        assert f'{file}:1: the template does not end: expected a line "EOF"' in said
        file.unlink()
        said = "".join(server.command("posthouse", "check", check=False)[1:])
        assert re.search(rf"posthouse.conf:\d+: bounce_template_file: {file}: No such file or directory", said)
