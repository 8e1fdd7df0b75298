/* SipHash-2-4 against the values that its authors published. */
#include "test.h"

#include "ground/siphash.h"

static const uint64_t secret[2] = {UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)};

/* Of the bytes 0, 1, 2, … of each length; the first ones of "vectors", and the example of the paper. */
static const struct {
	size_t size;
	uint64_t hash;
} published[] = {
	{0, UINT64_C(0x726fdb47dd0e0e31)},
	{1, UINT64_C(0x74f839c593dc67fd)},
	{2, UINT64_C(0x0d6c8009d9a94f5a)},
	{3, UINT64_C(0x85676696d7fb7e2d)},
	{7, UINT64_C(0xab0200f58b01d137)},
	{8, UINT64_C(0x93f5f5799a932462)},
	{15, UINT64_C(0xa129ca6149be45e5)},
	{63, UINT64_C(0x958a324ceb064572)},
};

static void
test_published(void **state)
{
	char text[64];

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)i;
	for (size_t i = 0; i < sizeof(published) / sizeof(published[0]); i++)
		assert_int_equal(siphash(secret, (ph_span){text, published[i].size}), published[i].hash);
}

static void
test_secret(void **state)
{
	const uint64_t other[2] = {secret[0], secret[1] + 1};

	assert_int_not_equal(siphash(secret, ph_span_of("a")), siphash(other, ph_span_of("a")));
	assert_int_not_equal(siphash(secret, (ph_span){"\0\0", 1}), siphash(secret, (ph_span){"\0\0", 2}));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_published), cmocka_unit_test(test_secret)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
