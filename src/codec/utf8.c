#include "codec/utf8.h"

#include <stdint.h>

/* The length of the well-formed character at `at`, or 0 (RFC 3629, section 4). */
static size_t character_length(const uint8_t *at, size_t left)
{
    uint8_t low = 0x80, high = 0xbf; /* bounds of the second byte */
    size_t length;

    if (at[0] < 0x80)
        return 1;
    if (at[0] < 0xc2 || at[0] > 0xf4)
        return 0;
    length = at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
    if (at[0] == 0xe0)
        low = 0xa0; /* shorter forms exist */
    else if (at[0] == 0xed)
        high = 0x9f; /* surrogates */
    else if (at[0] == 0xf0)
        low = 0x90; /* shorter forms exist */
    else if (at[0] == 0xf4)
        high = 0x8f; /* past U+10FFFF */
    if (length > left || at[1] < low || at[1] > high)
        return 0;
    for (size_t i = 2; i < length; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    return length;
}

bool utf8_is_valid(struct span text)
{
    const uint8_t *at = text.data;

    for (size_t left = text.size; left > 0;) {
        size_t length = character_length(at, left);

        if (!length)
            return false;
        at += length;
        left -= length;
    }
    return true;
}
