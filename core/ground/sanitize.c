#undef _FORTIFY_SOURCE /* as in switch.c */

#include "ground/sanitize.h"

#ifdef GROUND_ASAN

#include <dlfcn.h>

sanitize_jump_fn *
sanitize_jump(void)
{
	void *library = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);
	void *jump = library == NULL ? NULL : dlsym(library, "_longjmp");

	if (library != NULL)
		dlclose(library);
	return jump == NULL ? (sanitize_jump_fn *)_longjmp : (sanitize_jump_fn *)jump;
}

#else

typedef int sanitize_not_needed; /* a file may not be empty */

#endif
