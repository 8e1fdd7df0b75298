# Posthouse with rewriting: canonical_maps over a hash table of 100,000 entries, for the envelope and the headers of every
# message. FOUND=1 in the environment: the sender and the recipient are in it; else nothing is found.
. "$BENCH/peers/posthouse.sh"
eval "plain_$(declare -f peer_config)"
peer_config() {
  plain_peer_config "$1" && in_ns env LD_LIBRARY_PATH=$P/lib bash -es "$P" "${FOUND-}" <<'X'
P=$1 conf=/etc/posthouse/posthouse.conf
seq 100000 | sed 's/.*/user&@d&.example  name&@new&.example/' > /etc/posthouse/canonical
[ -z "$2" ] || printf 'sender@bench.example s@bench.example\nuser@sink.example u@sink.example\n' >> /etc/posthouse/canonical
printf 'canonical_maps = hash:/etc/posthouse/canonical\nlocal_header_rewrite_clients = {permit_mynetworks}\n' >> $conf
"$P/bin/posthouse" map -c $conf build hash:/etc/posthouse/canonical
"$P/bin/posthouse" check -c $conf
X
}
