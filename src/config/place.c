#include <stdlib.h>

#include "config/tables.h"

struct diag_place config_place(struct yaml_node root, const char *section, const char *key)
{
    struct yaml_node at = yaml_get(root, section);
    struct yaml_node inner = key && at.doc ? yaml_get(at, key) : at;

    return yaml_place(inner.doc ? inner : at.doc ? at : root);
}

json_t *config_json(struct yaml_node node)
{
    char *text = yaml_to_json(node);
    json_t *json = text ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;

    free(text);
    return json;
}
