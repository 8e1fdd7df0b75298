/*
 * The intake's surroundings in a process of the daemon: the configuration in force, and the queue
 * role's client. A file of its own, so that a test can put others in their place.
 */
#include "intake/message.h"

#include "queue/client.h"
#include "session/interfaces.h"
#include "session/session.h"

static const struct instance *
configured_queue(const char *name)
{
	return config_queue(config_current(), name);
}

static const struct instance *
configured_filter(size_t number)
{
	return config_instance(config_current(), PH_CLASS_FILTER, number);
}

static void
session_client(const ph_session *session, struct intake_client *client)
{
	*client = (struct intake_client){.name = ph_client_name(session),
		.address = ph_client_address_text(session),
		.helo = ph_helo(session),
		.protocol = ph_protocol(session),
		.port = ph_client_address(session)->port,
		.sasl_username = ph_sasl_username(session),
		.sasl_method = ph_sasl_method(session),
		.sasl_sender = ph_sasl_sender(session),
		.tls = *ph_tls_protocol(session) != '\0',
		.overrides = &session->policy->receive_override_options,
		.filter = session->policy->content_filter,
		.in_interfaces = interfaces_have(ph_client_address(session)),
		.in_mynetworks = ph_client_in_mynetworks(session)};
}

static const struct policy_settings *
listener_policy(const void *listener)
{
	const struct instance *instance = instance_of(listener);

	return instance != NULL ? instance->policy : NULL;
}

static bool
has_transport(const char *name)
{
	return config_find(config_current(), PH_CLASS_TRANSPORT, name) != NULL;
}

const struct intake_base *
intake_base(void)
{
	static struct intake_base base = {.queue = configured_queue,
		.filter = configured_filter,
		.announce = queue_client_announce,
		.client = session_client,
		.policy = listener_policy,
		.has_transport = has_transport};

	base.settings = config_settings(config_current());
	return &base;
}
