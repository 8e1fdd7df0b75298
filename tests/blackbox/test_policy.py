"""Policy servers: what they are sent, what their answers do, and what happens when they do not answer as they should."""

import contextlib
import re
import threading
import time

import pytest

from harness import Client, PolicyServer, Posthouse, scratch, wait_until

DEFAULT = "Recipient address rejected: Server configuration problem"


def asking(server, **params):
    return {"smtpd_recipient_restrictions": f"{{'check_policy_service {server}'}}", "smtpd_error_sleep_time": "0s", **params}


def rcpt(server, source=None, sender="a@far.example", recipient="games@test.example", helo="client.example"):
    """The reply to RCPT."""
    with server.client(source=source) as client:
        client.hello(helo)
        client.expect(f"MAIL FROM:<{sender}>", 250)
        return client.say(f"RCPT TO:<{recipient}>")[1]


def test_what_is_sent(posthouse):
    """Every list asks, and each request says where it comes from; what a client sends cannot add a line."""
    lists = ("client", "helo", "sender", "recipient", "data", "end_of_data", "etrn")
    with PolicyServer() as policy:
        rule = f"{{'check_policy_service {{ {policy.address} policy_context=tests }}'}}"
        with posthouse(smtpd_delay_reject="no", **{f"smtpd_{name}_restrictions": rule for name in lists}) as server:
            with server.client(source=("127.0.0.5", 0)) as client:
                port = client.socket.getsockname()[1]
                client.say(b"EHLO cli\x0bent.example")
                client.say("HELO client.example")
                client.expect("MAIL FROM:<a@far.example> SIZE=500", 250)
                client.expect("RCPT TO:<games@test.example>", 250)
                client.expect("DATA", 354)
                client.expect("Subject: x\r\n\r\nhello\r\n.", 250)
                client.expect("MAIL FROM:<>", 250)
                client.expect("RCPT TO:<games@test.example>", 250)
                client.expect("RCPT TO:<news@test.example>", 250)
                client.expect("DATA", 354)
                client.expect("Subject: x\r\n\r\nhello\r\n.", 250)
                client.expect("VRFY games@test.example", 252)
                client.say("ETRN test.example")
    seen = policy.requests
    assert [r["protocol_state"] for r in seen if r["protocol_state"] != "EHLO"] == [
        "CONNECT", "HELO", "MAIL", "RCPT", "DATA", "END-OF-MESSAGE", "MAIL", "RCPT", "RCPT", "DATA", "END-OF-MESSAGE", "VRFY", "ETRN"]
    assert policy.connections == 1
    for request in seen:
        assert request["request"] == "smtpd_access_policy" and request["policy_context"] == "tests"
        assert request["client_address"] == "127.0.0.5" and request["client_port"] == str(port)
        assert request["client_name"] == request["reverse_client_name"] == "unknown"
        assert request["server_address"] == "127.0.0.1" and request["server_port"] == str(server.port)
        assert len(request) == 31, sorted(request)
    connect, mail, rcpt1, data, end = [next(r for r in seen if r["protocol_state"] == state)
                                       for state in ("CONNECT", "MAIL", "RCPT", "DATA", "END-OF-MESSAGE")]
    assert connect["helo_name"] == "" and connect["sender"] == ""
    assert mail["helo_name"] == "client.example" and mail["size"] == "500" and mail["protocol_name"] == "SMTP"
    assert rcpt1["recipient"] == data["recipient"] == end["recipient"] == "games@test.example"
    assert (rcpt1["recipient_count"], data["recipient_count"], end["recipient_count"]) == ("0", "1", "1")
    assert rcpt1["queue_id"] == "" and data["queue_id"] == end["queue_id"] != ""
    assert int(end["size"]) > 0 and end["size"] != "500"
    assert mail["instance"] == rcpt1["instance"] == data["instance"] == end["instance"]
    first, second = [r for r in seen if r["protocol_state"] == "DATA"]
    assert second["instance"] != first["instance"] and second["recipient"] == "" and second["recipient_count"] == "2"
    assert seen[-1]["etrn_domain"] == "test.example" and end["etrn_domain"] == ""


def test_answers(posthouse):
    """An answer is a result of an access table: a few of each kind."""
    answers = {
        "reject": ("REJECT not you", "554 5.7.1 <%s>: Recipient address rejected: not you"),
        "code": ("553 5.1.8 bad sender", "553 5.1.8 <%s>: Recipient address rejected: bad sender"),
        "later": ("DEFER_IF_PERMIT 4.2.0 Greylisted", "450 4.2.0 <%s>: Recipient address rejected: Greylisted"),
        "name": ("reject", "554 5.7.1 <%s>: Recipient address rejected: Access denied"),
        "class": ("defer_if_permit, reject", "554 5.7.1 <%s>: Recipient address rejected: Access denied"),
        "nonsense": ("JUMP", "451 4.3.5 <%s>: Recipient address rejected: Server configuration error"),
        "header": ("PREPEND X-Policy: seen", "250 2.1.5 Ok"),
        "ok": ("OK", "250 2.1.5 Ok"),
    }
    with PolicyServer(lambda request: answers[request["sender"].split("@")[0]][0]) as policy:
        with posthouse(**asking(policy.address)) as server:
            for name, (_, said) in answers.items():
                got = rcpt(server, sender=f"{name}@far.example")
                if name == "nonsense":
                    assert got.startswith("451 4.3.5 "), got
                else:
                    assert got == (said % "games@test.example" if "%s" in said else said), name
            server.send("header@far.example", "games@test.example")
            assert server.wait_letters()[0]["X-Policy"] == "seen"
            assert re.search("warning: .*%s: entry for games@test.example: JUMP: no such restriction" % policy.address, server.log())


def test_connections(posthouse):
    """One serves one session after the other; sessions at the same time have several. The server may close them."""
    held = threading.Event()
    with PolicyServer(lambda request: (held.wait(30), "DUNNO")[1] if request["sender"] == "slow@far.example" else "DUNNO") as policy:
        with posthouse(**asking(policy.address, smtpd_processes=1)) as server:
            for _ in range(20):
                assert rcpt(server).startswith("250")
            assert policy.connections == 1
            with contextlib.ExitStack() as stack:
                clients = [stack.enter_context(server.client()) for _ in range(30)]
                for client in clients:
                    client.hello()
                    client.expect("MAIL FROM:<slow@far.example>", 250)
                    client.raw(b"RCPT TO:<games@test.example>\r\n")
                wait_until(lambda: len(policy.requests) == 50, "30 requests at once")
                held.set()
                assert {client.reply()[0] for client in clients} == {250}
            assert policy.connections == 30
            for _ in range(5):
                assert rcpt(server).startswith("250")
            assert policy.connections == 30
            policy.hang_up()
            wait_until(lambda: not policy.live, "the connections' end")
            for _ in range(5):
                assert rcpt(server).startswith("250")
            assert policy.connections == 31
            assert "problem talking" not in server.log()


def endless(request):
    """More than anybody wants to read; the connection's end stops it."""
    return b"action=" + b"x" * 4_000_000


TROUBLE = {
    "hangs": (lambda request: None, "no answer in time"),
    "closes": (lambda request: b"", "the connection was closed"),
    "half": (lambda request: b"action=OK\n", "the connection was closed"),
    "cut": (lambda request: b"action=O", "the connection was closed"),
    "floods": (endless, "a line of the answer is longer than 4096 bytes"),
    "lines": (lambda request: b"x=y\n" * 100_000, "the answer has more than 20 lines"),
    "http": (lambda request: b"HTTP/1.1 400 Bad Request\r\n\r\n", 'a line of the answer is not "name=value"'),
    "empty": (lambda request: b"action=\n\n", "the action is empty"),
    "nothing": (lambda request: b"\n", "the answer has no action"),
    "nul": (lambda request: b"action=OK\0\n\n", "there is a NUL in the answer"),
}


@pytest.fixture(scope="module")
def trouble():
    """A server with a listener for each kind of trouble."""
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(scratch())
        policies = {name: stack.enter_context(PolicyServer(decide)) for name, (decide, _) in TROUBLE.items()}
        sections = "".join(
            "listener %s { module = smtp port = 0 smtpd_recipient_restrictions = {'check_policy_service { %s, timeout=%s, "
            "try_limit=2, retry_delay=10ms }'} }\n" % (name, policy.address, "300ms" if name == "hangs" else "20s")
            for name, policy in policies.items())
        server = stack.enter_context(Posthouse(folder, sections=sections, smtpd_error_sleep_time="0s"))
        yield server, policies


@pytest.mark.parametrize("name", TROUBLE)
def test_trouble(trouble, name):
    """It is asked twice, and then the default action applies."""
    server, policies = trouble
    with Client(int((server.run_directory / f"{name}.port").read_text())) as client:
        client.hello()
        client.expect("MAIL FROM:<a@far.example>", 250)
        assert client.say("RCPT TO:<games@test.example>")[1] == f"451 4.3.5 <games@test.example>: {DEFAULT}"
    assert len(policies[name].requests) == policies[name].connections == 2
    server.wait_log("warning: problem talking to server %s: %s" % (policies[name].address, re.escape(TROUBLE[name][1])), 2)


def test_default_action(posthouse, folder):
    """What is done without an answer is a parameter, of all servers or of one. A relative path is below the queue."""
    sections = ("listener smtp { module = smtp port = 0 }\nlistener own { module = smtp port = 0 smtpd_recipient_restrictions = "
                "{'check_policy_service { unix:private/none, try_limit=1, { default_action = REJECT ask, again } }'} }\n")
    with posthouse(sections=sections, **asking("inet:127.0.0.1:1", smtpd_policy_service_try_limit=1,
                                               smtpd_policy_service_default_action="'DUNNO'")) as server:
        assert rcpt(server).startswith("250 ")
        server.wait_log("problem talking to server inet:127.0.0.1:1: Connection refused")
        with Client(int((server.run_directory / "own.port").read_text())) as client:
            client.hello()
            client.expect("MAIL FROM:<a@far.example>", 250)
            client.expect("RCPT TO:<games@test.example>", 554, "Recipient address rejected: ask, again")
        server.wait_log("problem talking to server unix:private/none: No such file or directory")
        (server.queue_directory / "private").mkdir(mode=0o755)
        with PolicyServer(lambda request: "REJECT below the queue", server.queue_directory / "private/none"):
            with Client(int((server.run_directory / "own.port").read_text())) as client:
                client.hello()
                client.expect("MAIL FROM:<a@far.example>", 250)
                client.expect("RCPT TO:<games@test.example>", 554, "below the queue")


def test_stop_with_a_hanging_server(posthouse):
    """The daemon's end does not wait for policy servers."""
    with PolicyServer(lambda request: None) as policy:
        server = posthouse(**asking(policy.address)).start()
        with server.client() as client:
            client.hello()
            client.expect("MAIL FROM:<a@far.example>", 250)
            client.raw(b"RCPT TO:<games@test.example>\r\n")
            wait_until(lambda: policy.requests, "the request")
            begin = time.monotonic()
            server.stop()
            assert time.monotonic() - begin < 15
        wait_until(lambda: not policy.live, "the end of its connection")


def test_explain(posthouse):
    """A rehearsal asks the server, and says what it answered; a mistake in the list is one clear line."""
    with PolicyServer(lambda request: "REJECT not " + request["client_address"]) as policy:
        server = posthouse(**asking(policy.address))
        code, out, _ = server.command("posthouse", "explain", "--client", "192.0.2.7", "--helo", "x.example", "--from", "a@far.example",
                                      "--to", "games@test.example", check=False)
        assert code == 1
        assert f'asked {policy.address} about RCPT of games@test.example: "REJECT not 192.0.2.7"' in out
        assert "554 5.7.1 <games@test.example>: Recipient address rejected: not 192.0.2.7" in out
        assert policy.requests[0]["helo_name"] == "x.example" and policy.requests[0]["protocol_state"] == "RCPT"
        server.command("posthouse", "check")
        assert len(policy.requests) == 1
    server.configure(smtpd_recipient_restrictions="{'check_policy_service inet:10023'}")
    code, out, err = server.command("posthouse", "check", check=False)
    line = server.config.read_text().splitlines().index("smtpd_recipient_restrictions = {'check_policy_service inet:10023'}") + 1
    assert code != 0
    assert f"posthouse.conf:{line}: " in err + out
    assert 'check_policy_service inet:10023: "10023" names no port; write inet:HOST:PORT or unix:PATH' in err + out
