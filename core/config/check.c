/*
 * What a configuration must be as a whole, beyond its single values.
 */
#include "config/state.h"

#include <posthouse/restriction.h>

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "config/grow.h"
#include "config/nearest.h"

/* ---- Relaying -------------------------------------------------------------------------------- */

/* What a list comes to for a stranger who wants mail relayed. */
enum relaying {
	RELAYING_OPEN,    /* nothing in it decides */
	RELAYING_REFUSED,
	RELAYING_PERMITTED
};

static enum relaying
word_relaying(const struct ph_rule *rule, bool warned)
{
	if (strcmp(rule->name, "permit") == 0)
		return RELAYING_PERMITTED;
	return !warned && (strcmp(rule->name, "reject") == 0 || strcmp(rule->name, "defer") == 0)
		? RELAYING_REFUSED : RELAYING_OPEN;
}

/* Through classes too; outer: warn_if_reject stands before the one that this is. What only warns
 * refuses nobody. */
static enum relaying
rules_relaying(const ph_rules *rules, bool outer)
{
	enum relaying result = RELAYING_OPEN;
	bool warned = outer;

	for (size_t i = 0; rules && i < rules->count && result == RELAYING_OPEN; i++) {
		const struct ph_rule *rule = &rules->items[i];

		if (rule->rules)
			result = rules_relaying(rule->rules, warned);
		else if (!rule->restriction)
			result = word_relaying(rule, warned);
		else if (!warned && (rule->restriction->stage & PH_REFUSES_STRANGERS))
			result = RELAYING_REFUSED;
		warned = outer || (!rule->restriction && !rule->rules &&
			strcmp(rule->name, "warn_if_reject") == 0);
	}
	return result;
}

static bool
refuses_strangers(const ph_rules *rules)
{
	return rules_relaying(rules, false) == RELAYING_REFUSED;
}

/* Listeners whose clients the kernel knows ask no policy. */
static bool
has_policy(const struct instance *instance)
{
	return strcmp(instance->module->name, "listener_local") != 0;
}

static void
check_relaying(struct config *config)
{
	for (size_t i = 0; i < config->instance_count[PH_CLASS_LISTENER]; i++) {
		const struct instance *instance = config->instances[PH_CLASS_LISTENER][i];
		const struct policy_settings *policy = instance->policy;

		if (has_policy(instance) && !refuses_strangers(policy->smtpd_relay_restrictions) &&
			!refuses_strangers(policy->smtpd_recipient_restrictions))
			problems_add(config->problems, instance->file, instance->line,
				"listener %s would be an open relay: neither smtpd_relay_restrictions nor "
				"smtpd_recipient_restrictions refuses strangers; put "
				"reject_unauth_destination into one of them", instance->name);
	}
}

/* ---- Queues and transports ------------------------------------------------------------------- */

static void
check_queue(struct config *config)
{
	const struct instance *user = NULL;

	if (config->instance_count[PH_CLASS_LISTENER])
		user = config->instances[PH_CLASS_LISTENER][0];
	else if (config->instance_count[PH_CLASS_TRANSPORT])
		user = config->instances[PH_CLASS_TRANSPORT][0];
	if (user && !config->instance_count[PH_CLASS_QUEUE] && !config->load_failed)
		problems_add(config->problems, config->path, 0,
			"mail has no place to stay: no queue module is loaded; add load(queue_log)");
}

static void
check_listener_queues(struct config *config)
{
	for (size_t i = 0; i < config->instance_count[PH_CLASS_LISTENER]; i++) {
		const struct instance *instance = config->instances[PH_CLASS_LISTENER][i];
		const char *name = instance->policy->queue;

		if (name && name[0] && !config_find(config, PH_CLASS_QUEUE, name))
			problems_add(config->problems, instance->file, instance->line,
				"listener %s: there is no queue named %s", instance->name, name);
	}
}

/* The transport in "local", "smtp:[mx.example]"; where the parameter was set is what the problem
 * names. Nothing to say when no transport at all is loaded. */
static void
check_route_at(struct config *config, const struct setting *setting, const char *parameter, const char *route)
{
	size_t size = strcspn(route, ":");
	const char *name = memory_or_die(ph_pool_copy(config->pool, (ph_span){route, size}));
	struct nearest nearest = nearest_to(name);
	const char *provider;
	char hint[160];

	/* these two need no module */
	if (strcmp(name, "error") == 0 || strcmp(name, "retry") == 0)
		return;
	if (!config->instance_count[PH_CLASS_TRANSPORT] || config->load_failed ||
		config_find(config, PH_CLASS_TRANSPORT, name))
		return;
	provider = transport_provider(config, name, NULL);
	for (size_t i = 0; !provider && i < config->instance_count[PH_CLASS_TRANSPORT]; i++)
		nearest_try(&nearest, config->instances[PH_CLASS_TRANSPORT][i]->name);
	nearest_hint(&nearest, hint, sizeof(hint));
	if (provider)
		snprintf(hint, sizeof(hint), "; load(%s) makes one", provider);
	else if (!hint[0])
		snprintf(hint, sizeof(hint),
			"; load(transport_NAME) or a section transport NAME { … } makes one");
	if (setting)
		problems_add(config->problems, setting->file, setting->line,
			"%s: there is no transport named \"%s\"%s", parameter, name, hint);
	else
		problems_warn(config->problems, config->path, 0,
			"%s is %s (its default), but there is no transport of that name%s", parameter, route, hint);
}

static void
check_route(struct config *config, const char *parameter, const char *route)
{
	check_route_at(config, setting_find(&config->set, parameter), parameter, route);
}

/* Each listener may have one. The syntax is that of FILTER in access tables. */
static void
check_filter(struct config *config, const struct setting *setting)
{
	const char *route = setting && setting->count ? setting->items[0].text : "";

	if (route[0] && route[0] != '$')
		check_route_at(config, setting, setting->name, route);
}

static void
check_filters(struct config *config)
{
	static const char name[] = "content_filter";

	check_filter(config, setting_find(&config->set, name));
	for (size_t i = 0; i < config->section_count; i++)
		check_filter(config, setting_find(&config->sections[i]->set, name));
}

static void
check_deferred(struct config *config)
{
	static const char name[] = "defer_transports";
	const ph_strings *names = &config->settings.defer_transports;
	const struct setting *setting = setting_find(&config->set, name);

	for (size_t i = 0; setting && i < names->count; i++)
		if (strchr(names->items[i], ':'))
			problems_add(config->problems, setting->file, setting->line,
				"%s: \"%s\": expected the name of a transport alone", name,
				names->items[i]);
		else
			check_route(config, name, names->items[i]);
}

/* "example.com", "[mail.example.com]:587". */
static void
check_relayhost(struct config *config)
{
	const struct setting *setting = setting_find(&config->set, "relayhost");
	const char *host = config->settings.relayhost, *end;

	if (!setting || !host || !host[0])
		return;
	end = host[0] == '[' ? strchr(host, ']') : host + strcspn(host, ":[] ");
	if (!end || host[0] == ':' || strcmp(host, "[]") == 0) {
		problems_add(config->problems, setting->file, setting->line,
			"relayhost: \"%s\" is no host: expected example.com, [mail.example.com] or "
			"[mail.example.com]:587", host);
		return;
	}
	end += *end == ']';
	if (*end && (*end != ':' || !end[1] || end[1 + strcspn(end + 1, ":[] ")]))
		problems_add(config->problems, setting->file, setting->line,
			"relayhost: \"%s\": expected :PORT or nothing after the host", host);
}

/* ---- Times ----------------------------------------------------------------------------------- */

/* Elsewhere a plain number of these means days, or hours. */
static void
check_lifetime(struct config *config, const char *name, const char *unit)
{
	const struct setting *setting = setting_find(&config->set, name);
	const char *text = setting && setting->count ? setting->items[0].text : "0";

	if (strcmp(text, "0") != 0 && strspn(text, "0123456789") == strlen(text))
		problems_warn(config->problems, setting->file, setting->line,
			"%s: %s means seconds; write %s%c for %s", name, text, text, unit[0], unit);
}

static void
check_delay(struct config *config)
{
	const struct settings *settings = &config->settings;
	const struct setting *setting = setting_find(&config->set, "delay_warning_time");

	if (setting && settings->delay_warning_time > 0 &&
		settings->delay_warning_time >= settings->maximal_queue_lifetime)
		problems_warn(config->problems, setting->file, setting->line,
			"delay_warning_time: does nothing, as mail is returned before, after "
			"maximal_queue_lifetime; make it shorter");
}

static void
check_times(struct config *config)
{
	const struct settings *settings = &config->settings;
	const struct setting *setting = setting_find(&config->set, "minimal_backoff_time");

	check_lifetime(config, "maximal_queue_lifetime", "days");
	check_lifetime(config, "bounce_queue_lifetime", "days");
	check_lifetime(config, "delay_warning_time", "hours");
	check_delay(config);
	if (!setting)
		setting = setting_find(&config->set, "maximal_backoff_time");
	if (settings->minimal_backoff_time > settings->maximal_backoff_time && setting)
		problems_add(config->problems, setting->file, setting->line,
			"%s: the minimal time is longer than the maximal (minimal_backoff_time, maximal_backoff_time)",
			setting->name);
}

static void
check_free_space(struct config *config)
{
	const struct settings *settings = &config->settings;
	const struct setting *setting = setting_find(&config->set, "message_size_limit");

	if (setting && settings->queue_minfree && settings->message_size_limit &&
		settings->queue_minfree < settings->message_size_limit)
		problems_warn(config->problems, setting->file, setting->line,
			"message_size_limit is larger than queue_minfree: a message may find no room; "
			"1.5 times the limit is a good queue_minfree");
}

/* ---- Words of lists -------------------------------------------------------------------------- */

#define CLASSES "envelope_sender envelope_recipient header_sender header_recipient"

/* Is it one of the words, which blanks separate? */
static bool
is_word_of(const char *words, const char *word)
{
	size_t size = strlen(word);

	for (const char *at = words; *at != '\0'; at += strspn(at, " ")) {
		size_t next = strcspn(at, " ");

		if (next == size && strncasecmp(at, word, size) == 0)
			return true;
		at += next;
	}
	return false;
}

static void
check_words(struct config *config, const char *name, const ph_strings *list, const char *words)
{
	const struct setting *setting = setting_find(&config->set, name);

	for (size_t i = 0; setting && i < list->count; i++)
		if (!is_word_of(words, list->items[i]))
			problems_add(config->problems, setting->file, setting->line,
				"%s: \"%s\" is none of: %s", name, list->items[i], words);
}

/* One that sections have, too: as it is written. */
static void
check_setting_words(struct config *config, const struct setting *setting, const char *words)
{
	for (size_t i = 0; setting && i < setting->count; i++) {
		const struct text_item *item = &setting->items[i];

		if (item->text[0] != '$' && item->text[0] && !is_word_of(words, item->text))
			problems_add(config->problems, item->file, item->line,
				"%s: \"%s\" is none of: %s", setting->name, item->text, words);
	}
}

static void
check_overrides(struct config *config)
{
	static const char name[] = "receive_override_options";
	static const char words[] =
		"no_address_mappings no_header_body_checks no_milters no_unknown_recipient_checks";

	check_setting_words(config, setting_find(&config->set, name), words);
	for (size_t i = 0; i < config->section_count; i++)
		check_setting_words(config, setting_find(&config->sections[i]->set, name), words);
}

static void
check_rewriting(struct config *config)
{
	const struct settings *settings = &config->settings;

	check_words(config, "canonical_classes", &settings->canonical_classes, CLASSES);
	check_words(config, "masquerade_classes", &settings->masquerade_classes, CLASSES);
	check_words(config, "sender_canonical_classes", &settings->sender_canonical_classes,
		"envelope_sender header_sender");
	check_words(config, "recipient_canonical_classes", &settings->recipient_canonical_classes,
		"envelope_recipient header_recipient");
	check_words(config, "propagate_unmatched_extensions",
		&settings->propagate_unmatched_extensions,
		"alias canonical forward generic include virtual");
	check_words(config, "local_header_rewrite_clients", &settings->local_header_rewrite_clients,
		"permit_inet_interfaces permit_mynetworks permit_sasl_authenticated");
	check_words(config, "internal_mail_filter_classes", &settings->internal_mail_filter_classes,
		"bounce notify");
}

/* RFC 5322, 2.2: what stands before the colon. */
static bool
is_header_name(const char *name)
{
	for (const char *c = name; *c != '\0'; c++)
		if ((unsigned char)*c <= ' ' || (unsigned char)*c >= 127 || *c == ':')
			return false;
	return *name != '\0';
}

static void
check_header_names(struct config *config)
{
	static const char name[] = "message_drop_headers";
	const ph_strings *list = &config->settings.message_drop_headers;
	const struct setting *setting = setting_find(&config->set, name);

	for (size_t i = 0; setting && i < list->count; i++)
		if (!is_header_name(list->items[i]))
			problems_add(config->problems, setting->file, setting->line, "%s: \"%s\" is no name of "
				"a header; expected names without colons, as in {bcc, return-path}", name, list->items[i]);
}

/* ---- Tables of tables ---------------------------------------------------------------------------- */

/* Those on the way down are marked; error gets the way, "a -> b -> a". */
static int
find_loop(struct instance *instance, ph_error *error)
{
	ph_error below;
	int result;

	if (instance->visited)
		return ph_error_set(error, "%s", instance->name);
	instance->visited = true;
	result = map_each_nested(instance, find_loop, &below);
	instance->visited = false;
	return result == 0 ? 0 : ph_error_set(error, "%s -> %s", instance->name, below.text);
}

/* Only sections can name each other in a circle. */
static void
check_nesting(struct config *config)
{
	for (size_t i = 0; i < config->section_count; i++) {
		struct instance *instance = config->sections[i]->instance;
		ph_error error;

		if (instance && !instance_is_broken(instance) && find_loop(instance, &error) != 0)
			problems_add(config->problems, instance->file, instance->line,
				"map %s: is made of itself: %s", instance->name, error.text);
	}
}

/* ---- Modules --------------------------------------------------------------------------------- */

/* The setting that a module's text begins with the name of. */
static const struct setting *
setting_named(const struct config *config, const struct instance *instance, const char *text)
{
	const struct ph_module *module = instance->module;

	for (size_t i = 0; i < module->param_count; i++) {
		size_t size = strlen(module->params[i].name);

		if (strncmp(text, module->params[i].name, size) == 0 && text[size] == ':')
			return setting_find(&config->set, module->params[i].name);
	}
	return NULL;
}

static void
check_instance(struct config *config, struct instance *instance)
{
	const struct ph_life *life = instance->module->life;
	const struct setting *setting;
	ph_error error = {""};

	if (instance_is_broken(instance) || !life || !life->check ||
		life->check(instance->self, &error) == 0)
		return;
	/* What was made by default has no place of its own; the parameter has. */
	setting = instance->line ? NULL : setting_named(config, instance, error.text);
	problems_add(config->problems, setting ? setting->file : instance->file,
		setting ? setting->line : instance->line, "%s %s: %s",
		instance_module(instance)->class->name,
		instance->name, error.text[0] ? error.text
		: "its parameters are not right together");
}

void
config_check(struct config *config)
{
	if (!config->load_failed && !config->rules_failed)
		check_relaying(config);
	check_queue(config);
	check_listener_queues(config);
	check_filters(config);
	check_deferred(config);
	check_route(config, "local_transport", config->settings.local_transport);
	check_route(config, "relay_transport", config->settings.relay_transport);
	check_route(config, "default_transport", config->settings.default_transport);
	/* whose default may be missing where there are no such domains */
	if (setting_find(&config->set, "virtual_transport") ||
		setting_find(&config->set, "virtual_mailbox_domains") ||
		setting_find(&config->set, "virtual_mailbox_maps"))
		check_route(config, "virtual_transport", config->settings.virtual_transport);
	check_words(config, "parent_domain_matches_subdomains",
		&config->settings.parent_domain_matches_subdomains,
		"debug_peer_list fast_flush_domains mydestination mynetworks permit_mx_backup_networks "
		"qmqpd_authorized_clients relay_domains smtpd_access_maps transport_maps "
		"virtual_alias_domains virtual_mailbox_domains");
	check_words(config, "notify_classes", &config->settings.notify_classes,
		"bounce 2bounce delay policy protocol resource software");
	check_relayhost(config);
	check_times(config);
	check_free_space(config);
	check_overrides(config);
	check_rewriting(config);
	check_header_names(config);
	check_nesting(config);
	for (size_t class = 1; class < CLASS_COUNT; class++)
		for (size_t i = 0; i < config->instance_count[class]; i++)
			check_instance(config, config->instances[class][i]);
}
