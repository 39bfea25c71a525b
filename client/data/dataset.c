#include "client/data/dataset.h"

#include <stdlib.h>

void fl_dataset_done(struct fl_dataset *dataset)
{
    if (!dataset)
        return;
    free(dataset->x);
    free(dataset->labels);
    *dataset = (struct fl_dataset){0};
}
