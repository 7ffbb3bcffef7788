#include "util/status.h"

#include <stddef.h>

static const struct {
    int status;
    const char *text;
    int exit_code, grpc, http;
} rows[] = {
#define STATUS_ROW(name, code, text, exit_code, grpc, http) {code, text, exit_code, grpc, http},
    STATUS_LIST(STATUS_ROW)
#undef STATUS_ROW
};

enum { NUM_ROWS = sizeof rows / sizeof *rows };

static size_t row_of(int status)
{
    size_t i = (size_t)(status <= 0 ? -status : NUM_ROWS);

    return i < NUM_ROWS ? i : (size_t)-ERR_INTERNAL;
}

const char *status_text(int status)
{
    return rows[row_of(status)].text;
}

int status_exit_code(int status)
{
    return rows[row_of(status)].exit_code;
}

int status_grpc_code(int status)
{
    return rows[row_of(status)].grpc;
}

int status_http_code(int status)
{
    return rows[row_of(status)].http;
}

int status_from_grpc(int grpc_code)
{
    /* Several rows share a code; the more general one of them is meant. */
    switch (grpc_code) {
    case 8:
        return ERR_MEMORY;
    case 9:
        return ERR_PRECONDITION;
    case 13:
        return ERR_INTERNAL;
    case 14:
        return ERR_UNAVAILABLE;
    default:
        break;
    }
    for (size_t i = 0; i < NUM_ROWS; i++)
        if (rows[i].grpc == grpc_code)
            return rows[i].status;
    return ERR_INTERNAL;
}
