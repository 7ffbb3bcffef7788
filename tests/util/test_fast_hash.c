#include <criterion/criterion.h>
#include <string.h>

#include "util/fast_hash.h"

/* What the reference program (xxhsum -H1) says of the first bytes of 3, 10, 17, … */
static const struct {
    size_t size;
    uint64_t hash;
} known[] = {
    {0, 0xef46db3751d8e999},  {1, 0x1f25c8d0bc1f4bb6},  {3, 0x31d2363f52e564c9},  {4, 0x9bb64b7d66ee9fda},
    {7, 0x9a7b149959ce60d8},  {8, 0xdab99d95c6f90092},  {31, 0xa2aa5f33cc4a6119}, {32, 0x23c3c17ef790fd97},
    {33, 0x50a7cfc7ba588784}, {63, 0x5e3e54b431c7493c}, {64, 0x0eb64b3ef6eeb01f}, {101, 0xbad4d3bf033bda4c},
};

Test(fast_hash, agrees_with_the_reference_at_any_alignment)
{
    unsigned char data[128], shifted[129];

    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (unsigned char)(i * 7 + 3);
    memcpy(shifted + 1, data, sizeof data);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        cr_expect_eq(fast_hash64(data, known[i].size), known[i].hash, "%zu bytes", known[i].size);
        cr_expect_eq(fast_hash64(shifted + 1, known[i].size), known[i].hash, "%zu bytes", known[i].size);
    }
    cr_expect_eq(fast_hash64(NULL, 0), known[0].hash);
}
