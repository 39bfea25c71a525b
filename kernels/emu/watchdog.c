#include "kernels/emu/watchdog.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "kernels/emu/report.h"

#define LOOK_EVERY_NS 100000000

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t begun = PTHREAD_COND_INITIALIZER;
static const char *watched; /* NULL: nothing runs */
static atomic_uint_fast64_t *counter;
static clockid_t used; /* processor time of the thread that runs it */
static unsigned patience;
static int started;

static double now(void)
{
    struct timespec time;
    clock_gettime(used, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static void give_up(void)
{
    char message[512];
    snprintf(message, sizeof message,
             "emulator: kernel %s: no progress in %u s of processor time: threads wait in a loop for what "
             "never comes, "
             "or one waits without an atomic\n",
             watched, patience);
    fl_report_now(message);
}

static void *watch(void *nothing)
{
    uint_fast64_t last = 0;
    double since = 0;
    const char *kernel = NULL;
    pthread_mutex_lock(&lock);
    for (;;) {
        while (!watched) {
            kernel = NULL;
            pthread_cond_wait(&begun, &lock);
        }
        uint_fast64_t progress = atomic_load(counter);
        if (watched != kernel || progress != last) {
            kernel = watched;
            last = progress;
            since = now();
        } else if (now() - since > patience) {
            give_up();
        }
        pthread_mutex_unlock(&lock);
        nanosleep(&(struct timespec){0, LOOK_EVERY_NS}, NULL);
        pthread_mutex_lock(&lock);
    }
    return nothing;
}

/* Without the signals of the process, which are for its own threads. */
static void start(void)
{
    pthread_t thread;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (!pthread_create(&thread, NULL, watch, NULL))
        pthread_detach(thread);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    started = 1;
}

void fl_watchdog_begin(const char *kernel, atomic_uint_fast64_t *progress, unsigned patience_s)
{
    atomic_fetch_add(progress, 1);
    pthread_mutex_lock(&lock);
    if (!started)
        start();
    watched = kernel;
    counter = progress;
    patience = patience_s;
    pthread_getcpuclockid(pthread_self(), &used);
    pthread_cond_signal(&begun);
    pthread_mutex_unlock(&lock);
}

void fl_watchdog_end(void)
{
    pthread_mutex_lock(&lock);
    watched = NULL;
    pthread_mutex_unlock(&lock);
}
