/* The contract of every store kind: runs over each row of the registry. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "state/store.h"

static struct store *open_kind(size_t i)
{
    struct store *store;
    struct error err = ERROR_INIT;

    cr_assert_eq(store_open(store_kinds[i], "training_state", "test", &store, &err), OK, "%s", err.message);
    return store;
}

static void put_text(struct store *store, const char *key, const char *text)
{
    struct error err = ERROR_INIT;

    cr_assert_eq(store_put(store, key, span_of(text, strlen(text)), &err), OK, "%s", err.message);
}

static void expect_text(struct store *store, const char *key, const char *text)
{
    struct blob *value;
    struct error err = ERROR_INIT;

    cr_assert_eq(store_get(store, key, &value, &err), OK, "%s", err.message);
    cr_assert_eq(blob_size(value), strlen(text));
    cr_assert_eq(memcmp(blob_bytes(value), text, strlen(text)), 0);
    blob_unref(value);
}

Test(store, registry_finds_every_row_by_name)
{
    for (size_t i = 0; store_kinds[i]; i++)
        cr_assert_eq(store_kind_find(store_kinds[i]->name), store_kinds[i]);
    cr_assert_null(store_kind_find("no such store"));
}

Test(store, gets_what_was_put_and_replaces)
{
    for (size_t i = 0; store_kinds[i]; i++) {
        struct store *store = open_kind(i);

        put_text(store, "round", "1");
        put_text(store, "clients.a.loss", "0.5");
        put_text(store, "round", "2");
        expect_text(store, "round", "2");
        expect_text(store, "clients.a.loss", "0.5");
        store_close(store);
    }
}

Test(store, says_not_found_and_deletes)
{
    for (size_t i = 0; store_kinds[i]; i++) {
        struct store *store = open_kind(i);
        struct blob *value = (struct blob *)1;
        struct error err = ERROR_INIT;
        size_t n = 9;

        cr_assert_eq(store_get(store, "absent", &value, &err), ERR_NOT_FOUND);
        cr_assert_null(value);
        cr_assert(strstr(err.message, "absent"));
        put_text(store, "a", "1");
        cr_assert_eq(store_delete_by_key(store, "a", &err), OK);
        cr_assert_eq(store_delete_by_key(store, "a", &err), OK);
        cr_assert_eq(store_len(store, &n, &err), OK);
        cr_assert_eq(n, 0);
        store_close(store);
    }
}

Test(store, refuses_keys_that_no_store_could_hold)
{
    for (size_t i = 0; store_kinds[i]; i++) {
        struct store *store = open_kind(i);
        struct error err = ERROR_INIT;
        char endless[2000];

        memset(endless, 'k', sizeof endless);
        endless[sizeof endless - 1] = '\0';
        cr_assert_eq(store_put(store, "", span_of("x", 1), &err), ERR_INVALID);
        cr_assert_eq(store_put(store, "a b", span_of("x", 1), &err), ERR_INVALID);
        cr_assert_eq(store_put(store, endless, span_of("x", 1), &err), ERR_INVALID);
        store_close(store);
    }
}

struct order {
    char last[32];
    size_t seen;
};

static int check_order(void *context, const char *key, struct blob *value)
{
    struct order *order = context;

    cr_assert_lt(strcmp(order->last, key), 0, "%s after %s", key, order->last);
    cr_assert_eq(blob_size(value), strlen(key));
    snprintf(order->last, sizeof order->last, "%s", key);
    order->seen++;
    return OK;
}

Test(store, visits_keys_in_ascending_order)
{
    for (size_t i = 0; store_kinds[i]; i++) {
        struct store *store = open_kind(i);
        struct order order = {"", 0};
        char key[32];
        size_t n;

        for (unsigned k = 0; k < 100; k++) {
            snprintf(key, sizeof key, "client.%u", k * 37 % 100);
            put_text(store, key, key);
        }
        cr_assert_eq(store_each(store, check_order, &order, NULL), OK);
        cr_assert_eq(order.seen, 100);
        cr_assert_eq(store_clear(store, NULL), OK);
        cr_assert_eq(store_len(store, &n, NULL), OK);
        cr_assert_eq(n, 0);
        store_close(store);
    }
}

Test(store, shares_a_blob_and_keeps_it_alive)
{
    for (size_t i = 0; store_kinds[i]; i++) {
        struct store *store = open_kind(i);
        struct blob *image = blob_new(4);

        memcpy(blob_bytes(image), "wxyz", 4);
        cr_assert_eq(store_put_blob(store, "global_model", image, NULL), OK);
        blob_unref(image);
        expect_text(store, "global_model", "wxyz");
        store_close(store);
    }
}

Test(store, holds_an_empty_value)
{
    for (size_t i = 0; store_kinds[i]; i++) {
        struct store *store = open_kind(i);

        put_text(store, "empty", "");
        expect_text(store, "empty", "");
        store_close(store);
    }
}
