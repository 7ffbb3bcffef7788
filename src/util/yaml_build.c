/* From text to tree, on libyaml's events: they stop us at a bound as soon as it is passed, and unlike its documents
 * they still show aliases. */
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "util/yaml_text.h"
#include "util/yaml_tree.h"

struct builder {
    yaml_parser_t parser;
    struct yaml_doc *doc;
    struct diags *diags;
    const char *file;
    int flags;
    int open[YAML_MAX_DEPTH]; /* collections that we are inside of */
    int depth;
    int documents;
    size_t num_duplicates; /* findings about keys given twice */
};

static struct diag_place place_of(const struct builder *b, yaml_mark_t mark)
{
    return (struct diag_place){b->file, (int)mark.line + 1, (int)mark.column + 1};
}

static int out_of_memory(struct builder *b)
{
    diag_error(b->diags, (struct diag_place){b->file, 0, 0}, "out of memory");
    return ERR_MEMORY;
}

/* --- what libyaml says ---------------------------------------------------------------------------------------------
 */

static const struct {
    const char *problem, *remedy;
} remedies[] = {
    {"found character that cannot start any token",
     "indent with spaces, not tabs; quote a value that begins with @ or `"},
    {"mapping values are not allowed in this context", "quote a value that contains `: `, and check the indentation"},
    {"found undefined tag handle", "quote a value that begins with `!`"},
    {"could not find expected ':'", "a key needs `: ` with a space behind the colon"},
    {"did not find expected key", "check the indentation of this line and the one before it"},
    {"did not find expected '-' indicator", "check the indentation of this line and the one before it"},
    {"did not find expected alphabetic or numeric character", "quote a value that begins with * or &"},
    {"did not find expected ',' or '}'", "quote a value that contains one of , { } [ ]"},
    {"did not find expected ',' or ']'", "close the list, or quote a value that contains one of , { } [ ]"},
    {"found unexpected end of stream", "a quote or a bracket is not closed"},
};

static const char *remedy_of(const char *problem)
{
    for (size_t i = 0; i < sizeof remedies / sizeof *remedies; i++)
        if (!strcmp(problem, remedies[i].problem))
            return remedies[i].remedy;
    return NULL;
}

/* The reader's errors (bad UTF-8, control characters) carry no mark but the offset of the byte. */
static struct diag_place reader_place(const struct builder *b, const char *text, size_t size)
{
    size_t offset = b->parser.problem_offset < size ? b->parser.problem_offset : size;
    struct diag_place place = {b->file, 1, 1};

    for (size_t i = 0; i < offset; i++) {
        if (text[i] == '\n') {
            place.line++;
            place.column = 1;
        } else if (((unsigned char)text[i] & 0xc0) != 0x80) {
            place.column++;
        }
    }
    return place;
}

static int syntax_error(struct builder *b, const char *text, size_t size)
{
    const yaml_parser_t *parser = &b->parser;
    const char *problem = parser->problem ? parser->problem : "cannot be read";
    const char *remedy = remedy_of(problem);

    if (parser->error == YAML_MEMORY_ERROR)
        return out_of_memory(b);
    if (parser->error == YAML_READER_ERROR)
        diag_error(b->diags, reader_place(b, text, size), "%s: the file must be UTF-8 text", problem);
    else if (parser->context)
        diag_error(b->diags, place_of(b, parser->problem_mark), "%s, %s from line %zu%s%s", problem, parser->context,
                   parser->context_mark.line + 1, remedy ? ": " : "", remedy ? remedy : "");
    else
        diag_error(b->diags, place_of(b, parser->problem_mark), "%s%s%s", problem, remedy ? ": " : "",
                   remedy ? remedy : "");
    return ERR_INVALID;
}

/* --- duplicate keys ------------------------------------------------------------------------------------------------
 */

struct key {
    const char *text;
    int node;
};

static int compare_keys(const void *a, const void *b)
{
    const struct key *x = a, *y = b;
    int order = strcmp(x->text, y->text);

    return order ? order : (x->node > y->node) - (x->node < y->node);
}

static void report_duplicates(struct builder *b, const struct key *keys, size_t n)
{
    for (size_t i = 1, first = 0; i < n; i++) {
        if (strcmp(keys[i].text, keys[first].text)) {
            first = i;
            continue;
        }
        struct diag_place there = yaml_place((struct yaml_node){b->doc, keys[first].node});
        b->num_duplicates++;
        diag_error(b->diags, yaml_place((struct yaml_node){b->doc, keys[i].node}),
                   "duplicate key `%.80s`: it stands at line %d, column %d already", keys[i].text, there.line,
                   there.column);
    }
}

static int check_duplicates(struct builder *b, int mapping)
{
    const struct node *node = &b->doc->nodes[mapping];
    size_t n = node->num_children / 2;
    struct key *keys = malloc((n + 1) * sizeof *keys);

    if (!keys)
        return out_of_memory(b);
    for (size_t i = 0; i < n; i++)
        keys[i] = (struct key){b->doc->nodes[node->children[2 * i]].text, node->children[2 * i]};
    qsort(keys, n, sizeof *keys, compare_keys);
    report_duplicates(b, keys, n);
    free(keys);
    return OK;
}

/* --- the tree ------------------------------------------------------------------------------------------------------
 */

static bool expects_key(const struct builder *b)
{
    if (!b->depth)
        return false;
    const struct node *parent = &b->doc->nodes[b->open[b->depth - 1]];
    return parent->kind == YAML_MAPPING && parent->num_children % 2 == 0;
}

static int check_room(struct builder *b, yaml_mark_t mark)
{
    if (b->doc->num_nodes < YAML_MAX_NODES)
        return OK;
    diag_error(b->diags, place_of(b, mark), "more than %d values", YAML_MAX_NODES);
    return ERR_INVALID;
}

/* Tags other than YAML's own ask for objects of some program; we make none. Like all findings that leave the tree whole
 * it does not end the reading: yaml_load_text refuses the document when everything wrong has been told. */
static void check_tag(struct builder *b, const yaml_char_t *tag, yaml_mark_t mark)
{
    static const char core[] = "tag:yaml.org,2002:";

    if (!tag || !strcmp((const char *)tag, "!") ||
        (!strncmp((const char *)tag, core, sizeof core - 1) && !strchr((const char *)tag + sizeof core - 1, '/')))
        return;
    diag_error(b->diags, place_of(b, mark), "tag `%.80s` is not supported", (const char *)tag);
}

static int attach(struct builder *b, int node)
{
    if (node < 0)
        return out_of_memory(b);
    if (b->depth && yaml_doc_append(b->doc, b->open[b->depth - 1], node))
        return out_of_memory(b);
    return OK;
}

static int add_scalar(struct builder *b, const yaml_event_t *event)
{
    const char *text = (const char *)event->data.scalar.value;
    size_t length = event->data.scalar.length;
    struct diag_place place = place_of(b, event->start_mark);
    bool plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && event->data.scalar.plain_implicit;

    if (strlen(text) != length)
        diag_error(b->diags, place, "a NUL character is not allowed");
    if (!(b->flags & YAML_EXPAND_ENV) || expects_key(b))
        return attach(b, yaml_doc_add_scalar(b->doc, text, length, plain, place));
    char *expanded = NULL;
    int status = yaml_expand_env(text, place, &expanded, b->diags);
    if (status != ERR_MEMORY)
        status = attach(b, yaml_doc_add_scalar(b->doc, expanded, strlen(expanded), plain, place));
    free(expanded);
    return status;
}

static int begin_collection(struct builder *b, enum yaml_kind kind, yaml_mark_t mark)
{
    if (expects_key(b)) {
        diag_error(b->diags, place_of(b, mark), "a key must be text, not a list or a mapping");
        return ERR_INVALID;
    }
    if (b->depth == YAML_MAX_DEPTH) {
        diag_error(b->diags, place_of(b, mark), "nested more than %d levels deep", YAML_MAX_DEPTH);
        return ERR_INVALID;
    }
    int node = yaml_doc_add_node(b->doc, kind, place_of(b, mark));
    int status = attach(b, node);
    if (!status)
        b->open[b->depth++] = node;
    return status;
}

static int begin_document(struct builder *b, yaml_mark_t mark)
{
    if (++b->documents == 1)
        return OK;
    diag_error(b->diags, place_of(b, mark), "a second document begins here; a file holds one");
    return ERR_INVALID;
}

static int take_scalar(struct builder *b, const yaml_event_t *event)
{
    check_tag(b, event->data.scalar.tag, event->start_mark);
    int status = check_room(b, event->start_mark);
    return status ? status : add_scalar(b, event);
}

static int take_alias(struct builder *b, const yaml_event_t *event)
{
    struct diag_place place = place_of(b, event->start_mark);

    diag_error(b->diags, place, "alias `*%.80s` is not supported: write the value out",
               (const char *)event->data.alias.anchor);
    int status = check_room(b, event->start_mark);
    return status ? status : attach(b, yaml_doc_add_scalar(b->doc, "", 0, true, place));
}

static int take_collection(struct builder *b, enum yaml_kind kind, const yaml_char_t *tag, yaml_mark_t mark)
{
    check_tag(b, tag, mark);
    int status = check_room(b, mark);
    return status ? status : begin_collection(b, kind, mark);
}

static int take_event(struct builder *b, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        return begin_document(b, event->start_mark);
    case YAML_ALIAS_EVENT:
        return take_alias(b, event);
    case YAML_SCALAR_EVENT:
        return take_scalar(b, event);
    case YAML_SEQUENCE_START_EVENT:
        return take_collection(b, YAML_SEQUENCE, event->data.sequence_start.tag, event->start_mark);
    case YAML_MAPPING_START_EVENT:
        return take_collection(b, YAML_MAPPING, event->data.mapping_start.tag, event->start_mark);
    case YAML_MAPPING_END_EVENT:
        return check_duplicates(b, b->open[--b->depth]);
    case YAML_SEQUENCE_END_EVENT:
        b->depth--;
        return OK;
    default:
        return OK;
    }
}

static int build(struct builder *b, const char *text, size_t size)
{
    for (bool done = false; !done;) {
        yaml_event_t event;
        if (!yaml_parser_parse(&b->parser, &event))
            return syntax_error(b, text, size);
        int status = take_event(b, &event);
        done = event.type == YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
        if (status)
            return status;
    }
    if (!b->doc->num_nodes) /* an empty file is a null */
        return attach(b, yaml_doc_add_scalar(b->doc, "", 0, true, (struct diag_place){b->file, 1, 1}));
    return OK;
}

static int parse(struct builder *b, const char *text, size_t size)
{
    if (!yaml_parser_initialize(&b->parser))
        return out_of_memory(b);
    yaml_parser_set_input_string(&b->parser, (const unsigned char *)text, size);
    int status = build(b, text, size);
    yaml_parser_delete(&b->parser);
    return status;
}

static int parse_named(struct builder *b, const char *text, size_t size, const char *name)
{
    b->doc = yaml_doc_new();
    b->file = b->doc ? yaml_doc_add_file(b->doc, name) : NULL;
    if (!b->file) {
        b->file = name;
        return out_of_memory(b);
    }
    char *joined = NULL; /* libyaml knows no surrogate pairs, which JSON writers make */
    int status = yaml_join_surrogates(&text, &size, &joined);
    status = status ? out_of_memory(b) : parse(b, text, size);
    free(joined);
    return status;
}

int yaml_load_text(const char *text, size_t size, const char *name, int flags, struct yaml_doc **out,
                   struct diags *diags)
{
    size_t errors_before = diags_errors(diags);
    struct builder b = {.diags = diags, .flags = flags};

    *out = NULL;
    if (size > YAML_MAX_SIZE) {
        diag_error(diags, (struct diag_place){name, 0, 0}, "more than %d bytes of YAML", YAML_MAX_SIZE);
        return ERR_INVALID;
    }
    int status = parse_named(&b, text, size, name);
    size_t num_faults = diags_errors(diags) - errors_before;
    bool may_go_on = flags & YAML_GO_ON && num_faults <= b.num_duplicates;
    if (!status && (!num_faults || may_go_on))
        *out = b.doc;
    else
        yaml_unref(b.doc);
    return !status && num_faults ? ERR_INVALID : status;
}
