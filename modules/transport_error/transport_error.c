/*
 * transport_error: refuses mail, for good or for now.
 */
#include <posthouse/transport.h>

#include "verdict.h"

static void
error_deliver(void *self, ph_delivery *delivery)
{
	struct verdict verdict = verdict_of(ph_delivery_nexthop(delivery));

	for (size_t i = 0; i < ph_delivery_count(delivery); i++) {
		if (verdict.later)
			ph_delivery_defer(delivery, i, verdict.status, "none", "%s", verdict.text);
		else
			ph_delivery_bounce(delivery, i, verdict.status, "none", "%s", verdict.text);
	}
}

/* A probe is told the same as mail, and so is a rehearsal. */
PH_MODULE(transport_error, "1.0", "refuses mail with a text of one's own",
	PH_TRANSPORT(.flags = PH_TRANSPORT_PROBES | PH_TRANSPORT_REHEARSES,
	.deliver = error_deliver));
