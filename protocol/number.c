#include "protocol/number.h"

enum fl_status fl_number_parse(const char *text, size_t size, uint64_t *ret_value)
{
    uint64_t value = 0;
    if (size == 0 || (text[0] == '0' && size > 1))
        return FL_ERR_FORMAT;
    for (size_t i = 0; i < size; i++) {
        if (text[i] < '0' || text[i] > '9')
            return FL_ERR_FORMAT;
        uint64_t digit = (uint64_t)(text[i] - '0');
        if (value > (UINT64_MAX - digit) / 10)
            return FL_ERR_FORMAT;
        value = value * 10 + digit;
    }
    *ret_value = value;
    return FL_OK;
}
