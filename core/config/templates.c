/*
 * The texts of reports in a configuration: bounce_template_file on top of the built-in ones.
 */
#include "config/state.h"

#include <string.h>

#include "config/grow.h"
#include "config/template.h"

struct place {
	struct config *config;
	const char *path;
};

/* Those whose values can be had in another unit (bounce(5)). */
static const int64_t *
time_setting(const struct settings *settings, ph_span name)
{
	const struct {
		const char *name;
		const int64_t *value;
	} times[] = {
		{"bounce_queue_lifetime", &settings->bounce_queue_lifetime},
		{"delay_warning_time", &settings->delay_warning_time},
		{"maximal_queue_lifetime", &settings->maximal_queue_lifetime},
	};

	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++)
		if (ph_span_equal(name, ph_span_of(times[i].name)))
			return times[i].value;
	return NULL;
}

static const char *
look_up(void *context, ph_pool *pool, const char *name, ph_error *error)
{
	struct place *place = context;
	const int64_t *time =
		time_setting(&place->config->settings, (ph_span){name, template_time_name(name)});
	const char *value;
	char hint[160];

	if (time != NULL) {
		if ((value = template_time(pool, name, *time)) == NULL)
			ph_error_set(error, "out of memory");
		return value;
	}
	if (strcmp(name, "myorigin") == 0)
		return place->config->settings.myorigin;
	if ((value = config_value(place->config, name, true)) != NULL)
		return value;
	/* a value that is not right is a problem of its own already */
	if (parameter_find(place->config, name) != NULL)
		return "";
	ph_error_set(error, "$%s: there is no such parameter%s", name,
		parameter_hint(place->config, name, hint, sizeof(hint)));
	return NULL;
}

static void
add_problem(void *context, int line, const char *text)
{
	struct place *place = context;

	problems_add(place->config->problems, place->path, line, "%s", text);
}

void
templates_build(struct config *config)
{
	struct templates *templates =
		memory_or_die(ph_pool_alloc(config->pool, sizeof(*templates)));
	const char *path = config->settings.bounce_template_file;
	const struct setting *setting = setting_find(&config->set, "bounce_template_file");
	struct place place = {config, path};
	struct template_reader reader = {config->pool, look_up, add_problem, &place};
	ph_span text;
	ph_error error;

	templates_default(&reader, templates);
	config->settings.bounce_templates = templates;
	if (path == NULL || *path == '\0')
		return;
	if (*path != '/')
		ph_error_set(&error, "\"%.200s\": expected an absolute path", path);
	else if (sources_read(&config->sources, path, &text, &error) == 0) {
		problems_file(config->problems, path);
		templates_read(&reader, text, templates);
		return;
	}
	problems_add(config->problems, setting != NULL ? setting->file : config->path,
		setting != NULL ? setting->line : 0, "bounce_template_file: %s", error.text);
}
