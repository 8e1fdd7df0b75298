"""postgrey in front: who comes for the first time is put off, who comes again is let in."""

import os
import pathlib
import shutil
import subprocess

import pytest

from harness import OWNER, PATIENCE, PEERS, peer_environment, wait_until

GREYLISTED = "450 4.2.0 <games@test.example>: Recipient address rejected: Greylisted, see "


@pytest.fixture
def postgrey(folder):
    """The unpacked one, with a second's delay; its socket."""
    place = folder / "postgrey"
    place.mkdir()
    if os.geteuid() == 0:
        shutil.chown(place, OWNER)
    (place / "none").write_text("")
    libraries = [PEERS / "usr/share/perl5", *PEERS.glob("usr/lib/*/perl5/*")]
    # -T, which it asks for itself, ignores PERL5LIB
    process = subprocess.Popen(
        ["perl", "-T", "-w", *(f"-I{library}" for library in libraries), PEERS / "usr/sbin/postgrey", f"--unix={place}/socket",
         f"--dbdir={place}", f"--user={OWNER}", f"--group={pathlib.Path(place).group()}", "--delay=1", f"--whitelist-clients={place}/none",
         f"--whitelist-recipients={place}/none"],
        env=peer_environment(), stdin=subprocess.DEVNULL, stdout=open(place / "out", "w"), stderr=subprocess.STDOUT)
    try:
        wait_until(lambda: (place / "socket").exists() or process.poll() is not None, "postgrey")
        assert process.poll() is None, (place / "out").read_text()
        yield f"unix:{place}/socket"
    finally:
        process.terminate()
        process.wait(PATIENCE)


def try_to_send(server, sender):
    """The reply to RCPT; the letter goes on when it is taken."""
    with server.client(source=("127.0.0.9", 0)) as client:
        client.hello()
        client.expect(f"MAIL FROM:<{sender}>", 250)
        said = client.say("RCPT TO:<games@test.example>")[1]
        if said.startswith("250 "):
            client.expect("DATA", 354)
            client.expect("Subject: at last\r\n\r\nhello\r\n.", 250)
        return said


def test_greylisting(posthouse, postgrey):
    with posthouse(smtpd_recipient_restrictions=f"{{'check_policy_service {postgrey}'}}", smtpd_error_sleep_time="0s") as server:
        assert try_to_send(server, "a@far.example").startswith(GREYLISTED)
        retries = []

        def taken():
            retries.append(try_to_send(server, "a@far.example"))
            return retries[-1].startswith("250 ")
        wait_until(taken, "the end of the delay")
        assert all(said.startswith(GREYLISTED) for said in retries[:-1]), retries
        assert "by postgrey-1." in server.wait_letters()[0]["X-Greylist"]
        # another sender is somebody else
        assert try_to_send(server, "b@far.example").startswith(GREYLISTED)
        assert "problem talking" not in server.log()
