/* A pool for a test, or for all tests of a program: what a setup and a teardown of cmocka make of it. */
#ifndef TESTS_UNIT_POOL_H
#define TESTS_UNIT_POOL_H

#include <posthouse/base.h>

static ph_pool *pool;

static int
pool_setup(void **state)
{
	pool = ph_pool_new(0);
	return pool == NULL ? -1 : 0;
}

static int
pool_teardown(void **state)
{
	ph_pool_free(pool);
	return 0;
}

#endif
