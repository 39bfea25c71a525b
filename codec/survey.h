/*
 * A look at some of a payload's gaps while it is written in Rice code: whether adaptive code would be worth
 * its time. Not for writing either (codec/writer.c).
 */
#ifndef FL_CODEC_SURVEY_H
#define FL_CODEC_SURVEY_H

#include <stddef.h>
#include <stdint.h>

/* What adaptive code has to save, in percent of what it replaces: it takes ten times as long. */
#define FL_SURVEY_SAVING 7

struct fl_survey {
    size_t every, groups; /* one group in so many is looked at; groups that have passed */
    uint64_t gaps, written_bits;
    uint64_t lengths[32]; /* gaps x by floor(log2(x + 1)) */
};

/* For a payload of count coordinates: about 32 groups are looked at. */
void fl_survey_init(size_t count, struct fl_survey *ret_survey);

/* Counts a group; returns whether it is one to look at. */
static inline int fl_survey_next(struct fl_survey *survey)
{
    return survey->groups++ % survey->every == 0;
}

/* A group's gaps, each below 2^32 - 1, and the bits they were written in. */
void fl_survey_add(struct fl_survey *survey, const uint32_t *gaps, size_t count, uint64_t written_bits);

/* Whether the entropy of the gaps' lengths, and the bits below their highest, come to so much less than what
 * was written. */
int fl_survey_promises(const struct fl_survey *survey);

#endif
