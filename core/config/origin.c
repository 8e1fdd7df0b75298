#include "config/origin.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <posthouse/address.h>
#include <posthouse/log.h>

#define DOMAIN_SIZE 256

/* The first line of a file, without blanks at its ends. */
static int
read_first_line(const char *path, char line[DOMAIN_SIZE])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd == -1)
		return -1;
	ssize_t size = read(fd, line, DOMAIN_SIZE - 1);

	close(fd);
	if (size <= 0)
		return -1;
	line[size] = '\0';
	line[strcspn(line, "\r\n")] = '\0';
	size_t start = strspn(line, " \t"), end = strlen(line);

	while (end > start && (line[end - 1] == ' ' || line[end - 1] == '\t'))
		end--;
	memmove(line, line + start, end - start);
	line[end - start] = '\0';
	return ph_is_hostname(line) ? 0 : -1;
}

const char *
origin_domain(const struct settings *settings)
{
	static struct {
		const char *path;
		char domain[DOMAIN_SIZE];
	} file;

	if (settings->myorigin[0] != '/')
		return settings->myorigin[0] != '\0' ? settings->myorigin : settings->myhostname;
	if (file.path != settings->myorigin) {
		file.path = settings->myorigin;
		if (read_first_line(settings->myorigin, file.domain) == -1) {
			ph_log(PH_LOG_WARNING,
				"myorigin: %s does not have a domain name in its first line: using %s",
				settings->myorigin, settings->myhostname);
			file.domain[0] = '\0';
		}
	}
	return file.domain[0] != '\0' ? file.domain : settings->myhostname;
}
