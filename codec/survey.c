#include "codec/survey.h"

#include <math.h>

#include "codec/rice.h"

#define GROUPS 32

void fl_survey_init(size_t count, struct fl_survey *ret_survey)
{
    *ret_survey = (struct fl_survey){.every = count / ((size_t)FL_RICE_BLOCK * GROUPS) + 1};
}

void fl_survey_add(struct fl_survey *survey, const uint32_t *gaps, size_t count, uint64_t written_bits)
{
    for (size_t i = 0; i < count; i++)
        survey->lengths[31 - __builtin_clz(gaps[i] + 1)]++;
    survey->gaps += count;
    survey->written_bits += written_bits;
}

int fl_survey_promises(const struct fl_survey *survey)
{
    double bits = 0, all = (double)survey->gaps;
    for (size_t i = 0; i < sizeof survey->lengths / sizeof survey->lengths[0]; i++) {
        double count = (double)survey->lengths[i];
        if (count > 0)
            bits += count * ((double)i + log2(all / count));
    }
    return bits * 100 <= (double)survey->written_bits * (100 - FL_SURVEY_SAVING);
}
