"""What posthouse check says of a policy that is valid, and yet not what somebody can have meant."""

import re

import pytest

from harness import MODULES, OWNER, STAGE, Posthouse

HOST = """module_directory = MODULES
mail_owner = OWNER
run_directory = FOLDER/run
queue_directory = FOLDER/queue
mail_spool_directory = FOLDER
alias_database = {hash:FOLDER/aliases}
"""
HEAD = HOST + """load(listener_smtp, listener_local, queue_log)
load(restriction_access, restriction_client, restriction_data, restriction_helo, restriction_recipient, restriction_sender)
load(map_cidr, map_flat, map_hash, map_inline, map_regex, map_unix, transport_local, transport_smtp, transport_error)
myhostname = mx.test.example
alias_maps = {flat:FOLDER/aliases}
"""
LISTENERS = "listener smtp { module = smtp port = 0 }\nlistener local { module = local }\n"
# The number of the first line behind HEAD.
FIRST = HEAD.count("\n") + 1


def check(folder, text, head=HEAD):
    """The exit code, and what is said, with lines counted from the first one behind HEAD."""
    server = Posthouse(folder)
    server.config.write_text((head + text).replace("FOLDER", str(folder)).replace("MODULES", str(MODULES))
                             .replace("OWNER", OWNER))
    code, out, err = server.command("posthouse", "check", check=False)
    text = re.sub(rf"{folder}/posthouse.conf:(\d+)", lambda m: str(int(m[1]) - FIRST + 1), err)
    text = re.sub(r"\bline (\d+)", lambda m: f"line {int(m[1]) - FIRST + 1}", text)
    lines = text.replace(str(folder), "FOLDER").splitlines()
    return code, [line for line in lines if not re.match(r"\d+ problems? in ", line)]


# What is written, and all that is said of it.
MISTAKES = {
    "a rule behind reject": ("""
smtpd_relay_restrictions = {permit_mynetworks, reject_unauth_destination}
smtpd_recipient_restrictions = {
    permit_mynetworks,
    reject,
    reject_non_fqdn_recipient,
    permit_auth_destination
}
""", ["6: warning: smtpd_recipient_restrictions: reject_non_fqdn_recipient (and 1 more behind it) is never asked: "
      "reject (line 5) has always decided before; put it in front of that, or delete it"]),
    "a rule behind a class that decides": ("""
smtpd_restriction_classes = {insiders}
insiders = {permit_mynetworks, reject}
smtpd_sender_restrictions = {insiders,
    reject_non_fqdn_sender}
""", ["5: warning: smtpd_sender_restrictions: reject_non_fqdn_sender is never asked: reject (line 3) has always "
      "decided before; put it in front of that, or delete it"]),
    "a rule behind a table that always decides": ("""
listener other { module = smtp port = 0
    smtpd_client_restrictions = {'check_client_access static:OK',
        reject_unknown_client_hostname}
}
""", ["4: warning: smtpd_client_restrictions: reject_unknown_client_hostname is never asked: check_client_access "
      "static:OK (line 3) has always decided before; put it in front of that, or delete it"]),
    "a rule that stands twice": ("""
smtpd_sender_restrictions = {permit_mynetworks, reject_non_fqdn_sender,
    'check_sender_access inline:{a@b.example=REJECT}',
    reject_non_fqdn_sender}
""", ["4: warning: smtpd_sender_restrictions: reject_non_fqdn_sender was asked before (line 2), and what it left open "
      "there it leaves open here; delete it"]),
    "a rule about recipients when there is none": ("""
smtpd_delay_reject = no
smtpd_client_restrictions = {permit_mynetworks, reject_non_fqdn_recipient}
""", ["3: warning: smtpd_client_restrictions: reject_non_fqdn_recipient judges a recipient, and this list is asked when "
      "a client connects, when there is none: it never says anything; put it into smtpd_recipient_restrictions, or set "
      "smtpd_delay_reject = yes"]),
    "a rule about senders of ETRN": ("""
smtpd_etrn_restrictions = {permit_mynetworks, reject_unknown_sender_domain, reject}
""", ["2: warning: smtpd_etrn_restrictions: reject_unknown_sender_domain judges the sender, and this list is asked at "
      "ETRN, when there is none: it never says anything; put it into smtpd_sender_restrictions"]),
    "HELO that can be left out": ("""
smtpd_helo_restrictions = {permit_mynetworks, reject_invalid_helo_hostname}
""", ["2: warning: smtpd_helo_restrictions: reject_invalid_helo_hostname is evaded by a client that says neither HELO "
      "nor EHLO, as smtpd_helo_required is no; set smtpd_helo_required = yes"]),
    "a relay list whose class permits all": ("""
smtpd_restriction_classes = {everybody}
everybody = {permit_mynetworks, permit}
smtpd_relay_restrictions = {everybody, reject_unauth_destination}
""", ["5: listener smtp would be an open relay: neither smtpd_relay_restrictions nor smtpd_recipient_restrictions refuses "
      "strangers; put reject_unauth_destination into one of them"]),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake(folder, mistake):
    text, expected = MISTAKES[mistake]
    code, lines = check(folder, text + LISTENERS)
    assert lines == expected
    assert code == (1 if any("warning: " not in line for line in expected) else 0)


# Configurations that are right.
GOOD = {
    "nothing set": LISTENERS,
    "a small site": """
mydestination = {$myhostname, localhost.$mydomain, localhost, $mydomain}
mynetworks = {127.0.0.0/8, [::1]/128, 192.0.2.0/24}
relayhost = [mail.isp.example]:587
smtpd_sender_restrictions = {permit_mynetworks, reject_unknown_sender_domain}
smtpd_relay_restrictions  = {permit_mynetworks, reject_unauth_destination}
listener smtp   { module = smtp  port = 0 }
listener inside { module = smtp  port = 0  smtpd_client_restrictions = {permit_mynetworks, reject} }
listener local  { module = local }
""",
    "a mail exchanger with tables": """
mydestination = {$myhostname, localhost, test.example}
relay_domains = {relayed.example}
smtpd_helo_required = yes
smtpd_helo_restrictions = {permit_mynetworks, 'check_helo_access inline:{friend.example=OK}',
    reject_invalid_helo_hostname, reject_non_fqdn_helo_hostname, warn_if_reject, reject_unknown_helo_hostname}
smtpd_sender_restrictions = {permit_mynetworks, 'check_sender_access inline:{a@friend.example=OK}',
    reject_non_fqdn_sender, reject_unknown_sender_domain}
smtpd_relay_restrictions = {permit_mynetworks, permit_sasl_authenticated, defer_unauth_destination}
smtpd_recipient_restrictions = {
    permit_mynetworks, permit_sasl_authenticated,
    reject_non_fqdn_recipient, reject_unknown_recipient_domain, reject_unauth_destination,
    'check_client_access cidr:FOLDER/clients', 'check_sender_access inline:{list@friend.example=OK}',
    reject_unlisted_recipient, permit
}
smtpd_data_restrictions = {reject_unauth_pipelining, reject_multi_recipient_bounce}
smtpd_etrn_restrictions = {permit_mynetworks, reject}
""" + LISTENERS,
    "classes, and a listener for submission": """
smtpd_restriction_classes = {strict, insiders_only, relaying}
relaying = {permit_mynetworks, reject_unauth_destination}
strict = {reject_non_fqdn_sender, reject_unknown_sender_domain}
insiders_only = {permit_mynetworks, reject}
smtpd_helo_required = yes
smtpd_relay_restrictions = {relaying}
smtpd_recipient_restrictions = {'check_recipient_access inline:{all@mx.test.example=insiders_only}', strict}
listener smtp { module = smtp port = 0 }
listener submission { module = smtp port = 0
    smtpd_delay_reject = no
    smtpd_client_restrictions = {permit_mynetworks, permit_sasl_authenticated, reject}
    smtpd_relay_restrictions = {permit_mynetworks, permit_sasl_authenticated, reject}
}
listener local { module = local }
""",
}


@pytest.mark.parametrize("name", GOOD)
def test_good(folder, name):
    (folder / "clients").write_text("203.0.113.0/24 OK\n198.51.100.7 REJECT\n")
    assert check(folder, GOOD[name]) == (0, [])


def test_shipped(folder):
    """The configuration as it is installed; of what it names only the folders of this host differ."""
    text = (STAGE / "usr/local/etc/posthouse/posthouse.conf").read_text()
    text = text.replace("include_dir(modules.d)", "").replace("hash:/etc/aliases", f"flat:{folder}/aliases")
    assert check(folder, text, HOST) == (0, [])
