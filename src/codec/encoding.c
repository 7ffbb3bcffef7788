#include "codec/encoding.h"

#include <stdint.h>
#include <string.h>

#include "codec/safetensors.h"

/* The header's length fits into the image and the header is a JSON object. */
static int recognises_safetensors(struct span image)
{
    const unsigned char *bytes = image.data;
    uint64_t header_size = 0;

    if (!bytes || image.size < 9)
        return 0;
    for (int i = 7; i >= 0; i--)
        header_size = header_size << 8 | bytes[i];
    return header_size <= image.size - 8 && bytes[8] == '{';
}

static int encode_safetensors(const struct layout *layout, const float *weights, struct blob **out, struct error *err)
{
    return safetensors_encode(layout, weights, NULL, out, err);
}

static const struct encoding encoding_safetensors = {
    .name = "safetensors",
    .recognises = recognises_safetensors,
    .encode = encode_safetensors,
    .decode = safetensors_decode,
};

/* PROTO opcode and a protocol from 2 to 5: what a stock Flotilla process sends. */
static int recognises_pickle(struct span image)
{
    const unsigned char *bytes = image.data;

    return bytes && image.size >= 2 && bytes[0] == 0x80 && bytes[1] >= 2 && bytes[1] <= 5;
}

static const struct encoding encoding_pickle = {
    .name = "pickle",
    .recognises = recognises_pickle,
};

const struct encoding *const encodings[] = {
    &encoding_safetensors,
    &encoding_pickle,
    NULL,
};

const struct encoding *encoding_find(const char *name)
{
    for (size_t i = 0; encodings[i]; i++)
        if (strcmp(encodings[i]->name, name) == 0)
            return encodings[i];
    return NULL;
}

bool weights_are_known(struct span image)
{
    for (size_t i = 0; encodings[i]; i++)
        if (encodings[i]->recognises(image))
            return true;
    return false;
}

int weights_encode(const struct layout *layout, const float *weights, struct blob **out, struct error *err)
{
    return encoding_safetensors.encode(layout, weights, out, err);
}

int weights_decode(const struct layout *layout, struct span image, float *weights, struct error *err)
{
    for (size_t i = 0; encodings[i]; i++) {
        if (!encodings[i]->recognises(image))
            continue;
        if (!encodings[i]->decode)
            return FAIL(err, ERR_UNIMPLEMENTED,
                        "weights are encoded as %s, which flosim does not read: send safetensors", encodings[i]->name);
        return encodings[i]->decode(layout, image, weights, err);
    }
    return FAIL(err, ERR_INVALID, "weights (%zu bytes) are in no known encoding: send safetensors", image.size);
}
