#include "kernels/emu/context.h"

#ifdef FL_EMU_TSAN

#include <stdlib.h>

#include "kernels/emu/emu.h"
#include "kernels/emu/report.h"

struct fl_context {
    void *sanitizer;
    struct fl_context *next;
};

static struct fl_context *oldest, *newest; /* not in use, in the order in which they came back */
static void *host;
static size_t made, fresh; /* fresh: of those not in use, the first so many have not been used by this grid */
static char ended;         /* an address: by it the host comes behind all threads */

static void put(struct fl_context *context)
{
    context->next = NULL;
    if (oldest)
        newest->next = context;
    else
        oldest = context;
    newest = context;
}

void fl_context_grid_begins(void)
{
    host = fl_tsan_context_current();
    fresh = made;
}

void fl_context_grid_ends(void)
{
    fl_tsan_acquire(&ended);
}

/* Made by the host, as a context starts with the order its maker has seen. */
static struct fl_context *make(void)
{
    struct fl_context *context = calloc(1, sizeof *context);
    if (!context)
        fl_report_now("emulator: no memory for a context of ThreadSanitizer\n");
    context->sanitizer = fl_tsan_context_new();
    made++;
    return context;
}

/* One that this grid has not used if there may be such; else the one whose thread returned longest ago. */
static struct fl_context *take(void)
{
    if (fresh == 0 && (made < FL_EMU_CONTEXTS || !oldest))
        return make();
    struct fl_context *context = oldest;
    oldest = context->next;
    fresh -= fresh > 0;
    return context;
}

struct fl_order *fl_order_new(void)
{
    struct fl_order *order = calloc(1, sizeof *order);
    if (order)
        fl_tsan_release(&order->begun);
    return order;
}

void fl_order_free(struct fl_order *order)
{
    free(order);
}

struct fl_context *fl_context_begin(struct fl_order *order)
{
    fl_tsan_switch(host);
    struct fl_context *context = take();
    fl_tsan_switch(context->sanitizer);
    fl_tsan_acquire(&order->begun);
    return context;
}

void fl_context_end(struct fl_context *context)
{
    fl_tsan_release(&ended);
    fl_tsan_switch(host);
    put(context);
}

void fl_context_switch(struct fl_context *context)
{
    fl_tsan_switch(context ? context->sanitizer : host);
}

#endif
