/* What a server says to the SMTP client, line by line; and next hops as people write them. */
#include "fuzz.h"

#include "../../modules/transport_smtp/nexthop.h"
#include "../../modules/transport_smtp/reply.h"

#include <string.h>

static void
check_reply(const struct reply *reply)
{
	char room[12];
	const char *status = reply_status(reply, "0.0", room);

	CHECK(reply->code >= 200 && reply->code <= 599);
	CHECK(status[0] - '0' == reply->code / 100 && strlen(status) < sizeof room);
	for (const char *c = reply->text; *c != '\0'; c++)
		CHECK((unsigned char)*c >= 0x20 && *c != 0x7f);
}

static void
replies(ph_span rest)
{
	struct reply reply;
	int more = 0;

	reply_begin(&reply);
	while (rest.size > 0 && more != -1) {
		const char *end = memchr(rest.data, '\n', rest.size);
		size_t size = end != NULL ? (size_t)(end - rest.data) : rest.size;
		size_t next = end != NULL ? size + 1 : size;

		if (size > REPLY_MAX_LINE)
			return;
		if (more == 0)
			reply_begin(&reply);
		more = reply_line(&reply, (ph_span){rest.data, size});
		if (more != -1)
			check_reply(&reply);
		rest.data += next;
		rest.size -= next;
	}
}

static void
next_hop(ph_span text)
{
	ph_pool *pool = ph_pool_new(0);
	const char *copy = ph_pool_copy(pool, text);
	struct nexthop hop;
	ph_error error = {""};

	if (nexthop_parse(copy, 25, &hop, &error) == -1) {
		CHECK(error.text[0] != '\0');
	} else {
		CHECK(hop.host[0] != '\0' && hop.port > 0);
		CHECK(strpbrk(hop.host, " \t\r\n") == NULL);
		CHECK(!hop.is_address || !hop.use_mx);
	}
	if (nexthop_parse_lmtp(copy, 24, &hop, &error) == 0) {
		CHECK(!hop.use_mx && (hop.path != NULL) == (hop.host[0] == '\0'));
		CHECK(hop.path == NULL || (hop.path > copy && *hop.path != '\0'));
	}
	ph_pool_free(pool);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ph_span text = {(const char *)data, size};

	replies(text);
	next_hop(text);
	return 0;
}
