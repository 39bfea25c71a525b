#include "kernels/emu/grid.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "kernels/emu/report.h"
#include "kernels/emu/watchdog.h"

struct fl_grid fl_grid;
struct fl_emu_thread *fl_emu_self;

/* splitmix64: Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", 2014. */
static uint64_t mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

void fl_garbage(void *at, size_t bytes, uint64_t seed, uint64_t number)
{
    uint64_t word, key = mix(seed) ^ mix(~number);
    for (size_t i = 0; i < bytes; i += sizeof word) {
        word = mix(key + i);
        memcpy((char *)at + i, &word, bytes - i < sizeof word ? bytes - i : sizeof word);
    }
}

void fl_grid_seed(uint64_t seed)
{
    fl_grid.random = mix(seed);
}

uint64_t fl_grid_random(uint64_t bound)
{
    fl_grid.random = mix(fl_grid.random);
    return (uint64_t)((unsigned __int128)fl_grid.random * bound >> 64);
}

/* The ready ring. */

void fl_thread_wake(struct fl_thread *thread)
{
    thread->state = FL_THREAD_READY;
    fl_grid.ready[(fl_grid.ready_first + fl_grid.ready_count++) & (fl_grid.ready_size - 1)] = thread;
}

void fl_block_wake(struct fl_block *block)
{
    unsigned count = fl_grid.block_threads;
    int reverse = fl_grid.options.schedule == FL_EMU_REVERSE;
    for (unsigned i = 0; i < count; i++)
        fl_thread_wake(&block->threads[reverse ? count - 1 - i : i]);
}

void fl_lanes_wake(struct fl_thread *lanes, uint32_t mask)
{
    int reverse = fl_grid.options.schedule == FL_EMU_REVERSE;
    for (unsigned i = 0; i < FL_EMU_WARP; i++) {
        unsigned lane = reverse ? FL_EMU_WARP - 1 - i : i;
        if (mask >> lane & 1)
            fl_thread_wake(&lanes[lane]);
    }
}

/* The next to run, out of the ring; NULL when the grid has ended. */
static struct fl_thread *next(void)
{
    struct fl_grid *grid = &fl_grid;
    size_t last = grid->ready_size - 1;
    if (!grid->ready_count) {
        if (grid->live)
            fl_report_deadlock();
        return NULL;
    }
    struct fl_thread **first = &grid->ready[grid->ready_first & last], *thread = *first;
    if (grid->options.schedule == FL_EMU_RANDOM) {
        struct fl_thread **chosen =
            &grid->ready[(grid->ready_first + fl_grid_random(grid->ready_count)) & last];
        thread = *chosen;
        *chosen = *first;
    }
    grid->ready_first++;
    grid->ready_count--;
    return thread;
}

/* Blocks. */

/* The number of the block that is the nth to begin: the schedule's permutation of block_count numbers. For
 * the random one a bijection of the next power of two is walked until it gives a number that exists. */
static uint64_t nth_block(uint64_t nth)
{
    uint64_t count = fl_grid.block_count, mask = 1;
    if (fl_grid.options.schedule == FL_EMU_FORWARD)
        return nth;
    if (fl_grid.options.schedule == FL_EMU_REVERSE)
        return count - 1 - nth;
    while (mask < count - 1)
        mask = mask << 1 | 1;
    do {
        nth = (nth * 0x9e3779b97f4a7c15u + fl_grid.options.seed) & mask;
        nth ^= nth >> 3;
        nth = nth * 0xbf58476d1ce4e5b9u & mask;
    } while (nth >= count);
    return nth;
}

static void admit(struct fl_block *block)
{
    const struct fl_emu_index *blocks = &fl_grid.work->blocks;
    uint64_t number = nth_block(fl_grid.admitted++);
    block->view.index =
        (struct fl_emu_index){(unsigned)(number % blocks->x), (unsigned)(number / blocks->x % blocks->y),
                              (unsigned)(number / blocks->x / blocks->y)};
    block->number = number;
    block->at_barrier = block->returned = block->votes = block->group_count = 0;
    memset(block->gone, 0, sizeof block->gone);
    if (fl_grid.block_threads % FL_EMU_WARP)
        block->gone[fl_grid.block_threads / FL_EMU_WARP] = UINT32_MAX << fl_grid.block_threads % FL_EMU_WARP;
    block->order = fl_order_new();
    if (!block->order)
        fl_report_kernel(fl_grid.work->kernel, "no memory for a block");
    block->live = 1;
    fl_grid.live++;
    fl_block_wake(block);
}

/* The last thread of block has returned: the next takes its place. */
static void retire(struct fl_block *block)
{
    block->live = 0;
    fl_grid.live--;
    if (fl_grid.admitted < fl_grid.block_count)
        admit(block);
}

void *fl_emu_shared(size_t bytes, size_t alignment)
{
    struct fl_thread *self = fl_thread_self();
    struct fl_block *block = self->block;
    if (!block->shared) {
        fl_context_switch(NULL); /* the memory is the host's, and orders no thread behind another */
        alignment = alignment < sizeof(void *) ? sizeof(void *) : alignment;
        if (posix_memalign(&block->shared, alignment, bytes))
            fl_report_thread(self, NULL, 0, "no memory for %zu bytes of shared memory", bytes);
        fl_garbage(block->shared, bytes, fl_grid.options.seed, block->number);
        block->shared_bytes = bytes;
        fl_tsan_release(&block->order->shared);
        fl_context_switch(self->context);
    }
    if (block->shared_bytes != bytes)
        fl_report_thread(self, NULL, 0, "FL_SHARED with %zu bytes after one with %zu: a kernel has one",
                         bytes, block->shared_bytes);
    fl_tsan_acquire(&block->order->shared);
    return block->shared;
}

/* Threads. */

static void enter(struct fl_thread *thread)
{
    fl_emu_self = &thread->view;
}

static void begin(struct fl_thread *self)
{
    self->context = fl_context_begin(self->block->order);
    self->fenced = 0;
    self->seen_count = 0;
}

static void end(struct fl_thread *self)
{
    struct fl_block *block = self->block;
    if (block->at_barrier)
        fl_report_thread(self, NULL, 0,
                         "returns, while %u of the block's %u threads wait in __syncthreads at %s:%d",
                         block->at_barrier, fl_grid.block_threads, block->file, block->line);
    fl_warp_check_return(self);
    self->state = FL_THREAD_RETURNED;
    block->gone[self->number / FL_EMU_WARP] |= 1u << self->number % FL_EMU_WARP;
    self->fibre = NULL;
    fl_grid_progress();
    fl_tsan_release(&block->order->ended);
    int last = ++block->returned == fl_grid.block_threads;
    if (last) {
        fl_tsan_acquire(&block->order->ended); /* it comes behind the others, and may free what they used */
        free(block->shared);
        block->shared = NULL;
        fl_order_free(block->order);
    }
    fl_context_end(self->context);
    if (last)
        retire(block);
}

/* What every fibre does: threads from their beginning to their end, one after the other. One that never waits
 * costs no switch: the fibre goes on with the next that has not begun. */
static void work(void)
{
    struct fl_thread *self = fl_thread_self(), *then;
    struct fl_fibre *here = self->fibre;
    for (;;) {
        begin(self);
        fl_grid.work->call(fl_grid.work->arguments);
        end(self);
        then = next();
        if (then && !then->fibre) {
            then->fibre = here;
            enter(then);
        } else {
            fl_fibre_put(here);
            if (then) {
                enter(then);
                fl_context_switch(then->context);
            }
            fl_fibre_switch(here, then ? then->fibre : fl_grid.host);
            then = fl_thread_self();
        }
        self = then;
    }
}

/* A thread that begins needs a fibre, one that goes on acts for itself again. */
static void prepare(struct fl_thread *thread)
{
    enter(thread);
    if (thread->fibre) {
        fl_context_switch(thread->context);
        return;
    }
    thread->fibre = fl_fibre_take(fl_grid.options.switching, work);
    if (!thread->fibre)
        fl_report_thread(thread, NULL, 0, "no memory for a stack");
}

void fl_thread_pass(void)
{
    struct fl_thread *self = fl_thread_self(), *then = next();
    if (then == self)
        return;
    prepare(then);
    fl_fibre_switch(self->fibre, then->fibre);
}

void fl_thread_wait(enum fl_thread_state state, const char *file, int line)
{
    struct fl_thread *self = fl_thread_self();
    self->state = state;
    self->file = file;
    self->line = line;
    fl_thread_pass();
}

/* Grids. */

static void *get(size_t bytes)
{
    void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED)
        fl_report_kernel(fl_grid.work->kernel, "no memory for %u threads at once",
                         fl_grid.resident * fl_grid.block_threads);
    return at;
}

/* Room for so many threads and blocks at once; kept from grid to grid while it is enough. */
static void make_room(struct fl_grid *grid)
{
    static size_t threads_room, blocks_room;
    size_t threads = (size_t)grid->resident * grid->block_threads;
    if (threads > threads_room) {
        if (threads_room) {
            munmap(grid->threads, threads_room * sizeof *grid->threads);
            munmap(grid->ready, grid->ready_size * sizeof(struct fl_thread *));
        }
        for (grid->ready_size = 1; grid->ready_size < threads;)
            grid->ready_size *= 2;
        grid->threads = get(threads * sizeof *grid->threads);
        grid->ready = get(grid->ready_size * sizeof(struct fl_thread *));
        threads_room = threads;
    }
    if (grid->resident > blocks_room) {
        if (blocks_room)
            munmap(grid->blocks, blocks_room * sizeof *grid->blocks);
        grid->blocks = get(grid->resident * sizeof *grid->blocks);
        blocks_room = grid->resident;
    }
}

static void set_up_block(struct fl_grid *grid, unsigned i)
{
    const struct fl_emu_index *size = &grid->work->threads;
    struct fl_block *block = &grid->blocks[i];
    memset(block, 0, sizeof *block);
    block->view.threads = *size;
    block->view.blocks = grid->work->blocks;
    block->threads = &grid->threads[(size_t)i * grid->block_threads];
    for (unsigned t = 0; t < grid->block_threads; t++) {
        struct fl_thread *thread = &block->threads[t];
        thread->view.index = (struct fl_emu_index){t % size->x, t / size->x % size->y, t / size->x / size->y};
        thread->view.block = &block->view;
        thread->block = block;
        thread->number = t;
        thread->fibre = NULL;
    }
}

void fl_grid_run(const struct fl_grid_work *todo, const struct fl_emu_options *options)
{
    struct fl_grid *grid = &fl_grid;
    grid->work = todo;
    grid->options = *options;
    grid->block_count = (uint64_t)todo->blocks.x * todo->blocks.y * todo->blocks.z;
    grid->block_threads = todo->threads.x * todo->threads.y * todo->threads.z;
    grid->resident =
        grid->block_count < options->resident_blocks ? (unsigned)grid->block_count : options->resident_blocks;
    grid->admitted = 0;
    grid->ready_first = grid->ready_count = 0;
    grid->live = 0;
    make_room(grid);
    fl_context_grid_begins();
    for (unsigned i = 0; i < grid->resident; i++) {
        set_up_block(grid, i);
        admit(&grid->blocks[i]);
    }
    fl_watchdog_begin(todo->kernel, &grid->progress, options->patience_s);
    struct fl_thread *first = next();
    grid->host = fl_fibre_host(options->switching);
    prepare(first);
    fl_fibre_switch(grid->host, first->fibre);
    fl_emu_self = NULL;
    fl_context_grid_ends();
    fl_watchdog_end();
}
