#include "cli/submit_places.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_at(struct yaml_node node, int line, int column)
{
    struct diag_place place = yaml_place(node);

    return place.line == line && place.column == column;
}

/* Walk two trees of one structure side by side. True: *out is the place of what in `sent` is at line and column. Keys
 * come before values: a mapping begins where its first key does. */
static bool find_place(struct yaml_node sent, struct yaml_node own, int line, int column, struct diag_place *out)
{
    if (!sent.doc || !own.doc || yaml_kind(sent) != yaml_kind(own))
        return false;
    if (is_at(sent, line, column)) {
        *out = yaml_place(own);
        return true;
    }
    if (yaml_kind(sent) == YAML_MAPPING)
        for (size_t i = 0; i < yaml_size(sent) && i < yaml_size(own); i++) {
            if (is_at(yaml_key(sent, i), line, column)) {
                *out = yaml_place(yaml_key(own, i));
                return true;
            }
            if (find_place(yaml_value(sent, i), yaml_value(own, i), line, column, out))
                return true;
        }
    if (yaml_kind(sent) == YAML_SEQUENCE)
        for (size_t i = 0; i < yaml_size(sent) && i < yaml_size(own); i++)
            if (find_place(yaml_item(sent, i), yaml_item(own, i), line, column, out))
                return true;
    return false;
}

static void translate_line(const char *text, struct yaml_node sent, struct yaml_node own, struct diags *diags)
{
    static const char warning[] = "warning: ";
    struct diag_place place = {NULL, 0, 0};
    int line, column, used = 0;

    if (sscanf(text, "%9d:%9d: %n", &line, &column, &used) == 2 && used > 0 &&
        find_place(sent, own, line, column, &place))
        text += used;
    if (strncmp(text, warning, strlen(warning)) == 0)
        diag_warning(diags, place, "%s", text + strlen(warning));
    else
        diag_error(diags, place, "%s", text);
}

void submit_places_translate(const char *message, const char *body, struct yaml_node session, struct diags *diags)
{
    struct diags *unread = diags_new(); /* what is wrong with the body would be our own fault */
    struct yaml_doc *doc = NULL;
    struct yaml_node sent = {NULL, 0};

    if (unread && yaml_load_text(body, strlen(body), "body", 0, &doc, unread) == OK)
        sent = yaml_get(yaml_root(doc), "federated_learning_config");
    for (const char *from = message; *from;) {
        size_t length = strcspn(from, "\n");
        char *text = strndup(from, length);
        if (text)
            translate_line(text, sent, session, diags);
        free(text);
        from += length + (from[length] == '\n');
    }
    yaml_unref(doc);
    diags_free(unread);
}
