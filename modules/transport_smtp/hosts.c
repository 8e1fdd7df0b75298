#include "hosts.h"

#include <posthouse/dns.h>
#include <posthouse/log.h>

#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#define MAX_HOSTS 64

static void
none(struct hosts *hosts, bool permanent, const char *status, const char *format, ...)
	PH_PRINTF(4, 5);

static void
none(struct hosts *hosts, bool permanent, const char *status, const char *format, ...)
{
	va_list arguments;

	hosts->count = 0;
	hosts->permanent = permanent;
	snprintf(hosts->status, sizeof hosts->status, "%s", status);
	va_start(arguments, format);
	vsnprintf(hosts->reason, sizeof hosts->reason, format, arguments);
	va_end(arguments);
}

static bool
is_loopback(const ph_address *address)
{
	static const uint8_t loopback6[16] = {[15] = 1}, any6[16];

	if (address->family == AF_INET)
		return address->bytes[0] == 127 || address->bytes[0] == 0;
	return memcmp(address->bytes, loopback6, 16) == 0 || memcmp(address->bytes, any6, 16) == 0;
}

static void
add(struct hosts *hosts, const char *name, unsigned preference, ph_address address, uint16_t port)
{
	if (hosts->count == MAX_HOSTS)
		return;
	address.port = port;
	hosts->items[hosts->count++] = (struct host){.name = name, .preference = preference,
		.address = address};
}

/* The host's own resolver (/etc/hosts, NSS): it blocks, so it runs on a thread. */
struct native_job {
	char name[256];
	struct addrinfo *result;
	int outcome;
};

static void
native_run(void *argument)
{
	struct native_job *job = argument;
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_family = AF_UNSPEC};

	job->outcome = getaddrinfo(job->name, NULL, &hints, &job->result);
}

static void
native_discard(void *argument)
{
	struct native_job *job = argument;

	if (job->result != NULL)
		freeaddrinfo(job->result);
	free(job);
}

static ph_address
from_sockaddr(const struct sockaddr *sockaddr)
{
	ph_address address = {.family = sockaddr->sa_family};

	/* sockaddr_in has its address at offset 4, sockaddr_in6 at offset 8. */
	if (sockaddr->sa_family == AF_INET)
		memcpy(address.bytes, (const char *)sockaddr + 4, 4);
	else if (sockaddr->sa_family == AF_INET6)
		memcpy(address.bytes, (const char *)sockaddr + 8, 16);
	return address;
}

/* Adds the addresses of a name. PH_NOT_FOUND: there is none; PH_FAILED: try later. */
static ph_found
native_addresses(struct hosts *hosts, const char *name, unsigned preference, uint16_t port)
{
	struct native_job *job = calloc(1, sizeof *job);
	ph_found found;

	if (job == NULL)
		return PH_FAILED;
	snprintf(job->name, sizeof job->name, "%s", name);
	if (ph_blocking(native_run, native_discard, job, ph_in(30000)) != PH_WAIT_OK)
		return PH_FAILED;
	for (struct addrinfo *i = job->outcome == 0 ? job->result : NULL; i != NULL; i = i->ai_next)
		if (i->ai_family == AF_INET || i->ai_family == AF_INET6)
			add(hosts, name, preference, from_sockaddr(i->ai_addr), port);
	if (job->outcome == 0)
		found = PH_FOUND;
	else
		found = job->outcome == EAI_NONAME || job->outcome == EAI_NODATA ? PH_NOT_FOUND
			: PH_FAILED;
	native_discard(job);
	return found;
}

static ph_found
dns_addresses(struct hosts *hosts, ph_pool *pool, const char *name, unsigned preference,
	uint16_t port, const char **reason)
{
	static const ph_dns_type types[] = {PH_DNS_AAAA, PH_DNS_A};
	const char *protocols = ph_global("inet_protocols");
	ph_found found = PH_NOT_FOUND;

	for (size_t t = 0; t < 2; t++) {
		const ph_dns_answer *answer;

		if (strcmp(protocols, types[t] == PH_DNS_A ? "ipv6" : "ipv4") == 0)
			continue;
		answer = ph_dns_query(pool, types[t], name);
		if (ph_dns_status(answer) == PH_DNS_TEMPFAIL && found == PH_NOT_FOUND) {
			found = PH_FAILED;
			*reason = ph_dns_reason(answer);
		}
		for (size_t i = 0; i < ph_dns_count(answer); i++) {
			add(hosts, name, preference, ph_dns_address(answer, i), port);
			found = PH_FOUND;
		}
	}
	return found;
}

static bool
looks_up(const struct smtp_settings *settings, const char *how)
{
	for (size_t i = 0; i < settings->smtp_host_lookup.count; i++)
		if (strcasecmp(settings->smtp_host_lookup.items[i], how) == 0)
			return true;
	return false;
}

static ph_found
add_addresses(const struct smtp_settings *settings, struct hosts *hosts, ph_pool *pool,
	const char *name, unsigned preference, uint16_t port, const char **reason)
{
	ph_found found = PH_NOT_FOUND;

	*reason = "";
	if (looks_up(settings, "dns"))
		found = dns_addresses(hosts, pool, name, preference, port, reason);
	if (found != PH_FOUND && looks_up(settings, "native")) {
		ph_found native = native_addresses(hosts, name, preference, port);

		found = native == PH_FOUND || found == PH_NOT_FOUND ? native : found;
	}
	return found;
}

static bool
is_ourselves(const char *name)
{
	return strcasecmp(name, ph_global("myhostname")) == 0;
}

static int
compare(const void *a, const void *b)
{
	const struct host *left = a, *right = b;

	return left->preference < right->preference ? -1 : left->preference > right->preference;
}

/* Within one preference the address families take turns, so that a family without a route costs
 * one attempt, not all of them. */
static void
order(const struct smtp_settings *settings, struct hosts *hosts)
{
	int first = settings->smtp_address_preference == 1 ? AF_INET : AF_INET6;
	struct host sorted[MAX_HOSTS];

	qsort(hosts->items, hosts->count, sizeof hosts->items[0], compare);
	for (size_t begin = 0, end; begin < hosts->count; begin = end) {
		size_t n = begin, next[2] = {begin, begin};

		for (end = begin; end < hosts->count &&
			hosts->items[end].preference == hosts->items[begin].preference; end++)
			continue;
		for (unsigned turn = 0; n < end; turn ^= 1) {
			while (next[turn] < end &&
				(hosts->items[next[turn]].address.family == first) != (turn == 0))
				next[turn]++;
			if (next[turn] < end)
				sorted[n++] = hosts->items[next[turn]++];
		}
	}
	memcpy(hosts->items, sorted, hosts->count * sizeof sorted[0]);
}

static void
order_on_loop(void *argument)
{
	void **arguments = argument;

	order(arguments[0], arguments[1]);
}

/* Drops us, and every exchanger that is no better (RFC 5321, 5.1). */
static void
drop_worse_than_us(struct hosts *hosts, unsigned ours)
{
	size_t kept = 0;

	for (size_t i = 0; i < hosts->count; i++)
		if (hosts->items[i].preference < ours)
			hosts->items[kept++] = hosts->items[i];
	hosts->count = kept;
}

static void
find_by_mx(const struct smtp_settings *settings, ph_pool *pool, const struct nexthop *hop,
	const ph_dns_answer *mx, struct hosts *hosts)
{
	unsigned ours = UINT32_MAX;
	bool failed = false;
	const char *reason = "";
	size_t kept = 0, count = ph_dns_count(mx);

	if (count == 1 && ph_dns_name(mx, 0)[0] == '\0') {
		none(hosts, true, "5.1.10", "Domain %s does not accept mail (nullMX)", hop->host);
		return;
	}
	for (size_t i = 0; i < count && i < MAX_HOSTS; i++) {
		const char *name = ph_dns_name(mx, i);
		unsigned preference = ph_dns_preference(mx, i);

		if (is_ourselves(name)) {
			ours = preference < ours ? preference : ours;
			continue;
		}
		if (name[0] != '\0' &&
			add_addresses(settings, hosts, pool, name, preference, hop->port, &reason) == PH_FAILED)
			failed = true;
	}
	if (ours != UINT32_MAX) {
		drop_worse_than_us(hosts, ours);
		if (hosts->count == 0) {
			none(hosts, !failed, failed ? "4.4.3" : "5.4.6",
				"mail for %s loops back to myself", hop->host);
			return;
		}
	}
	for (size_t i = 0; i < hosts->count; i++)
		if (settings->smtp_mx_loopback || !is_loopback(&hosts->items[i].address))
			hosts->items[kept++] = hosts->items[i];
	if (kept == 0 && hosts->count > 0)
		none(hosts, true, "5.4.4", "the mail exchangers of %s have loopback addresses only",
			hop->host);
	else if (kept == 0 && failed)
		none(hosts, false, "4.4.3", "no address for the mail exchangers of %s: %s",
			hop->host, reason);
	else if (kept == 0)
		none(hosts, true, "5.4.4",
			"unable to find an address for the mail exchangers of %s", hop->host);
	hosts->count = kept;
}

static void
find_by_address(const struct smtp_settings *settings, ph_pool *pool, const struct nexthop *hop,
	struct hosts *hosts)
{
	const char *reason = "";

	switch (add_addresses(settings, hosts, pool, hop->host, 0, hop->port, &reason)) {
	case PH_FOUND:
		if (hop->use_mx && is_ourselves(hop->host))
			none(hosts, true, "5.4.6", "mail for %s loops back to myself", hop->host);
		return;
	case PH_NOT_FOUND:
		none(hosts, true, hop->use_mx ? "5.1.2" : "5.4.4",
			"Host or domain name not found: %s", hop->host);
		/* A smarthost that is not in the DNS is a mistake of ours, not of the sender. */
		if (!hop->use_mx) {
			hosts->permanent = false;
			hosts->status[0] = '4';
		}
		return;
	case PH_FAILED:
		none(hosts, false, "4.4.3", "Host or domain name lookup failed for %s%s%s",
			hop->host, reason[0] != '\0' ? ": " : "", reason);
		return;
	}
}

void
hosts_find(const struct smtp_settings *settings, ph_pool *pool, const struct nexthop *hop,
	struct hosts *hosts)
{
	const ph_dns_answer *mx;

	memset(hosts, 0, sizeof *hosts);
	hosts->items = ph_pool_array(pool, MAX_HOSTS, sizeof hosts->items[0]);
	if (hosts->items == NULL) {
		none(hosts, false, "4.3.0", "out of memory");
		return;
	}
	if (hop->path != NULL) {
		hosts->items[hosts->count++] = (struct host){.name = ph_global("myhostname"),
			.path = hop->path};
		return;
	}
	if (hop->is_address) {
		add(hosts, hop->host, 0, hop->address, hop->port);
		return;
	}
	if (!hop->use_mx) {
		find_by_address(settings, pool, hop, hosts);
	} else {
		mx = ph_dns_query(pool, PH_DNS_MX, hop->host);
		switch (ph_dns_status(mx)) {
		case PH_DNS_FOUND:
			find_by_mx(settings, pool, hop, mx, hosts);
			break;
		case PH_DNS_NODATA:
			find_by_address(settings, pool, hop, hosts);
			break;
		case PH_DNS_NXDOMAIN:
			/* Names that only the host knows still count. */
			if (looks_up(settings, "native"))
				find_by_address(settings, pool, hop, hosts);
			else
				none(hosts, true, "5.1.2", "Host or domain name not found: %s",
					hop->host);
			break;
		case PH_DNS_TEMPFAIL:
			if (settings->ignore_mx_lookup_error)
				find_by_address(settings, pool, hop, hosts);
			else
				none(hosts, false, "4.4.3", "Host or domain name not found. %s",
					ph_dns_reason(mx));
			break;
		}
	}
	ph_on_loop_stack(order_on_loop, (void *[]){(void *)settings, hosts});
}
