# Posthouse from a staged build: STAGE is the DESTDIR of "make install" (default: build/stage of this tree).
STAGE=${STAGE:-$(cd "$BENCH/../.." 2>/dev/null && pwd)/build/stage}
PEER_PORT=25200; PEER_ROOT=$ROOTS/posthouse PEER_SPOOL=/var/spool/posthouse
P=$STAGE/usr/local
peer_setup() { mkdir -p "$PEER_ROOT"; [ -x "$P/sbin/posthoused" ] || { echo "no build in $STAGE: ./bootstrap build, make -C build install DESTDIR=…/build/stage" >&2; return 1; }; }
peer_config() {
  in_ns bash -es "$1" "$PEER_PORT" "$SINK_PORT" "$P" "${SMTPD_PROCESSES:-1}" "${DELIVERY_PROCESSES:-1}" <<'X'
mode=$1 port=$2 sink=$3 P=$4
chown postfix /var/spool/posthouse
mkdir -p /etc/posthouse
cat > /etc/posthouse/posthouse.conf <<Y
load(listener_smtp, listener_local, restriction_client, restriction_helo, restriction_sender, restriction_recipient)
load(map_flat, map_hash, queue_log, transport_local, transport_smtp)
myhostname = mx.bench.example
mydestination = {local.bench.example}
mynetworks = {127.0.0.0/8}
inet_interfaces = {127.0.0.1}
inet_protocols = ipv4
relayhost = [127.0.0.1]:$sink
alias_maps = {}
mail_owner = postfix
queue_directory = /var/spool/posthouse
run_directory = /run/posthouse
mail_spool_directory = /var/mail
module_directory = $P/lib/posthouse/modules
smtpd_processes = $5
delivery_processes = $6
smtpd_client_connection_count_limit = 0
smtpd_peername_lookup = no
smtpd_relay_restrictions = {permit_mynetworks, reject_unauth_destination}
listener smtp { module = smtp port = $port }
listener local { module = local }
Y
if [ $mode = aliases ]; then
  sed -i 's|^alias_maps = .*|myorigin = local.bench.example\nalias_maps = {hash:/etc/bench-aliases/aliases}|' /etc/posthouse/posthouse.conf
  LD_LIBRARY_PATH=$P/lib "$P/bin/posthouse" map -c /etc/posthouse/posthouse.conf build -a hash:/etc/bench-aliases/aliases
fi
X
}
peer_start() { peer_exec env LD_LIBRARY_PATH=$P/lib $P/sbin/posthoused -c /etc/posthouse/posthouse.conf && wait_port $PEER_PORT; }
peer_stop() { kill $(cat /proc/$NSPID/root/run/posthouse/master.pid) 2>/dev/null; }
peer_sendmail() { echo env LD_LIBRARY_PATH=$P/lib POSTHOUSE_CONFIG=/etc/posthouse/posthouse.conf $P/sbin/sendmail -f sender@bench.example user@sink.example; }
