/*
 * posthouse check: is the configuration right, and is the host ready for it?
 */
#include "cli/check.h"

#include <errno.h>
#include <getopt.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include <posthouse/log.h>

#include "cli/cli.h"
#include "config/state.h"
#include "ground/logger.h"
#include "process/endpoints.h"
#include "process/owner.h"

static int
usage(const char *name)
{
	cli_error("usage: %s [-c FILE]", name);
	return EX_USAGE;
}

/* A directory that mail lives in. owner -1: whoever it is. */
static void
check_directory(struct problems *problems, const char *path, const char *parameter,
	const char *path_of, long owner, const char *owner_name)
{
	struct stat status;

	if (stat(path, &status) == -1)
		problems_warn(problems, path_of, 0, "%s: %s: %s", parameter, path, strerror(errno));
	else if (!S_ISDIR(status.st_mode))
		problems_warn(problems, path_of, 0, "%s: %s is not a directory", parameter, path);
	else if (owner != -1 && status.st_uid != (uid_t)owner)
		problems_warn(problems, path_of, 0, "%s: %s does not belong to %s", parameter, path,
			owner_name);
}

/* What the daemon makes itself when it is missing is not complained of. */
static bool
exists(const char *path)
{
	return access(path, F_OK) == 0;
}

static void
check_host(const struct config *config, struct problems *problems)
{
	const struct settings *settings = config_settings(config);
	const struct passwd *owner = getpwnam(settings->mail_owner);
	const struct setting *where;
	long uid = owner && geteuid() == 0 ? (long)owner->pw_uid : -1;

	if (!config_queue(config, NULL))
		problems_add(problems, config_path(config), 0,
			"mail has no place to stay: no queue module is loaded; add load(queue_log)");
	where = setting_find(&config->set, "mail_owner");
	if (geteuid() == 0 && !owner)
		problems_add(problems, where ? where->file : config_path(config),
			where ? where->line : 0,
			"mail_owner: there is no user %s; " OWNER_ADVICE, settings->mail_owner,
			settings->mail_owner);
	if (geteuid() == 0 && owner && owner->pw_uid == 0)
		problems_add(problems, where ? where->file : config_path(config),
			where ? where->line : 0,
			"mail_owner: %s is root: a user of its own is meant", settings->mail_owner);
	check_directory(problems, settings->mail_spool_directory, "mail_spool_directory",
		config_path(config), -1, "");
	if (exists(settings->queue_directory))
		check_directory(problems, settings->queue_directory, "queue_directory",
			config_path(config), uid, settings->mail_owner);
	if (exists(settings->data_directory))
		check_directory(problems, settings->data_directory, "data_directory",
			config_path(config), uid, settings->mail_owner);
	if (exists(settings->run_directory))
		check_directory(problems, settings->run_directory, "run_directory",
			config_path(config), -1, "");
}

static void
check_endpoints(const struct config *config, struct problems *problems)
{
	struct ph_endpoints endpoints;
	ph_pool *pool = ph_pool_new(0);

	if (pool)
		endpoints_collect(&endpoints, pool, config, problems);
	ph_pool_free(pool);
}

static void
count_warning(void *context, bool warning, const char *line)
{
	size_t *count = context;

	(void)line;
	*count += warning;
}

/* The last line, and the exit code. */
static int
conclude(const struct problems *problems, const char *path)
{
	size_t count = problems_count(problems), warnings = 0;

	problems_each(problems, count_warning, &warnings);
	if (count)
		fprintf(stderr, "%zu %s in %s\n", count, count == 1 ? "problem" : "problems", path);
	else if (warnings)
		printf("%zu %s, no errors in %s\n", warnings,
			warnings == 1 ? "warning" : "warnings", path);
	else
		printf("no problems found in %s\n", path);
	return count ? 1 : 0;
}

/* What tables and rehearsed sessions would log is told as problems. */
static void
be_silent(const char *component, ph_log_level level, const char *line, void *context)
{
}

int
command_check(int argc, char **argv)
{
	struct problems *problems = problems_new();
	struct config *config;
	const char *given = NULL, *path;
	int option, result;

	while ((option = getopt(argc, argv, "c:")) != -1) {
		if (option != 'c')
			return usage(argv[0]);
		given = optarg;
	}
	if (!problems || optind != argc)
		return problems ? usage(argv[0]) : EX_OSERR;
	path = cli_config_path(given);
	config = config_load(path, -1, problems);
	logger_capture(be_silent, NULL);
	if (config) {
		check_host(config, problems);
		check_tables(config, problems);
		check_entries(config, problems);
		check_endpoints(config, problems);
		check_reach(config, problems);
		check_places(config, problems);
		check_unused(config, problems);
		check_domains(config, problems);
		check_verify(config, problems);
		check_relay(config, problems);
	}
	logger_capture(NULL, NULL);
	problems_print(problems, stderr);
	result = conclude(problems, path);
	config_free(config);
	problems_free(problems);
	return result;
}
