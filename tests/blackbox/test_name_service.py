"""A name service that cannot be asked: nobody is called unknown for that."""

import subprocess

import pytest

from harness import PREFIX
from namespaces import MOUNTS, replaced

pytestmark = pytest.mark.skipif(not MOUNTS, reason="mounting is root's")

# With ENOENT, as one whose socket is not there; well again once there is the file.
SERVICE = r"""
#include <errno.h>
#include <nss.h>
#include <pwd.h>
#include <unistd.h>

enum nss_status
_nss_lame_getpwnam_r(const char *name, struct passwd *entry, char *room, size_t size, int *failure)
{
	*failure = ENOENT;
	return access(WELL, F_OK) == 0 ? NSS_STATUS_NOTFOUND : NSS_STATUS_UNAVAIL;
}
"""


def test_a_name_service_that_is_away(posthouse, folder):
    well = folder / "well"
    (folder / "service.c").write_text(SERVICE)
    subprocess.run(["cc", "-shared", "-fPIC", f'-DWELL="{well}"', "-o", folder / "libnss_lame.so.2", folder / "service.c"], check=True)
    server = posthouse(virtual_alias_maps="'inline:{nobody@far.example=nosuch@test.example}'", virtual_alias_domains="far.example")
    server.environment.update(LD_LIBRARY_PATH=f"{PREFIX / 'lib'}:{folder}")
    with replaced("/etc/nsswitch.conf", folder / "nsswitch.conf", "passwd: files lame\ngroup: files\nhosts: files dns\n"), server:
        with server.client() as client:
            client.hello()
            client.expect("MAIL FROM:<>", 250)
            client.expect("RCPT TO:<nosuch@test.example>", 451, "4.3.0 <nosuch@test.example>: Temporary lookup failure")
            client.expect("RCPT TO:<games@test.example>", 250)
        server.send("games@test.example", "nobody@far.example")
        server.wait_log(r'to=<nosuch@test\.example>.* dsn=4\.3\.0, status=deferred \(user lookup of "nosuch": the name service failed: ')
        well.touch()
        with server.client() as client:
            client.hello()
            client.expect("MAIL FROM:<>", 250)
            client.expect("RCPT TO:<nosuch@test.example>", 550)
        server.command("posthouse", "queue", "flush")
        server.wait_log(r"to=<nosuch@test\.example>.* dsn=5\.1\.1, status=bounced")
        server.wait_letters()
