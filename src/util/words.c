#include "util/words.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_WORD = 64, MAX_DISTANCE = 2 };

static int least(int a, int b, int c)
{
    int ab = a < b ? a : b;

    return ab < c ? ab : c;
}

/* Insertions, deletions, replacements and swaps of neighbours (optimal string alignment), over three rows. */
static int edit_distance(const char *a, size_t n, const char *b, size_t m)
{
    int rows[3][MAX_WORD + 1];

    for (size_t j = 0; j <= m; j++)
        rows[0][j] = (int)j;
    for (size_t i = 1; i <= n; i++) {
        int *now = rows[i % 3], *before = rows[(i + 2) % 3], *before2 = rows[(i + 1) % 3];
        now[0] = (int)i;
        for (size_t j = 1; j <= m; j++) {
            now[j] = least(before[j] + 1, now[j - 1] + 1, before[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = least(now[j], now[j], before2[j - 2] + 1);
        }
    }
    return rows[n % 3][m];
}

const char *nearest_word(const char *word, const char *const *candidates, size_t n)
{
    const char *best = NULL;
    int best_distance = MAX_DISTANCE + 1;
    size_t length = strlen(word);

    if (length > MAX_WORD)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        size_t m = strlen(candidates[i]);
        if (m > MAX_WORD)
            continue;
        int distance = edit_distance(word, length, candidates[i], m);
        if (distance < best_distance && 2 * (size_t)distance <= length) { /* of `ab`, only one letter may be wrong */
            best = candidates[i];
            best_distance = distance;
        }
    }
    return best;
}

static void list_words(const char *const *words, size_t n, char *text, size_t size)
{
    size_t used = 0;

    for (size_t i = 0; i < n && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%s", i ? ", " : "", words[i]);
}

const char *unknown_word(const char *what, const char *word, const char *const *candidates, size_t n,
                         char text[WORDS_TEXT])
{
    const char *near = nearest_word(word, candidates, n);
    size_t used = (size_t)snprintf(text, WORDS_TEXT, "unknown %.40s `%.80s`; ", what, word);

    if (near) {
        snprintf(text + used, WORDS_TEXT - used, "did you mean `%s`?", near);
        return text;
    }
    used += (size_t)snprintf(text + used, WORDS_TEXT - used, "there are: ");
    list_words(candidates, n, text + used, WORDS_TEXT - used);
    return text;
}
