/* Checkpoint files: what comes back is what went in, whatever happens to the writer, the disk or the file. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "state/checkpoint_folder.h"
#include "state/checkpoint_manifest.h"
#include "tests/state/checkpoint_stage.h"
#include "util/crash_point.h"
#include "util/fs.h"

static char root[] = "/tmp/flosim_test_checkpoint.XXXXXX";
static struct checkpoint_place place = {.dir = root, .cluster = STAGE_CLUSTER, .term = 7, .keep = 1};
static struct error err;
static char **texts;
static size_t num_texts;

static void set_up(void)
{
    cr_assert_not_null(mkdtemp(root));
}

static void tear_down(void)
{
    fs_remove_tree(root, NULL);
    while (num_texts)
        free(texts[--num_texts]);
    free(texts);
}

TestSuite(checkpoint, .init = set_up, .fini = tear_down);

/* For a test's life. */
static char *text_of(const char *format, ...)
{
    char *text;
    va_list arguments;

    va_start(arguments, format);
    cr_assert_geq(vasprintf(&text, format, arguments), 0);
    va_end(arguments);
    texts = realloc(texts, (num_texts + 1) * sizeof *texts);
    texts[num_texts++] = text;
    return text;
}

static char *path_of(const char *dir, const char *session_id)
{
    return text_of("%s/checkpoint_%s.tar", dir, session_id);
}

static void write_ok(const char *session_id, struct state_batch *state)
{
    cr_assert_eq(stage_write(&place, session_id, state, &err), OK, "%s", err.message);
    state_batch_free(state);
}

static int64_t round_of_file(const char *path, const char *session_id)
{
    struct checkpoint_facts facts;
    struct state_batch *batch;

    cr_assert_eq(checkpoint_read(path, session_id, &facts, &batch, &err), OK, "%s", err.message);
    state_batch_free(batch);
    return facts.round;
}

static size_t entries_with(const char *dir, const char *part)
{
    DIR *folder = opendir(dir);
    size_t n = 0;

    cr_assert_not_null(folder);
    for (struct dirent *entry; (entry = readdir(folder));)
        n += strstr(entry->d_name, part) != NULL;
    closedir(folder);
    return n;
}

static struct blob *bytes_of(const char *path)
{
    struct blob *bytes;

    cr_assert_eq(fs_read(path, 1 << 28, &bytes, &err), OK, "%s", err.message);
    return bytes;
}

Test(checkpoint, every_kind_of_value_comes_back_bit_for_bit)
{
    struct state_batch *state = stage_snapshot(3), *back;
    struct checkpoint_facts facts;
    char difference[256];

    cr_assert_eq(stage_write(&place, STAGE_SESSION, state, &err), OK, "%s", err.message);
    cr_assert_eq(checkpoint_read(path_of(root, STAGE_SESSION), STAGE_SESSION, &facts, &back, &err), OK, "%s",
                 err.message);
    cr_assert(stage_same(state, back, difference), "%s", difference);
    cr_assert(stage_same(back, state, difference), "%s", difference);
    cr_assert_eq(facts.round, 3);
    cr_assert_eq(facts.leader_term, 7);
    cr_assert_str_eq(facts.session_id, STAGE_SESSION);
    cr_assert_str_eq(facts.cluster, STAGE_CLUSTER);
    state_batch_free(state);
    state_batch_free(back);
}

Test(checkpoint, the_same_state_gives_the_same_bytes)
{
    struct blob *first, *second;

    write_ok(STAGE_SESSION, stage_snapshot(3));
    first = bytes_of(path_of(root, STAGE_SESSION));
    write_ok(STAGE_SESSION, stage_snapshot(3));
    second = bytes_of(path_of(root, STAGE_SESSION));
    cr_assert_eq(blob_size(first), blob_size(second));
    cr_assert_arr_eq(blob_bytes(first), blob_bytes(second), blob_size(first));
    blob_unref(first);
    blob_unref(second);
}

Test(checkpoint, more_values_than_tensors_fit)
{
    struct state_batch *state = stage_small(STAGE_SESSION, 1), *back;
    char key[32], difference[256];

    for (int i = 0; i < 70000; i++) {
        snprintf(key, sizeof key, "rounds.%d", i);
        cr_assert_eq(
            state_batch_put_text(state, STORE_TRAINING_SESSION, STAGE_SESSION, key, "some text of a round", NULL), OK);
    }
    cr_assert_eq(stage_write(&place, STAGE_SESSION, state, &err), OK, "%s", err.message);
    cr_assert_eq(checkpoint_read(path_of(root, STAGE_SESSION), NULL, NULL, &back, &err), OK, "%s", err.message);
    cr_assert(stage_same(state, back, difference), "%s", difference);
    state_batch_free(state);
    state_batch_free(back);
}

Test(checkpoint, an_empty_state_and_a_long_id)
{
    struct state_batch *state = state_batch_new(), *back;
    char id[129];

    memset(id, 'i', sizeof id);
    memcpy(id, "caf\xc3\xa9 1", 7);
    id[128] = '\0';
    cr_assert_eq(stage_write(&place, id, state, &err), OK, "%s", err.message);
    cr_assert_eq(checkpoint_read(path_of(root, id), id, NULL, &back, &err), OK, "%s", err.message);
    cr_assert(state_batch_is_empty(back));
    cr_assert_eq(stage_write(&place, "../x", state, &err), ERR_INVALID);
    state_batch_free(state);
    state_batch_free(back);
}

/* ---- keep ---- */

Test(checkpoint, keeps_the_last_ones)
{
    place.keep = 3;
    for (int64_t round = 1; round <= 5; round++)
        write_ok(STAGE_SESSION, stage_small(STAGE_SESSION, round));
    cr_assert_eq(entries_with(root, ".tar"), 4, "the plain name, and rounds 3 to 5");
    for (int64_t round = 3; round <= 5; round++) {
        const char *path = text_of("%s.%d", path_of(root, STAGE_SESSION), (int)round);

        cr_assert_eq(round_of_file(path, STAGE_SESSION), round);
    }
    cr_assert_eq(round_of_file(path_of(root, STAGE_SESSION), STAGE_SESSION), 5);
    write_ok(STAGE_SESSION, stage_small(STAGE_SESSION, 4)); /* gone back on */
    cr_assert_eq(entries_with(root, ".tar"), 3, "the plain name, and rounds 3 and 4");
    place.keep = 1;
    write_ok(STAGE_SESSION, stage_small(STAGE_SESSION, 5));
    cr_assert_eq(entries_with(root, ".tar"), 1);
}

Test(checkpoint, sessions_do_not_meet_however_they_are_called)
{
    place.keep = 2;
    write_ok("a", stage_small("a", 5));
    write_ok("a.5", stage_small("a.5", 1));
    write_ok("a.tar", stage_small("a.tar", 2));
    write_ok("a.tar.5", stage_small("a.tar.5", 3));
    write_ok("a", stage_small("a", 6));
    write_ok("a", stage_small("a", 7));
    cr_assert_eq(round_of_file(path_of(root, "a"), "a"), 7);
    cr_assert_eq(round_of_file(path_of(root, "a.5"), "a.5"), 1);
    cr_assert_eq(round_of_file(path_of(root, "a.tar"), "a.tar"), 2);
    cr_assert_eq(round_of_file(path_of(root, "a.tar.5"), "a.tar.5"), 3);
}

static int collect(void *context, const char *session_id, const char *path)
{
    strcat(context, session_id);
    strcat(context, fs_exists(path) ? " " : "? ");
    return OK;
}

Test(checkpoint, are_found_and_listed)
{
    char seen[100] = "", *path;

    cr_assert_eq(checkpoint_list("/no/such/folder", collect, seen, &err), OK);
    cr_assert_eq(checkpoint_find(root, "b", &path, &err), ERR_NOT_FOUND);
    cr_assert(strstr(err.message, "checkpoint_b.tar"), "%s", err.message);
    place.keep = 2;
    write_ok("b", stage_small("b", 1));
    write_ok("a", stage_small("a", 1));
    cr_assert_eq(checkpoint_list(root, collect, seen, &err), OK);
    cr_assert_str_eq(seen, "a b ");
    cr_assert_eq(checkpoint_find(root, "b", &path, &err), OK);
    cr_assert_str_eq(path, path_of(root, "b"));
    free(path);
}

/* ---- leaders that share the folder ---- */

Test(checkpoint, a_replaced_leader_writes_no_more)
{
    struct state_batch *state = stage_small(STAGE_SESSION, 2);
    uint64_t term = 0;

    cr_assert_eq(checkpoint_take_term(root, STAGE_CLUSTER, 1, &term, &err), OK, "%s", err.message);
    cr_assert_eq(term, 1);
    cr_assert_eq(checkpoint_take_term(root, STAGE_CLUSTER, 7, &term, &err), OK, "%s", err.message);
    cr_assert_eq(term, 7);
    write_ok(STAGE_SESSION, stage_small(STAGE_SESSION, 1));
    cr_assert_eq(checkpoint_take_term(root, STAGE_CLUSTER, 3, &term, &err), OK, "%s", err.message);
    cr_assert_eq(term, 8);
    cr_assert_eq(stage_write(&place, STAGE_SESSION, state, &err), ERR_PRECONDITION);
    cr_assert(strstr(err.message, "replaced by another leader"), "%s", err.message);
    cr_assert_eq(round_of_file(path_of(root, STAGE_SESSION), STAGE_SESSION), 1);
    place.cluster = "another"; /* has terms of its own */
    cr_assert_eq(stage_write(&place, STAGE_SESSION, state, &err), OK);
    state_batch_free(state);
}

Test(checkpoint, a_damaged_term_is_told)
{
    struct state_batch *state = stage_small(STAGE_SESSION, 2);
    static const char *const damaged[] = {"", "x\n", "7", "7\n7\n", "-7\n", "99999999999999999999\n"};

    for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
        struct span text = span_of(damaged[i], strlen(damaged[i]));
        const char *path = text_of("%s/leader_%s.term", root, STAGE_CLUSTER);

        cr_assert_eq(fs_write_atomic(path, &text, 1, NULL), OK);
        cr_assert_eq(stage_write(&place, STAGE_SESSION, state, &err), ERR_CORRUPT, "'%s'", damaged[i]);
    }
    state_batch_free(state);
}

Test(checkpoint, waits_for_the_lock_and_not_for_ever)
{
    struct state_batch *state = stage_small(STAGE_SESSION, 2);
    struct checkpoint_folder other;

    place.lock_ms = 30;
    cr_assert_eq(checkpoint_folder_open(&other, root, STAGE_CLUSTER, 0, &err), OK, "%s", err.message);
    cr_assert_eq(stage_write(&place, STAGE_SESSION, state, &err), ERR_UNAVAILABLE);
    cr_assert(strstr(err.message, "is locked"), "%s", err.message);
    checkpoint_folder_close(&other);
    cr_assert_eq(stage_write(&place, STAGE_SESSION, state, &err), OK, "%s", err.message);
    state_batch_free(state);
}

/* ---- death ---- */

/* True when the child died of its crash point. */
static bool dies_at(long n, const struct state_batch *state)
{
    pid_t child = fork();
    int status;

    cr_assert_geq(child, 0);
    if (child == 0) {
        crash_points_arm(n);
        _exit(stage_write(&place, STAGE_SESSION, state, NULL) == OK ? 0 : 1);
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFSIGNALED(status) ? WTERMSIG(status) == SIGKILL : WEXITSTATUS(status) == 0, "point %ld", n);
    return WIFSIGNALED(status);
}

Test(checkpoint, killed_before_any_write_sync_or_rename_it_leaves_the_old_or_the_new)
{
    struct state_batch *next = stage_small(STAGE_SESSION, 3);
    int64_t round = 2;
    long n = 1;

    place.keep = 2;
    write_ok(STAGE_SESSION, stage_small(STAGE_SESSION, 1));
    write_ok(STAGE_SESSION, stage_small(STAGE_SESSION, 2));
    for (bool died = true; died; n++) {
        int64_t found;

        died = dies_at(n, next);
        found = round_of_file(path_of(root, STAGE_SESSION), STAGE_SESSION);
        cr_assert(found == round || found == 3, "after point %ld the file is of round %d", n, (int)found);
        cr_assert(found == 3 || died);
        cr_assert_geq(entries_with(root, ".tar."), 1);
        round = found; /* what is there stays there */
    }
    cr_assert_gt(n, 20, "only %ld points were met", n);
    cr_assert_eq(entries_with(root, "tmp"), 0, "what killed leaders left is gone");
    cr_assert_eq(entries_with(root, ".tar"), 3);
    state_batch_free(next);
}

Test(checkpoint, a_term_survives_the_death_of_who_takes_it)
{
    uint64_t term, last = 0;

    for (long n = 1;; n++) {
        pid_t child = fork();
        int status;

        if (child == 0) {
            crash_points_arm(n);
            _exit(checkpoint_take_term(root, STAGE_CLUSTER, 1, &term, NULL) == OK ? 0 : 1);
        }
        cr_assert_eq(waitpid(child, &status, 0), child);
        if (!WIFSIGNALED(status))
            break;
        cr_assert_eq(checkpoint_take_term(root, STAGE_CLUSTER, 1, &term, &err), OK, "%s", err.message);
        cr_assert_gt(term, last);
        last = term;
    }
    cr_assert_geq(last, 4);
}

/* ---- disks ---- */

/* A file system of its own for this process: as root, or in a user namespace. */
static bool mount_disk(const char *dir, const char *options)
{
    if (unshare(CLONE_NEWNS) && unshare(CLONE_NEWUSER | CLONE_NEWNS))
        return false;
    return !mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) && !mount("tmpfs", dir, "tmpfs", 0, options);
}

static void expect_refused(const struct state_batch *state, const char *reason)
{
    cr_assert_eq(stage_write(&place, STAGE_SESSION, state, &err), ERR_IO, "%s", err.message);
    cr_assert(strstr(err.message, reason) && strstr(err.message, root), "%s", err.message);
}

Test(checkpoint, a_full_disk_leaves_the_last_good_one)
{
    struct state_batch *big = stage_big(2, 4 << 20);
    struct rlimit limit = {1 << 20, 1 << 20};
    bool mounted = mount_disk(root, "size=1m");

    if (!mounted) { /* no right to mount: a limit of files' sizes is met in the same place */
        signal(SIGXFSZ, SIG_IGN);
        cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    }
    write_ok(STAGE_SESSION, stage_small(STAGE_SESSION, 1));
    expect_refused(big, mounted ? "No space left on device" : "File too large");
    cr_assert_eq(round_of_file(path_of(root, STAGE_SESSION), STAGE_SESSION), 1);
    cr_assert_eq(entries_with(root, "tmp"), 0, "what was written is removed, there may be room for others");
    write_ok(STAGE_SESSION, stage_small(STAGE_SESSION, 3));
    state_batch_free(big);
    umount2(root, MNT_DETACH);
}

Test(checkpoint, a_read_only_folder_is_told)
{
    struct state_batch *state = stage_small(STAGE_SESSION, 2);
    const char *file = text_of("%s/file", root), *below = text_of("%s/checkpoints", file);

    if (mount_disk(root, "size=1m")) {
        write_ok(STAGE_SESSION, stage_small(STAGE_SESSION, 1));
        cr_assert_eq(mount(NULL, root, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
        expect_refused(state, "Read-only file system");
        cr_assert_eq(round_of_file(path_of(root, STAGE_SESSION), STAGE_SESSION), 1);
        umount2(root, MNT_DETACH);
    } else {
        cr_assert_neq(geteuid(), 0, "root can mount");
        cr_assert_eq(chmod(root, 0500), 0);
        expect_refused(state, "Permission denied");
        cr_assert_eq(chmod(root, 0700), 0);
    }
    cr_assert_eq(fs_write_atomic(file, NULL, 0, NULL), OK);
    place.dir = below;
    expect_refused(state, "cannot make folder");
    state_batch_free(state);
}

Test(checkpoint, makes_its_folder)
{
    const char *deep = text_of("%s/a/b", root);

    place.dir = deep;
    write_ok(STAGE_SESSION, stage_small(STAGE_SESSION, 1));
    cr_assert_eq(round_of_file(path_of(deep, STAGE_SESSION), NULL), 1);
}

/* ---- damage ---- */

Test(checkpoint, cut_off_anywhere_it_is_refused)
{
    struct blob *whole;

    write_ok(STAGE_SESSION, stage_small(STAGE_SESSION, 1));
    whole = bytes_of(path_of(root, STAGE_SESSION));
    for (size_t size = 0; size < blob_size(whole); size += size % 512 == 511 || size % 512 == 0 ? 1 : 127) {
        char *cut = malloc(size + 1); /* of its own, so that AddressSanitizer sees a read past its end */
        struct state_batch *batch;

        memcpy(cut, blob_bytes(whole), size);
        err = (struct error)ERROR_INIT;
        cr_assert_eq(checkpoint_read_image(span_of(cut, size), NULL, NULL, &batch, &err), ERR_CORRUPT,
                     "%zu bytes are taken", size);
        cr_assert(err.message[0] && !batch);
        free(cut);
    }
    blob_unref(whole);
}

/* Where a tar header keeps its own sum, readers of the format are lax; nothing that comes back hangs on that. */
Test(checkpoint, one_bit_wrong_anywhere_it_is_refused_or_tells_the_same)
{
    struct state_batch *state = stage_small(STAGE_SESSION, 1);
    struct blob *whole;
    size_t taken = 0;

    cr_assert_eq(stage_write(&place, STAGE_SESSION, state, &err), OK, "%s", err.message);
    whole = bytes_of(path_of(root, STAGE_SESSION));
    for (size_t at = 0; at < blob_size(whole); at++) {
        char *bytes = blob_bytes(whole), difference[256];
        struct state_batch *batch;
        int status;

        bytes[at] = (char)(bytes[at] ^ (1 << at % 8));
        status = checkpoint_read_image(blob_span(whole), NULL, NULL, &batch, &err);
        bytes[at] = (char)(bytes[at] ^ (1 << at % 8));
        if (status == OK) {
            cr_assert(stage_same(state, batch, difference), "%s", difference);
            taken++;
        }
        state_batch_free(batch);
    }
    cr_assert_leq(taken, 6 * 8, "%zu wrong bits went unnoticed", taken);
    blob_unref(whole);
    state_batch_free(state);
}

static void expect_unreadable(const char *path, const char *session_id, int status, const char *reason)
{
    struct state_batch *batch;

    cr_assert_eq(checkpoint_read(path, session_id, NULL, &batch, &err), status, "%s", err.message);
    cr_assert_null(batch);
    cr_assert(strstr(err.message, reason) && strstr(err.message, path), "%s", err.message);
}

Test(checkpoint, what_is_none_is_refused_with_the_reason)
{
    struct span text = span_of("This is no archive, but it is long enough to be mistaken for one.", 66);
    const char *path = text_of("%s/text", root);

    write_ok(STAGE_SESSION, stage_small(STAGE_SESSION, 1));
    expect_unreadable(path_of(root, STAGE_SESSION), "another", ERR_INVALID, "it is of session session-1");
    cr_assert_eq(fs_write_atomic(path, &text, 1, NULL), OK);
    expect_unreadable(path, NULL, ERR_CORRUPT, "not a tar archive");
    cr_assert_eq(fs_write_atomic(path, NULL, 0, NULL), OK);
    expect_unreadable(path, NULL, ERR_CORRUPT, "not a tar archive");
    expect_unreadable(text_of("%s/absent", root), NULL, ERR_NOT_FOUND, "No such file");
    expect_unreadable(root, NULL, ERR_INVALID, "is a folder");
}

/* Where an entry's header begins; *blocks are the bytes up to the next one. */
static char *entry_at(struct blob *image, const char *name, size_t *blocks)
{
    char *at = blob_bytes(image), *end = at + blob_size(image);

    while (at < end && *at) {
        size_t size = strtoul(at + 124, NULL, 8);

        *blocks = 512 + (size + 511) / 512 * 512;
        if (strcmp(at, name) == 0)
            return at;
        at += *blocks;
    }
    cr_assert_fail("no entry %s", name);
    return NULL;
}

/* Same length; the manifest gets its right sum again. */
static void edit_manifest(struct blob *image, const char *from, const char *to)
{
    size_t blocks;
    char *manifest = entry_at(image, "manifest.json", &blocks) + 512, *sum, *place_of;
    char text[128];

    cr_assert_eq(strlen(from), strlen(to));
    place_of = strstr(manifest, from);
    cr_assert_not_null(place_of, "%s", from);
    memcpy(place_of, to, strlen(to));
    cr_assert_eq(manifest_sum(span_of(manifest, strlen(manifest)), text, NULL), OK);
    sum = entry_at(image, "manifest.json.sha256", &blocks) + 512;
    memcpy(sum, text, strlen(text));
}

static void expect_damaged(struct span image, int status, const char *reason)
{
    struct state_batch *batch;

    cr_assert_eq(checkpoint_read_image(image, NULL, NULL, &batch, &err), status, "%s", err.message);
    cr_assert(strstr(err.message, reason), "%s", err.message);
}

static struct blob *sample(void)
{
    write_ok(STAGE_SESSION, stage_small(STAGE_SESSION, 1));
    return bytes_of(path_of(root, STAGE_SESSION));
}

static void expect_edited(const char *from, const char *to, int status, const char *reason)
{
    struct blob *image = sample();

    edit_manifest(image, from, to);
    expect_damaged(blob_span(image), status, reason);
    blob_unref(image);
}

Test(checkpoint, other_versions_and_false_manifests_are_refused_with_the_reason)
{
    expect_edited("\"version\": 1", "\"version\": 2", ERR_UNIMPLEMENTED, "of a newer flosim");
    expect_edited("\"version\": 1", "\"version\": 0", ERR_UNIMPLEMENTED, "of an older flosim");
    expect_edited("flosim checkpoint", "flosim checkpaint", ERR_CORRUPT, "not that of a checkpoint");
    expect_edited("session-1", "session/1", ERR_CORRUPT, "no usable session_id");
    expect_edited("\"round\"", "\"rouns\"", ERR_CORRUPT, "no usable round");
    expect_edited("\"sha256\"", "\"sha512\"", ERR_CORRUPT, "without name or sha256");
    expect_edited("\"name\": \"training_state_session-1", "\"name\": \"training_stale_session-1", ERR_CORRUPT,
                  "training_stale_session-1 is missing");
    expect_edited("{", "[", ERR_CORRUPT, "not a JSON object");
}

Test(checkpoint, missing_and_doubled_entries_are_refused)
{
    struct blob *image = sample();
    size_t size = blob_size(image), blocks;
    char *at = entry_at(image, "aggregator_state_" STAGE_SESSION, &blocks), *begin = blob_bytes(image);
    size_t before = (size_t)(at - begin), after = size - before - blocks;
    char *edited = malloc(size + blocks);

    memcpy(edited, begin, before);
    memcpy(edited + before, at + blocks, after);
    expect_damaged(span_of(edited, before + after), ERR_CORRUPT, "it has 3 entries, and its manifest lists 4");
    memcpy(edited, begin, before + blocks);
    memcpy(edited + before + blocks, at, blocks + after);
    expect_damaged(span_of(edited, size + blocks), ERR_CORRUPT, "is there twice");
    free(edited);
    blob_unref(image);
}
