/* Text as windows of tokens: item i is `length` tokens, its labels are the token after them, or for each of them the
 * next one. All windows are cut from one row of tokens (dataset.starts), none crosses from one client's text to
 * another's. */
#ifndef FLOSIM_DATA_TEXT_H
#define FLOSIM_DATA_TEXT_H

#include "data/dataset.h"
#include "data/vocabulary.h"
#include "util/params.h"

enum text_predict { TEXT_PREDICT_NEXT, TEXT_PREDICT_ALL };
enum { TEXT_MAX_LENGTH = 65536 };

struct text_args {
    int unit, predict;
    int64_t length, step; /* step 0: length */
    char *vocabulary;     /* a file: read where it is there, else written; NULL: built anew */
    int64_t max_vocabulary;
};

extern const char *const text_unit_names[], *const text_predict_names[];

// clang-format off
#define TEXT_ROWS(base)                                                                                                \
    {.name = "unit", .type = PARAM_CHOICE, .offset = base + offsetof(struct text_args, unit), .fallback = "characters",\
     .choices = text_unit_names, .help = "What a token is: a character of UTF-8, a word (with <eos> at the end of a "  \
     "line), or a byte."},                                                                                             \
    {.name = "length", .alias = "seq_len", .type = PARAM_INT, .offset = base + offsetof(struct text_args, length),     \
     .fallback = "80", .min = 1, .max = TEXT_MAX_LENGTH, .help = "Tokens of a window."},                               \
    {.name = "step", .type = PARAM_INT, .offset = base + offsetof(struct text_args, step), .fallback = "0",            \
     .min = 0, .max = TEXT_MAX_LENGTH, .help = "Tokens from one window to the next; 0: length, they do not overlap."}, \
    {.name = "predict", .type = PARAM_CHOICE, .offset = base + offsetof(struct text_args, predict),                    \
     .fallback = "next", .choices = text_predict_names,                                                                \
     .help = "The token after the window, or for all tokens of it the one after each."},                               \
    {.name = "vocabulary", .type = PARAM_STRING, .flags = PARAM_FILE, .offset = base + offsetof(struct text_args, vocabulary),              \
     .help = "File of one token a line: read where it exists, else written from the training text."},                  \
    {.name = "max_vocabulary", .type = PARAM_INT, .offset = base + offsetof(struct text_args, max_vocabulary),         \
     .fallback = "65536", .min = 2, .max = 65536,                                                                      \
     .help = "Most tokens of a vocabulary that is built; the rarest become <unk>."}
// clang-format on

/* Read `train` and `validation` (paths of files or folders, see text_files.h) with the vocabulary of the training text.
 * Without validation paths the last `fraction` of each client's tokens is held out for it, 0: none. *validation is
 * empty where there is nothing. On an error both are. */
int text_load(const struct text_args *args, const struct string_list *train, const struct string_list *validation,
              double fraction, struct dataset *out, struct dataset *out_validation, struct diags *diags);

/* One file of a data set folder: its vocabulary must be there already (but for bytes), for all clients must number
 * tokens alike; the path is relative to the file's folder. */
int text_load_file(const struct text_args *args, const char *path, struct dataset *out, struct diags *diags);

#endif
