/*
 * The commands: which of them is meant.
 */
#include "cli/cli.h"

#include <config.h>

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "config/nearest.h"

static const struct command subcommands[] = {
	{"check", command_check, "", "reads the configuration and says what is wrong with it"},
	{"config", command_config, "[-dhjnx] [name ...] | -e name=value ... | -X name ...",
		"shows and edits parameters"},
	{"explain", command_explain, "--client A [--helo H] [--from S --to R ...] ...",
		"says what a session would be answered, and why"},
	{"map", command_map, "build | query | dump | test type:path ...", "builds, asks and tests tables"},
	{"module", command_module, "list | info name", "shows modules and what they provide"},
	{"queue", command_queue, "list | flush | show | delete | hold | release ...",
		"shows and changes the queue"},
	{"reload", command_reload, "", "has the daemon read its configuration again"},
	{"start", command_start, "", "starts the daemon"},
	{"status", command_status, "", "shows the daemon's processes and its last reload"},
	{"stop", command_stop, "", "stops the daemon"},
	{"verify", command_verify, "list | delete ...",
		"shows and forgets what is known of addresses"},
};

static const struct command traditional[] = {
	{"mailq", command_mailq, "", ""},
	{"newaliases", command_newaliases, "", ""},
	{"postalias", command_postalias, "", ""},
	{"postcat", command_postcat, "", ""},
	{"postconf", command_postconf, "", ""},
	{"postfix", command_postfix, "", ""},
	{"posthoused", command_daemon, "", ""},
	{"postmap", command_postmap, "", ""},
	{"postqueue", command_postqueue, "", ""},
	{"postsuper", command_postsuper, "", ""},
	{"sendmail", command_sendmail, "", ""},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct command *
find(const struct command *commands, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

static void
usage(FILE *out)
{
	fprintf(out, "usage: posthouse COMMAND [-c FILE] [ARGUMENT ...]\n");
	for (size_t i = 0; i < COUNT(subcommands); i++)
		fprintf(out, "  %-7s %-*s%s\n", subcommands[i].name,
			subcommands[i].synopsis[0] ? 53 : 0,
			subcommands[i].purpose, subcommands[i].synopsis);
	fprintf(out, "posthouse --version shows the version; man posthouse tells more\n");
}

static int
unknown(const char *name)
{
	struct nearest nearest = nearest_to(name);
	char hint[80];

	for (size_t i = 0; i < COUNT(subcommands); i++)
		nearest_try(&nearest, subcommands[i].name);
	cli_error("%s: no such command%s", name, nearest_hint(&nearest, hint, sizeof(hint)));
	return EX_USAGE;
}

static int
run_subcommand(int argc, char **argv)
{
	const struct command *command;

	if (argc < 2) {
		usage(stderr);
		return EX_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
		strcmp(argv[1], "help") == 0) {
		usage(stdout);
		return 0;
	}
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
		printf("posthouse %s\n", PACKAGE_VERSION);
		return 0;
	}
	command = find(subcommands, COUNT(subcommands), argv[1]);
	return command ? command->run(argc - 1, argv + 1) : unknown(argv[1]);
}

int
posthouse_main(int argc, char **argv)
{
	const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
	const char *name = slash ? slash + 1 : argc > 0 ? argv[0] : "posthouse";
	const struct command *command = find(traditional, COUNT(traditional), name);

	cli_set_program(name);
	/* "posthoused config": the one executable that a build folder has. */
	if (command && command->run == command_daemon && argc > 1 && argv[1][0] != '-')
		command = NULL;
	return command ? command->run(argc, argv) : run_subcommand(argc, argv);
}
