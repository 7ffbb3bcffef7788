#include "util/uuid.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

/* RFC 4122, section 4.4: version 4 in byte 6, the variant 10 in byte 8. */
static void format_uuid(char text[UUID_TEXT], unsigned char bytes[16])
{
    static const char digits[] = "0123456789abcdef";
    char *at = text;

    bytes[6] = (unsigned char)((bytes[6] & 0x0f) | 0x40);
    bytes[8] = (unsigned char)((bytes[8] & 0x3f) | 0x80);
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *at++ = '-';
        *at++ = digits[bytes[i] >> 4];
        *at++ = digits[bytes[i] & 15];
    }
    *at = '\0';
}

int uuid_random(char text[UUID_TEXT], struct error *err)
{
    unsigned char bytes[16];
    ssize_t n;

    do
        n = getrandom(bytes, sizeof bytes, 0);
    while (n < 0 && errno == EINTR);
    if (n != (ssize_t)sizeof bytes) /* up to 256 bytes come whole or not at all */
        return FAIL(err, ERR_IO, "no random numbers from the system: %s", strerror(errno));
    format_uuid(text, bytes);
    return OK;
}

void uuid_from_rng(char text[UUID_TEXT], struct rng *rng)
{
    unsigned char bytes[16];

    for (int half = 0; half < 2; half++) {
        uint64_t x = rng_u64(rng);
        for (int i = 0; i < 8; i++) /* the same text on every byte order */
            bytes[8 * half + i] = (unsigned char)(x >> (8 * i));
    }
    format_uuid(text, bytes);
}
