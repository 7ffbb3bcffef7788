#include <criterion/criterion.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/fs.h"

static char root[64];

static void make_root(void)
{
    strcpy(root, "/tmp/flosim-test-fs-XXXXXX");
    cr_assert_not_null(mkdtemp(root));
}

static void remove_root(void)
{
    cr_assert_eq(fs_remove_tree(root, NULL), OK);
}

TestSuite(fs, .init = make_root, .fini = remove_root);

static char *in_root(const char *name)
{
    char *path = fs_join(root, name);

    cr_assert_not_null(path);
    return path;
}

static void write_file(const char *name, const char *text)
{
    char *path = in_root(name);
    struct span part = span_of(text, strlen(text));

    cr_assert_eq(fs_write_atomic(path, &part, 1, NULL), OK);
    free(path);
}

static size_t entries(const char *path)
{
    DIR *dir = opendir(path);
    size_t n = 0;

    cr_assert_not_null(dir);
    while (readdir(dir))
        n++;
    closedir(dir);
    return n - 2;
}

Test(fs, writes_parts_and_reads_them_back)
{
    char *path = in_root("file");
    struct span parts[] = {span_of("abc", 3), span_of(NULL, 0), span_of("def", 3)};
    struct blob *blob;
    struct stat info;

    cr_assert_eq(fs_write_atomic(path, parts, 3, NULL), OK);
    cr_assert_eq(fs_read(path, 6, &blob, NULL), OK);
    cr_expect_eq(blob_size(blob), 6);
    cr_expect_arr_eq(blob_bytes(blob), "abcdef", 6);
    blob_unref(blob);
    cr_assert_eq(fs_map(path, &blob, NULL), OK);
    cr_expect_arr_eq(blob_span(blob).data, "abcdef", 6);
    blob_unref(blob);
    cr_assert_eq(stat(path, &info), 0);
    cr_expect_neq(info.st_mode & S_IRGRP, 0, "others read what the umask lets them read");
    cr_expect_eq(entries(root), 1, "no temporary file is left");
    free(path);
}

Test(fs, an_empty_file_can_be_read_and_mapped)
{
    char *path = in_root("empty");
    struct blob *blob;

    write_file("empty", "");
    cr_assert_eq(fs_read(path, 0, &blob, NULL), OK);
    cr_expect_eq(blob_size(blob), 0);
    blob_unref(blob);
    cr_assert_eq(fs_map(path, &blob, NULL), OK);
    cr_expect_eq(blob_size(blob), 0);
    blob_unref(blob);
    free(path);
}

Test(fs, reading_says_what_is_wrong)
{
    char *path = in_root("file"), *fifo = in_root("fifo");
    struct error err = ERROR_INIT;
    struct blob *blob;

    cr_expect_eq(fs_read(path, 10, &blob, &err), ERR_NOT_FOUND);
    cr_expect_not_null(strstr(err.message, "No such file"));
    write_file("file", "12345");
    cr_expect_eq(fs_read(path, 4, &blob, &err), ERR_TOO_LARGE);
    cr_expect_null(blob);
    cr_expect_eq(fs_read(root, 10, &blob, &err), ERR_INVALID);
    cr_expect_not_null(strstr(err.message, "is a folder, not a file"));
    cr_assert_eq(mkfifo(fifo, 0600), 0);
    cr_expect_eq(fs_read(fifo, 10, &blob, &err), ERR_INVALID, "a FIFO without a writer must not hang us");
    cr_expect_eq(fs_map(fifo, &blob, &err), ERR_INVALID);
    free(fifo);
    free(path);
}

Test(fs, a_write_replaces_the_file_and_leaves_open_readers_the_old_one)
{
    char *path = in_root("file");
    struct blob *old, *new;

    write_file("file", "old");
    cr_assert_eq(fs_map(path, &old, NULL), OK);
    write_file("file", "new!");
    cr_assert_eq(fs_read(path, 100, &new, NULL), OK);
    cr_expect_arr_eq(blob_bytes(old), "old", 3);
    cr_expect_arr_eq(blob_bytes(new), "new!", 4);
    blob_unref(old);
    blob_unref(new);
    free(path);
}

Test(fs, a_failed_write_leaves_the_old_file_and_nothing_else)
{
    char *dir = in_root("dir"), *missing = in_root("missing/file");
    struct span part = span_of("x", 1);

    cr_assert_eq(fs_make_dirs(dir, NULL), OK);
    cr_expect_eq(fs_write_atomic(dir, &part, 1, NULL), ERR_IO); /* a file cannot replace a folder */
    cr_expect(fs_is_dir(dir));
    cr_expect_eq(entries(root), 1);
    cr_expect_eq(fs_write_atomic(missing, &part, 1, NULL), ERR_IO);
    free(missing);
    free(dir);
}

Test(fs, folders_are_made_on_the_way)
{
    char *deep = in_root("a/b//c/"), *below_file = in_root("file/x");

    cr_expect_eq(fs_make_dirs(deep, NULL), OK);
    cr_expect_eq(fs_make_dirs(deep, NULL), OK);
    cr_expect(fs_is_dir(deep));
    write_file("file", "x");
    cr_expect_eq(fs_make_dirs(below_file, NULL), ERR_IO);
    free(below_file);
    free(deep);
}

Test(fs, removing_a_tree_does_not_follow_links)
{
    char *tree = in_root("tree"), *deep = in_root("tree/a/b"), *kept = in_root("kept"), *link = in_root("tree/a/link"),
         *file_link = in_root("tree/file_link"), *outer = in_root("outer");

    cr_assert_eq(fs_make_dirs(deep, NULL), OK);
    cr_assert_eq(fs_make_dirs(kept, NULL), OK);
    write_file("kept/file", "precious");
    write_file("tree/a/file", "x");
    cr_assert_eq(symlink(kept, link), 0);
    cr_assert_eq(symlink("../kept/file", file_link), 0);
    cr_assert_eq(symlink(kept, outer), 0);
    cr_expect_eq(fs_remove_tree(tree, NULL), OK);
    cr_expect_not(fs_exists(tree));
    cr_expect_eq(fs_remove_tree(outer, NULL), OK); /* the link itself goes */
    cr_expect_eq(entries(kept), 1);
    cr_expect_eq(fs_remove_tree(tree, NULL), OK); /* an absent path is fine */
    free(outer);
    free(file_link);
    free(link);
    free(kept);
    free(deep);
    free(tree);
}

Test(fs, removing_stops_at_a_depth_that_is_not_ours)
{
    char *path = in_root("deep");
    struct error err = ERROR_INIT;
    char *at = strdup(path);

    for (int i = 0; i < 70; i++) {
        char *next = fs_join(at, "d");
        free(at);
        at = next;
    }
    cr_assert_eq(fs_make_dirs(at, NULL), OK);
    cr_expect_eq(fs_remove_tree(path, &err), ERR_INVALID);
    cr_expect_not_null(strstr(err.message, "nested more than 64 folders deep"));
    for (size_t n = strlen(at); n > strlen(path); n -= 2) { /* clean up by hand */
        at[n] = '\0';
        cr_assert_eq(rmdir(at), 0);
    }
    free(at);
    free(path);
}

Test(fs_names, joining)
{
    static const char *const cases[][3] = {
        {"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"a", "/b", "/b"}, {"", "b", "b"}, {"/", "b", "/b"}};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *path = fs_join(cases[i][0], cases[i][1]);
        cr_expect_str_eq(path, cases[i][2]);
        free(path);
    }
}

Test(fs_names, components_cannot_leave_their_folder)
{
    char longest[257];

    memset(longest, 'a', 256);
    longest[256] = '\0';
    cr_expect_not(fs_is_component(longest));
    longest[255] = '\0';
    cr_expect(fs_is_component(longest));
    cr_expect(fs_is_component("model.yaml"));
    cr_expect(fs_is_component("..."));
    cr_expect(fs_is_component(".hidden é"));
    cr_expect_not(fs_is_component(""));
    cr_expect_not(fs_is_component("."));
    cr_expect_not(fs_is_component(".."));
    cr_expect_not(fs_is_component("a/b"));
    cr_expect_not(fs_is_component("/"));
    cr_expect_not(fs_is_component("a\nb"));
    cr_expect_not(fs_is_component("\x7f"));
}

Test(fs, a_secret_is_the_first_line_alone)
{
    char *path = in_root("secret");
    char *secret;
    struct error err = ERROR_INIT;

    write_file("secret", "hush\r\nnot this\n");
    cr_assert_eq(fs_read_secret(path, &secret, NULL), OK);
    cr_assert_str_eq(secret, "hush");
    free(secret);
    write_file("secret", "without an end");
    cr_assert_eq(fs_read_secret(path, &secret, NULL), OK);
    cr_assert_str_eq(secret, "without an end");
    free(secret);
    write_file("secret", "\nlater\n");
    cr_assert_eq(fs_read_secret(path, &secret, &err), ERR_INVALID);
    cr_assert_null(secret);
    cr_assert_not_null(strstr(err.message, "first line is empty"));
    cr_assert_eq(fs_read_secret("/no/such/secret", &secret, NULL), ERR_NOT_FOUND);
    cr_assert_eq(fs_read_secret(NULL, &secret, NULL), OK);
    cr_assert_null(secret);
    free(path);
}
