/* UTF-8 as RFC 3629 allows it. Pure; any thread. */
#ifndef FLOSIM_CODEC_UTF8_H
#define FLOSIM_CODEC_UTF8_H

#include <stdbool.h>

#include "util/span.h"

/* No over-long forms, no surrogates, nothing past U+10FFFF. The empty text is valid. */
bool utf8_is_valid(struct span text);

#endif
