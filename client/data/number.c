#include "client/data/number.h"

#include <math.h>
#include <stdlib.h>

static enum fl_status number_parse(const struct fl_place *place, const char *text, double *ret_value,
                                   struct fl_error *err)
{
    char *end;
    double value = strtod(text, &end);
    int empty = end == text;

    while (*end == ' ' || *end == '\t')
        end++;
    if (empty || *end)
        return fl_error_set(err, FL_ERR_FORMAT, "%s:%zu: column %zu: \"%.40s\" is not a number", place->name,
                            place->line, place->column, text);
    if (!isfinite((float)value))
        return fl_error_set(err, FL_ERR_NOT_FINITE, "%s:%zu: column %zu: %.40s is NaN or infinite in float32",
                            place->name, place->line, place->column, text);
    *ret_value = value;
    return FL_OK;
}

enum fl_status fl_data_number_parse(const struct fl_place *place, const char *text, float *ret_value,
                                    struct fl_error *err)
{
    double value;
    enum fl_status st = number_parse(place, text, &value, err);

    if (!st)
        *ret_value = (float)value;
    return st;
}

enum fl_status fl_data_number_parse_label(const struct fl_place *place, const char *text, int32_t *ret_label,
                                          struct fl_error *err)
{
    double value;
    enum fl_status st = number_parse(place, text, &value, err);

    if (st)
        return st;
    if (value != floor(value) || fabs(value) > 999999999.0)
        return fl_error_set(err, FL_ERR_RANGE, "%s:%zu: column %zu: label %.40s, expected a whole number",
                            place->name, place->line, place->column, text);
    *ret_label = (int32_t)value;
    return FL_OK;
}
