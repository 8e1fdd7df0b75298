/*
 * The last words of a process. What runs here runs in a signal handler: no memory is taken, no
 * lock, no stdio.
 */
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "ground/emergency.h"
#include "ground/logger.h"
#include "ground/loop.h"
#include "ground/task.h"

static const int fatal_signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};

enum {
	FATAL_SIGNALS = sizeof(fatal_signals) / sizeof(fatal_signals[0]),
	HANDLER_STACK = 64 * 1024
};

static struct {
	char role[32];
	char *blame;
	size_t blame_size;
	struct sigaction before[FATAL_SIGNALS];
	char stack[HANDLER_STACK];
} crash;

static const char *
signal_name(int number)
{
	switch (number) {
	case SIGSEGV:
		return "SIGSEGV";
	case SIGBUS:
		return "SIGBUS";
	case SIGFPE:
		return "SIGFPE";
	case SIGILL:
		return "SIGILL";
	case SIGABRT:
		return "SIGABRT";
	}
	return "a signal";
}

void
emergency_put(struct emergency *line, const char *text)
{
	while (text != NULL && *text != '\0' && line->size < sizeof(line->text) - 1) {
		unsigned char c = (unsigned char)*text++;

		line->text[line->size++] = c < 0x20 || c >= 0x7f ? '?' : (char)c;
	}
	line->text[line->size] = '\0';
}

void
emergency_put_number(struct emergency *line, uint64_t number)
{
	char digits[24];
	size_t at = sizeof(digits) - 1;

	digits[at] = '\0';
	do
		digits[--at] = (char)('0' + number % 10);
	while ((number /= 10) > 0);
	emergency_put(line, digits + at);
}

static void
put_fact(struct emergency *line, const char *name, const char *value)
{
	if (value == NULL || value[0] == '\0')
		return;
	emergency_put(line, name);
	emergency_put(line, value);
}

/* ", task smtp-session, queue ID 4FADF218FED8, session …, module …" */
void
emergency_put_task(struct emergency *line)
{
	const struct task *task = tasks.current;

	if (task == NULL)
		return;
	put_fact(line, ", task ", task->name);
	if (task->context == NULL)
		return;
	put_fact(line, ", queue ID ", task->context->queue_id);
	put_fact(line, ", session ", task->context->session);
	put_fact(line, ", module ", task->context->instance);
}

/* "QUEUE_ID INSTANCE" */
static void
write_blame(void)
{
	const struct task_context *context = tasks.current == NULL ? NULL : tasks.current->context;
	struct emergency line = {0};

	if (crash.blame == NULL || crash.blame_size == 0 || context == NULL)
		return;
	emergency_put(&line, context->queue_id);
	emergency_put(&line, " ");
	emergency_put(&line, context->instance);
	if (line.size >= crash.blame_size)
		line.size = crash.blame_size - 1;
	memcpy(crash.blame, line.text, line.size);
	crash.blame[line.size] = '\0';
}

static void
put_overrun(struct emergency *line, const void *address)
{
	size_t slot;

	if (!stacks_guarded(&tasks.stacks, address, &slot))
		return;
	emergency_put(line, ": task \"");
	emergency_put(line, task_at(slot)->name);
	emergency_put(line, "\" overran its stack of ");
	emergency_put_number(line, task_at(slot)->fiber.size);
	emergency_put(line, " bytes");
}

/* Says what is known, then lets the signal take its course: the handler before this one (the
 * sanitizer's, or none) sees it when the instruction is tried again. */
static void
handle(int number, siginfo_t *info, void *context)
{
	struct emergency line = {0};

	for (size_t i = 0; i < FATAL_SIGNALS; i++)
		sigaction(fatal_signals[i], &crash.before[i], NULL);
	write_blame();
	emergency_put(&line, "fatal: ");
	emergency_put(&line, crash.role);
	emergency_put(&line, " died of ");
	emergency_put(&line, signal_name(number));
	if (number == SIGSEGV || number == SIGBUS)
		put_overrun(&line, info->si_addr);
	emergency_put_task(&line);
	logger_emergency(line.text);
	if (info->si_code <= 0)
		raise(number); /* was sent, not caused: comes again only if we send it */
}

void
crash_install(const char *role, char *blame, size_t size)
{
	const stack_t stack = {.ss_sp = crash.stack, .ss_size = sizeof(crash.stack)};
	struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO | SA_ONSTACK};
	stack_t present;
	struct emergency name = {0};

	emergency_put(&name, role);
	name.text[sizeof(crash.role) - 1] = '\0';
	memcpy(crash.role, name.text, sizeof(crash.role));
	crash.blame = blame;
	crash.blame_size = size;
	if (sigaltstack(NULL, &present) == 0 && (present.ss_flags & SS_DISABLE) != 0)
		sigaltstack(&stack, NULL);
	sigfillset(&action.sa_mask);
	for (size_t i = 0; i < FATAL_SIGNALS; i++) {
		struct sigaction before;

		if (sigaction(fatal_signals[i], &action, &before) == 0 &&
			before.sa_sigaction != handle)
			crash.before[i] = before;
	}
}
