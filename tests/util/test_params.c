#include "text.h"
#include "util/params.h"

struct inner {
    int64_t port;
    char *host;
};

struct everything {
    bool truth;
    int64_t integer, bytes;
    double number, duration, rate, fraction;
    char *text, *nothing;
    int choice;
    struct string_list texts;
    struct int_list integers;
    struct double_list numbers;
    struct inner section;
    struct param_list list;
    struct yaml_node node;
    bool gpu;
};

#define AT(field) offsetof(struct everything, field)

// clang-format off
static const struct param inner_rows[] = {
    {.name = "port", .type = PARAM_INT, .offset = offsetof(struct inner, port), .fallback = "1883", .min = 1, .max = 65535,
     .help = "Where to knock."},
    {.name = "host", .type = PARAM_STRING, .offset = offsetof(struct inner, host), .flags = PARAM_REQUIRED,
     .help = "Whom to ask."},
};
static const struct param_table inner_table = {
    .name = "inner", .help = "A section.", .rows = inner_rows, .num_rows = 2, .size = sizeof(struct inner)};

static const char *const colours[] = {"red", "green", "blue", NULL};
static const struct param rows[] = {
    {.name = "truth", .type = PARAM_BOOL, .offset = AT(truth), .fallback = "true"},
    {.name = "integer", .alias = "int", .type = PARAM_INT, .offset = AT(integer), .fallback = "7", .min = -5,
     .max = PARAM_NO_LIMIT, .flags = PARAM_OURS, .help = "A whole number."},
    {.name = "bytes", .type = PARAM_BYTES, .offset = AT(bytes), .fallback = "2MiB", .min = 10, .max = 4194304},
    {.name = "number", .type = PARAM_DOUBLE, .offset = AT(number), .fallback = "1e-3", .min = PARAM_ABOVE_0, .max = 1},
    {.name = "duration", .type = PARAM_DURATION, .offset = AT(duration), .fallback = "50ms", .min = 0.01, .max = 3600},
    {.name = "rate", .type = PARAM_RATE, .offset = AT(rate), .fallback = "0"},
    {.name = "fraction", .type = PARAM_FRACTION, .offset = AT(fraction), .fallback = "30%"},
    {.name = "text", .type = PARAM_STRING, .offset = AT(text), .fallback = "some words"},
    {.name = "nothing", .type = PARAM_STRING, .offset = AT(nothing)},
    {.name = "choice", .type = PARAM_CHOICE, .offset = AT(choice), .choices = colours, .fallback = "green"},
    {.name = "texts", .type = PARAM_STRINGS, .offset = AT(texts), .fallback = "[a, b c]"},
    {.name = "integers", .type = PARAM_INTS, .offset = AT(integers), .fallback = "[1, 2]", .min = 0, .max = 9},
    {.name = "numbers", .type = PARAM_DOUBLES, .offset = AT(numbers), .fallback = "[0.5]"},
    {.name = "section", .type = PARAM_SECTION, .offset = AT(section), .table = &inner_table},
    {.name = "list", .type = PARAM_LIST, .offset = AT(list), .table = &inner_table},
    {.name = "node", .type = PARAM_NODE, .offset = AT(node)},
    {.name = "gpu", .type = PARAM_BOOL, .offset = AT(gpu), .fallback = "false", .flags = PARAM_NO_EFFECT},
};
static const struct param_table table = {
    .name = "everything", .rows = rows, .num_rows = sizeof rows / sizeof *rows, .size = sizeof(struct everything)};
// clang-format on

static struct everything values;

/* Read with the required key added, so that only what a test is about is found. */
static int read_text(const char *text, struct diags *diags)
{
    struct yaml_doc *doc;

    cr_assert_eq(yaml_load_text(text, strlen(text), "f", 0, &doc, diags), OK, "%s", text);
    int status = params_read(&table, yaml_root(doc), &values, diags);
    yaml_unref(doc);
    return status;
}

static void good(const char *line)
{
    struct diags *diags = diags_new();
    char text[512];

    snprintf(text, sizeof text, "section: {host: h}\n%s\n", line);
    cr_expect_eq(read_text(text, diags), OK, "%s", line);
    expect_diags(diags, "");
    diags_free(diags);
}

static void bad(const char *line, const char *expected)
{
    struct diags *diags = diags_new();
    char text[512];

    snprintf(text, sizeof text, "section: {host: h}\n%s\n", line);
    cr_expect_eq(read_text(text, diags), ERR_INVALID, "%s", line);
    expect_diags(diags, expected);
    diags_free(diags);
    params_free(&table, &values);
}

static void done(void)
{
    params_free(&table, &values);
}

Test(params, defaults_of_every_type)
{
    good("");
    cr_expect(values.truth);
    cr_expect_eq(values.integer, 7);
    cr_expect_eq(values.bytes, 2097152);
    cr_expect_eq(values.number, 0.001);
    cr_expect_eq(values.duration, 0.05);
    cr_expect_eq(values.rate, 0);
    cr_expect_eq(values.fraction, 0.3);
    cr_expect_str_eq(values.text, "some words");
    cr_expect_null(values.nothing);
    cr_expect_eq(values.choice, 1);
    cr_assert_eq(values.texts.n, 2);
    cr_expect_str_eq(values.texts.items[1], "b c");
    cr_assert_eq(values.integers.n, 2);
    cr_expect_eq(values.integers.items[1], 2);
    cr_assert_eq(values.numbers.n, 1);
    cr_expect_eq(values.numbers.items[0], 0.5);
    cr_expect_eq(values.section.port, 1883);
    cr_expect_eq(values.list.n, 0);
    cr_expect_null(values.node.doc);
    done();
}

Test(params, params_defaults_is_the_same_without_a_document)
{
    params_defaults(&table, &values);
    cr_expect_eq(values.bytes, 2097152);
    cr_expect_str_eq(values.text, "some words");
    cr_expect_null(values.section.host); /* required: stays empty */
    cr_expect_eq(values.section.port, 1883);
    done();
}

Test(params, booleans)
{
    static const char *const yes[] = {"true", "True", "yes", "on"}, *const no[] = {"false", "False", "no", "OFF"};
    char line[64];

    for (size_t i = 0; i < 4; i++) {
        snprintf(line, sizeof line, "truth: %s", yes[i]);
        good(line);
        cr_expect(values.truth);
        done();
        snprintf(line, sizeof line, "truth: %s", no[i]);
        good(line);
        cr_expect_not(values.truth);
        done();
    }
    bad("truth: maybe", "f:2:8: `truth` must be true or false, found `maybe`");
    bad("truth: 1", "f:2:8: `truth` must be true or false, found `1`");
    bad("truth: \"true\"", "f:2:8: `truth` must be true or false, found the quoted text \"true\"");
    bad("truth: [true]", "f:2:8: `truth` must be true or false, found a list");
}

Test(params, integers)
{
    good("integer: -5");
    cr_expect_eq(values.integer, -5);
    done();
    good("int: 9007199254740993"); /* the alias; more digits than a double holds */
    cr_expect_eq(values.integer, 9007199254740993);
    done();
    bad("integer: 1.5", "f:2:10: `integer` must be an integer, found `1.5`");
    bad("integer: 1e3", "f:2:10: `integer` must be an integer, found `1e3`");
    bad("integer: 99999999999999999999", "f:2:10: `integer` must be an integer, found `99999999999999999999`");
    bad("integer: many", "f:2:10: `integer` must be an integer, found `many`");
    bad("integer: \"3\"", "f:2:10: `integer` must be an integer, found the quoted text \"3\"");
    bad("integer: {a: 1}", "f:2:10: `integer` must be an integer, found a mapping");
    bad("integer: -6", "f:2:10: `integer` must be at least -5, found `-6`");
    bad("integer: 3\nint: 4", "f:3:1: `int` is another name of `integer`, which is given too");
}

Test(params, numbers)
{
    good("number: .25");
    cr_expect_eq(values.number, 0.25);
    done();
    bad("number: 0", "f:2:9: `number` must be above 0 and at most 1, found `0`");
    bad("number: 1.5", "f:2:9: `number` must be above 0 and at most 1, found `1.5`");
    bad("number: inf", "f:2:9: `number` must be a number, found `inf`");
    bad("number: nan", "f:2:9: `number` must be a number, found `nan`");
    bad("number: 0x1", "f:2:9: `number` must be a number, found `0x1`");
    bad("number: 1e999", "f:2:9: `number` must be a number, found `1e999`");
    bad("number: 1 2", "f:2:9: `number` must be a number, found `1 2`");
}

static double duration_of(const char *text)
{
    double seconds = -1;

    cr_expect_eq(param_parse_scalar(PARAM_DURATION, text, &seconds, NULL), OK, "%s", text);
    return seconds;
}

Test(params, durations)
{
    cr_expect_eq(duration_of("12s"), 12);
    cr_expect_eq(duration_of("50ms"), 0.05);
    cr_expect_eq(duration_of("1.5 us"), 1.5e-6);
    cr_expect_eq(duration_of("2min"), 120);
    cr_expect_eq(duration_of("1h"), 3600);
    cr_expect_eq(duration_of("1d"), 86400);
    cr_expect_eq(duration_of("0.25"), 0.25);
    good("duration: \"1min\""); /* what has a unit is text anyway */
    cr_expect_eq(values.duration, 60);
    done();
    bad("duration: 5 weeks", "f:2:11: `duration` must be a duration such as 12s, 50ms or 2min, found `5 weeks`");
    bad("duration: -1s", "f:2:11: `duration` must be a duration such as 12s, 50ms or 2min, found `-1s`");
    bad("duration: 2h", "f:2:11: `duration` must be between 0.01s and 3600s, found `2h`");
}

static int64_t bytes_of(const char *text)
{
    int64_t bytes = -1;

    cr_expect_eq(param_parse_scalar(PARAM_BYTES, text, &bytes, NULL), OK, "%s", text);
    return bytes;
}

Test(params, sizes)
{
    cr_expect_eq(bytes_of("17"), 17);
    cr_expect_eq(bytes_of("10kB"), 10000);
    cr_expect_eq(bytes_of("10 KiB"), 10240);
    cr_expect_eq(bytes_of("1.5MiB"), 1572864);
    cr_expect_eq(bytes_of("2G"), 2000000000);
    bad("bytes: 1.5", "f:2:8: `bytes` must be a size such as 2MiB, 10kB or a whole number of bytes, found `1.5`");
    bad("bytes: -1", "f:2:8: `bytes` must be a size such as 2MiB, 10kB or a whole number of bytes, found `-1`");
    bad("bytes: 1PB", "f:2:8: `bytes` must be a size such as 2MiB, 10kB or a whole number of bytes, found `1PB`");
    bad("bytes: 5MiB", "f:2:8: `bytes` must be between 10 and 4194304, found `5MiB`");
}

static double rate_of(const char *text)
{
    double rate = -1;

    cr_expect_eq(param_parse_scalar(PARAM_RATE, text, &rate, NULL), OK, "%s", text);
    return rate;
}

Test(params, rates)
{
    cr_expect_eq(rate_of("20Mbit"), 2.5e6);
    cr_expect_eq(rate_of("8kbit/s"), 1000);
    cr_expect_eq(rate_of("1MB/s"), 1e6);
    cr_expect_eq(rate_of("1 MiB/s"), 1048576);
    cr_expect_eq(rate_of("0"), 0);
    bad("rate: 20", "f:2:7: `rate` must be a rate such as 20Mbit or 1MB/s, or 0 for no limit, found `20`");
    bad("rate: -1MB/s", "f:2:7: `rate` must be a rate such as 20Mbit or 1MB/s, or 0 for no limit, found `-1MB/s`");
}

Test(params, fractions)
{
    good("fraction: 10%");
    cr_expect_eq(values.fraction, 0.1);
    done();
    good("fraction: 1");
    cr_expect_eq(values.fraction, 1);
    done();
    bad("fraction: 1.01", "f:2:11: `fraction` must be a fraction such as 0.3 or 30%, found `1.01`");
    bad("fraction: 101%", "f:2:11: `fraction` must be a fraction such as 0.3 or 30%, found `101%`");
}

Test(params, texts_take_what_looks_like_something_else)
{
    good("text: 12.0");
    cr_expect_str_eq(values.text, "12.0");
    done();
    good("text: True");
    cr_expect_str_eq(values.text, "True");
    done();
    bad("text: [a]", "f:2:7: `text` must be text, found a list");
}

Test(params, nulls_mean_the_default)
{
    good("integer: None\ntext: None\ntexts: ~\nnothing: null\nlist:\nnode: None\nchoice: None");
    cr_expect_eq(values.integer, 7);
    cr_expect_str_eq(values.text, "some words");
    cr_expect_eq(values.texts.n, 2);
    cr_expect_null(values.nothing);
    cr_expect_null(values.node.doc);
    cr_expect_eq(values.choice, 1);
    done();
}

Test(params, choices)
{
    good("choice: blue");
    cr_expect_eq(values.choice, 2);
    done();
    bad("choice: bleu", "f:2:9: `choice` must be one of red, green, blue; found `bleu`; did you mean `blue`?");
    bad("choice: 1", "f:2:9: `choice` must be one of red, green, blue; found `1`");
    bad("choice: [red]", "f:2:9: `choice` must be one of red, green, blue; found a list");
}

Test(params, lists)
{
    good("texts: one\nintegers: 3\nnumbers: [1, 2.5]");
    cr_assert_eq(values.texts.n, 1);
    cr_expect_str_eq(values.texts.items[0], "one");
    cr_assert_eq(values.integers.n, 1);
    cr_expect_eq(values.integers.items[0], 3);
    cr_expect_eq(values.numbers.items[1], 2.5);
    done();
    good("texts: []");
    cr_expect_eq(values.texts.n, 0);
    done();
    bad("integers: [1, x, 12]", "f:2:15: `integers` must be an integer, found `x`\n"
                                "f:2:18: `integers` must be between 0 and 9, found `12`");
    bad("texts: {a: b}", "f:2:8: `texts` must be a list of texts, found a mapping");
}

Test(params, lists_of_sections)
{
    good("list:\n  - {host: a, port: 1}\n  - host: b");
    cr_assert_eq(values.list.n, 2);
    struct inner *items = values.list.items;
    cr_expect_str_eq(items[0].host, "a");
    cr_expect_eq(items[0].port, 1);
    cr_expect_eq(items[1].port, 1883);
    cr_expect_eq(values.list.places[1].line, 4);
    done();
    bad("list: {host: a}", "f:2:7: `list` must be a list of mappings, found a mapping");
    bad("list:\n  - {port: 0}\n  - 3", "f:3:5: `list.host` is missing\n"
                                       "f:3:12: `list.port` must be between 1 and 65535, found `0`\n"
                                       "f:4:5: `list` must be a mapping, found `3`");
}

Test(params, everything_wrong_is_told_at_once)
{
    struct diags *diags = diags_new();

    cr_expect_eq(read_text("trth: true\nsection:\n  port: 70000\n  prot: 1\n  something_else: 2\nchoice: pink\n"
                           "list:\n  - {host: None}\n",
                           diags),
                 ERR_INVALID);
    expect_diags(diags, "f:1:1: unknown key `trth`; did you mean `truth`?\n"
                        "f:3:3: `section.host` is missing\n"
                        "f:3:9: `section.port` must be between 1 and 65535, found `70000`\n"
                        "f:4:3: unknown key `prot` in `section`; did you mean `port`?\n"
                        "f:5:3: unknown key `something_else` in `section`\n"
                        "f:6:9: `choice` must be one of red, green, blue; found `pink`\n"
                        "f:8:12: `list.host` must have a value");
    diags_free(diags);
    done();
}

Test(params, a_missing_section_reports_its_required_keys_where_it_should_stand)
{
    struct diags *diags = diags_new();

    cr_expect_eq(read_text("integer: 1\n", diags), ERR_INVALID);
    expect_diags(diags, "f:1:1: `section.host` is missing");
    diags_free(diags);
    done();
    diags = diags_new();
    cr_expect_eq(read_text("", diags), ERR_INVALID);
    expect_diags(diags, "f:1:1: `section.host` is missing");
    diags_free(diags);
    done();
    diags = diags_new();
    cr_expect_eq(read_text("just text", diags), ERR_INVALID);
    expect_diags(diags, "f:1:1: must be a mapping, found `just text`");
    diags_free(diags);
    done();
}

Test(params, a_templates_gaps_are_pointed_out)
{
    bad("text: <some_text>", "f:2:7: `text` still holds the template's `<some_text>`: put your value here");
    bad("integer: <n>\ntruth: <True/False>", "f:2:10: `integer` still holds the template's `<n>`: put your value here\n"
                                             "f:3:8: `truth` still holds the template's `<True/False>`: put your "
                                             "value here");
    good("text: \"<b>\"");
    cr_expect_str_eq(values.text, "<b>");
    done();
}

Test(params, keys_without_effect_warn_unless_they_say_the_default)
{
    struct diags *diags = diags_new();

    cr_expect_eq(read_text("section: {host: h}\ngpu: True\n", diags), OK);
    expect_diags(diags, "f:2:6: warning: `gpu` has no effect in flosim");
    diags_free(diags);
    done();
    good("gpu: False");
    done();
    good("gpu: None");
    done();
}

Test(params, overrides_are_named_in_errors)
{
    struct diags *diags = diags_new();
    struct yaml_doc *doc;

    cr_assert_eq(yaml_load_text("section: {host: h}", 18, "f", 0, &doc, diags), OK);
    yaml_set(doc, "section.port=x", diags);
    yaml_set(doc, "section.pory=1", diags);
    cr_expect_eq(params_read(&table, yaml_root(doc), &values, diags), ERR_INVALID);
    expect_diags(diags, "--set section.pory=1: unknown key `pory` in `section`; did you mean `port`?\n"
                        "--set section.port=x: `section.port` must be an integer, found `x`");
    yaml_unref(doc);
    diags_free(diags);
    done();
}

static char *written(const void *from)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    cr_assert_not_null(out);
    params_write(&table, from, 0, out);
    cr_assert_eq(fclose(out), 0);
    return text;
}

static const char odd_values[] =
    "section: {host: \"a: b\", port: 9}\n"
    "truth: no\nint: -3\nbytes: 10kB\nnumber: 0.1\nduration: 33ms\nrate: 20Mbit\nfraction: 1%\n"
    "text: \"12 \\\"q\\\" \\\\ \\n é\\L\\x85\"\nnothing: \"null\"\nchoice: red\ntexts: [yes, \"1\", plain, \"\"]\n"
    "integers: [3, 1]\nnumbers: [0.1, 1e-300]\n"
    "list: [{host: x}, {host: \"-\", port: 2}]\nnode: {a: [1, \"2\", True, None, {b: 0.5}], \"c d\": 10ms}\n";

Test(params, written_back_and_read_again_is_the_same)
{
    struct diags *diags = diags_new();

    cr_assert_eq(read_text(odd_values, diags), OK);
    char *first = written(&values);
    done();
    cr_assert_eq(read_text(first, diags), OK, "%s", first);
    char *second = written(&values);
    cr_expect_str_eq(first, second);
    cr_expect_not(values.truth);
    cr_expect_eq(values.duration, 0.033);
    cr_expect_eq(values.rate, 2.5e6);
    cr_expect_str_eq(values.text, "12 \"q\" \\ \n é\u2028\xc2\x85");
    cr_expect_str_eq(values.nothing, "null");
    cr_expect_str_eq(values.texts.items[0], "yes");
    cr_expect_eq(values.numbers.items[1], 1e-300);
    cr_expect_str_eq(((struct inner *)values.list.items)[1].host, "-");
    expect_diags(diags, "");
    free(first);
    free(second);
    diags_free(diags);
    done();
}

Test(params, written_form)
{
    good("list: [{host: x}]\nnode: {a: 1}\nrate: 1MB/s");
    char *text = written(&values);
    cr_expect_str_eq(text, "truth: true\ninteger: 7\nbytes: 2097152\nnumber: 0.001\nduration: 0.05s\nrate: 1000000B/s\n"
                           "fraction: 0.3\ntext: \"some words\"\nnothing: null\nchoice: green\ntexts: [a, \"b c\"]\n"
                           "integers: [1, 2]\nnumbers: [0.5]\nsection:\n  port: 1883\n  host: h\nlist:\n"
                           "  - port: 1883\n    host: x\nnode: {\"a\":1}\n");
    free(text);
    done();
}

Test(params, a_copy_is_whole_and_independent)
{
    struct diags *diags = diags_new();
    struct everything copy;

    cr_assert_eq(read_text(odd_values, diags), OK);
    char *before = written(&values);
    cr_assert_eq(params_copy(&table, &values, &copy), OK);
    done();
    char *after = written(&copy);
    cr_expect_str_eq(before, after);
    cr_expect_eq(copy.list.n, 2);
    free(before);
    free(after);
    params_free(&table, &copy);
    cr_expect_eq(copy.list.n, 0); /* freed structs are zero */
    params_free(&table, &copy);
    diags_free(diags);
}

static char *help_text(void (*print)(FILE *out))
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    cr_assert_not_null(out);
    print(out);
    cr_assert_eq(fclose(out), 0);
    return text;
}

static void print_help(FILE *out)
{
    params_help(&table, 2, out);
}

static void print_markdown(FILE *out)
{
    params_markdown(&inner_table, out);
}

Test(params, help_says_type_range_default_and_meaning)
{
    char *text = help_text(print_help);

    cr_expect_not_null(strstr(text, "  integer (or int): integer, at least -5, default 7; not in Flotilla 1.0\n"
                                    "      A whole number.\n"));
    cr_expect_not_null(strstr(text, "  choice: one of red, green, blue, default green\n"));
    cr_expect_not_null(strstr(text, "  section: section\n      A section.\n      port: integer, between 1 and 65535, "
                                    "default 1883\n          Where to knock.\n      host: text, required\n"));
    cr_expect_not_null(strstr(text, "  gpu: true | false, default false; no effect in flosim\n"));
    free(text);
    text = help_text(print_markdown);
    cr_expect_str_eq(text, "A section.\n\n| key | type | default | meaning |\n|---|---|---|---|\n"
                           "| `port` | integer, between 1 and 65535 | `1883` | Where to knock. |\n"
                           "| `host` | text | required | Whom to ask. |\n");
    free(text);
}

Test(params, nearest_word)
{
    static const char *const words[] = {"epochs", "batch_size", "dataset", "id"};

    cr_expect_str_eq(nearest_word("epoch", words, 4), "epochs");
    cr_expect_str_eq(nearest_word("epohcs", words, 4), "epochs"); /* swapped neighbours are one error */
    cr_expect_str_eq(nearest_word("bacth_sizes", words, 4), "batch_size");
    cr_expect_str_eq(nearest_word("ids", words, 4), "id");
    cr_expect_null(nearest_word("x", words, 4)); /* one letter is near to nothing */
    cr_expect_null(nearest_word("learning_rate", words, 4));
    cr_expect_null(nearest_word("", words, 4));
    char longer[200];
    memset(longer, 'a', 199);
    longer[199] = '\0';
    cr_expect_null(nearest_word(longer, words, 4));
}

Test(params, unknown_words_are_told_with_what_there_is)
{
    static const char *const words[] = {"adam", "sgd"};
    const char *many[MAX_WORDS_OF_A_KIND];
    char text[WORDS_TEXT], longer[2000];

    cr_expect_str_eq(unknown_word("optimizer", "adm", words, 2, text), "unknown optimizer `adm`; did you mean `adam`?");
    cr_expect_str_eq(unknown_word("optimizer", "x", words, 2, text), "unknown optimizer `x`; there are: adam, sgd");
    memset(longer, 'a', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    for (size_t i = 0; i < MAX_WORDS_OF_A_KIND; i++)
        many[i] = longer;
    cr_expect_eq(strlen(unknown_word(longer, longer, many, MAX_WORDS_OF_A_KIND, text)), WORDS_TEXT - 1);
}
