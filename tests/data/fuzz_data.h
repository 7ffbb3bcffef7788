/* The fuzz targets of the data readers, callable one by one: no bytes may harm a reader, and what one accepts can be
 * gathered. Each takes a file's image. */
#ifndef FLOSIM_TESTS_DATA_FUZZ_DATA_H
#define FLOSIM_TESTS_DATA_FUZZ_DATA_H

#include <stddef.h>
#include <stdint.h>

void fuzz_safetensors(const uint8_t *data, size_t size);
void fuzz_idx(const uint8_t *data, size_t size); /* images, then labels; the first byte is how long the images are */
void fuzz_cifar(const uint8_t *data, size_t size);
void fuzz_npz(const uint8_t *data, size_t size);
void fuzz_csv(const uint8_t *data, size_t size);  /* the first byte chooses arguments */
void fuzz_text(const uint8_t *data, size_t size); /* the same */

#endif
