/* Finding one member of a zip archive (PKWARE APPNOTE 6.3) in memory: by the central directory, stored or deflated.
 * Not read: zip64 (4 GiB and more), encryption, archives in parts. Pure. */
#ifndef FLOSIM_DATA_ZIP_H
#define FLOSIM_DATA_ZIP_H

#include <stdint.h>

#include "util/error.h"
#include "util/span.h"

/* Give the member's uncompressed bytes in a new blob and in *first_byte where its data stand in the archive. Sizes are
 * believed only as far as `max`, the archive's size and the method allow; the CRC is checked. *out NULL and OK: there
 * is no such member. */
int zip_read(struct span archive, const char *name, size_t max, struct blob **out, uint64_t *first_byte,
             struct error *err);

#endif
