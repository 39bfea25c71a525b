/*
 * The known word that a misspelt one most likely meant, for "did you mean ...?".
 */
#ifndef FL_PLATFORM_NEAREST_H
#define FL_PLATFORM_NEAREST_H

#include <stddef.h>

/* The known word number index (0 <= index < count). */
typedef const char *(*fl_nearest_word_fn)(const void *user, size_t index);

/* The known word with the fewest edits (Levenshtein; - and _ are alike) from word, the first of equals; NULL
 * when all are further than a third of its length, at least 1. */
const char *fl_nearest(const char *word, size_t count, fl_nearest_word_fn known, const void *user);

#endif
