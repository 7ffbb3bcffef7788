/* No bytes may harm the reader of checkpoints. The first byte says what the others are: even, a whole checkpoint; odd,
 * an entry's file, whose values, when it is taken, survive being written and read again. */
#ifndef FLOSIM_TESTS_STATE_FUZZ_CHECKPOINT_H
#define FLOSIM_TESTS_STATE_FUZZ_CHECKPOINT_H

#include <stddef.h>
#include <stdint.h>

void fuzz_checkpoint(const uint8_t *data, size_t size);

#endif
