#include "client/data/dataset.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void fl_dataset_done(struct fl_dataset *dataset)
{
    if (!dataset)
        return;
    free(dataset->x);
    free(dataset->labels);
    *dataset = (struct fl_dataset){0};
}

enum fl_status fl_dataset_select(const struct fl_dataset *from, const uint32_t *rows, size_t count,
                                 struct fl_dataset *ret_dataset)
{
    size_t features = from->features;
    struct fl_dataset to = {.rows = count, .features = features, .classes = from->classes, .map = from->map};

    if (count > 0) {
        to.x = malloc(count * features * sizeof(*to.x));
        to.labels = malloc(count * sizeof(*to.labels));
        if (!to.x || !to.labels) {
            fl_dataset_done(&to);
            return FL_ERR_NOMEM;
        }
    }
    for (size_t i = 0; i < count; i++) {
        memcpy(to.x + i * features, from->x + rows[i] * features, features * sizeof(*to.x));
        to.labels[i] = from->labels[rows[i]];
    }
    *ret_dataset = to;
    return FL_OK;
}

void fl_dataset_magnitudes(const struct fl_dataset *dataset, float *ret_largest)
{
    size_t features = dataset->features;

    memset(ret_largest, 0, features * sizeof(*ret_largest));
    for (size_t i = 0; i < dataset->rows; i++)
        for (size_t j = 0; j < features; j++)
            ret_largest[j] = fmaxf(ret_largest[j], fabsf(dataset->x[i * features + j]));
}
