/*
 * In the child that is the user: is a command to run, or a file to write or read, that the local
 * role names, the user's own wish?
 */
#ifndef TRANSPORT_LOCAL_CONFIRM_H
#define TRANSPORT_LOCAL_CONFIRM_H

#include "local.h"

/* 0, or -1 with the result. */
int confirm_target(const struct local *local, const struct ph_user_context *user,
	const struct ph_user_delivery *request, struct ph_user_result *result);

#endif
