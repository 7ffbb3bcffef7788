#include "util/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int error_set(struct error *err, int status, const char *file, int line, const char *format, ...)
{
    va_list args;

    if (!err)
        return status;
    err->status = status;
    err->file = file;
    err->line = line;
    va_start(args, format);
    vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    return status;
}

int error_context(struct error *err, int status, const char *format, ...)
{
    char context[sizeof err->message];
    char whole[2 * sizeof err->message + 4];
    va_list args;

    if (!err)
        return status;
    va_start(args, format);
    vsnprintf(context, sizeof context, format, args);
    va_end(args);
    snprintf(whole, sizeof whole, "%s: %s", context, err->message);
    whole[sizeof err->message - 1] = '\0';
    memcpy(err->message, whole, strlen(whole) + 1);
    return err->status ? err->status : status;
}
