#include <criterion/criterion.h>
#include <string.h>

#include "util/error.h"

Test(error, says_what_and_where)
{
    struct error err = ERROR_INIT;

    cr_expect_eq(FAIL(&err, ERR_IO, "cannot read %s", "x"), ERR_IO);
    cr_expect_eq(err.status, ERR_IO);
    cr_expect_str_eq(err.message, "cannot read x");
    cr_expect_gt(err.line, 0);
    cr_expect_not_null(strstr(err.file, "test_error.c"));
    cr_expect_eq(FAIL(NULL, ERR_MEMORY, "nobody listens"), ERR_MEMORY);
}

Test(error, context_goes_before_the_message)
{
    struct error err = ERROR_INIT;

    FAIL(&err, ERR_CORRUPT, "x.gz: unexpected end of file");
    cr_expect_eq(error_context(&err, ERR_IO, "cannot load %s", "data"), ERR_CORRUPT);
    cr_expect_str_eq(err.message, "cannot load data: x.gz: unexpected end of file");
    cr_expect_eq(error_context(NULL, ERR_IO, "x"), ERR_IO);
}

Test(error, long_messages_are_cut_not_overrun)
{
    struct error err = ERROR_INIT;
    char text[2000];

    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    FAIL(&err, ERR_IO, "%s", text);
    cr_expect_eq(strlen(err.message), sizeof err.message - 1);
    error_context(&err, ERR_IO, "%s", text);
    cr_expect_eq(strlen(err.message), sizeof err.message - 1);
}

Test(status, every_code_has_a_text_and_its_codes)
{
#define CHECK_ROW(name, code, text, exit_code, grpc, http)                                                             \
    cr_expect_eq(name, code);                                                                                          \
    cr_expect_str_eq(status_text(name), text);                                                                         \
    cr_expect_eq(status_exit_code(name), exit_code);                                                                   \
    cr_expect_eq(status_grpc_code(name), grpc);                                                                        \
    cr_expect_eq(status_http_code(name), http);
    STATUS_LIST(CHECK_ROW)
#undef CHECK_ROW
}

Test(status, bad_input_is_2_and_what_comes_later_3)
{
    cr_expect_eq(status_exit_code(OK), 0);
    cr_expect_eq(status_exit_code(ERR_EXPECTATION), 1);
    cr_expect_eq(status_exit_code(ERR_INVALID), 2);
    cr_expect_eq(status_exit_code(ERR_SETUP), 2);
    cr_expect_eq(status_exit_code(ERR_UNAVAILABLE), 3);
    cr_expect_eq(status_exit_code(ERR_CANCELLED), 130);
    cr_expect_eq(status_exit_code(-999), status_exit_code(ERR_INTERNAL)); /* an unknown code is our bug */
    cr_expect_eq(status_exit_code(17), status_exit_code(ERR_INTERNAL));
}

Test(status, grpc_codes_come_back)
{
    cr_expect_eq(status_from_grpc(0), OK);
    cr_expect_eq(status_from_grpc(3), ERR_INVALID);
    cr_expect_eq(status_from_grpc(4), ERR_DEADLINE);
    cr_expect_eq(status_from_grpc(5), ERR_NOT_FOUND);
    cr_expect_eq(status_from_grpc(9), ERR_PRECONDITION);
    cr_expect_eq(status_from_grpc(12), ERR_UNIMPLEMENTED);
    cr_expect_eq(status_from_grpc(14), ERR_UNAVAILABLE);
    cr_expect_eq(status_from_grpc(99), ERR_INTERNAL);
}
