/* The roles of the daemon. */
#include "process/generation.h"
#include "session/limits.h"

static unsigned
smtpd_count(const struct settings *settings)
{
	return (unsigned)settings->smtpd_processes;
}

static unsigned
delivery_count(const struct settings *settings)
{
	return (unsigned)settings->delivery_processes;
}

/* The queue role drains first: it has to let go of the storage before its successor can own it. */
static const struct roster_entry entries[] = {
	{.ops = &queue_role, .last = true},
	{.ops = &local_role, .spawner = true},
	{.ops = &delivery_role, .count = delivery_count},
	{.ops = &smtpd_role, .count = smtpd_count, .sockets = true, .limits = true},
};

const struct roster generation_roster = {
	.entries = entries,
	.count = sizeof(entries) / sizeof(entries[0]),
	.limits_open = limits_open,
	.limits_close = limits_close,
	.limits_sweep = limits_sweep,
	.blame = queue_blame,
};
