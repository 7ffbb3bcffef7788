/* Cutting text into tokens, and the numbers that they bear.
 * A vocabulary file holds one token a line, token 0 first; `\n`, `\r`, `\t` and `\\` stand for characters that could
 * not stand there themselves. A token that is not in it becomes `<unk>`, where the vocabulary has that; else it is an
 * error. */
#ifndef FLOSIM_DATA_VOCABULARY_H
#define FLOSIM_DATA_VOCABULARY_H

#include "data/string_index.h"

enum text_unit {
    TEXT_CHARACTERS, /* of UTF-8 */
    TEXT_WORDS,      /* what white space separates; `<eos>` at the end of every line */
    TEXT_BYTES       /* 256 of them; needs no vocabulary */
};

struct text_cursor {
    enum text_unit unit;
    struct span text;
    size_t at;
};

/* The next token; *found false at the end. ERR_CORRUPT where the text is not UTF-8 (cursor->at is the place). */
int text_next(struct text_cursor *cursor, struct span *token, int *found, struct error *err);

struct vocabulary {
    enum text_unit unit;
    struct blob *text; /* the file's bytes; owned */
    char *plain;       /* the tokens without escapes; owned */
    struct string_index index;
    uint32_t unknown; /* UINT32_MAX: there is no <unk> */
};

/* From texts [n] (borrowed): `<unk>`, then characters by code, or words by falling frequency (then by their bytes). At
 * most `max` tokens, the rarest are left out. On failure *at_text and *at are the place; finish with vocabulary_fini in
 * any case. */
int vocabulary_build(struct vocabulary *out, enum text_unit unit, const struct span *texts, size_t n, size_t max,
                     size_t *at_text, size_t *at, struct error *err);

/* From a file's bytes (takes a reference). ERR_INVALID says `line N`. */
int vocabulary_parse(struct vocabulary *out, enum text_unit unit, struct blob *text, struct error *err);
void vocabulary_fini(struct vocabulary *vocabulary);

size_t vocabulary_size(const struct vocabulary *vocabulary);

/* The token's number; UINT32_MAX: unknown, and there is no <unk>. */
uint32_t vocabulary_number(const struct vocabulary *vocabulary, struct span token);

#endif
