#include "text.h"
#include "util/yaml.h"

static struct diags *diags;
static struct yaml_doc *doc;

static int load_flags(const char *text, int flags)
{
    diags = diags_new();
    cr_assert_not_null(diags);
    return yaml_load_text(text, strlen(text), "f", flags, &doc, diags);
}

static int load(const char *text)
{
    return load_flags(text, 0);
}

static void done(void)
{
    yaml_unref(doc);
    diags_free(diags);
    doc = NULL;
    diags = NULL;
}

static void expect_json(struct yaml_node node, const char *expected)
{
    char *json = yaml_to_json(node);

    cr_assert_not_null(json);
    cr_expect_str_eq(json, expected);
    free(json);
}

static void refused(const char *text, const char *expected)
{
    cr_expect_eq(load(text), ERR_INVALID, "%s", text);
    cr_expect_null(doc);
    expect_diags(diags, expected);
    done();
}

Test(yaml, tree_with_places)
{
    cr_assert_eq(load("a: 1\nlist:\n  - x\n  - {y: \"2\"}\n"), OK);
    struct yaml_node root = yaml_root(doc), list = yaml_get(root, "list");
    cr_expect_eq(yaml_kind(root), YAML_MAPPING);
    cr_expect_eq(yaml_size(root), 2);
    cr_expect_str_eq(yaml_text(yaml_key(root, 1)), "list");
    cr_expect_eq(yaml_kind(list), YAML_SEQUENCE);
    cr_expect_eq(yaml_size(list), 2);
    cr_expect_str_eq(yaml_text(yaml_item(list, 0)), "x");
    struct yaml_node y = yaml_get(yaml_item(list, 1), "y");
    cr_expect_str_eq(yaml_text(y), "2");
    cr_expect_not(yaml_is_plain(y));
    cr_expect_eq(yaml_place(y).line, 4);
    cr_expect_eq(yaml_place(y).column, 9);
    cr_expect_str_eq(yaml_place(y).file, "f");
    cr_expect(yaml_is_plain(yaml_get(root, "a")));
    done();
}

Test(yaml, what_is_not_there_is_no_node)
{
    cr_assert_eq(load("a: [1]"), OK);
    struct yaml_node nothing = yaml_get(yaml_root(doc), "b");
    cr_expect_eq(yaml_kind(nothing), YAML_NONE);
    cr_expect_null(nothing.doc);
    cr_expect_null(yaml_text(nothing));
    cr_expect_null(yaml_get(nothing, "c").doc);
    cr_expect_eq(yaml_size(nothing), 0);
    cr_expect_not(yaml_is_null(nothing));
    cr_expect_null(yaml_item(yaml_get(yaml_root(doc), "a"), 1).doc);
    cr_expect_null(yaml_key(yaml_get(yaml_root(doc), "a"), 0).doc);
    cr_expect_null(yaml_place(nothing).file);
    done();
}

Test(yaml, nulls_are_yamls_and_pythons)
{
    cr_assert_eq(load("[~, null, Null, NULL, None, 'None', '', \"null\", nul, 0]"), OK);
    for (size_t i = 0; i < 10; i++)
        cr_expect_eq(yaml_is_null(yaml_item(yaml_root(doc), i)), i < 6, "item %zu", i);
    done();
    cr_assert_eq(load("a:\n"), OK);
    cr_expect(yaml_is_null(yaml_get(yaml_root(doc), "a")));
    done();
    cr_assert_eq(load("# nothing\n"), OK);
    cr_expect(yaml_is_null(yaml_root(doc)));
    done();
}

Test(yaml, json_of_a_subtree_by_the_look_of_plain_scalars)
{
    cr_assert_eq(load("{i: 12, neg: -3, r: 1e-3, dot: .5, t: True, f: false, n: None, q: \"12\", w: 12ms, v: 1.2.3,"
                      " inf: inf, dotinf: .inf, hex: 0x10, yes: yes, l: [1, {a: b}], e: {}, plus: +1.0, oct: 012, big: "
                      "123456789012345678901,"
                      " more: 9223372036854775808, \"a\\tb\": \"\\x01\\\"\"}"),
                 OK);
    expect_json(yaml_root(doc),
                "{\"i\":12,\"neg\":-3,\"r\":1e-3,\"dot\":0.5,\"t\":true,\"f\":false,\"n\":null,"
                "\"q\":\"12\",\"w\":\"12ms\",\"v\":\"1.2.3\",\"inf\":\"inf\",\"dotinf\":\".inf\","
                "\"hex\":\"0x10\",\"yes\":\"yes\",\"l\":[1,{\"a\":\"b\"}],\"e\":{},\"plus\":1,\"oct\":12,"
                "\"big\":1.2345678901234568e+20,\"more\":9.223372036854776e+18,\"a\\u0009b\":\"\\u0001\\\"\"}");
    done();
}

Test(yaml, json_text_is_yaml)
{
    cr_assert_eq(
        load("{\"a\":1,\t\"b\":\"\\u00e9\\/\\n\\ud83d\\ude00\",\r\n\t\"c\" : [ true,null ],\"d\":\"\\\\ud83d\"}"), OK);
    cr_expect_str_eq(yaml_text(yaml_get(yaml_root(doc), "b")), "é/\n😀");
    cr_expect_str_eq(yaml_text(yaml_get(yaml_root(doc), "d")), "\\ud83d");
    expect_json(yaml_get(yaml_root(doc), "c"), "[true,null]");
    done();
}

Test(yaml, a_lone_surrogate_is_an_error_not_a_crash)
{
    cr_expect_eq(load("{\"a\":\"\\ud83d\"}"), ERR_INVALID);
    cr_expect_eq(diags_errors(diags), 1);
    done();
}

Test(yaml, syntax_errors_have_a_place_and_a_remedy)
{
    refused("a: 1\nb: [1, 2\nc: 3\n",
            "f:3:2: did not find expected ',' or ']', while parsing a flow sequence from line 2: close the list, or "
            "quote a value that contains one of , { } [ ]");
    refused("a:\n\tb: 1\n",
            "f:2:1: found character that cannot start any token, while scanning for the next token from "
            "line 2: indent with spaces, not tabs; quote a value that begins with @ or `");
    refused("a: b: c\n", "f:1:5: mapping values are not allowed in this context: quote a value that contains `: `, and "
                         "check the indentation");
    refused("a: \"x\n",
            "f:2:1: found unexpected end of stream, while scanning a quoted scalar from line 1: a quote or a "
            "bracket is not closed");
    refused("ok: 1\nx: \xff\n", "f:2:4: invalid leading UTF-8 octet: the file must be UTF-8 text");
    refused("a: 1\nb: \x01\n", "f:2:4: control characters are not allowed: the file must be UTF-8 text");
}

Test(yaml, what_is_refused_on_purpose_is_found_all_at_once)
{
    refused("a: &x 1\nb: *x\na: 2\nc: !!python/tuple [1]\n",
            "f:2:4: alias `*x` is not supported: write the value out\n"
            "f:3:1: duplicate key `a`: it stands at line 1, column 1 already\n"
            "f:4:4: tag `tag:yaml.org,2002:python/tuple` is not supported");
    refused("a: {x: 1, y: 2, x: 3}\n", "f:1:17: duplicate key `x`: it stands at line 1, column 5 already");
    refused("a: 1\n---\nb: 1\n", "f:2:1: a second document begins here; a file holds one");
    refused("? [a]\n: 1\n", "f:1:3: a key must be text, not a list or a mapping");
    refused("{\"a\": \"x\\u0000y\"}", "f:1:7: a NUL character is not allowed");
}

Test(yaml, core_tags_are_allowed)
{
    cr_assert_eq(load("a: !!str 12\nb: !!int 3\n"), OK);
    cr_expect_not(yaml_is_plain(yaml_get(yaml_root(doc), "a")));
    done();
}

Test(yaml, depth_is_bounded)
{
    char text[2 * 65 + 2];

    memset(text, '[', 65);
    memset(text + 65, ']', 65);
    text[130] = '\0';
    refused(text, "f:1:65: nested more than 64 levels deep");
    memset(text, 0, sizeof text);
    memset(text, '[', 64);
    memset(text + 64, ']', 64);
    cr_expect_eq(load(text), OK);
    done();
}

Test(yaml, number_of_nodes_is_bounded)
{
    size_t n = 200001;
    char *text = malloc(2 * n + 3);

    cr_assert_not_null(text);
    text[0] = '[';
    for (size_t i = 0; i < n; i++)
        memcpy(text + 1 + 2 * i, "1,", 2);
    memcpy(text + 1 + 2 * n, "]", 2);
    refused(text, "f:1:400000: more than 200000 values");
    free(text);
}

Test(yaml, size_is_bounded)
{
    size_t n = (16 << 20) + 1;
    char *text = malloc(n);

    cr_assert_not_null(text);
    memset(text, ' ', n);
    diags = diags_new();
    cr_expect_eq(yaml_load_text(text, n, "f", 0, &doc, diags), ERR_INVALID);
    expect_diags(diags, "f: more than 16777216 bytes of YAML");
    done();
    free(text);
}

Test(yaml, environment_is_replaced_in_values_only_where_asked)
{
    setenv("FLOSIM_TEST_A", "12", 1);
    unsetenv("FLOSIM_TEST_B");
    cr_assert_eq(load_flags("a: ${FLOSIM_TEST_A}\nb: 'x${FLOSIM_TEST_A}y'\nc: ${}-$(x)-${1}\n${FLOSIM_TEST_A}: k\n",
                            YAML_EXPAND_ENV),
                 OK);
    expect_json(yaml_root(doc), "{\"a\":12,\"b\":\"x12y\",\"c\":\"${}-$(x)-${1}\",\"${FLOSIM_TEST_A}\":\"k\"}");
    done();
    cr_assert_eq(load("a: ${FLOSIM_TEST_A}"), OK);
    expect_json(yaml_root(doc), "{\"a\":\"${FLOSIM_TEST_A}\"}");
    done();
    cr_expect_eq(load_flags("a: 1\nb: ${FLOSIM_TEST_B}\nc: ${FLOSIM_TEST_B}\n", YAML_EXPAND_ENV), ERR_INVALID);
    expect_diags(diags, "f:2:4: environment variable `FLOSIM_TEST_B` is not set\n"
                        "f:3:4: environment variable `FLOSIM_TEST_B` is not set");
    done();
}

static void set(const char *assignment)
{
    yaml_set(doc, assignment, diags);
}

Test(yaml, set_changes_adds_and_makes_mappings_on_the_way)
{
    cr_assert_eq(load("a: {b: 1}\nl: [1, {x: 2}]\nn:\n"), OK);
    set("a.b=5");
    set("a.c.d=[1, two]");
    set("n.m={k: v}");
    set("l.1.x=3");
    set("l.0=zero");
    set("e=");
    expect_diags(diags, "");
    expect_json(yaml_root(doc), "{\"a\":{\"b\":5,\"c\":{\"d\":[1,\"two\"]}},\"l\":[\"zero\",{\"x\":3}],"
                                "\"n\":{\"m\":{\"k\":\"v\"}},\"e\":null}");
    struct yaml_node b = yaml_get(yaml_get(yaml_root(doc), "a"), "b");
    cr_expect_str_eq(yaml_place(b).file, "--set a.b=5");
    cr_expect_eq(yaml_place(b).line, 0);
    done();
}

Test(yaml, set_says_what_is_wrong_and_names_the_option)
{
    cr_assert_eq(load("a: 1\nl: [1]\nempty: []\n"), OK);
    set("nothing");
    set("a.b=1");
    set("l.x=1");
    set("l.1=1");
    set("empty.0=1");
    set("a..b=1");
    set("a={");
    expect_diags(diags, "--set nothing: expected KEY.KEY=VALUE\n"
                        "--set a.b=1: `b` cannot be set inside the single value `1`\n"
                        "--set l.x=1: `x` is not the number of an item; the list has items 0 to 0\n"
                        "--set l.1=1: `1` is not the number of an item; the list has items 0 to 0\n"
                        "--set empty.0=1: `0` is not in an empty list\n"
                        "--set a..b=1: a key on the path is empty\n"
                        "--set a={: the value is not YAML: did not find expected node content, while parsing a flow "
                        "node from line 2");
    done();
}

Test(yaml, set_on_an_empty_document)
{
    cr_assert_eq(load(""), OK);
    set("a.b=1");
    expect_json(yaml_root(doc), "{\"a\":{\"b\":1}}");
    done();
}

Test(yaml, a_missing_file_is_not_found)
{
    diags = diags_new();
    cr_expect_eq(yaml_load_file("/nonexistent/x.yaml", 0, &doc, diags), ERR_NOT_FOUND);
    expect_diags(diags, "cannot open /nonexistent/x.yaml: No such file or directory");
    done();
}

Test(yaml, references_keep_a_document)
{
    cr_assert_eq(load("a: b"), OK);
    struct yaml_doc *again = yaml_ref(doc);
    struct yaml_node node = yaml_get(yaml_root(doc), "a");
    yaml_unref(doc);
    cr_expect_str_eq(yaml_text(node), "b");
    doc = again;
    done();
    yaml_unref(NULL);
}
