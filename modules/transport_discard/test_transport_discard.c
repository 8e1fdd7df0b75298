#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <posthouse/transport.h>

extern const struct ph_module posthouse_module_transport_discard;

/* A delivery of two recipients, played. */
const char *__wrap_ph_delivery_nexthop(const ph_delivery *delivery);
size_t __wrap_ph_delivery_count(const ph_delivery *delivery);
void __wrap_ph_delivery_sent(ph_delivery *delivery, size_t index, const char *status,
	const char *relay, const char *format, ...) PH_PRINTF(5, 6);

static const char *nexthop;
static char said[256];

const char *
__wrap_ph_delivery_nexthop(const ph_delivery *delivery)
{
	return nexthop;
}

size_t
__wrap_ph_delivery_count(const ph_delivery *delivery)
{
	return 2;
}

void
__wrap_ph_delivery_sent(ph_delivery *delivery, size_t index, const char *status, const char *relay,
	const char *format, ...)
{
	size_t size = strlen(said);
	va_list args;

	size += (size_t)snprintf(said + size, sizeof(said) - size, "%zu %s %s ", index, status, relay);
	va_start(args, format);
	size += (size_t)vsnprintf(said + size, sizeof(said) - size, format, args);
	va_end(args);
	snprintf(said + size, sizeof(said) - size, ";");
}

static void
discards(void **unused)
{
	const struct ph_transport_ops *ops = posthouse_module_transport_discard.operations;

	nexthop = "";
	ops->deliver(NULL, NULL);
	assert_string_equal(said, "0 2.0.0 none silently discarded;1 2.0.0 none silently discarded;");
	said[0] = '\0';
	nexthop = "100% gone";
	ops->deliver(NULL, NULL);
	assert_string_equal(said, "0 2.0.0 none 100% gone;1 2.0.0 none 100% gone;");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(discards)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
