/* The manifest of a checkpoint. Not for other rooms. */
#ifndef FLOSIM_STATE_CHECKPOINT_MANIFEST_H
#define FLOSIM_STATE_CHECKPOINT_MANIFEST_H

#include <jansson.h>

#include "state/checkpoint.h"

#define MANIFEST_NAME     "manifest.json"
#define MANIFEST_SUM_NAME MANIFEST_NAME ".sha256"

enum { SHA256_TEXT = 64 + 1, MANIFEST_MAX = 1 << 20, CHECKPOINT_MAX_ENTRIES = NUM_STORES + 2 };

/* "<hash>  manifest.json\n" */
enum { MANIFEST_SUM_TEXT = SHA256_TEXT - 1 + 2 + sizeof MANIFEST_NAME - 1 + 1 + 1 };

void sha256_text(const unsigned char digest[32], char text[SHA256_TEXT]);
int sha256_of(struct span bytes, char text[SHA256_TEXT], struct error *err);
int manifest_sum(struct span manifest, char text[MANIFEST_SUM_TEXT], struct error *err);

/* The name of a store's entry: `<store>_<id>`, as in Redis. */
enum { ENTRY_NAME_MAX = 192 };
void entry_name(char name[ENTRY_NAME_MAX], enum store_name store, const char *id);

#endif
