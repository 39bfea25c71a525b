/*
 * Sizes and times for people.
 */
#ifndef FL_PLATFORM_TEXT_H
#define FL_PLATFORM_TEXT_H

#include <stdint.h>

/* "812 B", "3.4 KiB", ... */
#define FL_SIZE_TEXT_BYTES 24
void fl_size_to_text(uint64_t bytes, char text[FL_SIZE_TEXT_BYTES]);

/* Seconds since 1970: "2026-11-22 04:10:00 UTC". */
#define FL_TIME_TEXT_BYTES 32
void fl_time_to_text(int64_t time_s, char text[FL_TIME_TEXT_BYTES]);

#endif
