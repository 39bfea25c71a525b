/*
 * Who holds which row: a deterministic function of labels and seed, the same on every machine, so that each
 * client can take its own part of a common file. (Dirichlet draws go through libm's log, exp and cos; a row
 * at a cut could differ only where two libraries round a proportion to different sides of it.)
 */
#ifndef FL_CLIENT_DATA_PARTITION_H
#define FL_CLIENT_DATA_PARTITION_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "platform/error.h"

enum fl_partition_kind {
    FL_PARTITION_NONE,      /* the file is this client's own: it holds every row */
    FL_PARTITION_IID,       /* shuffled, then dealt evenly */
    FL_PARTITION_DIRICHLET, /* label skew: each class is cut by a draw of Dirichlet(alpha) over the clients */
    FL_PARTITION_SHARDS,    /* sorted by label, cut in 2 * count shards, two for each client */
    FL_PARTITION_GROUPS,    /* natural: whole groups of rows (writers, patients, sites) go to a client */
};

#define FL_PARTITION_LIMIT_CLIENTS ((uint32_t)1 << 16)
#define FL_PARTITION_DEFAULT_MIN   10 /* examples of the smallest client, as in Flower's partitioner */

struct fl_partition_spec {
    enum fl_partition_kind kind;
    uint32_t count;       /* clients, >= 1 */
    double alpha;         /* of the Dirichlet distribution, > 0; small is skewed */
    uint32_t min_samples; /* Dirichlet is drawn again until the smallest client has so many */
    uint64_t seed;
};

/* Names as written in configurations: "none", "iid", "dirichlet", "shards", "groups". */
const char *fl_partition_kind_name(enum fl_partition_kind kind);
FL_MUST_CHECK enum fl_status fl_partition_kind_find(const char *name, enum fl_partition_kind *ret_kind);

/*
 * The owner of each row, for every kind but FL_PARTITION_GROUPS. labels: shape (rows), each below classes;
 * ret_owner: shape (rows), each below count (all 0 for FL_PARTITION_NONE). FL_ERR_RANGE when the spec is out
 * of range, there are fewer rows than clients, or no draw gives everybody min_samples; FL_ERR_NOMEM.
 */
FL_MUST_CHECK enum fl_status fl_partition_assign(const struct fl_partition_spec *spec, const uint32_t *labels,
                                                 size_t rows, uint32_t classes, uint32_t *ret_owner,
                                                 struct fl_error *err);

/*
 * The same for FL_PARTITION_GROUPS. groups: shape (rows), any numbers; rows of one number stay together. The
 * groups are dealt out largest first, those of one size in seeded order, each to the client with the fewest
 * rows until then, so that clients differ by no more rows than the largest group has. (Graham, "Bounds on
 * Multiprocessing Timing Anomalies", 1969.) FL_ERR_RANGE when the count is out of range or above the number
 * of groups; FL_ERR_NOMEM.
 */
FL_MUST_CHECK enum fl_status fl_partition_assign_groups(const struct fl_partition_spec *spec,
                                                        const uint32_t *groups, size_t rows,
                                                        uint32_t *ret_owner, struct fl_error *err);

/*
 * Which rows are held out: round(fraction * rows) of them, drawn without replacement. ret_held: shape (rows),
 * 1 for a test row, else 0. fraction in [0, 1), at least one training row stays. FL_ERR_RANGE, FL_ERR_NOMEM.
 */
FL_MUST_CHECK enum fl_status fl_partition_hold_out(double fraction, uint64_t seed, size_t rows,
                                                   uint8_t *ret_held, struct fl_error *err);

#endif
