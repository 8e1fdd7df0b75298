#include <posthouse/dns.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ground/dnsclient.h"
#include "ground/dnspacket.h"
#include "ground/sockaddr.h"
#include "scene.h"

/* ---- A server, in a thread of its own --------------------------------------------------------- */

struct packet {
	uint8_t bytes[4096];
	size_t size;
};

static int server_fd;
static ph_address server_address;
static pthread_t server_thread;

static void
put_u16(struct packet *packet, unsigned value)
{
	packet->bytes[packet->size++] = (uint8_t)(value >> 8);
	packet->bytes[packet->size++] = (uint8_t)value;
}

static void
put_name(struct packet *packet, const char *name)
{
	while (*name != '\0') {
		size_t length = strcspn(name, ".");

		packet->bytes[packet->size++] = (uint8_t)length;
		memcpy(packet->bytes + packet->size, name, length);
		packet->size += length;
		name += length + (name[length] == '.');
	}
	packet->bytes[packet->size++] = 0;
}

/* A record of the name that was asked for (NULL) or of another. */
static void
put_record(struct packet *packet, const char *owner, unsigned type, unsigned preference,
	const char *value)
{
	size_t length_at;

	if (owner == NULL)
		put_u16(packet, 0xc00c);
	else
		put_name(packet, owner);
	put_u16(packet, type);
	put_u16(packet, 1);
	put_u16(packet, 0);
	put_u16(packet, 60);
	length_at = packet->size;
	put_u16(packet, 0);
	if (type == PH_DNS_A)
		packet->size += 4 * (size_t)inet_pton(AF_INET, value, packet->bytes + packet->size);
	else if (type == PH_DNS_AAAA)
		packet->size += 16 * (size_t)inet_pton(AF_INET6, value, packet->bytes + packet->size);
	if (type == PH_DNS_MX)
		put_u16(packet, preference);
	if (type == PH_DNS_MX || type == PH_DNS_PTR || type == PH_DNS_CNAME)
		put_name(packet, value);
	packet->bytes[length_at] = (uint8_t)((packet->size - length_at - 2) >> 8);
	packet->bytes[length_at + 1] = (uint8_t)(packet->size - length_at - 2);
	packet->bytes[7]++;
}

struct fixture {
	const char *name;
	unsigned type;
	unsigned rcode;
	unsigned preference;
	const char *owner;
	const char *value; /* NULL: no record */
};

static const struct fixture fixtures[] = {
	{"found.example.com", PH_DNS_A, 0, 0, NULL, "192.0.2.1"},
	{"found.example.com", PH_DNS_A, 0, 0, NULL, "192.0.2.2"},
	{"found.example.com", PH_DNS_AAAA, 0, 0, NULL, "2001:db8::1"},
	{"mx.example.com", PH_DNS_MX, 0, 20, NULL, "B.example.com"},
	{"mx.example.com", PH_DNS_MX, 0, 10, NULL, "a.example.com"},
	{"mx.example.com", PH_DNS_MX, 0, 30, NULL, "c.example.com"},
	{"null.example.com", PH_DNS_MX, 0, 0, NULL, ""},
	{"alias.example.com", PH_DNS_A, 0, 0, NULL, NULL},
	{"gone.example.com", 0, 3, 0, NULL, NULL},
	{"broken.example.com", 0, 2, 0, NULL, NULL},
	{"refused.example.com", 0, 5, 0, NULL, NULL},
	{"host.test", PH_DNS_A, 0, 0, NULL, "192.0.2.3"},
	{"1.2.0.10.in-addr.arpa", PH_DNS_PTR, 0, 0, NULL, "Client.Example.COM"},
	{"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa", PH_DNS_PTR, 0, 0,
		NULL, "six.example.com"},
};

static void
question_name(const struct packet *query, char *text)
{
	size_t at = 12, size = 0;

	while (at < query->size && query->bytes[at] != 0) {
		size_t length = query->bytes[at++];

		if (size > 0)
			text[size++] = '.';
		for (size_t i = 0; i < length; i++, at++)
			text[size++] = (char)(query->bytes[at] | (query->bytes[at] >= 'A' &&
								 query->bytes[at] <= 'Z' ? 0x20 : 0));
	}
	text[size] = '\0';
}

/* Answers from the fixtures; "silent…" gets none, "many…" one address, anything else NODATA. */
static bool
make_answer(const struct packet *query, struct packet *answer)
{
	char name[256];
	size_t question;
	unsigned type;

	question_name(query, name);
	question = 12 + strlen(name) + 2;
	if (strncmp(name, "silent", 6) == 0)
		return false;
	type = (unsigned)query->bytes[question] << 8 | query->bytes[question + 1];
	memset(answer->bytes, 0, 12);
	memcpy(answer->bytes, query->bytes, 2);
	answer->bytes[2] = 0x81;
	answer->bytes[3] = 0x80;
	answer->bytes[5] = 1;
	memcpy(answer->bytes + 12, query->bytes + 12, question + 4 - 12);
	answer->size = question + 4;
	if (strncmp(name, "many", 4) == 0 && type == PH_DNS_A)
		put_record(answer, NULL, PH_DNS_A, 0, "192.0.2.9");
	if (strcmp(name, "alias.example.com") == 0 && type == PH_DNS_A) {
		put_record(answer, NULL, PH_DNS_CNAME, 0, "found.example.com");
		put_record(answer, "found.example.com", PH_DNS_A, 0, "192.0.2.1");
	}
	for (size_t i = 0; i < sizeof(fixtures) / sizeof(fixtures[0]); i++) {
		const struct fixture *fixture = &fixtures[i];

		if (strcmp(fixture->name, name) != 0)
			continue;
		answer->bytes[3] |= (uint8_t)fixture->rcode;
		if (fixture->value != NULL && fixture->type == type)
			put_record(answer, NULL, type, fixture->preference, fixture->value);
	}
	return true;
}

/* An empty datagram ends it. */
static void *
serve(void *argument)
{
	static struct packet query, answer;

	for (;;) {
		struct sockaddr_storage from;
		socklen_t size = sizeof(from);
		ssize_t got = recvfrom(server_fd, query.bytes, sizeof(query.bytes), 0,
			(struct sockaddr *)&from, &size);

		if (got <= 0)
			return NULL;
		query.size = (size_t)got;
		if (query.size > 16 && make_answer(&query, &answer))
			sendto(server_fd, answer.bytes, answer.size, 0, (struct sockaddr *)&from, size);
	}
}

static int
start_server(void **state)
{
	struct sockaddr_storage storage;
	socklen_t size;

	if (ph_address_parse(ph_span_of("127.0.0.1"), &server_address) == -1)
		return -1;
	size = sockaddr_fill(&storage, &server_address);
	server_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (bind(server_fd, (struct sockaddr *)&storage, size) == -1)
		return -1;
	getsockname(server_fd, (struct sockaddr *)&storage, &size);
	sockaddr_read(&storage, &server_address);
	return pthread_create(&server_thread, NULL, serve, NULL);
}

static int
stop_server(void **state)
{
	struct sockaddr_storage storage;
	socklen_t size = sockaddr_fill(&storage, &server_address);

	sendto(server_fd, "", 0, 0, (struct sockaddr *)&storage, size);
	pthread_join(server_thread, NULL);
	close(server_fd);
	return 0;
}

/* ---- Lookups ---------------------------------------------------------------------------------- */

static ph_pool *pool;
static int64_t timeout_ms = 10000;

static void
resolver_task(void *argument)
{
	struct scene *scene = argument;
	ph_addresses servers = {.count = 1, .items = &server_address};
	ph_error error;

	check(dnsclient_open(&servers, timeout_ms, "", &error) == 0);
	scene->fn();
	loop_stop();
}

static void
resolver_run(void (*fn)(void))
{
	struct scene scene = {.fn = fn};

	pool = ph_pool_new(0);
	assert_int_equal(loop_open(NULL), 0);
	ph_task_spawn("scene", resolver_task, &scene);
	loop_run();
	dnsclient_close();
	loop_close();
	ph_pool_free(pool);
}

static ph_dns_result
status_of(ph_dns_type type, const char *name)
{
	return ph_dns_status(ph_dns_query(pool, type, name));
}

static bool
address_is(ph_address address, const char *expected)
{
	char text[PH_ADDRESS_TEXT];

	return strcmp(ph_address_text(&address, text), expected) == 0;
}

static void
scene_answers(void)
{
	const ph_dns_answer *answer = ph_dns_query(pool, PH_DNS_A, "found.example.com");

	check(ph_dns_status(answer) == PH_DNS_FOUND && ph_dns_count(answer) == 2);
	check(ph_dns_address(answer, 0).family == AF_INET && ph_dns_address(answer, 1).bytes[0] == 192);
	check(ph_dns_address(answer, 2).family == 0 && ph_dns_name(answer, 7)[0] == '\0');
	check(ph_dns_data(answer, 0).size == 4 && !ph_dns_secure(answer));
	check(ph_dns_reason(answer)[0] == '\0');
	answer = ph_dns_query(pool, PH_DNS_A, "FOUND.example.com."); /* from the cache */
	check(ph_dns_status(answer) == PH_DNS_FOUND);
	answer = ph_dns_query(pool, PH_DNS_AAAA, "found.example.com");
	check(ph_dns_count(answer) == 1 && address_is(ph_dns_address(answer, 0), "2001:db8::1"));
	answer = ph_dns_query(pool, PH_DNS_A, "alias.example.com");
	check(ph_dns_count(answer) == 2 && ph_dns_data(answer, 1).size == 4);
	answer = ph_dns_query(pool, PH_DNS_A, "localhost");
	check(ph_dns_count(answer) == 1 && address_is(ph_dns_address(answer, 0), "127.0.0.1"));
	check(status_of(PH_DNS_A, "host.test") == PH_DNS_FOUND);
	check(status_of(PH_DNS_A, "nodata.example.com") == PH_DNS_NODATA);
	check(status_of(PH_DNS_MX, "found.example.com") == PH_DNS_NODATA);
	check(status_of(PH_DNS_A, "gone.example.com") == PH_DNS_NXDOMAIN);
}

static void
test_answers(void **state)
{
	resolver_run(scene_answers);
}

static void
scene_names(void)
{
	const ph_dns_answer *answer = ph_dns_query(pool, PH_DNS_MX, "mx.example.com");
	ph_address address;

	check(ph_dns_count(answer) == 3);
	check(strcmp(ph_dns_name(answer, 0), "a.example.com") == 0);
	check(strcmp(ph_dns_name(answer, 1), "b.example.com") == 0);
	check(ph_dns_preference(answer, 2) == 30);
	answer = ph_dns_query(pool, PH_DNS_MX, "null.example.com");
	check(ph_dns_count(answer) == 1 && ph_dns_name(answer, 0)[0] == '\0');
	ph_address_parse(ph_span_of("10.0.2.1"), &address);
	answer = ph_dns_reverse(pool, &address);
	check(ph_dns_count(answer) == 1);
	check(strcmp(ph_dns_name(answer, 0), "client.example.com") == 0);
	ph_address_parse(ph_span_of("::ffff:10.0.2.1"), &address);
	check(ph_dns_count(ph_dns_reverse(pool, &address)) == 1);
	ph_address_parse(ph_span_of("2001:db8::1"), &address);
	check(ph_dns_count(ph_dns_reverse(pool, &address)) == 1);
	address.family = AF_UNIX;
	check(ph_dns_status(ph_dns_reverse(pool, &address)) == PH_DNS_NXDOMAIN);
}

static void
test_names(void **state)
{
	resolver_run(scene_names);
}

static void
scene_failures(void)
{
	const ph_dns_answer *answer = ph_dns_query(pool, PH_DNS_MX, "silent.example.com");
	int64_t start = ph_in(0);

	check(ph_dns_status(answer) == PH_DNS_TEMPFAIL && ph_dns_count(answer) == 0);
	check(strcmp(ph_dns_reason(answer),
		      "Name service error for name=silent.example.com type=MX: timed out") == 0);
	answer = ph_dns_query(pool, PH_DNS_A, "silent2.example.com");
	check(ph_dns_status(answer) == PH_DNS_TEMPFAIL && ph_in(0) - start >= 200);
	check(status_of(PH_DNS_A, "found.example.com") == PH_DNS_FOUND);
	check(status_of(PH_DNS_A, "") == PH_DNS_NXDOMAIN);
	check(status_of(PH_DNS_A, "a..b") == PH_DNS_NXDOMAIN);
	check(status_of(PH_DNS_A, "a b") == PH_DNS_NXDOMAIN);
	ph_task_cancel(ph_task_self());
	check(status_of(PH_DNS_A, "found.example.com") == PH_DNS_TEMPFAIL);
}

static void
test_failures(void **state)
{
	timeout_ms = 200;
	resolver_run(scene_failures);
	timeout_ms = 10000;
	pool = ph_pool_new(0);
	assert_int_equal(status_of(PH_DNS_A, "a..b"), PH_DNS_NXDOMAIN);
	assert_int_equal(status_of(PH_DNS_A, "example.com"), PH_DNS_TEMPFAIL);
	ph_pool_free(pool);
}

static void
scene_server_failures(void)
{
	check(status_of(PH_DNS_A, "broken.example.com") == PH_DNS_TEMPFAIL);
	check(status_of(PH_DNS_A, "refused.example.com") == PH_DNS_TEMPFAIL);
}

static void
test_server_failures(void **state)
{
	resolver_run(scene_server_failures);
}

/* ---- Many at once ----------------------------------------------------------------------------- */

static int found, failed;

static void
look_up(void *argument)
{
	const char *name = argument;
	ph_pool *own = ph_pool_new(0);

	if (ph_dns_status(ph_dns_query(own, PH_DNS_A, name)) == PH_DNS_FOUND)
		found++;
	else
		failed++;
	ph_pool_free(own);
}

static void
scene_many(void)
{
	static char names[200][40];
	ph_task all[200];

	found = failed = 0;
	for (int i = 0; i < 200; i++) {
		snprintf(names[i], sizeof(names[i]), "many%d.example.com", i);
		all[i] = ph_task_spawn("look up", look_up, names[i]);
	}
	for (int i = 0; i < 200; i++)
		ph_task_join(all[i], PH_NEVER);
	check(found == 200 && failed == 0);
}

/* With few descriptors most of them wait in our queue. */
static void
test_many(void **state)
{
	struct rlimit before, few;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	few = before;
	few.rlim_cur = 128;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	resolver_run(scene_many);
	setrlimit(RLIMIT_NOFILE, &before);
}

/* Half of them have a slot, the others wait for one. */
static void
scene_cancel(void)
{
	static char names[40][40];
	ph_task all[40];

	found = failed = 0;
	for (int i = 0; i < 40; i++) {
		snprintf(names[i], sizeof(names[i]), "silent%d.example.com", i);
		all[i] = ph_task_spawn("look up", look_up, names[i]);
	}
	ph_sleep(ph_in(20));
	check(failed == 0);
	for (int i = 0; i < 40; i++)
		ph_task_cancel(all[i]);
	for (int i = 0; i < 40; i++)
		ph_task_join(all[i], PH_NEVER);
	check(found == 0 && failed == 40);
}

static void
test_cancel(void **state)
{
	struct rlimit before, few;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	few = before;
	few.rlim_cur = 160;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	resolver_run(scene_cancel);
	setrlimit(RLIMIT_NOFILE, &before);
}

static void
test_bad_settings(void **state)
{
	ph_addresses servers = {.count = 1, .items = &server_address};
	ph_error error = {{0}};

	assert_int_equal(loop_open(NULL), 0);
	assert_int_equal(dnsclient_open(&servers, 1000, "/nowhere/at/all", &error), -1);
	assert_true(strncmp(error.text, "resolver: ", 10) == 0);
	loop_close();
}

/* ---- The parser ------------------------------------------------------------------------------- */

static void
test_is_name(void **state)
{
	char label[70], whole[300];

	memset(label, 'a', sizeof(label));
	label[64] = '\0';
	assert_false(dns_is_name(ph_span_of(label)));
	label[63] = '\0';
	assert_true(dns_is_name(ph_span_of(label)));
	snprintf(whole, sizeof(whole), "%s.%s.%s.%.61s", label, label, label, label);
	assert_true(dns_is_name(ph_span_of(whole)));
	snprintf(whole, sizeof(whole), "%s.%s.%s.%.62s", label, label, label, label);
	assert_false(dns_is_name(ph_span_of(whole)));
	assert_true(dns_is_name(ph_span_of("_dmarc.example.com.")));
	assert_false(dns_is_name(ph_span_of(".")));
	assert_false(dns_is_name(ph_span_of(".a")));
	assert_false(dns_is_name(ph_span_of("a\\.b")));
	assert_false(dns_is_name(ph_span_of("b\xc3\xbc")));
}

/* Every cut of a good packet is refused or found right; no byte beyond it is read. */
static void
test_cut(void **state)
{
	static struct packet packet;
	struct ph_dns_answer answer;
	unsigned rcode;

	pool = ph_pool_new(0);
	memset(&packet, 0, sizeof(packet));
	packet.size = 12;
	packet.bytes[5] = 1;
	put_name(&packet, "mx.example.com");
	put_u16(&packet, PH_DNS_MX);
	put_u16(&packet, 1);
	put_record(&packet, NULL, PH_DNS_MX, 5, "a.example.com");
	put_record(&packet, NULL, PH_DNS_MX, 1, "b.example.com");
	for (size_t size = 0; size <= packet.size; size++) {
		uint8_t *exact = malloc(size + 1);
		int result;

		memcpy(exact, packet.bytes, size);
		result = dns_parse(pool, PH_DNS_MX, exact, size, &answer, &rcode);
		assert_int_equal(result, size == packet.size ? 0 : -1);
		free(exact);
	}
	assert_int_equal(answer.count, 2);
	assert_string_equal(answer.records[0].name, "b.example.com");
	ph_pool_free(pool);
}

static void
test_hostile(void **state)
{
	/* Header, no question, one MX of the root; then its data. */
	static const struct {
		const char *data;
		size_t size;
		const char *name; /* NULL: refused */
	} cases[] = {
		{"\0\1\xc0\x19", 4, NULL},             /* a pointer to itself */
		{"\0\1\xc0\x1b", 4, NULL},             /* forward */
		{"\0\1\xff\xff", 4, NULL},             /* beyond the packet */
		{"\0\1\1a\xc0\x0c", 6, "a"},           /* to the root before it */
		{"\0\1\1a\xc0", 5, NULL},              /* half a pointer */
		{"\0\1\1a\0x", 6, NULL},               /* bytes behind the name */
		{"\0\1\x3f", 3, NULL},                 /* a label longer than the data */
		{"\0\1\x80\0", 4, NULL},               /* no such label */
		{"\0\1\3a.B\0", 7, "a\\046b"},         /* a dot within a label */
		{"\0", 1, NULL},
	};
	static const uint8_t head[] = {0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 15, 0, 1, 0, 0, 0, 9, 0};
	uint8_t packet[64];

	pool = ph_pool_new(0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ph_dns_answer answer;
		size_t size = sizeof(head) + 1 + cases[i].size;
		unsigned rcode;
		int result;

		memcpy(packet, head, sizeof(head));
		packet[sizeof(head)] = (uint8_t)cases[i].size;
		memcpy(packet + sizeof(head) + 1, cases[i].data, cases[i].size);
		result = dns_parse(pool, PH_DNS_MX, packet, size, &answer, &rcode);
		assert_int_equal(result, cases[i].name == NULL ? -1 : 0);
		if (result == 0)
			assert_string_equal(answer.records[0].name, cases[i].name);
	}
	ph_pool_free(pool);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_is_name),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_server_failures),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_bad_settings),
	};

	return cmocka_run_group_tests(tests, start_server, stop_server);
}
