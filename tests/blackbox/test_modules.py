"""Modules of third parties: built against the installed headers, loaded or refused."""

import os
import shutil
import socket
import struct
import subprocess
import threading
import time

import pytest

from harness import LOADS, MODULES, PREFIX, SANITIZED, STAGE, environment
import pathlib

EXAMPLE = pathlib.Path(__file__).parents[2] / "doc/examples/listed_mx"


@pytest.fixture
def module_folder(folder):
    """A copy of the module folder, to which a test may add."""
    path = folder / "modules"
    shutil.copytree(MODULES, path)
    return path


def build(folder, source=None, defines=()):
    """The example, built with pkg-config against the staged installation."""
    work = folder / "listed_mx"
    if not work.exists():
        shutil.copytree(EXAMPLE, work)
    if source is not None:
        (work / "restriction_listed_mx.c").write_text(source)
    env = dict(os.environ, PKG_CONFIG_PATH=str(PREFIX / "lib/pkgconfig"), PKG_CONFIG_SYSROOT_DIR=str(STAGE))
    flags = " ".join(defines)
    if SANITIZED:
        flags += " -fsanitize=address,undefined"
    done = subprocess.run(["make", "-s", "-B", f"CFLAGS={flags}"],
                          cwd=work, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout
    assert "warning" not in done.stdout, done.stdout
    return work / "restriction_listed_mx.so"


class SlowDns(threading.Thread):
    """A DNS server that answers every MX query with mx.listed.example, after a while."""

    def __init__(self, seconds):
        super().__init__(daemon=True)
        self.seconds = seconds
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.start()

    def run(self):
        while True:
            query, peer = self.socket.recvfrom(4096)
            threading.Timer(self.seconds, self.answer, (query, peer)).start()

    def answer(self, query, peer):
        end = query.index(b"\0", 12) + 5
        kind = struct.unpack("!H", query[end - 4:end - 2])[0]
        answer = b""
        if kind == 15:
            data = struct.pack("!H", 10) + b"\2mx\6listed\7example\0"
            answer = b"\xc0\x0c" + struct.pack("!HHIH", 15, 1, 60, len(data)) + data
        header = query[:2] + struct.pack("!HHHHH", 0x8180, 1, bool(answer), 0, 0)
        self.socket.sendto(header + query[12:end] + answer, peer)


def test_example_waits_and_blocks_nobody(posthouse, folder, module_folder):
    shutil.copy(build(folder), module_folder)
    table = folder / "bad_mx"
    table.write_text("mx.listed.example x\n")
    dns = SlowDns(3)
    server = posthouse(loads=LOADS + "load(restriction_listed_mx)\n", module_directory=module_folder,
                       dns_servers="{127.0.0.1@%d}" % dns.port, dns_timeout="60s", smtpd_processes=1,
                       smtpd_delay_reject="no", smtpd_sender_restrictions="{'reject_listed_mx flat:%s'}" % table)
    with server:
        with server.client() as slow, server.client() as quick:
            slow.hello()
            quick.hello()
            began = time.monotonic()
            slow.raw(b"MAIL FROM:<a@sender.example>\r\n")
            time.sleep(0.1)
            for _ in range(20):
                quick.expect("NOOP", 250)
            quick.expect("MAIL FROM:<>", 250)
            quick.expect("RCPT TO:<games@test.example>", 250)
            took = time.monotonic() - began
            code, text = slow.reply()
            waited = time.monotonic() - began
        assert (code, text) == (550, "550 5.7.1 <a@sender.example>: Sender address rejected: mail exchanger")
        assert waited >= 2.9 and took < 1.0, (waited, took)


def refused(posthouse, folder, module_folder):
    server = posthouse(loads=LOADS + "load(restriction_listed_mx)\n", module_directory=module_folder)
    code, out, err = server.command("posthouse", "check", check=False)
    assert code != 0
    return out + err


def test_other_abi_major_is_refused(posthouse, folder, module_folder):
    source = (EXAMPLE / "restriction_listed_mx.c").read_text()
    source = source.replace("<posthouse/restriction.h>\n", "<posthouse/restriction.h>\n#undef PH_ABI_MAJOR\n#define PH_ABI_MAJOR 7\n")
    shutil.copy(build(folder, source), module_folder)
    text = refused(posthouse, folder, module_folder)
    assert "restriction_listed_mx" in text and "ABI" in text and "7" in text, text


def test_newer_minor_is_fine(posthouse, folder, module_folder):
    source = (EXAMPLE / "restriction_listed_mx.c").read_text()
    source = source.replace("<posthouse/restriction.h>\n", "<posthouse/restriction.h>\n#undef PH_ABI_MINOR\n#define PH_ABI_MINOR 99\n")
    shutil.copy(build(folder, source), module_folder)
    server = posthouse(loads=LOADS + "load(restriction_listed_mx)\n", module_directory=module_folder)
    server.command("posthouse", "check")
    assert "reject_listed_mx" in server.command("posthouse", "module", "info", "restriction_listed_mx")[1]


def test_writable_module_is_refused(posthouse, folder, module_folder):
    shutil.copy(build(folder), module_folder)
    (module_folder / "restriction_listed_mx.so").chmod(0o664)
    text = refused(posthouse, folder, module_folder)
    assert "restriction_listed_mx.so" in text and "writ" in text, text


def test_missing_module_names_its_package(posthouse, folder, module_folder):
    text = refused(posthouse, folder, module_folder)
    assert "restriction_listed_mx" in text and "posthouse-restriction-listed-mx" in text, text


def test_truncated_module(posthouse, folder, module_folder):
    whole = build(folder).read_bytes()
    (module_folder / "restriction_listed_mx.so").write_bytes(whole[:3000])
    text = refused(posthouse, folder, module_folder)
    assert "restriction_listed_mx.so" in text


HEADERS = sorted(p.name for p in (PREFIX / "include/posthouse").glob("*.h"))


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("compiler", [("gcc", "c", "-std=c11"), ("g++", "c++", "-std=c++20")])
def test_header_compiles_alone(header, compiler):
    done = subprocess.run([compiler[0], "-x", compiler[1], compiler[2], "-Wall", "-Wextra", "-Werror", "-pedantic", "-fsyntax-only",
                           "-I", PREFIX / "include", PREFIX / "include/posthouse" / header],
                          text=True, stderr=subprocess.PIPE)
    assert done.returncode == 0, done.stderr
