/*
 * Address verification: where it is asked for, and where it keeps what it finds out.
 */
#include "cli/check.h"

#include <string.h>
#include <unistd.h>

#include "config/settings.h"

struct verification {
	const struct config *config;
	struct problems *problems;
	const struct ph_rule *used; /* the first that is asked; NULL: none */
};

static bool
is_verification(const struct ph_rule *rule)
{
	return rule->restriction && rule->file &&
		strncmp(rule->name, "reject_unverified_", 18) == 0;
}

/* ---- For strangers --------------------------------------------------------------------------- */

static bool
ends_relaying(const struct ph_rule *rule)
{
	return rule->restriction ? (rule->restriction->stage & PH_REFUSES_STRANGERS) != 0
		: !rule->rules && (strcmp(rule->name, "reject") == 0 ||
		strcmp(rule->name, "defer") == 0);
}

static bool
list_ends_relaying(const ph_rules *rules)
{
	for (size_t i = 0; rules && i < rules->count; i++)
		if (ends_relaying(&rules->items[i]))
			return true;
	return false;
}

/* Is everything in this list asked only for recipients that the client may send to? */
static bool
comes_later(const struct policy_list *list)
{
	bool early = strcmp(list->name, "smtpd_client_restrictions") == 0 ||
		strcmp(list->name, "smtpd_helo_restrictions") == 0 ||
		strcmp(list->name, "smtpd_sender_restrictions") == 0 ||
		strcmp(list->name, "smtpd_relay_restrictions") == 0;

	return !early && list_ends_relaying(list->listener->policy->smtpd_relay_restrictions);
}

static void
read_rules(struct verification *verification, const struct policy_list *list, const ph_rules *rules,
	bool guarded)
{
	for (size_t i = 0; i < rules->count; i++) {
		const struct ph_rule *rule = &rules->items[i];

		if (rule->rules)
			read_rules(verification, list, rule->rules, guarded);
		guarded = guarded || ends_relaying(rule);
		if (!is_verification(rule))
			continue;
		if (!verification->used)
			verification->used = rule;
		if (!guarded && strcmp(rule->name, "reject_unverified_recipient") == 0)
			problems_warn(verification->problems, rule->file, rule->line,
				"%s: reject_unverified_recipient is asked before anything refuses to relay: any client can "
				"have us probe any address of any host; write it behind reject_unauth_destination",
				list->name);
	}
}

static void
read_list(void *context, const struct policy_list *list)
{
	if (list->listener)
		read_rules(context, list, list->rules, comes_later(list));
}

/* ---- The sender and the file ----------------------------------------------------------------- */

static void
check_sender(const struct verification *verification, const struct settings *settings)
{
	const struct setting *setting = setting_find(&verification->config->set,
		"address_verify_sender");
	const char *sender = settings->address_verify_sender;
	size_t size = strlen(sender);

	if (size == 0 || (sender[0] != '@' && sender[size - 1] != '@'))
		return;
	problems_add(verification->problems,
		setting ? setting->file : config_path(verification->config),
		setting ? setting->line : 0,
		"address_verify_sender: \"%s\" is no address; write user, "
		"user@domain, or <> for the empty sender", sender);
}

static bool
parent_exists(char *path)
{
	char *slash = strrchr(path, '/');

	if (!slash || slash == path)
		return slash != NULL;
	*slash = '\0';
	return access(path, F_OK) == 0;
}

/* The queue process makes the last folder, where it may. */
static void
check_file(const struct verification *verification, const struct settings *settings)
{
	ph_pool *pool = ph_pool_new(0);
	char *path = ph_pool_strdup(pool, settings->address_verify_map);
	const char *folder = path && strrchr(path, '/') ? ph_pool_copy(pool,
		(ph_span){path, (size_t)(strrchr(path, '/') - path)}) : NULL;

	/* queue_directory is made with the first start, and what lies in it is the daemon's */
	if (folder && !parent_exists(path) && strncmp(folder, settings->queue_directory,
		strlen(settings->queue_directory)) != 0)
		problems_warn(verification->problems, verification->used->file,
			verification->used->line,
			"address_verify_map: there is no folder %s, so that what %s finds out is forgotten with a "
			"restart; make it: install -d -m 700 -o %s %s", folder, verification->used->name,
			settings->mail_owner, folder);
	ph_pool_free(pool);
}

void
check_verify(const struct config *config, struct problems *problems)
{
	struct verification verification = {.config = config, .problems = problems};
	const struct settings *settings = config_settings(config);

	check_sender(&verification, settings);
	policy_each(config, read_list, &verification);
	if (verification.used)
		check_file(&verification, settings);
}
