/*
 * The resolver of a role: libunbound on the loop.
 *
 * libunbound has no useful bound of its own (a silent server takes it 17 s, and a query that finds
 * no free slot starves), so deadline and number of outstanding queries are ours; the rest wait in
 * our queue. Its calls dig deep and are made on the loop's stack.
 */
#include "ground/dnsclient.h"

#include <event2/event.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unbound.h>
#include <unbound-event.h>

#include "ground/dnspacket.h"
#include "ground/loop.h"
#include "ground/task.h"

enum {
	MOST_SLOTS = 4096,
	LEAST_SLOTS = 16,
	CLASS_IN = 1,
	SECURITY_BOGUS = 1,
	SECURITY_SECURE = 2
};

/* One lookup. On the heap; the task that waits owns it and frees it. */
struct query {
	struct query *next; /* in the queue of those that wait for a slot */
	const char *name;
	ph_dns_type type;
	ph_task task;
	int id;
	bool started;
	bool done;
	int error; /* of the call */
	int rcode; /* as reported, not that of the packet */
	int security;
	uint8_t *packet;
	size_t size;
	char why[160]; /* it is bogus */
};

static struct {
	struct ub_ctx *context;
	int64_t timeout_ms;
	unsigned outstanding;
	unsigned most;
	struct query *first; /* waiting for a slot */
	struct query **last;
} client = {.last = &client.first};

/* ---- Opening --------------------------------------------------------------------------------- */

static int
refuse(int code, const char *what, ph_error *error)
{
	if (code == 0)
		return 0;
	return ph_error_set(error, "resolver: %s: %s", what, ub_strerror(code));
}

/* Each outstanding query takes a descriptor. */
static unsigned
slot_count(void)
{
	struct rlimit limit;
	unsigned slots = MOST_SLOTS;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur / 4 < slots)
		slots = (unsigned)(limit.rlim_cur / 4);
	return slots < LEAST_SLOTS ? LEAST_SLOTS : slots;
}

static int
set_options(unsigned slots, ph_error *error)
{
	char number[16];
	const char *const options[][2] = {
		{"do-not-query-localhost:", "no"}, /* a forwarder on this machine is the usual case */
		{"outgoing-range:", number},
		{"num-queries-per-thread:", number},
		{"use-syslog:", "no"},
		/* Names that a site's own servers may know, and that it answers by itself else. */
		{"unblock-lan-zones:", "yes"},
		{"insecure-lan-zones:", "yes"},
		{"local-zone:", "test. transparent"},
		{"local-zone:", "home.arpa. transparent"},
		{"local-zone:", "127.in-addr.arpa. transparent"},
		{"domain-insecure:", "127.in-addr.arpa."},
		{"local-data:", "1.0.0.127.in-addr.arpa. PTR localhost."},
	};

	snprintf(number, sizeof(number), "%u", slots);
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		int code = ub_ctx_set_option(client.context, options[i][0], options[i][1]);

		if (refuse(code, options[i][0], error) == -1)
			return -1;
	}
	return 0;
}

static int
set_servers(const ph_addresses *servers, ph_error *error)
{
	if (servers == NULL || servers->count == 0)
		return refuse(ub_ctx_resolvconf(client.context, NULL), "/etc/resolv.conf", error);
	for (size_t i = 0; i < servers->count; i++) {
		const ph_address *server = &servers->items[i];
		char address[PH_ADDRESS_TEXT], text[PH_ADDRESS_TEXT + 8];

		snprintf(text, sizeof(text), "%s@%u", ph_address_text(server, address),
			server->port == 0 ? 53u : server->port);
		if (refuse(ub_ctx_set_fwd(client.context, text), text, error) == -1)
			return -1;
	}
	return 0;
}

static void
ignore_answer(void *argument, int rcode, void *packet, int size, int security, char *why,
	int ratelimited)
{
}

/* The first query is when libunbound finds out what is wrong with its settings; this one is
 * answered without asking anybody. */
static int
try_out(ph_error *error)
{
	int id = 0;

	return refuse(ub_resolve_event(client.context, "localhost", PH_DNS_A, CLASS_IN, NULL,
			      ignore_answer, &id),
		"settings or trust anchor", error);
}

struct opening {
	const ph_addresses *servers;
	const char *trust_anchor;
	ph_error *error;
	int result;
};

/* Built-in zones are read with buffers of 64 KiB on the stack, several at a time. */
static void
open_context(void *argument)
{
	struct opening *opening = argument;
	const char *anchor = opening->trust_anchor;
	unsigned slots = slot_count();

	client.most = slots / 2;
	ub_ctx_debugout(client.context, NULL);
	ub_ctx_debuglevel(client.context, 0);
	opening->result = set_options(slots, opening->error);
	if (opening->result == 0)
		opening->result = set_servers(opening->servers, opening->error);
	if (opening->result == 0 && anchor != NULL && anchor[0] != '\0')
		opening->result =
			refuse(ub_ctx_add_ta_file(client.context, anchor), anchor, opening->error);
	if (opening->result == 0)
		opening->result = try_out(opening->error);
}

int
dnsclient_open(const ph_addresses *servers, int64_t timeout_ms, const char *trust_anchor,
	ph_error *error)
{
	struct opening opening = {.servers = servers, .trust_anchor = trust_anchor, .error = error};

	client.context = ub_ctx_create_event(loop_base());
	if (client.context == NULL)
		return ph_error_set(error, "resolver: cannot be made");
	client.timeout_ms = timeout_ms;
	client.outstanding = 0;
	ph_on_loop_stack(open_context, &opening);
	if (opening.result == -1)
		dnsclient_close();
	return opening.result;
}

static void
delete_context(void *context)
{
	ub_ctx_delete(context);
}

void
dnsclient_close(void)
{
	ph_on_loop_stack(delete_context, client.context);
	client.context = NULL;
	client.first = NULL;
	client.last = &client.first;
	client.outstanding = 0;
}

/* ---- The life of a query --------------------------------------------------------------------- */

static void start_waiting(void *argument);

static void
leave_slot(void)
{
	client.outstanding--;
	if (client.first != NULL)
		loop_at_round_end(start_waiting, NULL);
}

static void
complete(struct query *query)
{
	query->done = true;
	task_wake(query->task, query);
	leave_slot();
}

/* May come before ub_resolve_event() returns: a cached or local name. The packet is
 * libunbound's. */
static void
answered(void *argument, int rcode, void *packet, int size, int security, char *why,
	int ratelimited)
{
	struct query *query = argument;

	query->rcode = rcode;
	query->security = security;
	snprintf(query->why, sizeof(query->why), "%s", why == NULL ? "" : why);
	if (rcode == 0 && packet != NULL && size > 0) {
		query->packet = malloc((size_t)size);
		if (query->packet != NULL) {
			memcpy(query->packet, packet, (size_t)size);
			query->size = (size_t)size;
		}
	}
	complete(query);
}

/* On the loop's stack. */
static void
start(void *argument)
{
	struct query *query = argument;

	query->started = true;
	client.outstanding++;
	query->error = ub_resolve_event(client.context, query->name, (int)query->type, CLASS_IN,
		query, answered, &query->id);
	if (query->error != 0 && !query->done)
		complete(query);
}

static struct query *
take_first(void)
{
	struct query *query = client.first;

	client.first = query->next;
	if (client.first == NULL)
		client.last = &client.first;
	return query;
}

static void
start_waiting(void *argument)
{
	while (client.first != NULL && client.outstanding < client.most)
		start(take_first());
}

static void
submit(struct query *query)
{
	if (client.outstanding < client.most && client.first == NULL) {
		ph_on_loop_stack(start, query);
		return;
	}
	*client.last = query;
	client.last = &query->next;
}

static void
cancel_started(void *argument)
{
	struct query *query = argument;

	ub_cancel(client.context, query->id);
}

static void
leave_queue(struct query *query)
{
	struct query **link = &client.first;

	while (*link != NULL && *link != query)
		link = &(*link)->next;
	if (*link == NULL)
		return;
	*link = query->next;
	if (client.last == &query->next)
		client.last = link;
}

/* Nobody waits for it any more: no callback comes after this. */
static void
withdraw(struct query *query)
{
	if (query->done || client.context == NULL)
		return;
	if (!query->started) {
		leave_queue(query);
		return;
	}
	ph_on_loop_stack(cancel_started, query);
	leave_slot();
}

/* ---- Answers --------------------------------------------------------------------------------- */

struct judgement {
	ph_pool *pool;
	struct query *query;
	ph_wait wait;
	struct ph_dns_answer *answer;
};

static void
fail(const struct judgement *judgement, const char *why)
{
	const struct query *query = judgement->query;
	const char *reason = ph_pool_printf(judgement->pool,
		"Name service error for name=%s type=%s: %s",
		query->name, dns_type_name(query->type), why);

	*judgement->answer = (struct ph_dns_answer){
		.result = PH_DNS_TEMPFAIL, .reason = reason == NULL ? "out of memory" : reason};
}

static const char *
rcode_text(unsigned rcode)
{
	static const char *const texts[] = {"no error", "the server calls the query malformed",
		"Host not found, try again", "no such name", "not implemented by the server",
		"refused by the server"};

	return rcode < sizeof(texts) / sizeof(texts[0]) ? texts[rcode]
		: "the server reports an error";
}

static void
fail_bogus(const struct judgement *judgement)
{
	char text[200];

	snprintf(text, sizeof(text), "bogus: %s", judgement->query->why);
	fail(judgement, text);
}

/* The order matters: a bogus answer comes with its data and an RCODE of 0, and the RCODE of a
 * packet says nothing before the rest is known to be right. */
static void
judge(void *argument)
{
	const struct judgement *judgement = argument;
	struct query *query = judgement->query;
	unsigned rcode = 0;

	if (judgement->wait == PH_WAIT_CANCELLED) {
		fail(judgement, "cancelled");
	} else if (judgement->wait == PH_WAIT_TIMEOUT) {
		fail(judgement, "timed out");
	} else if (query->error != 0) {
		fail(judgement, ub_strerror(query->error));
	} else if (query->rcode != 0) {
		fail(judgement, rcode_text((unsigned)query->rcode));
	} else if (query->security == SECURITY_BOGUS) {
		fail_bogus(judgement);
	} else if (query->packet == NULL) {
		fail(judgement, "out of memory");
	} else if (dns_parse(judgement->pool, query->type, query->packet, query->size,
			   judgement->answer, &rcode) == -1) {
		fail(judgement, rcode == 0 ? "malformed answer" : rcode_text(rcode));
	} else {
		judgement->answer->secure = query->security == SECURITY_SECURE;
	}
}

static const ph_dns_answer *
settled(ph_pool *pool, ph_dns_result result, const char *reason)
{
	static const struct ph_dns_answer no_memory = {
		.result = PH_DNS_TEMPFAIL, .reason = "out of memory"};
	struct ph_dns_answer *answer = ph_pool_alloc(pool, sizeof(*answer));

	if (answer == NULL)
		return &no_memory;
	*answer = (struct ph_dns_answer){.result = result, .reason = reason};
	return answer;
}

static ph_wait
wait_for(struct query *query)
{
	ph_deadline deadline = ph_in(client.timeout_ms);
	ph_wait result = PH_WAIT_OK;

	submit(query);
	while (!query->done && result == PH_WAIT_OK)
		result = task_wait(query, deadline);
	if (query->done)
		return PH_WAIT_OK; /* also when its answer came with the deadline */
	withdraw(query);
	return result;
}

const ph_dns_answer *
ph_dns_query(ph_pool *pool, ph_dns_type type, const char *name)
{
	struct judgement judgement = {.pool = pool};
	struct query *query;

	if (!dns_is_name(ph_span_of(name)))
		return settled(pool, PH_DNS_NXDOMAIN, "");
	if (client.context == NULL || ph_task_self().generation == 0)
		return settled(pool, PH_DNS_TEMPFAIL, "no resolver in this process");
	if (ph_task_cancelled())
		return settled(pool, PH_DNS_TEMPFAIL, "cancelled");
	judgement.answer = ph_pool_alloc(pool, sizeof(*judgement.answer));
	query = calloc(1, sizeof(*query));
	if (judgement.answer == NULL || query == NULL) {
		free(query);
		return settled(pool, PH_DNS_TEMPFAIL, "out of memory");
	}
	query->name = name;
	query->type = type;
	query->task = ph_task_self();
	judgement.query = query;
	judgement.wait = wait_for(query);
	ph_on_loop_stack(judge, &judgement);
	free(query->packet);
	free(query);
	return judgement.answer;
}

static void
reverse_ipv6(const uint8_t *bytes, char *text, size_t room)
{
	size_t size = 0;

	for (int i = 15; i >= 0; i--)
		size += (size_t)snprintf(
			text + size, room - size, "%x.%x.", bytes[i] & 15u,
			(unsigned)bytes[i] >> 4);
	snprintf(text + size, room - size, "ip6.arpa");
}

const ph_dns_answer *
ph_dns_reverse(ph_pool *pool, const ph_address *address)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	const uint8_t *four = address->bytes;
	char text[80];

	if (address->family == AF_INET6 && memcmp(address->bytes, mapped, sizeof(mapped)) == 0)
		four = address->bytes + sizeof(mapped);
	else if (address->family == AF_INET6)
		four = NULL;
	else if (address->family != AF_INET)
		return settled(pool, PH_DNS_NXDOMAIN, "");
	if (four != NULL)
		snprintf(text, sizeof(text), "%u.%u.%u.%u.in-addr.arpa", four[3], four[2], four[1],
			four[0]);
	else
		reverse_ipv6(address->bytes, text, sizeof(text));
	return ph_dns_query(pool, PH_DNS_PTR, text);
}
