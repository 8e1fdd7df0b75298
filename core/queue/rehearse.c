/*
 * A delivery that is only rehearsed: for "posthouse explain".
 */
#include "config/config.h"
#include "queue/delivery.h"
#include "queue/protocol.h"

int
delivery_rehearse(const struct instance *transport, const struct rehearsal_of *question,
	ph_pool *pool, struct rehearsed *rehearsed)
{
	const struct ph_transport_ops *ops = transport->ops;
	const struct ph_target *target = question->target;
	struct delivery_recipient recipient = {.address = target->address,
		.original = question->original,
		.kind = (uint8_t)target->kind, .what = target->what, .user = target->user,
		.sender = target->sender, .orcpt = "", .status = "", .text = "", .relay = "",
		.final = "",
		.action = DSN_DELIVERED};
	struct ph_delivery *d = ph_pool_alloc(pool, sizeof(*d));

	if (d == NULL)
		return -1;
	*d = (struct ph_delivery){.pool = pool, .transport = transport, .transport_name = transport->name,
		.storage_name = "", .id = "rehearsal", .nexthop = question->nexthop,
		.sender = question->sender, .envid = "", .arrival = ph_wall_clock(),
		.flags = JOB_PROBE | JOB_REHEARSAL, .recipients = &recipient, .count = 1,
		.told = question->told, .told_context = question->context};
	ops->deliver(transport->self, d);
	delivery_complete(d, false);
	*rehearsed = (struct rehearsed){.outcome = recipient.outcome, .status = recipient.status,
		.text = recipient.text, .expansion = recipient.expansion,
		.expansion_count = recipient.expansion_count};
	return 0;
}
