/*
 * Failing allocations. The linker sends malloc, calloc, realloc, strdup and free of every linked project
 * library through here, so a test can be rerun with the 1st, 2nd, 3rd... allocation failing, and can count
 * what is still live:
 *
 *     for (size_t k = 0;; k++) {
 *         fl_fail_alloc_after(k);
 *         enum fl_status st = the_call();
 *         fl_fail_alloc_never();
 *         ...clean up, then assert_int_equal(fl_live_allocations(), before);
 *         if (st == FL_OK) break;
 *         assert_int_equal(st, FL_ERR_NOMEM);
 *     }
 *
 * The bytes of what is live are counted too, with what the allocator adds to each block, and their peak.
 * Not thread-safe: for single-threaded tests. Allocations inside shared libraries are not seen.
 */
#ifndef FL_TESTS_SUPPORT_FAIL_ALLOC_H
#define FL_TESTS_SUPPORT_FAIL_ALLOC_H

#include <stddef.h>

void fl_fail_alloc_after(
    size_t successes); /* the allocation after so many successes fails, and all later ones */
void fl_fail_alloc_never(void);
long fl_live_allocations(void);
long fl_live_bytes(void);
void fl_peak_bytes_begin(void); /* from here on, fl_peak_bytes() is the most that was live */
long fl_peak_bytes(void);

#endif
