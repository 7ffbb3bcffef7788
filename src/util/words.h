/* Words that were meant as one of a few: what to say of those that are none. Any thread. */
#ifndef FLOSIM_UTIL_WORDS_H
#define FLOSIM_UTIL_WORDS_H

#include <stddef.h>

enum { WORDS_TEXT = 640, MAX_WORDS_OF_A_KIND = 64 };

/* The candidate nearest to `word` (edit distance at most 2), or NULL. */
const char *nearest_word(const char *word, const char *const *candidates, size_t n);

/* Fills and returns text: "unknown optimizer `adm`; did you mean `adam`?", or, where none is near, "unknown optimizer
 * `x`; there are: adam, sgd". Long words and lists are cut. */
const char *unknown_word(const char *what, const char *word, const char *const *candidates, size_t n,
                         char text[WORDS_TEXT]);

#endif
