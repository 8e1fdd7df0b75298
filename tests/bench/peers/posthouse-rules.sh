# Posthouse with a policy: 20 restrictions that all have to be asked, and a hash table of 100,000 entries in which
# nothing is found.
. "$BENCH/peers/posthouse.sh"
eval "plain_$(declare -f peer_config)"
peer_config() {
  plain_peer_config "$1" && in_ns env LD_LIBRARY_PATH=$P/lib bash -es "$P" <<'X'
P=$1 conf=/etc/posthouse/posthouse.conf table=hash:/etc/posthouse/access
seq 100000 | sed 's/.*/user&@d&.example REJECT/' > /etc/posthouse/access
printf '192.0.2.0/24 REJECT\n2001:db8::/32 REJECT\n' > /etc/posthouse/networks
printf '/^spam[0-9]+@/ REJECT\n/\\.invalid$/ REJECT\n' > /etc/posthouse/patterns
sed -i 's/^load(map_flat/load(restriction_access, restriction_data, map_cidr, map_regex)\n&/; /^smtpd_relay_restrictions/d' $conf
cat >> $conf <<Y
smtpd_client_restrictions = {'check_client_access $table', 'check_client_access cidr:/etc/posthouse/networks', reject_unauth_pipelining}
smtpd_helo_restrictions = {reject_invalid_helo_hostname, 'check_helo_access $table', 'check_helo_access regex:/etc/posthouse/patterns'}
smtpd_sender_restrictions = {reject_non_fqdn_sender, 'check_sender_access $table', 'check_sender_access regex:/etc/posthouse/patterns', 'check_client_access $table'}
smtpd_relay_restrictions = {reject_non_fqdn_recipient, 'check_recipient_access $table', permit_mynetworks, reject_unauth_destination}
smtpd_recipient_restrictions = {reject_non_fqdn_recipient, 'check_recipient_access $table', 'check_recipient_access regex:/etc/posthouse/patterns', 'check_sender_access $table', permit_mynetworks, reject_unauth_destination}
smtpd_data_restrictions = {reject_unauth_pipelining}
smtpd_end_of_data_restrictions = {reject_multi_recipient_bounce}
Y
"$P/bin/posthouse" map build -c $conf $table
"$P/bin/posthouse" check -c $conf
X
}
