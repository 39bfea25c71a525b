/*
 * A client's own data, ready to train: reads the labels of the source, holds out test rows, and then takes
 * and scales this client's part alone, so that memory follows the part and not the file. Every choice follows
 * from the file and the seed alone, so that all clients of a common file agree: their training parts are
 * disjoint and together the training set, and so are their test parts.
 */
#ifndef FL_CLIENT_DATA_LOAD_H
#define FL_CLIENT_DATA_LOAD_H

#include <stdbool.h>

#include "client/data/dataset.h"
#include "client/data/partition.h"
#include "client/data/source.h"

struct fl_data_config {
    struct fl_data_source source;  /* training rows, and test rows unless test_paths says where they are */
    const char *const *test_paths; /* separate test file of the same format, with the same features */
    size_t test_path_count;
    const char *const *test_label_paths; /* FL_DATA_IDX only */
    size_t test_label_path_count;
    /*
     * Features are multiplied by scale; 0 stands for 1, and for 1/255 with IDX. With scale_columns each
     * feature is divided by its largest magnitude in the whole training file instead (all clients read the
     * same file, so they agree; refused for FL_PARTITION_NONE, where the files differ). A test file is
     * scaled by the same factors.
     */
    double scale;
    bool scale_columns;
    double test_fraction; /* held out of the source, in [0, 1); not used with test_paths */
    struct fl_partition_spec partition;
    const char *groups_path; /* of FL_PARTITION_GROUPS and no other (groups.h); borrowed */
    uint32_t group_column;
    uint32_t index; /* this client, below partition.count */
};

/* What a client holds. Caller storage; all zero is empty. */
struct fl_data {
    struct fl_dataset train; /* rows in the order of the file */
    struct fl_dataset test;  /* every count-th held-out row, from index on; all of them for FL_PARTITION_NONE
                                without a test file. May have 0 rows. */
};

/* One client that holds everything of a CSV file: no scaling, 20 % held out, seed 0, alpha 0.5. The caller
 * sets source.paths. */
void fl_data_config_init(struct fl_data_config *config);

/* Failures as source.h, groups.h and partition.h, and FL_ERR_CONFIG for settings that contradict each other.
 * ret_data is the caller's to free. The classes of train and test are those of the whole source. */
FL_MUST_CHECK enum fl_status fl_data_load(const struct fl_data_config *config, struct fl_data *ret_data,
                                          struct fl_error *err);

/* Frees what data owns and leaves it empty; NULL is accepted. */
void fl_data_done(struct fl_data *data);

#endif
