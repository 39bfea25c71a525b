/* Preloaded into a real process, moves its wall clock by FL_CLOCK_SHIFT_S seconds; monotonic clocks stay. */
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static int64_t shift_s(void)
{
    const char *text = getenv("FL_CLOCK_SHIFT_S");
    return text ? strtoll(text, NULL, 10) : 0;
}

int clock_gettime(clockid_t clock, struct timespec *ret_time)
{
    int failure = (int)syscall(SYS_clock_gettime, clock, ret_time);
    if (!failure && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        ret_time->tv_sec += (time_t)shift_s();
    return failure;
}

time_t time(time_t *ret_time)
{
    struct timespec now = {0, 0};
    clock_gettime(CLOCK_REALTIME, &now);
    if (ret_time)
        *ret_time = now.tv_sec;
    return now.tv_sec;
}

int gettimeofday(struct timeval *restrict ret_time, void *restrict zone)
{
    struct timespec now = {0, 0};
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    *ret_time = (struct timeval){.tv_sec = now.tv_sec, .tv_usec = now.tv_nsec / 1000};
    return 0;
}
