/* Memory for weights: blocks that are large enough lie in huge pages where the kernel has them. A model of 230 MB then
 * costs a hundred page faults instead of 60,000, and while one thread faults pages in, or gives them back, every other
 * thread of the process that needs the kernel waits, the event loop too. */
#ifndef FLOSIM_UTIL_LARGE_H
#define FLOSIM_UTIL_LARGE_H

#include <stddef.h>

/* `size` bytes, at least one, aligned to 64, for free(); NULL: out of memory. Any thread. */
void *large_alloc(size_t size);
void *large_zeroed(size_t size);

#endif
