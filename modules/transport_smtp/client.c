#include "client.h"

#include <posthouse/log.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

/* Milliseconds, when the system is to decide: longer than it tries. */
#define LONGEST_CONNECT INT64_C(300000)

static const char *
loss(const struct client *client, int64_t result)
{
	switch (result) {
	case PH_STREAM_TIMEOUT:
		return "conversation timed out";
	case PH_STREAM_CANCELLED:
		return "delivery was interrupted";
	case PH_STREAM_TOO_LONG:
		return "received an overlong reply";
	case PH_STREAM_ERROR:
		return strerror(ph_stream_error(client->stream));
	default:
		return "lost connection";
	}
}

static ph_span
without_line_end(ph_span line)
{
	while (line.size > 0 &&
		(line.data[line.size - 1] == '\n' || line.data[line.size - 1] == '\r'))
		line.size--;
	return line;
}

enum exchange
client_reply(struct client *client, struct reply *reply, int64_t timeout, const char *what,
	char *text, size_t text_size)
{
	ph_deadline deadline = ph_in(timeout);
	int more = 1;

	reply_begin(reply);
	while (more == 1) {
		ph_span line;
		int64_t got = ph_stream_read_line(client->stream, &line, REPLY_MAX_LINE, deadline);

		if (got < 0) {
			snprintf(text, text_size, "%s with %s while %s", loss(client, got),
				client->name, what);
			client->broken = true;
			return EXCHANGE_LOST;
		}
		more = reply_line(reply, without_line_end(line));
	}
	if (more == -1) {
		snprintf(text, text_size, "host %s gave no SMTP reply while %s", client->name,
			what);
		client->broken = true;
		return EXCHANGE_LOST;
	}
	snprintf(text, text_size, "host %s said: %s", client->name, reply->text);
	if (reply->code == 421)
		client->broken = true;
	return EXCHANGE_OK;
}

int
client_command(struct client *client, ph_deadline deadline, const char *format, ...)
{
	char command[1800]; /* a path of 256, ORCPT of 500 and more */
	va_list arguments;
	int size;

	va_start(arguments, format);
	size = vsnprintf(command, sizeof command, format, arguments);
	va_end(arguments);
	if (size < 0 || (size_t)size >= sizeof command ||
		ph_stream_write(client->stream, command, (size_t)size, deadline) != 0) {
		client->broken = true;
		return -1;
	}
	return 0;
}

static void
take_capability(struct client *client, ph_span line)
{
	static const struct {
		const char *keyword;
		unsigned capability;
	} known[] = {{"PIPELINING", CAN_PIPELINE}, {"8BITMIME", CAN_8BIT}, {"SIZE", CAN_SIZE},
		{"SMTPUTF8", CAN_SMTPUTF8}, {"ENHANCEDSTATUSCODES", CAN_ENHANCED},
		{"DSN", CAN_DSN}};
	ph_span word = {line.data, 0}, rest;

	while (word.size < line.size && word.data[word.size] != ' ')
		word.size++;
	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		if (ph_span_equal_nocase(word, ph_span_of(known[i].keyword)))
			client->capabilities |= known[i].capability;
	if (word.size + 1 < line.size && ph_span_equal_nocase(word, ph_span_of("SIZE"))) {
		rest = (ph_span){line.data + word.size + 1, line.size - word.size - 1};
		if (ph_parse_int(rest, 0, INT64_MAX, &client->size_limit) == -1)
			client->size_limit = 0;
	}
}

/* How the server is greeted. */
static const char *
hello_verb(const struct client *client)
{
	return client->settings->lmtp ? "LHLO" : "EHLO";
}

/* Its reply has the capabilities in the lines behind the first. The first names the server. */
static enum exchange
read_ehlo(struct client *client, struct reply *reply, bool *ourselves, char *text, size_t text_size)
{
	ph_deadline deadline = ph_in(client->settings->smtp_helo_timeout);
	int more = 1;

	reply_begin(reply);
	client->capabilities = 0;
	client->size_limit = 0;
	while (more == 1) {
		ph_span line;
		int64_t got = ph_stream_read_line(client->stream, &line, REPLY_MAX_LINE, deadline);

		if (got < 0) {
			snprintf(text, text_size, "%s with %s while performing the %s handshake",
				loss(client, got), client->name, hello_verb(client));
			return EXCHANGE_LOST;
		}
		line = without_line_end(line);
		more = reply_line(reply, line);
		if (line.size <= 4 || reply->code != 250)
			continue;
		line = (ph_span){line.data + 4, line.size - 4};
		if (reply->lines > 1) {
			take_capability(client, line);
		} else {
			const char *us = ph_global("myhostname");
			size_t size = strlen(us);

			*ourselves = line.size >= size && strncasecmp(line.data, us, size) == 0 &&
				(line.size == size || line.data[size] == ' ');
		}
	}
	if (more == -1) {
		snprintf(text, text_size, "host %s gave no SMTP reply to %s", client->name,
			hello_verb(client));
		return EXCHANGE_LOST;
	}
	snprintf(text, text_size, "host %s refused to talk to me: %s", client->name, reply->text);
	return EXCHANGE_OK;
}

/* Greeting, EHLO, HELO where EHLO is not known; in LMTP there is LHLO and nothing else. 0, or -1
 * with the reply and the text. */
static int
greet(struct client *client, struct reply *reply, char *text, size_t text_size)
{
	int64_t timeout = client->settings->smtp_helo_timeout;
	const char *helo = client->settings->smtp_helo_name;
	bool ourselves = false;

	if (client_reply(client, reply, timeout, "receiving the initial server greeting", text,
		text_size) != EXCHANGE_OK)
		return -1;
	if (reply->code / 100 != 2) {
		snprintf(text, text_size, "host %s refused to talk to me: %s", client->name,
			reply->text);
		return -1;
	}
	if (client_command(client, ph_in(timeout), "%s %s\r\n", hello_verb(client), helo) == -1)
		return -1;
	if (read_ehlo(client, reply, &ourselves, text, text_size) != EXCHANGE_OK)
		return -1;
	if (reply->code / 100 == 5 && !client->settings->lmtp) {
		if (client_command(client, ph_in(timeout), "HELO %s\r\n", helo) == -1 ||
			client_reply(client, reply, timeout, "performing the HELO handshake", text,
				text_size) != EXCHANGE_OK)
			return -1;
	}
	if (reply->code / 100 != 2)
		return -1;
	/* The LMTP server of this host has its name with every right. */
	if (ourselves && !client->settings->lmtp) {
		reply->code = 554;
		snprintf(reply->status, sizeof reply->status, "5.4.6");
		snprintf(text, text_size,
			"host %s greeted me with my own host name: mail loops back to myself",
			client->name);
		return -1;
	}
	return 0;
}

static bool
source_address(const struct smtp_settings *settings, const ph_address *to, ph_address *from)
{
	const char *text = to->family == AF_INET6 ? settings->smtp_bind_address6 :
		settings->smtp_bind_address;

	return text[0] != '\0' && ph_address_parse(ph_span_of(text), from) == 0;
}

/* A socket's relative path is one below the queue, as the mail system it comes from has it. NULL
 * with the error. */
static ph_stream *
connect_path(const char *path, ph_deadline deadline, ph_error *error)
{
	char whole[256];
	const char *folder = *path == '/' ? "" : ph_global("queue_directory");

	if (snprintf(whole, sizeof whole, "%s%s%s", folder, *folder != '\0' ? "/" : "", path) <
		(int)sizeof whole)
		return ph_stream_connect_unix(whole, deadline, error);
	ph_error_set(error, "%s", strerror(ENAMETOOLONG));
	return NULL;
}

static ph_stream *
connect_host(const struct smtp_settings *settings, const struct host *host, ph_error *error)
{
	int64_t timeout = settings->smtp_connect_timeout;
	ph_deadline deadline = ph_in(timeout > 0 ? timeout : LONGEST_CONNECT);
	ph_address source;

	if (host->path != NULL)
		return connect_path(host->path, deadline, error);
	return ph_stream_connect(&host->address,
		source_address(settings, &host->address, &source) ? &source : NULL, deadline,
		error);
}

/* "mx.example.com[192.0.2.1]", and with the port. */
static void
name_client(struct client *client, const struct host *host)
{
	char address[PH_ADDRESS_TEXT];

	if (host->path != NULL) {
		snprintf(client->name, sizeof client->name, "%.120s[%.120s]", host->name,
			host->path);
		snprintf(client->relay, sizeof client->relay, "%s", client->name);
		return;
	}
	ph_address_text(&host->address, address);
	snprintf(client->name, sizeof client->name, "%.190s[%s]", host->name, address);
	snprintf(client->relay, sizeof client->relay, "%s:%u", client->name, host->address.port);
}

struct client *
client_open(const struct smtp_settings *settings, const struct host *host, struct reply *reply,
	char *text, size_t text_size)
{
	struct client *client = calloc(1, sizeof *client);
	ph_error error;

	reply_begin(reply);
	if (client == NULL) {
		snprintf(text, text_size, "out of memory");
		return NULL;
	}
	client->settings = settings;
	client->address = host->address;
	name_client(client, host);
	client->stream = connect_host(settings, host, &error);
	if (client->stream == NULL) {
		snprintf(text, text_size, "connect to %s: %s", client->relay, error.text);
		free(client);
		return NULL;
	}
	if (greet(client, reply, text, text_size) == -1) {
		client->broken = reply->code == 0 || reply->code == 421;
		client_close(client);
		return NULL;
	}
	return client;
}

void
client_close(struct client *client)
{
	if (client == NULL)
		return;
	if (!client->broken && client_command(client, ph_in(0), "QUIT\r\n") == 0)
		ph_stream_flush_now(client->stream);
	ph_stream_close(client->stream);
	free(client);
}
