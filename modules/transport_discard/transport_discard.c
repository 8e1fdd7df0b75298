/*
 * transport_discard: says "sent" and throws the mail away.
 */
#include <posthouse/transport.h>

static void
discard_deliver(void *self, ph_delivery *delivery)
{
	const char *why = ph_delivery_nexthop(delivery);

	for (size_t i = 0; i < ph_delivery_count(delivery); i++)
		ph_delivery_sent(delivery, i, "2.0.0", "none", "%s",
			*why != '\0' ? why : "silently discarded");
}

/* A probe is told the same, that mail would be taken, and so is a rehearsal. */
PH_MODULE(transport_discard, "1.0", "throws mail away",
	PH_TRANSPORT(.flags = PH_TRANSPORT_PROBES | PH_TRANSPORT_REHEARSES,
	.deliver = discard_deliver));
