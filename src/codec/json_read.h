/* Reading fields out of untrusted JSON: each reader names the key in its message. Not for other rooms. */
#ifndef FLOSIM_CODEC_JSON_READ_H
#define FLOSIM_CODEC_JSON_READ_H

#include <jansson.h>
#include <stdint.h>

#include "util/error.h"
#include "util/span.h"

/* A JSON object of at most max_size bytes without duplicate keys; returns new. Messages begin with `what`. */
int json_read_object(struct span payload, size_t max_size, const char *what, json_t **out, struct error *err);

/* A finite number, an integer in a range; ERR_INVALID where the key is absent or of another type. */
int json_read_number(const json_t *object, const char *key, double min, double max, double *out, struct error *err);
int json_read_integer(const json_t *object, const char *key, int64_t min, int64_t max, int64_t *out, struct error *err);

/* A string that must fit (`size` counts the NUL), is not empty and has no control characters. */
int json_read_id(const json_t *object, const char *key, char *out, size_t size, struct error *err);

/* A string for people: absent or another type gives "", one too long is cut at a character's end. */
void json_read_label(const json_t *object, const char *key, char *out, size_t size);

/* Copy an identifier; ERR_INVALID (naming `what`) where it is empty, too long or has control characters. */
int json_copy_id(const char *what, const char *value, char *out, size_t size, struct error *err);

#endif
