/* A store that passes every call on to another one, and can fail one chosen write with FL_ERR_IO. */
#ifndef FL_TESTS_UNIT_SERVER_FAULTY_STORE_H
#define FL_TESTS_UNIT_SERVER_FAULTY_STORE_H

#include "server/core/store.h"

struct fl_store *faulty_store_new(struct fl_store *inner);
void faulty_store_free(struct fl_store *store);

/* The n-th write from now on fails, once (begin, commit, puts, blob writes); 0: none. */
void faulty_store_fail(struct fl_store *store, long n);
int faulty_store_has_failed(const struct fl_store *store);

#endif
