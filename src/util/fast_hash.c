#include "util/fast_hash.h"

#include <endian.h>
#include <string.h>

enum { NUM_LANES = 4, STRIPE = 8 * NUM_LANES };

static const uint64_t p1 = 0x9E3779B185EBCA87, p2 = 0xC2B2AE3D27D4EB4F, p3 = 0x165667B19E3779F9,
                      p4 = 0x85EBCA77C2B2AE63, p5 = 0x27D4EB2F165667C5;

static uint64_t rotate(uint64_t x, int bits)
{
    return x << bits | x >> (64 - bits);
}

static uint64_t load64(const unsigned char *bytes)
{
    uint64_t word;

    memcpy(&word, bytes, sizeof word);
    return le64toh(word);
}

static uint32_t load32(const unsigned char *bytes)
{
    uint32_t word;

    memcpy(&word, bytes, sizeof word);
    return le32toh(word);
}

static uint64_t mix(uint64_t lane, uint64_t word)
{
    return rotate(lane + word * p2, 31) * p1;
}

/* The whole stripes, in four lanes that a processor works on side by side. */
static uint64_t hash_stripes(const unsigned char *at, const unsigned char *end)
{
    uint64_t lanes[NUM_LANES] = {p1 + p2, p2, 0, 0 - p1}, hash;

    for (; at < end; at += STRIPE)
        for (int i = 0; i < NUM_LANES; i++)
            lanes[i] = mix(lanes[i], load64(at + 8 * i));
    hash = rotate(lanes[0], 1) + rotate(lanes[1], 7) + rotate(lanes[2], 12) + rotate(lanes[3], 18);
    for (int i = 0; i < NUM_LANES; i++)
        hash = (hash ^ mix(0, lanes[i])) * p1 + p4;
    return hash;
}

static uint64_t add_rest(uint64_t hash, const unsigned char *at, const unsigned char *end)
{
    for (; end - at >= 8; at += 8)
        hash = rotate(hash ^ mix(0, load64(at)), 27) * p1 + p4;
    if (end - at >= 4) {
        hash = rotate(hash ^ load32(at) * p1, 23) * p2 + p3;
        at += 4;
    }
    for (; at < end; at++)
        hash = rotate(hash ^ *at * p5, 11) * p1;
    return hash;
}

static uint64_t avalanche(uint64_t hash)
{
    hash = (hash ^ hash >> 33) * p2;
    hash = (hash ^ hash >> 29) * p3;
    return hash ^ hash >> 32;
}

uint64_t fast_hash64(const void *data, size_t size)
{
    const unsigned char *bytes = data;
    size_t in_stripes = size / STRIPE * STRIPE;
    uint64_t hash = p5;

    if (size == 0)
        return avalanche(hash);
    if (in_stripes > 0)
        hash = hash_stripes(bytes, bytes + in_stripes);
    return avalanche(add_rest(hash + size, bytes + in_stripes, bytes + size));
}
