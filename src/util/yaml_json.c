/* A YAML subtree as JSON. */
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "util/yaml_tree.h"

/* By YAML's core schema: only what begins like a number is one, so that `inf`, `nan` and `0x` words stay text. */
static json_t *number_of(const char *text)
{
    const char *digits = text + (*text == '-' || *text == '+');
    char *end;

    if (strspn(digits, "0123456789.") == 0 || strpbrk(text, "xX"))
        return NULL;
    errno = 0;
    long long integer = strtoll(text, &end, 10);
    if (!*end && !errno)
        return json_integer(integer);
    double real = strtod(text, &end);
    return *end || !isfinite(real) ? NULL : json_real(real);
}

static json_t *scalar_of(struct yaml_node node)
{
    const char *text = yaml_text(node);
    json_t *number;

    if (yaml_is_null(node))
        return json_null();
    if (!yaml_is_plain(node))
        return json_string(text);
    if (!strcasecmp(text, "true"))
        return json_true();
    if (!strcasecmp(text, "false"))
        return json_false();
    number = number_of(text);
    return number ? number : json_string(text);
}

static json_t *json_of(struct yaml_node node);

static json_t *array_of(struct yaml_node node)
{
    json_t *array = json_array();

    for (size_t i = 0; array && i < yaml_size(node); i++) {
        if (!json_array_append_new(array, json_of(yaml_item(node, i))))
            continue;
        json_decref(array);
        return NULL;
    }
    return array;
}

static json_t *object_of(struct yaml_node node)
{
    json_t *object = json_object();

    for (size_t i = 0; object && i < yaml_size(node); i++) {
        if (!json_object_set_new(object, yaml_text(yaml_key(node, i)), json_of(yaml_value(node, i))))
            continue;
        json_decref(object);
        return NULL;
    }
    return object;
}

static json_t *json_of(struct yaml_node node)
{
    switch (yaml_kind(node)) {
    case YAML_SCALAR:
        return scalar_of(node);
    case YAML_SEQUENCE:
        return array_of(node);
    case YAML_MAPPING:
        return object_of(node);
    default:
        return json_null();
    }
}

char *yaml_to_json(struct yaml_node node)
{
    json_t *json = json_of(node);
    char *text = json ? json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;

    json_decref(json);
    return text;
}
