#include "mailbox/answer.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void
ph_user_answer(struct ph_user_result *result, int outcome, const char *status, const char *format,
	...)
{
	va_list args;

	*result = (struct ph_user_result){.size = sizeof(*result), .outcome = outcome};
	snprintf(result->status, sizeof(result->status), "%s", status);
	va_start(args, format);
	vsnprintf(result->text, sizeof(result->text), format, args);
	va_end(args);
}

void
answer_errno(struct ph_user_result *result, const char *what, const char *path, int failure)
{
	bool full = failure == ENOSPC || failure == EDQUOT || failure == EFBIG;

	ph_user_answer(result, PH_USER_DEFERRED, full ? "4.2.2" : "4.2.0", "%s %s: %s", what, path,
		strerror(failure));
}
