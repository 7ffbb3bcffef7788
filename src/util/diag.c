#include "util/diag.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "util/grow.h"

/* A hostile body must not make us keep millions of findings; what is past this is only counted. */
enum { MAX_KEPT = 1000 };

struct finding {
    char *text;      /* the whole line */
    size_t file;     /* rank of its file: files are shown in the order in which they were first named */
    size_t sequence; /* order of finding, among those of one place */
    int line, column;
    bool is_error;
};

struct diags {
    struct finding *findings;
    size_t num_findings;
    char **files;
    size_t num_files;
    size_t num_errors, num_warnings;
};

struct diags *diags_new(void)
{
    return calloc(1, sizeof(struct diags));
}

void diags_free(struct diags *diags)
{
    if (!diags)
        return;
    for (size_t i = 0; i < diags->num_findings; i++)
        free(diags->findings[i].text);
    for (size_t i = 0; i < diags->num_files; i++)
        free(diags->files[i]);
    free(diags->findings);
    free(diags->files);
    free(diags);
}

/* The rank of a file's name, which is added where it is new; a negative number when out of memory. */
static long file_rank(struct diags *diags, const char *file)
{
    if (!file)
        file = "";
    for (size_t i = 0; i < diags->num_files; i++)
        if (!strcmp(diags->files[i], file))
            return (long)i;
    char **files = grow(diags->files, diags->num_files, sizeof *files);
    if (!files)
        return -1;
    diags->files = files;
    files[diags->num_files] = strdup(file);
    if (!files[diags->num_files])
        return -1;
    return (long)diags->num_files++;
}

static char *format_line(struct diag_place place, bool is_error, const char *format, va_list args)
{
    char *line = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&line, &size);

    if (!out)
        return NULL;
    if (place.file && *place.file) {
        fputs(place.file, out);
        if (place.line > 0)
            fprintf(out, ":%d", place.line);
        if (place.line > 0 && place.column > 0)
            fprintf(out, ":%d", place.column);
        fputs(": ", out);
    }
    if (!is_error)
        fputs("warning: ", out);
    vfprintf(out, format, args);
    if (fclose(out)) {
        free(line);
        return NULL;
    }
    return line;
}

static struct finding *add_finding(struct diags *diags)
{
    struct finding *findings = grow(diags->findings, diags->num_findings, sizeof *findings);

    if (!findings)
        return NULL;
    diags->findings = findings;
    return &diags->findings[diags->num_findings];
}

/* Two rooms may come upon the same thing; it is told once. */
static bool is_known(const struct diags *diags, const char *text)
{
    for (size_t i = 0; i < diags->num_findings; i++)
        if (!strcmp(diags->findings[i].text, text))
            return true;
    return false;
}

static void count(struct diags *diags, bool is_error)
{
    ++*(is_error ? &diags->num_errors : &diags->num_warnings);
}

/* What cannot be kept for want of memory is still counted, so that an error never passes for success. */
static void record(struct diags *diags, struct diag_place place, bool is_error, const char *format, va_list args)
{
    char *text = diags->num_findings < MAX_KEPT ? format_line(place, is_error, format, args) : NULL;

    if (text && is_known(diags, text)) {
        free(text);
        return;
    }
    count(diags, is_error);
    long file = text ? file_rank(diags, place.file) : -1;
    struct finding *finding = file >= 0 ? add_finding(diags) : NULL;
    if (!finding) {
        free(text);
        return;
    }
    *finding = (struct finding){text, (size_t)file, diags->num_findings, place.line, place.column, is_error};
    diags->num_findings++;
}

void diag_error(struct diags *diags, struct diag_place place, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    record(diags, place, true, format, args);
    va_end(args);
}

void diag_warning(struct diags *diags, struct diag_place place, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    record(diags, place, false, format, args);
    va_end(args);
}

size_t diags_errors(const struct diags *diags)
{
    return diags->num_errors;
}

size_t diags_warnings(const struct diags *diags)
{
    return diags->num_warnings;
}

static int compare_findings(const void *a, const void *b)
{
    const struct finding *x = *(const struct finding *const *)a, *y = *(const struct finding *const *)b;

    if (x->file != y->file)
        return x->file < y->file ? -1 : 1;
    if (x->line != y->line)
        return x->line < y->line ? -1 : 1;
    if (x->column != y->column)
        return x->column < y->column ? -1 : 1;
    return (x->sequence > y->sequence) - (x->sequence < y->sequence);
}

/* The findings in file order, in a new array (of at least one element); NULL when out of memory. */
static const struct finding **in_order(const struct diags *diags)
{
    const struct finding **order = calloc(diags->num_findings + 1, sizeof(struct finding *));

    if (!order)
        return NULL;
    for (size_t i = 0; i < diags->num_findings; i++)
        order[i] = &diags->findings[i];
    qsort(order, diags->num_findings, sizeof *order, compare_findings);
    return order;
}

static size_t num_dropped(const struct diags *diags)
{
    return diags->num_errors + diags->num_warnings - diags->num_findings;
}

void diags_print(const struct diags *diags, FILE *out)
{
    const struct finding **order = in_order(diags);

    for (size_t i = 0; i < diags->num_findings; i++)
        fprintf(out, "%s\n", order ? order[i]->text : diags->findings[i].text);
    if (num_dropped(diags))
        fprintf(out, "… and %zu more\n", num_dropped(diags));
    free(order);
}

char *diags_text(const struct diags *diags)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    if (!out)
        return NULL;
    diags_print(diags, out);
    if (fclose(out)) {
        free(text);
        return NULL;
    }
    if (size > 0)
        text[size - 1] = '\0'; /* the last newline */
    return text;
}

static const struct finding *first_error(const struct diags *diags)
{
    const struct finding *first = NULL;

    for (size_t i = 0; i < diags->num_findings; i++) {
        const struct finding *finding = &diags->findings[i];
        if (finding->is_error && (!first || compare_findings(&finding, &first) < 0))
            first = finding;
    }
    return first;
}

int diags_status(const struct diags *diags, struct error *err)
{
    const struct finding *first = first_error(diags);

    if (!diags->num_errors)
        return OK;
    if (!first)
        return FAIL(err, ERR_INVALID, "%zu errors, which there was no memory to keep", diags->num_errors);
    if (diags->num_errors == 1)
        return FAIL(err, ERR_INVALID, "%s", first->text);
    return FAIL(err, ERR_INVALID, "%s (and %zu more)", first->text, diags->num_errors - 1);
}
