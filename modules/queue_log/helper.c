#include "helper.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

struct call {
	struct call *next;
	void (*fn)(void *argument);
	void *argument;
	bool waited; /* somebody waits for it, and frees it */
	struct waiter waiter;
};

struct helper {
	struct wake *wake;
	pthread_t thread;
	bool running;
	pthread_mutex_t mutex;
	pthread_cond_t more;
	struct call *calls, **calls_end;
	bool stopping;
};

static struct call *
helper_next(struct helper *helper)
{
	struct call *call;

	pthread_mutex_lock(&helper->mutex);
	while (helper->calls == NULL && !helper->stopping)
		pthread_cond_wait(&helper->more, &helper->mutex);
	call = helper->calls;
	if (call != NULL)
		helper->calls = call->next;
	if (helper->calls == NULL)
		helper->calls_end = &helper->calls;
	pthread_mutex_unlock(&helper->mutex);
	return call;
}

static void *
helper_main(void *argument)
{
	struct helper *helper = argument;
	struct call *call;

	while ((call = helper_next(helper)) != NULL) {
		call->fn(call->argument);
		if (!call->waited) {
			free(call);
			continue;
		}
		wake_begin(helper->wake);
		wake_finish(helper->wake, &call->waiter);
		wake_end(helper->wake);
	}
	return NULL;
}

struct helper *
helper_new(struct wake *wake, ph_error *error)
{
	struct helper *helper = calloc(1, sizeof *helper);

	if (helper == NULL) {
		ph_error_set(error, "out of memory");
		return NULL;
	}
	helper->wake = wake;
	helper->calls_end = &helper->calls;
	pthread_mutex_init(&helper->mutex, NULL);
	pthread_cond_init(&helper->more, NULL);
	return helper;
}

void
helper_free(struct helper *helper)
{
	if (helper == NULL)
		return;
	if (helper->running) {
		pthread_mutex_lock(&helper->mutex);
		helper->stopping = true;
		pthread_cond_signal(&helper->more);
		pthread_mutex_unlock(&helper->mutex);
		pthread_join(helper->thread, NULL);
	}
	pthread_cond_destroy(&helper->more);
	pthread_mutex_destroy(&helper->mutex);
	free(helper);
}

static int
helper_start(struct helper *helper)
{
	sigset_t all, before;
	int result;

	if (helper->running)
		return 0;
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	result = pthread_create(&helper->thread, NULL, helper_main, helper);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	helper->running = result == 0;
	return result;
}

static void
helper_push(struct helper *helper, struct call *call)
{
	pthread_mutex_lock(&helper->mutex);
	*helper->calls_end = call;
	helper->calls_end = &call->next;
	pthread_cond_signal(&helper->more);
	pthread_mutex_unlock(&helper->mutex);
}

static struct call *
helper_prepare(struct helper *helper, void (*fn)(void *argument), void *argument)
{
	struct call *call;

	if (helper_start(helper) != 0 || (call = malloc(sizeof *call)) == NULL)
		return NULL;
	*call = (struct call){.fn = fn, .argument = argument};
	return call;
}

int
helper_call(struct helper *helper, void (*fn)(void *argument), void *argument, ph_error *error)
{
	struct call *call = helper_prepare(helper, fn, argument);

	if (call == NULL)
		return ph_error_set(error, "cannot start a thread or no memory");
	call->waited = true;
	waiter_prepare(&call->waiter);
	helper_push(helper, call);
	wake_wait(helper->wake, &call->waiter);
	free(call);
	return 0;
}

int
helper_post(struct helper *helper, void (*fn)(void *argument), void *argument)
{
	struct call *call = helper_prepare(helper, fn, argument);

	if (call == NULL)
		return -1;
	helper_push(helper, call);
	return 0;
}
