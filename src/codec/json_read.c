#include "codec/json_read.h"

#include <math.h>
#include <string.h>

int json_read_object(struct span payload, size_t max_size, const char *what, json_t **out, struct error *err)
{
    json_error_t where;

    *out = NULL;
    if (payload.size > max_size)
        return FAIL(err, ERR_TOO_LARGE, "%s: %zu bytes, at most %zu are taken", what, payload.size, max_size);
    json_t *root = json_loadb(payload.data ? payload.data : "", payload.size, JSON_REJECT_DUPLICATES, &where);
    if (!root)
        return FAIL(err, ERR_INVALID, "%s: no valid JSON at %d:%d: %s", what, where.line, where.column, where.text);
    if (!json_is_object(root)) {
        json_decref(root);
        return FAIL(err, ERR_INVALID, "%s: a JSON object is expected", what);
    }
    *out = root;
    return OK;
}

int json_read_number(const json_t *object, const char *key, double min, double max, double *out, struct error *err)
{
    const json_t *value = json_object_get(object, key);

    if (!json_is_number(value))
        return FAIL(err, ERR_INVALID, "'%s' is %s; a number is expected", key, value ? "no number" : "missing");
    double number = json_number_value(value);
    if (!isfinite(number) || number < min || number > max)
        return FAIL(err, ERR_INVALID, "'%s' is %g; expected between %g and %g", key, number, min, max);
    *out = number;
    return OK;
}

int json_read_integer(const json_t *object, const char *key, int64_t min, int64_t max, int64_t *out, struct error *err)
{
    const json_t *value = json_object_get(object, key);

    if (!json_is_integer(value))
        return FAIL(err, ERR_INVALID, "'%s' is %s; an integer is expected", key, value ? "no integer" : "missing");
    int64_t number = json_integer_value(value);
    if (number < min || number > max)
        return FAIL(err, ERR_INVALID, "'%s' is %lld; expected between %lld and %lld", key, (long long)number,
                    (long long)min, (long long)max);
    *out = number;
    return OK;
}

int json_copy_id(const char *what, const char *value, char *out, size_t size, struct error *err)
{
    size_t length = strlen(value);

    if (length == 0)
        return FAIL(err, ERR_INVALID, "'%s' is empty", what);
    if (length >= size)
        return FAIL(err, ERR_INVALID, "'%s' has %zu bytes, at most %zu are taken", what, length, size - 1);
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)value[i] < 0x20 || value[i] == 0x7f)
            return FAIL(err, ERR_INVALID, "'%s' has a control character", what);
    memcpy(out, value, length + 1);
    return OK;
}

int json_read_id(const json_t *object, const char *key, char *out, size_t size, struct error *err)
{
    const json_t *value = json_object_get(object, key);

    if (!json_is_string(value))
        return FAIL(err, ERR_INVALID, "'%s' is %s; a string is expected", key, value ? "no string" : "missing");
    return json_copy_id(key, json_string_value(value), out, size, err);
}

void json_read_label(const json_t *object, const char *key, char *out, size_t size)
{
    const char *value = json_string_value(json_object_get(object, key));
    size_t length = value ? strlen(value) : 0;

    if (length >= size) {
        length = size - 1;
        while (length > 0 && ((unsigned char)value[length] & 0xc0) == 0x80)
            length--; /* not inside a character */
    }
    if (length)
        memcpy(out, value, length);
    out[length] = '\0';
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)out[i] < 0x20 || out[i] == 0x7f)
            out[i] = ' '; /* these strings end up in logs and on terminals */
}
