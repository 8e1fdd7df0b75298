"""Many sessions that wait for an answer wait side by side, in one smtpd process."""

import asyncio
import re
import socket
import threading
import time

import dns.flags
import dns.message
import dns.rrset

SESSIONS = 1000


class HeldNameServer:
    """Answers nobody before so many of the names were asked for that match, and no name earlier than so long after it was first
    asked for, as a resolver does that has to ask others. addresses: those that there are."""

    def __init__(self, count, delay=0.0, match=r"d\d", addresses=()):
        self.count, self.delay, self.match, self.addresses = count, delay, match, dict(addresses)
        self.names, self.waiting = {}, []
        self.loop = asyncio.new_event_loop()
        self.ready = threading.Event()
        threading.Thread(target=self.run, daemon=True).start()
        self.ready.wait()

    def run(self):
        asyncio.set_event_loop(self.loop)
        self.transport, _ = self.loop.run_until_complete(
            self.loop.create_datagram_endpoint(lambda: self, local_addr=("127.0.0.1", 0)))
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self.port = self.transport.get_extra_info("sockname")[1]
        self.ready.set()
        self.loop.run_forever()

    def close(self):
        self.loop.call_soon_threadsafe(self.loop.stop)

    def connection_made(self, transport):
        pass

    def connection_lost(self, error):
        pass

    def error_received(self, error):
        pass

    def datagram_received(self, data, sender):
        question = dns.message.from_wire(data)
        name = str(question.question[0].name).lower()
        if not re.match(self.match, name):
            return self.answer(question, sender)
        self.names.setdefault(name, self.loop.time())
        self.waiting.append((name, question, sender))
        if len(self.names) >= self.count:
            for name, question, sender in self.waiting:
                self.loop.call_at(self.names[name] + self.delay, self.answer, question, sender)
            self.waiting = []

    def answer(self, question, sender):
        reply = dns.message.make_response(question, recursion_available=True)
        asked = question.question[0]
        if asked.rdtype == dns.rdatatype.MX:
            reply.answer.append(dns.rrset.from_text(asked.name, 60, "IN", "MX", "10 mx.example.com."))
        if asked.rdtype == dns.rdatatype.A and str(asked.name).lower() in self.addresses:
            reply.answer.append(dns.rrset.from_text(asked.name, 60, "IN", "A", self.addresses[str(asked.name).lower()]))
        self.transport.sendto(reply.to_wire(), sender)


async def session(port, number, begin):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    await reader.readline()
    writer.write(b"HELO client.example\r\n")
    await reader.readline()
    await begin()
    writer.write(b"MAIL FROM:<a@d%d.example.com>\r\n" % number)
    await reader.readline()
    writer.write(b"RCPT TO:<games@test.example>\r\n")
    reply = await reader.readline()
    writer.write(b"QUIT\r\n")
    await reader.readline()
    writer.close()
    return reply


async def all_sessions(port):
    """All are connected before the first goes on. Returns the replies and how long the rest took."""
    there = 0
    everybody = asyncio.Event()

    async def begin():
        nonlocal there
        there += 1
        if there == SESSIONS:
            everybody.set()
            begin.time = time.monotonic()
        await everybody.wait()

    replies = await asyncio.gather(*(session(port, number, begin) for number in range(SESSIONS)))
    return replies, time.monotonic() - begin.time


def test_a_thousand_sessions_wait_at_once(posthouse):
    """The name server answers none of them before it was asked by all: were one to wait for another, nobody would end."""
    names = HeldNameServer(SESSIONS, 2.0)
    server = posthouse(dns_servers="{127.0.0.1@%d}" % names.port, smtpd_processes="1", dns_timeout="25s",
                       smtpd_client_connection_count_limit="0",
                       smtpd_sender_restrictions="{reject_unknown_sender_domain}")
    with server:
        replies, seconds = asyncio.run(all_sessions(server.port))
    names.close()
    assert set(replies) == {b"250 2.1.5 Ok\r\n"}
    assert len(names.names) == SESSIONS
    print(f"{SESSIONS} sessions, each waiting 2 s for an answer: {seconds:.1f} s in all")


def test_all_lists_are_asked_at_once(posthouse):
    """The name server answers no list before all of them were asked. What they said is kept for the session."""
    names = HeldNameServer(20, match=r"1\.0\.0\.127\.", addresses={"1.0.0.127.l17.example.": "127.0.0.2"})
    rules = ", ".join(f"'reject_rbl_client l{number}.example'" for number in range(20))
    server = posthouse(dns_servers="{127.0.0.1@%d}" % names.port, dns_timeout="25s", smtpd_delay_reject="yes",
                       smtpd_client_restrictions="{%s}" % rules)
    with server, server.client() as client:
        client.hello()
        client.expect("MAIL FROM:<a@client.example>", 250)
        for _ in range(2):
            client.expect("RCPT TO:<games@test.example>", 554, "Client host [127.0.0.1] blocked using l17.example")
    names.close()
    assert sorted(names.names) == sorted(f"1.0.0.127.l{number}.example." for number in range(20))
