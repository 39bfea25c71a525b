/*
 * Labelled examples in memory, dense and row by row. Not for reading files (source.h) and not for deciding
 * which rows a client holds (partition.h).
 */
#ifndef FL_CLIENT_DATA_DATASET_H
#define FL_CLIENT_DATA_DATASET_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "protocol/limits.h"

#define FL_DATA_LIMIT_ROWS     ((size_t)FL_LIMIT_WEIGHT) /* a client's rows are its weight */
#define FL_DATA_LIMIT_FEATURES ((uint32_t)1 << 24)
#define FL_DATA_LIMIT_CLASSES  ((uint32_t)1 << 16)

/* How the labels of a file become 0, 1, 2... */
enum fl_label_map {
    FL_LABELS_AUTO,   /* CSV and IDX: as they are; LIBSVM: signed if -1 occurs, else from one if 0 does not */
    FL_LABELS_ZERO,   /* as they are: 0, 1, 2... */
    FL_LABELS_ONE,    /* 1, 2, 3... less one */
    FL_LABELS_SIGNED, /* -1 and +1 become 0 and 1 */
};

/* Caller storage; all zero is an empty dataset. Owns x and labels. */
struct fl_dataset {
    size_t rows;           /* n */
    size_t features;       /* m */
    float *x;              /* shape (n, m), all finite */
    uint32_t *labels;      /* shape (n), each below classes */
    uint32_t classes;      /* largest label + 1 and at least 2, or as the source says */
    enum fl_label_map map; /* how the labels were mapped; never FL_LABELS_AUTO after loading */
};

/* Frees what dataset owns and leaves it empty; NULL is accepted. */
void fl_dataset_done(struct fl_dataset *dataset);

#endif
