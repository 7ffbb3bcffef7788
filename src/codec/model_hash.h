/* Flotilla's model hash: SHA-256 of every regular file of the model folder, each taken as a big-endian integer, summed
 * at full precision, printed as `0x…` in lower case without leading zeros. Sub-folders are not entered. */
#ifndef FLOSIM_CODEC_MODEL_HASH_H
#define FLOSIM_CODEC_MODEL_HASH_H

#include "util/error.h"

enum { MODEL_HASH_TEXT = 2 + 80 + 1 };

int model_hash(const char *folder, char text[MODEL_HASH_TEXT], struct error *err);

#endif
