#include "platform/nearest.h"

#include <string.h>

#define WORD_MAX 64 /* longer words get no suggestion */

static int alike(char a, char b)
{
    return a == b || ((a == '-' || a == '_') && (b == '-' || b == '_'));
}

static size_t least(size_t a, size_t b, size_t c)
{
    size_t ab = a < b ? a : b;
    return ab < c ? ab : c;
}

static size_t edits(const char *a, size_t a_size, const char *b, size_t b_size)
{
    size_t row[WORD_MAX + 1]; /* edits from the first i letters of a to each start of b */

    for (size_t j = 0; j <= b_size; j++)
        row[j] = j;
    for (size_t i = 1; i <= a_size; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_size; j++) {
            size_t above = row[j];
            row[j] = least(above + 1, row[j - 1] + 1, diagonal + !alike(a[i - 1], b[j - 1]));
            diagonal = above;
        }
    }
    return row[b_size];
}

const char *fl_nearest(const char *word, size_t count, fl_nearest_word_fn known, const void *user)
{
    const char *best = NULL;
    size_t size = strlen(word);
    size_t bound = (size / 3 ? size / 3 : 1) + 1;

    if (size > WORD_MAX)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        const char *candidate = known(user, i);
        size_t candidate_size = strlen(candidate);
        if (candidate_size > WORD_MAX)
            continue;
        size_t distance = edits(word, size, candidate, candidate_size);
        if (distance < bound) {
            bound = distance;
            best = candidate;
        }
    }
    return best;
}
