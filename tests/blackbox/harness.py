"""A Posthouse for one test: its own folder, ports that the kernel picks, an end that is checked."""

import contextlib
import mailbox
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

STAGE = pathlib.Path(os.environ["POSTHOUSE_STAGE"])
PEERS = pathlib.Path(os.environ.get("POSTHOUSE_PEERS", "/nonexistent"))
PREFIX = STAGE / "usr/local"
MODULES = PREFIX / "lib/posthouse/modules"
BIN = [PREFIX / "bin", PREFIX / "sbin", PREFIX / "libexec/posthouse/compat"]
SANITIZED = "build-sanitize" in str(STAGE)
ROOT = os.geteuid() == 0
OWNER = "daemon" if ROOT else __import__("pwd").getpwuid(os.geteuid()).pw_name
# System users that every Debian has; their mailboxes are in a scratch folder.
USERS = ["games", "nobody", "news"]
PATIENCE = 30

LOADS = """load(listener_smtp, listener_local)
load(restriction_access, restriction_client, restriction_data, restriction_dnsbl, restriction_helo, restriction_policy, restriction_recipient, restriction_sender)
load(filter_checks, map_cidr, map_compound, map_flat, map_hash, map_inline, map_regex, map_unix)
load(queue_log, transport_local, transport_smtp, transport_virtual, transport_discard, transport_error)
"""

DEFAULTS = {
    "myhostname": "mx.test.example",
    "mydomain": "test.example",
    "inet_interfaces": "{loopback-only}",
    "inet_protocols": "ipv4",
    "mydestination": "{$myhostname, localhost, $mydomain}",
    "mynetworks": "{127.0.0.0/8}",
    "smtpd_relay_restrictions": "{permit_mynetworks, reject_unauth_destination}",
    "smtpd_peername_lookup": "no",
    "local_header_rewrite_clients": "''",  # their headers stay as they are
}


def environment(config):
    env = dict(os.environ)
    env["PATH"] = ":".join(str(p) for p in BIN) + ":" + env["PATH"]
    env["LD_LIBRARY_PATH"] = str(PREFIX / "lib")
    env["POSTHOUSE_CONFIG"] = str(config)
    env["ASAN_OPTIONS"] = "detect_stack_use_after_return=1:detect_leaks=0:abort_on_error=1"
    env["UBSAN_OPTIONS"] = "print_stacktrace=1"
    return env


def peer_environment():
    """For the programs that tests/peers has unpacked, with the libraries beside them."""
    folders = [PEERS / "usr/lib/postfix", *PEERS.glob("usr/lib/*-linux-*"), *PEERS.glob("lib/*-linux-*")]
    return dict(os.environ, LD_LIBRARY_PATH=":".join(map(str, folders)))


def wait_until(condition, what, patience=PATIENCE):
    """Polls until the condition holds and returns its value."""
    end = time.monotonic() + patience
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"gave up waiting for {what}")
        time.sleep(0.02)


@contextlib.contextmanager
def scratch():
    """A folder with a short path that other users may enter (socket names are limited to 107 bytes)."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="ph-"))
    path.chmod(0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


class Posthouse:
    """params replace or add to DEFAULTS; None removes one. sections: text behind them."""

    def __init__(self, folder, sections=None, loads=LOADS, listener="", **params):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(exist_ok=True)
        self.folder.chmod(0o755)
        self.config = self.folder / "posthouse.conf"
        self.run_directory = self.folder / "run"
        self.queue_directory = self.folder / "queue"
        self.mail = self.folder / "mail"
        self.log_file = self.folder / "log"
        self.stderr_file = self.folder / "stderr"
        self.aliases = self.folder / "aliases"
        self.mail.mkdir(exist_ok=True)
        self.mail.chmod(0o1777)
        if not self.aliases.exists():
            self.aliases.write_text("")
        self.params = dict(DEFAULTS)
        self.params.update(
            queue_directory=self.queue_directory, run_directory=self.run_directory,
            mail_spool_directory=self.mail, log_destination=self.log_file,
            module_directory=MODULES, mail_owner=OWNER,
            alias_maps="{flat:%s}" % self.aliases, alias_database="{hash:%s}" % self.aliases)
        self.loads = loads
        self.sections = sections if sections is not None else (
            "listener smtp { module = smtp port = 0 %s }\nlistener local { module = local }\n" % listener)
        self.process = None
        self.environment = {}  # for its processes, beside what environment() has
        self.configure(**params)

    def configure(self, **params):
        """Changes parameters and writes the file."""
        self.params.update(params)
        lines = [f"{name} = {value}\n" for name, value in self.params.items() if value is not None]
        self.config.write_text(self.loads + "".join(lines) + self.sections)

    def start(self, options=()):
        """Starts it in the foreground and waits until it says that it is ready."""
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        path = self.folder / "notify"
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        notify.bind(str(path))
        notify.settimeout(0.1)
        env = environment(self.config)
        env["NOTIFY_SOCKET"] = str(path)
        env.update(self.environment)
        self.process = subprocess.Popen(
            ["posthoused", "-F", "-c", self.config, *options], env=env,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=open(self.stderr_file, "ab"))
        def ready():
            with contextlib.suppress(socket.timeout):
                return b"READY=1" in notify.recv(4096)
            return self.process.poll() is not None

        try:
            wait_until(ready, "the server")
            ended = self.process.poll() is not None
        except AssertionError:
            ended = True
        notify.close()
        if ended:
            self.kill()
            raise AssertionError("not ready: " + self.stderr() + self.log())
        return self

    def stop(self):
        """An orderly stop; fails the test when there was a crash or a sanitizer spoke."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError("did not stop: " + self.log()[-2000:])
        self.process = None
        text = self.stderr()
        assert "Sanitizer" not in text and "runtime error" not in text, text[-6000:]
        assert code == 0, (code, text, self.log()[-2000:])

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, value, trace):
        if kind is None:
            self.stop()
        else:
            print(self.stderr()[-4000:], self.log()[-6000:])
            with contextlib.suppress(Exception):
                self.stop()
            self.kill()

    def stderr(self):
        return self.stderr_file.read_text(errors="replace") if self.stderr_file.exists() else ""

    def log(self):
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def wait_log(self, pattern, count=1, patience=PATIENCE):
        """Waits for lines that match; returns the matches."""
        def found():
            matches = list(re.finditer(pattern, self.log()))
            return matches if len(matches) >= count else None
        return wait_until(found, f"{count} x {pattern!r} in the log:\n{self.log()[-3000:]}", patience)

    @property
    def port(self):
        return int(wait_until(lambda: (self.run_directory / "smtp.port").exists() and
                              (self.run_directory / "smtp.port").read_text(), "smtp.port"))

    def command(self, *words, input=None, check=True, user=None):
        """Runs a command of this Posthouse; returns (code, output, errors)."""
        done = subprocess.run([str(w) for w in words], env=environment(self.config), text=True, errors="replace",
                              input=input, stdin=None if input is not None else subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120, user=user)
        if check:
            assert done.returncode == 0, (words, done)
        return done.returncode, done.stdout, done.stderr

    def letters(self, user=USERS[0]):
        path = self.mail / user
        return list(mailbox.mbox(path, create=False)) if path.exists() else []

    def wait_letters(self, count=1, user=USERS[0], patience=PATIENCE):
        return wait_until(lambda: len(self.letters(user)) >= count and self.letters(user),
                          f"{count} letters for {user}; log:\n{self.log()[-3000:]}", patience)

    def wait_empty(self, patience=PATIENCE):
        wait_until(lambda: "Mail queue is empty" in self.command("mailq")[1], "an empty queue", patience)

    def client(self, **options):
        return Client(self.port, **options)

    def send(self, sender, recipients, text="Subject: test\r\n\r\nhello\r\n"):
        """One letter over SMTP; returns the reply to the end of data."""
        if isinstance(recipients, str):
            recipients = [recipients]
        with self.client() as client:
            client.hello()
            client.expect(f"MAIL FROM:<{sender}>", 250)
            for recipient in recipients:
                client.expect(f"RCPT TO:<{recipient}>", 250)
            client.expect("DATA", 354)
            return client.expect(text.encode() + b".", 250)


class Client:
    """A bare SMTP client: what is sent and what comes back, nothing hidden."""

    def __init__(self, port, host="127.0.0.1", source=None, patience=PATIENCE, greeting=220):
        self.socket = socket.create_connection((host, port), patience, source_address=source)
        self.file = self.socket.makefile("rb")
        if greeting:
            assert self.reply()[0] == greeting

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.file.close()
        self.socket.close()

    def raw(self, data):
        self.socket.sendall(data)

    def reply(self):
        """(code, whole text); code 0 at the end of the connection."""
        lines = []
        while True:
            line = self.file.readline()
            if not line:
                return 0, "".join(lines)
            assert line.endswith(b"\r\n"), line
            lines.append(line.decode(errors="replace"))
            if line[3:4] != b"-":
                return int(line[:3]), "".join(lines).rstrip("\r\n")

    def say(self, command):
        if isinstance(command, str):
            command = command.encode()
        self.raw(command + b"\r\n")
        return self.reply()

    def expect(self, command, code, text=""):
        got = self.say(command)
        assert got[0] == code and text in got[1], (command, got)
        return got[1]

    def hello(self, name="client.example"):
        return self.expect("EHLO " + name, 250)


class Sink:
    """An SMTP server that keeps what it gets. replies: {"RCPT": function(argument) -> reply, or the reply}; None: the connection
    is closed instead. On a port or, with path, on a Unix-domain socket."""

    name, hello = "sink.example", "EHLO"

    def __init__(self, host="127.0.0.1", replies=None, extensions=("PIPELINING", "8BITMIME", "SIZE 0"), port=0, path=None):
        self.replies = replies or {}
        self.extensions = extensions
        self.messages = []  # (sender, recipients, content)
        self.commands = []
        self.connections = 0
        if path:
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(str(path))
            os.chmod(path, 0o666)
        else:
            self.listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.listener.bind((host, port))
            self.port = self.listener.getsockname()[1]
        self.listener.listen(100)
        threading.Thread(target=self.accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def answer(self, verb, argument, default):
        reply = self.replies.get(verb, default)
        return reply(argument) if callable(reply) else reply

    def take(self, say, sender, recipients, content):
        """The end of the data."""
        reply = self.answer("END", ".", "250 2.0.0 taken")
        if reply and reply.startswith("2"):
            self.messages.append((sender, recipients, content))
        say(reply)

    def serve(self, connection):
        with contextlib.suppress(OSError, ValueError), connection, connection.makefile("rwb") as file:
            def say(reply):
                if reply is None:
                    raise OSError("drop")
                file.write(reply.encode() + b"\r\n")
                file.flush()
            sender, recipients = None, []
            say(self.answer("CONNECT", "", f"220 {self.name} ESMTP"))
            while line := file.readline():
                text = line.decode(errors="replace").rstrip("\r\n")
                self.commands.append(text)
                verb = text.split(" ")[0].upper()
                if verb == self.hello:
                    lines = [self.name, *self.extensions]
                    default = "\r\n".join("250%s%s" % ("-" if i < len(lines) - 1 else " ", l) for i, l in enumerate(lines))
                    say(self.answer(verb, text, default))
                elif verb == "MAIL":
                    sender, recipients = re.search("<(.*?)>", text).group(1), []
                    say(self.answer("MAIL", text, "250 2.1.0 Ok"))
                elif verb == "RCPT":
                    reply = self.answer("RCPT", text, "250 2.1.5 Ok")
                    if reply and reply.startswith("2"):
                        recipients.append(re.search("<(.*)>", text).group(1))
                    say(reply)
                elif verb == "DATA":
                    if not recipients:
                        say("554 5.5.1 no valid recipients")
                        continue
                    reply = self.answer("DATA", text, "354 go on")
                    say(reply)
                    if not reply.startswith("3"):
                        continue
                    content = b""
                    while (line := file.readline()) not in (b".\r\n", b""):
                        content += line[1:] if line.startswith(b".") else line
                    if not line:
                        return
                    self.take(say, sender, recipients, content)
                elif verb == "QUIT":
                    say("221 bye")
                    return
                else:
                    say(self.answer(verb, text, f"250 {self.name}" if verb == "HELO" else "250 ok"))

    def wait(self, count=1, patience=PATIENCE):
        return wait_until(lambda: len(self.messages) >= count and self.messages, f"{count} messages at the sink", patience)


class PolicyServer:
    """A policy server that records what it is sent. decide: function(request) -> an action; bytes, which are sent as they are
    before the connection is closed; or None: no answer. With path it listens on a Unix-domain socket."""

    def __init__(self, decide=lambda request: "DUNNO", path=None):
        self.decide = decide
        self.requests = []
        self.connections = 0
        self.live = set()
        self.listener = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
        self.listener.bind(str(path) if path else ("127.0.0.1", 0))
        if path:
            os.chmod(path, 0o666)
        self.address = f"unix:{path}" if path else "inet:127.0.0.1:%d" % self.listener.getsockname()[1]
        self.listener.listen(200)
        threading.Thread(target=self.accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.hang_up()

    def hang_up(self):
        """Closes the connections that there are."""
        for connection in list(self.live):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            self.live.add(connection)
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with contextlib.suppress(OSError), connection, connection.makefile("rb") as file:
            request = {}
            while line := file.readline():
                if line != b"\n":
                    name, _, value = line.decode().rstrip("\n").partition("=")
                    assert name not in request, line
                    request[name] = value
                    continue
                self.requests.append(request)
                action = self.decide(request)
                if isinstance(action, bytes):
                    connection.sendall(action)
                    connection.shutdown(socket.SHUT_RDWR)
                elif action is not None:
                    connection.sendall(b"action=%s\n\n" % action.encode())
                request = {}
        self.live.discard(connection)


class NameServer:
    """A real name server (nsd) for zones, {name: text}; it refuses to say anything about others."""

    HEADER = "$ORIGIN %s.\n$TTL 60\n@ SOA ns hostmaster 1 60 60 60 60\n@ NS ns\nns A 127.0.0.1\n"

    def __init__(self, folder, zones):
        self.folder = pathlib.Path(folder) / "nsd"
        self.folder.mkdir()
        self.port = free_port()
        self.zones = zones
        text = f"""server:
  ip-address: 127.0.0.1@{self.port}
  username: ""
  zonesdir: "{self.folder}"
  database: ""
  pidfile: "{self.folder}/pid"
  xfrdfile: "{self.folder}/xfrd"
  zonelistfile: "{self.folder}/zonelist"
  server-count: 1
remote-control:
  control-enable: no
"""
        for name, records in zones.items():
            (self.folder / name).write_text(self.HEADER % name + records)
            text += f'zone:\n  name: "{name}"\n  zonefile: "{name}"\n'
        (self.folder / "conf").write_text(text)
        self.process = None

    def __enter__(self):
        import dns.exception
        import dns.message
        import dns.query

        self.process = subprocess.Popen([PEERS / "usr/sbin/nsd", "-d", "-c", self.folder / "conf"],
                                        env=peer_environment(), stdout=subprocess.DEVNULL,
                                        stderr=open(self.folder / "errors", "w"))

        def answers():
            with contextlib.suppress(dns.exception.DNSException, OSError):
                return all(dns.query.udp(dns.message.make_query(name, "SOA"), "127.0.0.1", 0.2, self.port).answer
                           for name in self.zones)
        wait_until(answers, "nsd: " + (self.folder / "errors").read_text())
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    @property
    def servers(self):
        """As dns_servers wants it."""
        return "{127.0.0.1@%d}" % self.port


def free_port():
    """A port that was free a moment ago, for servers that cannot pick one."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
