/* Files for tests of data loading: written to a folder of their own under $TMPDIR, plain, gzip or xz. */
#ifndef FL_TESTS_UNIT_DATA_FILES_H
#define FL_TESTS_UNIT_DATA_FILES_H

#include <stddef.h>

enum pack { PLAIN, GZIP, XZ };

/* cmocka group fixtures: make the folder, remove it with what is in it. */
int files_setup(void **state);
int files_teardown(void **state);

/* Writes a file and returns its path, static storage that the eighth call after reuses. */
const char *files_write(const char *name, const void *data, size_t size, enum pack pack);
const char *files_write_text(const char *name, const char *text);

/* Path of a file of $FL_DATA, or NULL when the variable or the file is missing. Static storage likewise. */
const char *files_real(const char *name);

/* Packs into ret[capacity]; the packed size. */
size_t files_pack(enum pack pack, const void *data, size_t size, void *ret, size_t capacity);

#endif
