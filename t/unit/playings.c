
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * spaces_playings: what is one playing of a recording, and what another.
 */


#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "spaces_playings.h"


#define WINDOW  1800


static spaces_playings_t *
table_of(size_t size)
{
    spaces_playings_t  *table;

    table = malloc(size);
    assert_non_null(table);

    /* it is no matter what was in the memory */

    memset(table, 0xff, size);
    spaces_playings_init(table, size);

    return table;
}


static void
test_playing(void **state)
{
    spaces_playings_t  *table;

    table = table_of(4096);

    assert_true(spaces_playings_begins(table, 7, 1, WINDOW));
    assert_false(spaces_playings_begins(table, 7, 1, WINDOW));
    assert_false(spaces_playings_begins(table, 7, 1 + WINDOW, WINDOW));

    /* the last request counts, not the first */

    assert_false(spaces_playings_begins(table, 7, 1 + 2 * WINDOW, WINDOW));
    assert_true(spaces_playings_begins(table, 7, 2 + 3 * WINDOW, WINDOW));
    assert_false(spaces_playings_begins(table, 7, 2 + 3 * WINDOW, WINDOW));

    /* a long recording may be played for long between two requests */

    assert_false(spaces_playings_begins(table, 7, 2 + 7 * WINDOW,
                                        4 * WINDOW));

    assert_true(spaces_playings_begins(table, 8, 3 + 3 * WINDOW, WINDOW));
    assert_true(spaces_playings_begins(table, 0, 3 + 3 * WINDOW, WINDOW));
    assert_false(spaces_playings_begins(table, 0, 3 + 3 * WINDOW, WINDOW));

    free(table);
}


static void
test_full(void **state)
{
    uint64_t            i, n;
    spaces_playings_t  *table;

    /* one bucket, to the byte */

    n = SPACES_PLAYINGS_BUCKET;
    table = table_of(sizeof(spaces_playings_t) + n * sizeof(spaces_playing_t));

    for (i = 0; i < n; i++) {
        assert_true(spaces_playings_begins(table, i, 10 + (int64_t) i,
                                           WINDOW));
    }

    for (i = 1; i < n; i++) {
        assert_false(spaces_playings_begins(table, i, 100, WINDOW));
    }

    /* the one not seen for longest makes room, and no other */

    assert_true(spaces_playings_begins(table, n, 101, WINDOW));

    for (i = 1; i <= n; i++) {
        assert_false(spaces_playings_begins(table, i, 102, WINDOW));
    }

    assert_true(spaces_playings_begins(table, 0, 103, WINDOW));

    free(table);
}


/* half full of what differs in a byte: what is forgotten is the exception */

static void
test_spread(void **state)
{
    int                 i, n, forgotten;
    uint64_t            hash;
    spaces_playings_t  *table;

    n = 4096;
    table = table_of(sizeof(spaces_playings_t)
                     + 2 * n * sizeof(spaces_playing_t));

    for (i = 0; i < n; i++) {
        hash = spaces_playings_hash(SPACES_PLAYINGS_SEED, &i, sizeof(int));
        assert_true(spaces_playings_begins(table, hash, 1 + i, WINDOW * 10));
    }

    forgotten = 0;

    for (i = 0; i < n; i++) {
        hash = spaces_playings_hash(SPACES_PLAYINGS_SEED, &i, sizeof(int));
        forgotten += spaces_playings_begins(table, hash, n, WINDOW * 10);
    }

    assert_in_range(forgotten, 0, n / 10);

    free(table);
}


static void
test_hash(void **state)
{
    uint64_t  whole, parts;

    whole = spaces_playings_hash(SPACES_PLAYINGS_SEED, "abcd", 4);
    parts = spaces_playings_hash(SPACES_PLAYINGS_SEED, "ab", 2);

    /* where one part ends and the next begins is told apart */

    assert_true(spaces_playings_hash(parts, "cd", 2) != whole);
    assert_true(spaces_playings_hash(SPACES_PLAYINGS_SEED, "", 0)
                != spaces_playings_hash(SPACES_PLAYINGS_SEED, "\0", 1));
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_playing),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_spread),
        cmocka_unit_test(test_hash),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
