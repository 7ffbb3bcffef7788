#include "text.h"

static struct diag_place at(const char *file, int line, int column)
{
    return (struct diag_place){file, line, column};
}

Test(diag, findings_come_in_file_order_whatever_the_order_found)
{
    struct diags *diags = diags_new();

    diag_error(diags, at("a.yaml", 7, 2), "late");
    diag_error(diags, at("b.yaml", 1, 1), "other file");
    diag_warning(diags, at("a.yaml", 7, 1), "before %d", 7);
    diag_error(diags, at("a.yaml", 2, 9), "early");
    diag_error(diags, at("a.yaml", 0, 0), "the whole file");
    diag_error(diags, at("a.yaml", 2, 9), "second of one place");
    expect_diags(diags, "a.yaml: the whole file\n"
                        "a.yaml:2:9: early\n"
                        "a.yaml:2:9: second of one place\n"
                        "a.yaml:7:1: warning: before 7\n"
                        "a.yaml:7:2: late\n"
                        "b.yaml:1:1: other file");
    cr_expect_eq(diags_errors(diags), 5);
    cr_expect_eq(diags_warnings(diags), 1);
    diags_free(diags);
}

Test(diag, a_place_may_be_an_option_or_nothing)
{
    struct diags *diags = diags_new();

    diag_error(diags, at("--set a.b=c", 0, 0), "no");
    diag_error(diags, at(NULL, 3, 3), "nowhere");
    diag_error(diags, at("f", 3, 0), "a line");
    expect_diags(diags, "--set a.b=c: no\nnowhere\nf:3: a line");
    diags_free(diags);
}

Test(diag, status_names_the_first_error_and_counts_the_rest)
{
    struct diags *diags = diags_new();
    struct error err = ERROR_INIT;

    diag_warning(diags, at("f", 1, 1), "only a warning");
    cr_expect_eq(diags_status(diags, &err), OK);
    diag_error(diags, at("f", 9, 1), "second");
    diag_error(diags, at("f", 4, 1), "first");
    cr_expect_eq(diags_status(diags, &err), ERR_INVALID);
    cr_expect_str_eq(err.message, "f:4:1: first (and 1 more)");
    cr_expect_eq(diags_status(diags, NULL), ERR_INVALID);
    diags_free(diags);
}

Test(diag, the_file_name_may_go_away_before_printing)
{
    struct diags *diags = diags_new();
    char name[] = "gone.yaml";

    diag_error(diags, at(name, 1, 2), "x");
    memset(name, '?', sizeof name - 1);
    expect_diags(diags, "gone.yaml:1:2: x");
    diags_free(diags);
}

Test(diag, the_same_finding_is_told_once)
{
    struct diags *diags = diags_new();

    diag_error(diags, at("f", 1, 1), "x");
    diag_error(diags, at("f", 1, 1), "x");
    diag_error(diags, at("f", 1, 2), "x");
    diag_warning(diags, at("f", 1, 1), "x");
    expect_diags(diags, "f:1:1: x\nf:1:1: warning: x\nf:1:2: x");
    cr_expect_eq(diags_errors(diags), 2);
    diags_free(diags);
}

Test(diag, past_the_bound_findings_are_counted_not_kept)
{
    struct diags *diags = diags_new();
    char *text;

    for (int i = 0; i < 5000; i++)
        diag_error(diags, at("f", i + 1, 1), "x");
    cr_expect_eq(diags_errors(diags), 5000);
    text = diags_text(diags);
    cr_assert_not_null(text);
    cr_expect_not_null(strstr(text, "… and 4000 more"));
    free(text);
    diags_free(diags);
}

Test(diag, nothing_found_is_an_empty_text)
{
    struct diags *diags = diags_new();

    expect_diags(diags, "");
    diags_free(diags);
    diags_free(NULL);
}
