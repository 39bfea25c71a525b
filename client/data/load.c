#include "client/data/load.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

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
    return FL_OK;
}

/* The factor of each feature, shape (m), heap. */
static enum fl_status data_factors(const struct fl_data_config *config, const struct fl_dataset *whole,
                                   float **ret_factors, struct fl_error *err)
{
    double scale = config->scale != 0.0                   ? config->scale
                   : config->source.format == FL_DATA_IDX ? 1.0 / 255
                                                          : 1;
    float *factors = malloc(whole->features * sizeof(*factors));

    if (!factors)
        return fl_error_nomem(err);
    if (config->scale_columns)
        fl_dataset_magnitudes(whole, factors);
    for (size_t j = 0; j < whole->features; j++) {
        if (!config->scale_columns)
            factors[j] = (float)scale;
        else /* the reciprocal of a subnormal is infinite: such a feature is as good as 0 */
            factors[j] = isnormal(factors[j]) ? 1.0f / factors[j] : 0.0f;
    }
    *ret_factors = factors;
    return FL_OK;
}

static enum fl_status data_scale(struct fl_dataset *dataset, const float *factors, const char *name,
                                 struct fl_error *err)
{
    for (size_t i = 0; i < dataset->rows; i++)
        for (size_t j = 0; j < dataset->features; j++) {
            float *x = &dataset->x[i * dataset->features + j];
            *x *= factors[j];
            if (!isfinite(*x))
                return fl_error_set(err, FL_ERR_NOT_FINITE,
                                    "%s: example %zu, feature %zu is too large when scaled", name, i + 1,
                                    j + 1);
        }
    return FL_OK;
}

static enum fl_status data_read_test(const struct fl_data_config *config, const struct fl_dataset *whole,
                                     struct fl_dataset *ret_test, struct fl_error *err)
{
    struct fl_data_source source = config->source;

    source.paths = config->test_paths;
    source.path_count = config->test_path_count;
    source.label_paths = config->test_label_paths;
    source.label_path_count = config->test_label_path_count;
    source.features = (uint32_t)whole->features;
    source.classes = whole->classes;
    source.map = whole->map;
    return fl_data_source_read(&source, ret_test, err);
}

/* Copies the rows whose owner is index. owner: shape (count), of the rows listed in rows (NULL: all). */
static enum fl_status data_take(const struct fl_dataset *from, const uint32_t *rows, const uint32_t *owner,
                                size_t count, uint32_t index, struct fl_dataset *ret_part,
                                struct fl_error *err)
{
    uint32_t *taken = malloc((count ? count : 1) * sizeof(*taken));
    size_t size = 0;

    if (!taken)
        return fl_error_nomem(err);
    for (size_t i = 0; i < count; i++)
        if (owner[i] == index)
            taken[size++] = rows ? rows[i] : (uint32_t)i;
    enum fl_status st = fl_dataset_select(from, taken, size, ret_part);
    free(taken);
    return st ? fl_error_nomem(err) : FL_OK;
}

/* Work arrays over the rows of the source, in the order of the file. */
struct split {
    uint8_t *held;
    uint32_t *train, *test; /* rows of each */
    uint32_t *labels;       /* of the training rows */
    uint32_t *owner;
    size_t train_count, test_count;
};

static void split_done(struct split *split)
{
    free(split->held);
    free(split->train);
    free(split->test);
    free(split->labels);
    free(split->owner);
}

static enum fl_status split_init(struct split *split, const struct fl_dataset *whole, double fraction,
                                 uint64_t seed, struct fl_error *err)
{
    size_t rows = whole->rows;

    *split = (struct split){
        .held = malloc(rows),
        .train = malloc(rows * sizeof(*split->train)),
        .test = malloc(rows * sizeof(*split->test)),
        .labels = malloc(rows * sizeof(*split->labels)),
        .owner = malloc(rows * sizeof(*split->owner)),
    };
    if (!split->held || !split->train || !split->test || !split->labels || !split->owner)
        return fl_error_nomem(err);
    enum fl_status st = fl_partition_hold_out(fraction, seed, rows, split->held, err);
    if (st)
        return st;
    for (size_t i = 0; i < rows; i++) {
        if (split->held[i]) {
            split->test[split->test_count++] = (uint32_t)i;
        } else {
            split->labels[split->train_count] = whole->labels[i];
            split->train[split->train_count++] = (uint32_t)i;
        }
    }
    return FL_OK;
}

/* Takes every count-th of the test rows: of a test file, or of those held out. */
static enum fl_status data_take_test(const struct fl_data_config *config, const struct fl_dataset *from,
                                     const uint32_t *rows, size_t rows_count, struct fl_dataset *ret_part,
                                     struct fl_error *err)
{
    int own = config->partition.kind == FL_PARTITION_NONE && rows;
    uint32_t *owner = malloc((rows_count ? rows_count : 1) * sizeof(*owner));

    if (!owner)
        return fl_error_nomem(err);
    for (size_t i = 0; i < rows_count; i++)
        owner[i] = own ? config->index : (uint32_t)(i % config->partition.count);
    enum fl_status st = data_take(from, rows, owner, rows_count, config->index, ret_part, err);
    free(owner);
    return st;
}

enum fl_status fl_data_load(const struct fl_data_config *config, struct fl_data *ret_data,
                            struct fl_error *err)
{
    bool test_file = config->test_path_count > 0;
    struct fl_dataset whole = {0}, test = {0};
    struct fl_data data = {0};
    struct split split = {0};
    float *factors = NULL;

    enum fl_status st = data_check(config, err);
    if (!st)
        st = fl_data_source_read(&config->source, &whole, err);
    if (!st)
        st = data_factors(config, &whole, &factors, err);
    if (!st)
        st = data_scale(&whole, factors, config->source.paths[0], err);
    if (!st && test_file)
        st = data_read_test(config, &whole, &test, err);
    if (!st && test_file)
        st = data_scale(&test, factors, config->test_paths[0], err);
    if (!st)
        st = split_init(&split, &whole, test_file ? 0.0 : config->test_fraction, config->partition.seed, err);
    if (!st)
        st = fl_partition_assign(&config->partition, split.labels, split.train_count, whole.classes,
                                 split.owner, err);
    if (st)
        goto out;
    uint32_t owned = config->partition.kind == FL_PARTITION_NONE ? 0 : config->index;
    st = data_take(&whole, split.train, split.owner, split.train_count, owned, &data.train, err);
    if (st)
        goto out;
    if (test_file)
        st = data_take_test(config, &test, NULL, test.rows, &data.test, err);
    else
        st = data_take_test(config, &whole, split.test, split.test_count, &data.test, err);
    if (st)
        goto out;
    *ret_data = data;
    data = (struct fl_data){0};
out:
    fl_data_done(&data);
    split_done(&split);
    free(factors);
    fl_dataset_done(&test);
    fl_dataset_done(&whole);
    return st;
}
