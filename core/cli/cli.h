/*
 * The commands. One executable: what it does is decided by the name under which it was called
 * ("sendmail", "mailq", "postconf", …) or by the first word after "posthouse".
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <posthouse/base.h>

/* A command gets its own name as argv[0]; it returns an exit code (sysexits for sendmail). */
typedef int command_fn(int argc, char **argv);

struct command {
	const char *name;
	command_fn *run;
	const char *synopsis; /* "[-n] [-d] [-j] [name ...]" */
	const char *purpose;
};

/* posthouse SUBCOMMAND */
command_fn command_config, command_check, command_explain, command_module, command_map,
	command_queue, command_verify;
command_fn command_start, command_stop, command_reload, command_status;
/* traditional names */
command_fn command_sendmail, command_mailq, command_newaliases;
command_fn command_postconf, command_postalias, command_postmap, command_postqueue, command_postcat;
command_fn command_postsuper, command_postfix;
/* posthoused */
command_fn command_daemon;

/* The configuration file: -c FILE, POSTHOUSE_CONFIG (ignored in a process with more rights than
 * its caller), or the compiled-in path. -c DIR means DIR/posthouse.conf. */
const char *cli_config_path(const char *option);
/* Prints "name: text" to standard error. */
void cli_error(const char *format, ...) PH_PRINTF(1, 2);
/* The name that cli_error() prints; kept by reference. */
void cli_set_program(const char *name);

/* The whole program; exported by the library for the executable's main(). */
PH_API int posthouse_main(int argc, char **argv);

#endif
