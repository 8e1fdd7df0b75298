#!/usr/bin/env bash
# The first day of an administrator who knows Postfix, under the very names of its commands, on the
# installed tree at /usr/local. Runs as root in mount, network and host name namespaces of its own
# (see test_walkthrough.py). Prints "=== NAME" before the output of each step.
#   walkthrough.sh STAGE PEERS
set -eu
stage=$1 peers=$2
libraries=$(echo "$peers"/usr/lib/*-linux-*)
step() { printf '=== %s\n' "$1"; }
mount -t tmpfs -o mode=755 tmpfs /mnt
mkdir -p /mnt/{etc,sbin}.{up,work}
mount --bind "$stage/usr/local" /usr/local
mkdir -p /usr/local/var
mount -t tmpfs -o mode=755 tmpfs /usr/local/var
mkdir -p /usr/local/var/spool
mount -t overlay overlay -o lowerdir=/etc,upperdir=/mnt/etc.up,workdir=/mnt/etc.work /etc
mount -t overlay overlay -o lowerdir=/usr/sbin,upperdir=/mnt/sbin.up,workdir=/mnt/sbin.work /usr/sbin
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs -o mode=2775,gid=8 tmpfs /var/mail
mount -t tmpfs -o mode=755 tmpfs /var/log
rm -rf /usr/local/etc/posthouse
cp -r "$stage/etc.fresh" /usr/local/etc/posthouse
ldconfig
ip link set lo up
ip address add 192.168.217.131/24 dev lo
hostname centos.example.com
echo '127.0.0.1 centos.example.com localhost' > /etc/hosts
echo 'nixhat:x:1500:1500::/nonexistent:/usr/sbin/nologin' >> /etc/passwd
echo 'nixhat:x:1500:' >> /etc/group
echo 'posthouse:x:990:990::/nonexistent:/usr/sbin/nologin' >> /etc/passwd
echo 'posthouse:x:990:' >> /etc/group
ln -sf /usr/local/sbin/posthoused /usr/sbin/sendmail
printf '%s\n' 'postmaster: root' > /etc/aliases
export PATH=/usr/local/libexec/posthouse/compat:/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin
unset LD_LIBRARY_PATH POSTHOUSE_CONFIG
trap 'postfix stop >/dev/null 2>&1 || true' EXIT
wait_for() { local i; for ((i = 0; i < 200; i++)); do "$@" && return 0; sleep 0.1; done; echo "gave up: $*"; cat /var/log/maillog; return 1; }

step all
postconf | head -n 400
step aliases
echo 'root: nixhat' >> /etc/aliases
postalias /etc/aliases
ls /etc/aliases.cdb
step edit
postconf -e 'myorigin=$mydomain'
postconf myorigin
step interfaces
postconf -e 'inet_interfaces = 192.168.217.131, localhost'
postconf inet_interfaces
step relayhost
postconf relayhost
step mydestination
postconf -e 'mydestination = $myhostname, localhost.$mydomain, localhost, $mydomain'
postconf mydestination
step mynetworks
postconf -e 'mynetworks = 192.168.217.0/24 127.0.0.0/8 [::1]/128'
postconf mynetworks
step helo_required
postconf smtpd_helo_required
step helo
postconf -e 'smtpd_helo_restrictions = permit_mynetworks, reject_invalid_helo_hostname'
postconf smtpd_helo_restrictions
step sender
postconf -e 'smtpd_sender_restrictions = permit_mynetworks, reject_unknown_sender_domain'
postconf smtpd_sender_restrictions
step recipient
postconf -e 'smtpd_recipient_restrictions = permit_mynetworks, reject_unauth_destination'
postconf smtpd_recipient_restrictions
step log
postconf -e 'log_destination = /var/log/maillog' 'syslog_name = postfix' 'smtpd_peername_lookup = no'
step check
postfix check
step start
postfix start
postfix status
step mail
echo "This is a test" | LD_LIBRARY_PATH=$libraries "$peers/usr/bin/bsd-mailx" -s "test" root@example.com
wait_for grep -qs 'This is a test' /var/mail/nixhat
step spool
cat /var/mail/nixhat
ls -l /var/mail/nixhat
wait_for grep -q ': removed' /var/log/maillog
step maillog
cat /var/log/maillog
step pflogsumm
pflogsumm /var/log/maillog
step s-nail
echo "This is another" | LD_LIBRARY_PATH=$libraries "$peers/usr/bin/s-nail" -n -s "again" root@example.com
wait_for grep -qs 'This is another' /var/mail/nixhat
step mailq
mailq
step flush
postfix flush
step stop
postfix stop
trap - EXIT
step end
