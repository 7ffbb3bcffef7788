/* One list of everything that can go wrong: code, text, exit code, gRPC status, HTTP status. */
#ifndef FLOSIM_UTIL_STATUS_H
#define FLOSIM_UTIL_STATUS_H

/*        name              code  text                     exit grpc http */
#define STATUS_LIST(X)                                                                                                 \
    X(OK,                   0,    "ok",                    0,   0,   200)                                              \
    X(ERR_INVALID,         -1,    "invalid input",         2,   3,   400)                                              \
    X(ERR_NOT_FOUND,       -2,    "not found",             2,   5,   404)                                              \
    X(ERR_EXISTS,          -3,    "already exists",        2,   6,   409)                                              \
    X(ERR_PRECONDITION,    -4,    "precondition failed",   2,   9,   409)                                              \
    X(ERR_CORRUPT,         -5,    "damaged data",          2,   15,  400)                                              \
    X(ERR_UNIMPLEMENTED,   -6,    "not supported",         2,   12,  501)                                              \
    X(ERR_TOO_LARGE,       -7,    "too large",             2,   8,   413)                                              \
    X(ERR_SETUP,           -8,    "cannot start",          2,   14,  503)                                              \
    X(ERR_UNAVAILABLE,     -9,    "unavailable",           3,   14,  503)                                              \
    X(ERR_DEADLINE,        -10,   "deadline exceeded",     3,   4,   504)                                              \
    X(ERR_CANCELLED,       -11,   "cancelled",             130, 1,   503)                                              \
    X(ERR_IO,              -12,   "input/output error",    3,   13,  500)                                              \
    X(ERR_MEMORY,          -13,   "out of memory",         3,   8,   500)                                              \
    X(ERR_INTERNAL,        -14,   "internal error",        3,   13,  500)                                              \
    X(ERR_EXPECTATION,     -15,   "expectation not met",   1,   9,   500)

enum status {
#define STATUS_ENUM(name, code, text, exit_code, grpc, http) name = code,
    STATUS_LIST(STATUS_ENUM)
#undef STATUS_ENUM
};

const char *status_text(int status);
int status_exit_code(int status);
int status_grpc_code(int status);
int status_http_code(int status);

/* The status that a peer meant by a gRPC code; ERR_INTERNAL for a code that no row has. */
int status_from_grpc(int grpc_code);

#endif
