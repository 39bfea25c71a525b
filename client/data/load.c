#include "client/data/load.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "client/data/groups.h"

void fl_data_config_init(struct fl_data_config *config)
{
    *config = (struct fl_data_config){
        .test_fraction = 0.2,
        .partition = {.kind = FL_PARTITION_IID,
                      .count = 1,
                      .alpha = 0.5,
                      .min_samples = FL_PARTITION_DEFAULT_MIN},
    };
    fl_data_source_init(&config->source);
}

void fl_data_done(struct fl_data *data)
{
    if (!data)
        return;
    fl_dataset_done(&data->train);
    fl_dataset_done(&data->test);
}

static enum fl_status data_check(const struct fl_data_config *config, struct fl_error *err)
{
    if (config->index >= config->partition.count)
        return fl_error_set(err, FL_ERR_CONFIG,
                            "data of client %" PRIu32 " of %" PRIu32 ": clients count from 0", config->index,
                            config->partition.count);
    if (!isfinite(config->scale) || !isfinite((float)config->scale))
        return fl_error_set(err, FL_ERR_CONFIG, "scale %g, expected a finite number", config->scale);
    if (config->scale_columns && config->scale != 0.0)
        return fl_error_set(err, FL_ERR_CONFIG, "a scale and scaling by columns exclude each other");
    if (config->scale_columns && config->partition.kind == FL_PARTITION_NONE)
        return fl_error_set(err, FL_ERR_CONFIG,
                            "scaling by columns needs a file that all clients share; give a scale");
    if ((config->partition.kind == FL_PARTITION_GROUPS) != (config->groups_path != NULL))
        return fl_error_set(err, FL_ERR_CONFIG,
                            config->groups_path ? "%s: groups are for the partition by groups only"
                                                : "the partition by groups needs a file of groups",
                            config->groups_path);
    return FL_OK;
}

/* The factor of each feature, shape (m), heap. */
static enum fl_status data_factors(const struct fl_data_config *config, const struct fl_data_scan *scan,
                                   float **ret_factors, struct fl_error *err)
{
    double scale = config->scale != 0.0                   ? config->scale
                   : config->source.format == FL_DATA_IDX ? 1.0 / 255
                                                          : 1;
    float *factors = malloc(scan->features * sizeof(*factors));

    if (!factors)
        return fl_error_nomem(err);
    for (size_t j = 0; j < scan->features; j++) {
        if (!config->scale_columns)
            factors[j] = (float)scale;
        else /* the reciprocal of a subnormal is infinite: such a feature is as good as 0 */
            factors[j] = isnormal(scan->largest[j]) ? 1.0f / scan->largest[j] : 0.0f;
    }
    *ret_factors = factors;
    return FL_OK;
}

/* Where one reading of a file puts its rows. */
enum share { SHARE_NONE, SHARE_TRAIN, SHARE_TEST };

/* Row of the file, from 1, that is row `at` of a share. */
static size_t share_row(const uint8_t *share, enum share wanted, size_t at)
{
    for (size_t i = 0;; i++)
        if (share[i] == wanted && at-- == 0)
            return i + 1;
}

static enum fl_status data_scale(struct fl_dataset *dataset, const float *factors, const uint8_t *share,
                                 enum share which, const char *name, struct fl_error *err)
{
    for (size_t i = 0; i < dataset->rows; i++)
        for (size_t j = 0; j < dataset->features; j++) {
            float *x = &dataset->x[i * dataset->features + j];
            *x *= factors[j];
            if (!isfinite(*x))
                return fl_error_set(err, FL_ERR_NOT_FINITE,
                                    "%s: example %zu, feature %zu is too large when scaled", name,
                                    share_row(share, which, i), j + 1);
        }
    return FL_OK;
}

static enum fl_status data_owners(const struct fl_data_config *config, const struct fl_data_scan *scan,
                                  const uint32_t *rows, size_t count, uint32_t *keys, uint32_t *ret_owner,
                                  struct fl_error *err)
{
    uint32_t *groups = NULL;
    enum fl_status st = FL_OK;

    if (config->partition.kind != FL_PARTITION_GROUPS) {
        for (size_t i = 0; i < count; i++)
            keys[i] = scan->labels[rows[i]];
        return fl_partition_assign(&config->partition, keys, count, scan->classes, ret_owner, err);
    }
    groups = malloc(scan->rows * sizeof(*groups));
    if (!groups)
        return fl_error_nomem(err);
    st = fl_groups_read(config->groups_path, config->group_column, scan->rows, groups, err);
    for (size_t i = 0; !st && i < count; i++)
        keys[i] = groups[rows[i]];
    free(groups);
    return st ? st : fl_partition_assign_groups(&config->partition, keys, count, ret_owner, err);
}

/*
 * Which rows of the source this client trains and tests on. Held-out rows are dealt round, every count-th
 * from index on; the client holds all of them when the file is its own. ret_share: shape (rows).
 */
static enum fl_status data_share(const struct fl_data_config *config, const struct fl_data_scan *scan,
                                 uint8_t *ret_share, struct fl_error *err)
{
    int own = config->partition.kind == FL_PARTITION_NONE;
    double fraction = config->test_path_count > 0 ? 0.0 : config->test_fraction;
    uint32_t *rows = malloc(scan->rows * sizeof(*rows)), *keys = malloc(scan->rows * sizeof(*keys));
    uint32_t *owner = malloc(scan->rows * sizeof(*owner));
    size_t train = 0, test = 0;

    enum fl_status st = rows && keys && owner ? fl_partition_hold_out(fraction, config->partition.seed,
                                                                      scan->rows, ret_share, err)
                                              : fl_error_nomem(err);
    for (size_t i = 0; !st && i < scan->rows; i++) {
        if (!ret_share[i])
            rows[train++] = (uint32_t)i;
        else if (own || test++ % config->partition.count == config->index)
            ret_share[i] = SHARE_TEST;
        else
            ret_share[i] = SHARE_NONE;
    }
    if (!st)
        st = data_owners(config, scan, rows, train, keys, owner, err);
    for (size_t i = 0; !st && i < train; i++)
        ret_share[rows[i]] = own || owner[i] == config->index ? SHARE_TRAIN : SHARE_NONE;
    free(rows);
    free(keys);
    free(owner);
    return st;
}

/* Every count-th row of the test file, from index on. */
static enum fl_status data_take_test_file(const struct fl_data_config *config,
                                          const struct fl_data_scan *train, const float *factors,
                                          struct fl_dataset *ret_test, struct fl_error *err)
{
    struct fl_data_source source = config->source;
    struct fl_data_scan scan = {0};
    uint8_t *share = NULL;

    source.paths = config->test_paths;
    source.path_count = config->test_path_count;
    source.label_paths = config->test_label_paths;
    source.label_path_count = config->test_label_path_count;
    source.features = (uint32_t)train->features;
    source.classes = train->classes;
    source.map = train->map;
    enum fl_status st = fl_data_source_scan(&source, false, &scan, err);
    if (st)
        return st;
    share = malloc(scan.rows);
    if (!share)
        st = fl_error_nomem(err);
    for (size_t i = 0; !st && i < scan.rows; i++)
        share[i] = i % config->partition.count == config->index ? SHARE_TRAIN : SHARE_NONE;
    if (!st)
        st = fl_data_source_take(&source, &scan, share, 1, ret_test, err);
    if (!st)
        st = data_scale(ret_test, factors, share, SHARE_TRAIN, source.paths[0], err);
    free(share);
    fl_data_scan_done(&scan);
    return st;
}

enum fl_status fl_data_load(const struct fl_data_config *config, struct fl_data *ret_data,
                            struct fl_error *err)
{
    struct fl_dataset shares[2] = {0}; /* train, test */
    struct fl_data_scan scan = {0};
    uint8_t *share = NULL;
    float *factors = NULL;

    enum fl_status st = data_check(config, err);
    if (!st)
        st = fl_data_source_scan(&config->source, config->scale_columns, &scan, err);
    if (!st)
        st = data_factors(config, &scan, &factors, err);
    if (st)
        goto out;
    share = malloc(scan.rows);
    st = share ? data_share(config, &scan, share, err) : fl_error_nomem(err);
    if (!st)
        st = fl_data_source_take(&config->source, &scan, share, 2, shares, err);
    for (int k = 0; !st && k < 2; k++)
        st = data_scale(&shares[k], factors, share, k == 0 ? SHARE_TRAIN : SHARE_TEST,
                        config->source.paths[0], err);
    if (!st && config->test_path_count > 0) {
        fl_dataset_done(&shares[1]);
        st = data_take_test_file(config, &scan, factors, &shares[1], err);
    }
    if (st)
        goto out;
    *ret_data = (struct fl_data){.train = shares[0], .test = shares[1]};
    memset(shares, 0, sizeof(shares));
out:
    fl_dataset_done(&shares[0]);
    fl_dataset_done(&shares[1]);
    free(share);
    free(factors);
    fl_data_scan_done(&scan);
    return st;
}
