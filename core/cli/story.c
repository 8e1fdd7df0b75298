#include "cli/story.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/grow.h"

enum { UNASKED_NAMES = 3, WISHES_MOST = 100 };

/* ---- Making ---------------------------------------------------------------------------------- */

static const char *
keep(struct story *story, const char *text)
{
	return memory_or_die(ph_pool_strdup(story->pool, text != NULL ? text : ""));
}

static struct step *
add_step(struct story *story, struct steps *steps, enum step_kind kind, const char *text)
{
	struct step *step = memory_or_die(ph_pool_alloc(story->pool, sizeof(*step)));

	*step = (struct step){.kind = kind, .text = keep(story, text), .argument = ""};
	if (steps->end == NULL)
		steps->end = &steps->first;
	*steps->end = step;
	steps->end = &step->next;
	steps->count++;
	return step;
}

/* Where something of a depth belongs: to the restriction that is being asked there, the list, or
 * the command. */
static struct steps *
place(struct story *story, unsigned depth)
{
	if (depth > story->depth)
		depth = story->depth;
	if (depth > 0)
		return &story->open[depth]->steps;
	return story->list != NULL ? &story->list->steps : &story->now->notes;
}

/* The restriction that is being asked at a depth; NULL: none is. */
static struct step *
open_step(const struct story *story, unsigned depth)
{
	return depth > 0 && depth <= story->depth ? story->open[depth] : NULL;
}

void
story_note(struct story *story, const char *text)
{
	if (story->now != NULL)
		add_step(story, place(story, story->depth), STEP_NOTE, text);
}

/* ---- The trail ------------------------------------------------------------------------------- */

static void
on_client(void *context, const ph_session *session)
{
	struct story *story = context;
	char text[512];

	trail_client_text(session, text, sizeof(text));
	story->client = keep(story, session->client_text);
	story->client_text = keep(story, text);
	story->client_name = session->client_name ? keep(story, session->client_name) : NULL;
	story->reverse_name = session->reverse_name ? keep(story, session->reverse_name) : NULL;
}

static void
on_list(void *context, const char *name, const struct ph_rules *rules)
{
	struct story *story = context;
	struct story_list *list = memory_or_die(ph_pool_alloc(story->pool, sizeof(*list)));

	*list = (struct story_list){.name = name, .rules = rules};
	*story->now->lists_end = list;
	story->now->lists_end = &list->next;
	story->list = list;
	story->depth = 0;
}

static void
count_asked(struct story_list *list, const struct ph_rule *rule)
{
	if (rule >= list->rules->items && rule < list->rules->items + list->rules->count)
		list->asked = (size_t)(rule - list->rules->items) + 1;
}

static void
on_rule(void *context, const struct ph_rule *rule, unsigned depth, bool skipped, bool warn)
{
	struct story *story = context;
	const struct step *outer;
	struct step *step;

	if (depth == 0 || depth > RUN_DEPTH_MAX || story->list == NULL)
		return;
	outer = open_step(story, depth - 1);
	step = add_step(story, place(story, depth - 1), STEP_RULE, rule->name);
	step->argument = keep(story, rule->argument);
	step->file = rule->file;
	step->line = rule->line;
	step->warn = warn;
	step->behind = warn && (outer == NULL || !outer->warn);
	step->skipped = skipped ? trail_absence(rule) : NULL;
	story->open[depth] = step;
	story->depth = depth;
	if (depth == 1)
		count_asked(story->list, rule);
}

static void
on_note(void *context, const char *text, unsigned depth)
{
	struct story *story = context;

	add_step(story, depth > 0 ? place(story, depth) : &story->now->notes, STEP_NOTE, text);
}

static void
add_text(struct story *story, ph_strings *list, const char *text)
{
	const char **items = (const char **)list->items;

	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->items[i], text) == 0)
			return;
	if (items == NULL)
		items = memory_or_die(ph_pool_array(story->pool, WISHES_MOST, sizeof(*items)));
	list->items = items;
	if (list->count < WISHES_MOST)
		items[list->count++] = text;
}

static void
on_wish(void *context, const char *what, const char *text, unsigned depth)
{
	struct story *story = context;
	struct story_message *message = &story->message;
	struct step *step = add_step(story, place(story, depth), STEP_WISH, what);

	step->argument = keep(story, text);
	if (strcmp(what, "HOLD") == 0)
		message->hold = step->argument;
	else if (strcmp(what, "FILTER") == 0)
		message->filter = step->argument;
	else if (strcmp(what, "REDIRECT") == 0)
		message->redirect = step->argument;
	else
		add_text(story, strcmp(what, "BCC") == 0 ? &message->bcc : &message->prepend,
			step->argument);
}

/* What lists within it have said has come before. */
static void
on_verdict(void *context, const struct ph_rule *rule, ph_verdict verdict, const ph_reply *reply,
	bool warned, unsigned depth)
{
	struct story *story = context;
	struct step *step = open_step(story, depth);

	story->depth = depth <= story->depth ? depth : story->depth;
	if (step == NULL)
		return;
	step->judged = true;
	step->verdict = verdict;
	if (verdict != PH_DUNNO && verdict != PH_PERMIT && verdict != PH_DISCARD)
		step->reply = *reply;
	if (verdict == PH_DISCARD)
		story->message.discard = step->text;
}

/* ---- Who refused it -------------------------------------------------------------------------- */

/* Among some steps, the last one that said so and meant it; those that a restriction had asked say
 * it before it says it again. */
static const struct step *
find_refuser(const struct steps *steps, const ph_reply *reply)
{
	const struct step *found = NULL, *inner;

	for (const struct step *step = steps->first; step != NULL; step = step->next) {
		if (step->kind != STEP_RULE)
			continue;
		inner = find_refuser(&step->steps, reply);
		if (inner != NULL)
			found = inner;
		else if (step->judged && !step->warn && step->reply.code == reply->code &&
			strcmp(step->reply.text, reply->text) == 0)
			found = step;
	}
	return found;
}

/* It may have been said at an earlier command, and kept. */
static void
find_decider(struct story *story, const ph_reply *reply)
{
	struct exchange *now = story->now;

	for (const struct exchange *e = story->exchanges; e != NULL; e = e->next)
		for (const struct story_list *list = e->lists; list != NULL; list = list->next) {
			const struct step *step = find_refuser(&list->steps, reply);

			if (step != NULL) {
				now->decider = step;
				now->decider_list = list->name;
			}
		}
}

static void
on_outcome(void *context, const char *command, int result, const ph_reply *reply)
{
	struct story *story = context;

	story->list = NULL;
	story->depth = 0;
	if (result == -1)
		find_decider(story, reply);
}

/* ---- Commands -------------------------------------------------------------------------------- */

void
story_begin(struct story *story, ph_pool *pool)
{
	*story = (struct story){.pool = pool, .client = "", .client_text = "",
		.trail = {.context = story, .client = on_client, .list = on_list, .rule = on_rule,
			.note = on_note, .wish = on_wish, .verdict = on_verdict,
			.outcome = on_outcome}};
	story->end = &story->exchanges;
}

void
story_command(struct story *story, const char *verb, const char *command, const char *object)
{
	struct exchange *exchange = memory_or_die(ph_pool_alloc(story->pool, sizeof(*exchange)));

	exchange->verb = verb;
	exchange->command = keep(story, command);
	exchange->object = keep(story, object);
	exchange->status = exchange->text = "";
	exchange->lists_end = &exchange->lists;
	*story->end = exchange;
	story->end = &exchange->next;
	story->now = exchange;
}

/* The size of an enhanced status code "5.7.1" at the start (RFC 3463); 0: there is none. */
static size_t
status_size(ph_span text)
{
	size_t size = 0, dots = 0;

	while (size < text.size && ((text.data[size] >= '0' && text.data[size] <= '9') ||
		text.data[size] == '.'))
		dots += text.data[size++] == '.';
	return dots == 2 && size >= 5 && text.data[1] == '.' &&
		(size == text.size || text.data[size] == ' ')
		? size : 0;
}

void
story_reply(struct story *story, ph_span line)
{
	struct exchange *exchange = story->now;
	int64_t code = 0;
	size_t size;

	if (line.size < 3 || ph_parse_int((ph_span){line.data, 3}, 200, 599, &code) == -1) {
		exchange->text = "the connection ended without a reply";
		return;
	}
	exchange->code = (int)code;
	exchange->accepted = code < 400;
	line = line.size > 3 ? (ph_span){line.data + 4, line.size - 4}
		: (ph_span){line.data + 3, 0};
	size = status_size(line);
	exchange->status = memory_or_die(ph_pool_copy(story->pool, (ph_span){line.data, size}));
	while (size < line.size && size > 0 && line.data[size] == ' ')
		size++;
	exchange->text = memory_or_die(ph_pool_copy(story->pool,
		(ph_span){line.data + size, line.size - size}));
}

const char *
story_unasked(const struct story_list *list, char *text, size_t size)
{
	size_t used = 0, named = 0, more = 0;

	text[0] = '\0';
	for (size_t i = list->asked; i < list->rules->count; i++) {
		const char *name = list->rules->items[i].name;

		if (strcmp(name, "warn_if_reject") == 0)
			continue;
		if (named == UNASKED_NAMES || used >= size / 2) {
			more++;
			continue;
		}
		used += (size_t)snprintf(text + used, size - used, "%s%.60s", named++ ? ", " : "",
			name);
	}
	if (more > 0 && used < size)
		snprintf(text + used, size - used, " and %zu more", more);
	return text;
}
