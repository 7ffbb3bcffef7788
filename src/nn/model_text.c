/* $(name) in model.yaml: model_args, else the file's own defaults. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/network.h"
#include "util/yaml.h"

enum { VALUE_MAX = 64, WORD_MAX = 64 };

struct expansion {
    const char *name; /* of the text, for messages */
    const char *text, *end;
    const json_t *model_args;
    struct yaml_node defaults;
    struct diags *diags;
    FILE *out;
    bool failed;   /* and told */
    bool complete; /* every word had a value */
};

/* Values are written into YAML, so nothing that means something there may be among them. */
static bool is_plain_word(const char *text)
{
    if (!*text || strlen(text) >= VALUE_MAX)
        return false;
    for (; *text; text++)
        if (!isalnum((unsigned char)*text) && !strchr("_.+-", *text))
            return false;
    return true;
}

static bool value_from_json(const json_t *value, char text[VALUE_MAX])
{
    if (json_is_integer(value))
        snprintf(text, VALUE_MAX, "%lld", (long long)json_integer_value(value));
    else if (json_is_real(value))
        snprintf(text, VALUE_MAX, "%.17g", json_real_value(value));
    else if (json_is_boolean(value))
        snprintf(text, VALUE_MAX, "%s", json_is_true(value) ? "true" : "false");
    else if (json_is_string(value) && is_plain_word(json_string_value(value)))
        snprintf(text, VALUE_MAX, "%s", json_string_value(value));
    else
        return false;
    return true;
}

static struct diag_place place_of(const struct expansion *e, const char *at)
{
    struct diag_place place = {e->name, 1, 1};

    for (const char *p = e->text; p < at; p++) {
        place.column++;
        if (*p == '\n') {
            place.line++;
            place.column = 1;
        }
    }
    return place;
}

static bool find_value(struct expansion *e, const char *at, const char *word, char text[VALUE_MAX])
{
    const json_t *given = json_object_get(e->model_args, word);
    const char *standard = yaml_text(yaml_get(e->defaults, word));

    if (given) {
        if (value_from_json(given, text))
            return true;
        diag_error(e->diags, place_of(e, at), "model_args.%s must be a number, true, false or one plain word", word);
        return false;
    }
    if (standard && is_plain_word(standard)) {
        snprintf(text, VALUE_MAX, "%s", standard);
        return true;
    }
    diag_error(e->diags, place_of(e, at), "$(%s) has no value: give it in model_args or as a default under `args:`",
               word);
    return false;
}

/* `at` stands on "$("; returns what follows the closing parenthesis. */
static const char *expand_word(struct expansion *e, const char *at)
{
    const char *begin = at + 2, *close = memchr(begin, ')', (size_t)(e->end - begin));
    char word[WORD_MAX], value[VALUE_MAX];

    if (!close || close - begin >= WORD_MAX || close == begin) {
        diag_error(e->diags, place_of(e, at), "`$(` begins a name that ends with `)`");
        e->failed = true;
        return begin;
    }
    memcpy(word, begin, (size_t)(close - begin));
    word[close - begin] = '\0';
    if (!find_value(e, at, word, value)) {
        e->complete = false;
        snprintf(value, sizeof value, "1"); /* what stands elsewhere can still be read */
    }
    fprintf(e->out, "%-*s", (int)(close + 1 - at), value);
    return close + 1;
}

static void expand_all(struct expansion *e)
{
    for (const char *p = e->text; p < e->end;) {
        if (p + 1 < e->end && p[0] == '$' && p[1] == '(')
            p = expand_word(e, p);
        else
            fputc(*p++, e->out);
    }
}

/* Does `$(word)` stand in the text, so that no default is needed? */
static bool is_used(const struct expansion *e, const char *word)
{
    char wanted[WORD_MAX + 4];
    int n = snprintf(wanted, sizeof wanted, "$(%s)", word);

    return n < (int)sizeof wanted && memmem(e->text, (size_t)(e->end - e->text), wanted, (size_t)n) != NULL;
}

static void warn_of_unknown(const struct expansion *e)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)e->model_args, key, value) if (!yaml_get(e->defaults, key).doc && !is_used(e, key))
        diag_warning(e->diags, e->defaults.doc ? yaml_place(e->defaults) : (struct diag_place){e->name, 0, 0},
                     "the model has no argument `%.60s`; it is ignored", key);
}

char *model_text_expand(const char *text, size_t length, const char *name, const json_t *model_args, size_t *size,
                        bool *complete, struct diags *diags)
{
    struct expansion e = {
        .name = name, .text = text, .end = text + length, .model_args = model_args, .diags = diags, .complete = true};
    struct yaml_doc *doc;
    char *expanded = NULL;
    bool written = false;

    yaml_load_text(text, length, name, YAML_GO_ON, &doc, diags);
    if (!doc)
        return NULL;
    e.defaults = yaml_get(yaml_root(doc), "args");
    e.out = open_memstream(&expanded, size);
    if (e.out) {
        expand_all(&e);
        warn_of_unknown(&e);
        written = fclose(e.out) == 0;
    }
    yaml_unref(doc);
    *complete = e.complete;
    if (!written || e.failed) {
        if (!written)
            diag_error(diags, (struct diag_place){name, 0, 0}, "out of memory");
        free(expanded);
        return NULL;
    }
    return expanded;
}
