/*
 * One connection to an SMTP server: greeting, EHLO, transactions.
 */
#ifndef SMTP_CLIENT_H
#define SMTP_CLIENT_H

#include <posthouse/stream.h>

#include "hosts.h"
#include "reply.h"
#include "settings.h"

enum {
	CAN_PIPELINE = 1,
	CAN_8BIT = 2,
	CAN_SIZE = 4,
	CAN_SMTPUTF8 = 8,
	CAN_ENHANCED = 16,
	CAN_DSN = 32
};

struct client {
	ph_stream *stream;
	const struct smtp_settings *settings;
	unsigned capabilities;
	int64_t size_limit;    /* announced with SIZE; 0: none */
	unsigned transactions; /* done on this connection */
	bool broken;           /* not to be used again */
	ph_address address;
	char name[256];        /* "mx.example.com[192.0.2.1]", "mail.example.com[private/lmtp]"; with the */
	char relay[320];       /* port, where there is one, it is here */
	/* of the connection cache */
	struct client *next;
	ph_deadline expires;
	char key[300];
};

/* How an exchange ended. */
enum exchange {
	EXCHANGE_OK,   /* there is a reply */
	EXCHANGE_LOST, /* no reply: timeout, connection lost, garbage; the text says what */
};

/* Connects, reads the greeting, says EHLO (or HELO, LHLO); waits. NULL: no connection; reply has
 * the server's reply (code 0: there was none) and text what happened. */
struct client *client_open(const struct smtp_settings *settings, const struct host *host,
	struct reply *reply, char *text, size_t text_size);
/* Collects a command; it leaves when a reply is waited for. */
int client_command(struct client *client, ph_deadline deadline, const char *format, ...)
	PH_PRINTF(3, 4);
enum exchange client_reply(struct client *client, struct reply *reply, int64_t timeout,
	const char *what, char *text, size_t text_size);
/* QUIT when the connection is sound, without waiting for the answer; frees. */
void client_close(struct client *client);

#endif
