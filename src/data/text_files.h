/* Reading text files into pieces, each of one client where the files say so. Private to data; text.h is the face. */
#ifndef FLOSIM_DATA_TEXT_FILES_H
#define FLOSIM_DATA_TEXT_FILES_H

#include <jansson.h>
#include <stdbool.h>

#include "data/string_index.h"
#include "util/diag.h"

struct text_piece {
    struct span text;
    const char *path; /* borrowed from the caller of text_files_read, or owned by `names` */
    size_t file;      /* which blob; SIZE_MAX: text of a JSON file, whose place is not known */
    int32_t group;
    bool sample; /* a window with what follows it: given as it is, never cut in two */
    bool joins;  /* goes on where the piece before it ends: lines of one client */
};

struct text_files {
    struct text_piece *pieces;
    size_t n, room;
    struct blob **blobs;
    size_t num_blobs;
    json_t **roots;
    size_t num_roots;
    char **names; /* of files in folders */
    size_t num_names;
    struct string_index groups; /* clients' names, kept over several calls: the same name is the same client */
    bool has_groups;
};

/* Add a file's pieces, or those of all files in a folder (by name; each file is one client).
 *   .tsv    a line is `client<TAB>text`; lines of a client belong together in their order
 *   .json   LEAF's: {"users": [...], "user_data": {user: {"x": [text], "y": [text]}}} or {user: {"raw": text}}
 *   others  one text
 * Plain or .gz. Findings go to `diags`. */
int text_files_read(struct text_files *files, const char *path, struct diags *diags);
void text_files_fini(struct text_files *files);

#endif
