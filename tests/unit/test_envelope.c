/*
 * Envelopes survive a round trip, and nothing that a disk may do to their bytes does any harm;
 * queue IDs grow.
 */
#include "test.h"

#include "intake/envelope.h"

#include <stdlib.h>
#include <string.h>

static struct recipient recipients[] = {
	{.address = "a@example.com", .original = "", .orcpt = ""},
	{.address = "b@example.com", .original = "root@example.com", .orcpt = "rfc822;b+c@x", .notify = 6,
		.final = true},
	{.address = "\"x y\"@[192.0.2.1]", .original = "", .orcpt = "", .notify = 1},
};

static const struct envelope sample = {
	.id = "0F00112233445566",
	.arrival = INT64_C(1700000000123456),
	.sender = "root@example.com",
	.origin = PH_ORIGIN_SMTP,
	.uid = 1000,
	.client_name = "client.example.com",
	.client_address = "192.0.2.7",
	.client_port = 40000,
	.helo = "helo.example",
	.protocol = "ESMTP",
	.sasl_username = "someone",
	.sasl_method = "plain",
	.sasl_sender = "a+3Db@c.example",
	.body_8bit = true,
	.smtputf8 = true,
	.probe = true,
	.envid = "QQ314159",
	.ret = 2,
	.watch = true,
	.hops = 3,
	.content_size = 4096,
	.recipients = recipients,
	.recipient_count = 3,
	.aliases = recipients + 1,
	.alias_count = 1,
};

static ph_span
encode(const struct envelope *envelope, ph_pool *pool)
{
	ph_span bytes;

	assert_int_equal(envelope_encode(envelope, pool, &bytes), 0);
	return bytes;
}

static void
check_recipient(const struct recipient *a, const struct recipient *b)
{
	assert_string_equal(a->address, b->address);
	assert_string_equal(a->original, b->original);
	assert_string_equal(a->orcpt, b->orcpt);
	assert_int_equal(a->notify, b->notify);
	assert_int_equal(a->final, b->final);
}

static void
round_trip(void **state)
{
	ph_pool *pool = ph_pool_new(0);
	struct envelope e;
	ph_error error;

	assert_int_equal(envelope_decode(encode(&sample, pool), pool, &e, &error), 0);
	assert_string_equal(e.id, sample.id);
	assert_true(e.arrival == sample.arrival);
	assert_string_equal(e.sender, sample.sender);
	assert_int_equal(e.origin, sample.origin);
	assert_int_equal(e.uid, sample.uid);
	assert_string_equal(e.client_name, sample.client_name);
	assert_string_equal(e.client_address, sample.client_address);
	assert_string_equal(e.helo, sample.helo);
	assert_string_equal(e.protocol, sample.protocol);
	assert_int_equal(e.client_port, sample.client_port);
	assert_string_equal(e.sasl_username, sample.sasl_username);
	assert_string_equal(e.sasl_method, sample.sasl_method);
	assert_string_equal(e.sasl_sender, sample.sasl_sender);
	assert_true(e.body_8bit && e.smtputf8 && e.probe && !e.unknown_critical);
	assert_int_equal(e.alias_count, 1);
	check_recipient(&e.aliases[0], &sample.aliases[0]);
	assert_string_equal(e.envid, sample.envid);
	assert_int_equal(e.ret, sample.ret);
	assert_true(e.watch);
	assert_int_equal(e.hops, sample.hops);
	assert_true(e.content_size == sample.content_size);
	assert_int_equal(e.recipient_count, 3);
	for (size_t i = 0; i < 3; i++)
		check_recipient(&e.recipients[i], &recipients[i]);
	ph_pool_free(pool);
}

static void
a_bare_one(void **state)
{
	ph_pool *pool = ph_pool_new(0);
	struct envelope bare = {.id = "A1"}, e;
	ph_error error;

	assert_int_equal(envelope_decode(encode(&bare, pool), pool, &e, &error), 0);
	assert_string_equal(e.sender, "");
	assert_string_equal(e.client_name, "");
	assert_int_equal(e.recipient_count, 0);
	ph_pool_free(pool);
}

/* A record of an unknown type, spelled out. */
#define UNKNOWN_PLAIN "\x34\x12\x03\x00\x00\x00xyz"
#define UNKNOWN_CRITICAL "\x01\x80\x00\x00\x00\x00"

static void
unknown_types(void **state)
{
	static const struct {
		ph_span message, recipient;
		bool critical;
	} cases[] = {
		{{UNKNOWN_PLAIN, 9}, {NULL, 0}, false},
		{{NULL, 0}, {UNKNOWN_PLAIN UNKNOWN_PLAIN, 18}, false},
		{{UNKNOWN_PLAIN UNKNOWN_CRITICAL, 15}, {NULL, 0}, true},
		{{NULL, 0}, {UNKNOWN_CRITICAL, 6}, true},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ph_pool *pool = ph_pool_new(0);
		struct recipient one = {.address = "a@b", .unknown = cases[i].recipient};
		struct envelope out = {.id = "A1", .unknown = cases[i].message, .recipients = &one,
			.recipient_count = 1};
		struct envelope in;
		ph_error error;
		ph_span bytes = encode(&out, pool);

		assert_int_equal(envelope_decode(bytes, pool, &in, &error), 0);
		assert_int_equal(in.unknown_critical, cases[i].critical);
		assert_true(ph_span_equal(in.unknown, cases[i].message));
		assert_true(ph_span_equal(in.recipients[0].unknown, cases[i].recipient));
		assert_true(ph_span_equal(encode(&in, pool), bytes));
		ph_pool_free(pool);
	}
}

/* The mark of a probe comes back, is no unknown type here, and is critical to who does not know it; in a
 * recipient it means nothing and holds the message. */
static void
probes(void **state)
{
	ph_pool *pool = ph_pool_new(0);
	struct recipient odd = {.address = "a@b", .unknown = {"\x11\x80\x01\x00\x00\x00\x01", 7}};
	struct envelope out = {.id = "A1", .probe = true}, in;
	ph_span bytes = encode(&out, pool);
	ph_error error;

	assert_int_equal(envelope_decode(bytes, pool, &in, &error), 0);
	assert_true(in.probe && !in.unknown_critical);
	assert_int_equal(in.unknown.size, 0);
	assert_non_null(memmem(bytes.data, bytes.size, odd.unknown.data, odd.unknown.size));
	out = (struct envelope){.id = "A1", .recipients = &odd, .recipient_count = 1};
	assert_int_equal(envelope_decode(encode(&out, pool), pool, &in, &error), 0);
	assert_true(!in.probe && in.unknown_critical);
	out = (struct envelope){.id = "A1", .unknown = {"\x11\x80\x01\x00\x00\x00\x02", 7}};
	assert_int_equal(envelope_decode(encode(&out, pool), pool, &in, &error), -1);
	ph_pool_free(pool);
}

/* The copy is of the exact size, so that AddressSanitizer sees a read beyond it. */
static int
decode_copy(ph_span bytes, size_t size, size_t flip)
{
	ph_pool *pool = ph_pool_new(0);
	char *copy = malloc(size > 0 ? size : 1);
	struct envelope e;
	ph_error error;

	memcpy(copy, bytes.data, size);
	if (flip < size * 8)
		copy[flip / 8] = (char)(copy[flip / 8] ^ 1 << flip % 8);
	int result = envelope_decode((ph_span){copy, size}, pool, &e, &error);

	free(copy);
	ph_pool_free(pool);
	return result;
}

static void
cut_anywhere(void **state)
{
	ph_pool *pool = ph_pool_new(0);
	ph_span bytes = encode(&sample, pool);

	for (size_t size = 0; size < bytes.size; size++)
		assert_int_equal(decode_copy(bytes, size, SIZE_MAX), -1);
	assert_int_equal(decode_copy(bytes, bytes.size, SIZE_MAX), 0);
	ph_pool_free(pool);
}

static void
flipped_anywhere(void **state)
{
	ph_pool *pool = ph_pool_new(0);
	ph_span bytes = encode(&sample, pool);

	for (size_t bit = 0; bit < bytes.size * 8; bit++)
		decode_copy(bytes, bytes.size, bit);
	ph_pool_free(pool);
}

static void
refused(void **state)
{
	static struct recipient nobody = {.address = ""}, split = {.address = "a@b\r\nDATA"};
	static const struct envelope cases[] = {
		{.id = ""},
		{.id = "A/B"},
		{.id = "A1", .sender = "a\nb"},
		{.id = "A1", .ret = 3},
		{.id = "A1", .origin = 9},
		{.id = "A1", .arrival = -1},
		{.id = "A1", .recipients = &nobody, .recipient_count = 1},
		{.id = "A1", .recipients = &split, .recipient_count = 1},
		{.id = "A1", .unknown = {"\x01\x00\x01\x00\x00\x00X", 7}},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ph_pool *pool = ph_pool_new(0);
		struct envelope e;
		ph_error error = {""};

		assert_int_equal(envelope_decode(encode(&cases[i], pool), pool, &e, &error), -1);
		assert_string_not_equal(error.text, "");
		ph_pool_free(pool);
	}
}

static void
ids_grow(void **state)
{
	char last[PH_QUEUE_ID_SIZE] = "", id[PH_QUEUE_ID_SIZE];

	for (int i = 0; i < 10000; i++) {
		queue_id_make(id);
		assert_int_equal(strlen(id), 16);
		assert_int_equal(strspn(id, "0123456789ABCDEF"), 16);
		assert_true(strcmp(id, last) > 0);
		memcpy(last, id, sizeof(last));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip),
		cmocka_unit_test(a_bare_one),
		cmocka_unit_test(unknown_types),
		cmocka_unit_test(probes),
		cmocka_unit_test(cut_anywhere),
		cmocka_unit_test(flipped_anywhere),
		cmocka_unit_test(refused),
		cmocka_unit_test(ids_grow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
