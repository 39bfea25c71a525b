#include "kernels/emu/fibre.h"

#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "kernels/emu/sanitizers.h"

#ifdef __SANITIZE_ADDRESS__
#define STACK_BYTES ((size_t)256 << 10)
#else
#define STACK_BYTES ((size_t)64 << 10)
#endif
#define STACKS_AT_ONCE 32
#define GUARD_BYTES    ((size_t)4096 * 4) /* a multiple of every page size in use on our machines */

/* Tops of stacks are spread over this much, or all of them would lie in the same few sets of the caches. */
#define SPREAD_BYTES ((size_t)8 << 10)
#define SPREAD_STEP  ((size_t)9 * 64)

struct fl_fibre {
    struct fl_fibre *next; /* in the pool */
    enum fl_emu_switching switching;
    void *stack_pointer; /* FL_EMU_X86_64, while it does not run */
    ucontext_t *context; /* FL_EMU_UCONTEXT */
    const void *bottom;
    size_t bytes;
    void *fake_stack; /* AddressSanitizer's */
};

static struct fl_fibre *pools[2], hosts[2];
static ucontext_t host_context;
static struct fl_fibre *left, *reached; /* of the latest switch */

#ifdef __x86_64__
/* Pushes what a callee must keep, stores the stack pointer in *from, loads it from to, pops. */
void fl_fibre_swap(void **from, void *to);
__asm__(".text\n"
        ".globl fl_fibre_swap\n"
        ".hidden fl_fibre_swap\n"
        ".type fl_fibre_swap, @function\n"
        "fl_fibre_swap:\n"
        "    pushq %rbp\n"
        "    pushq %rbx\n"
        "    pushq %r12\n"
        "    pushq %r13\n"
        "    pushq %r14\n"
        "    pushq %r15\n"
        "    movq %rsp, (%rdi)\n"
        "    movq %rsi, %rsp\n"
        "    popq %r15\n"
        "    popq %r14\n"
        "    popq %r13\n"
        "    popq %r12\n"
        "    popq %rbx\n"
        "    popq %rbp\n"
        "    ret\n"
        ".size fl_fibre_swap, .-fl_fibre_swap\n");
#define KEPT_REGISTERS 6
#endif

static fl_fibre_body_fn first_body;

/* AddressSanitizer tells where the stack lies that was left, which is how the host's becomes known. */
static void arrive(void)
{
    fl_asan_arrive(reached->fake_stack, &left->bottom, &left->bytes);
}

static void begin(void)
{
    arrive();
    first_body();
}

static void prepare(struct fl_fibre *fibre)
{
#ifdef __x86_64__
    if (fibre->switching == FL_EMU_X86_64) {
        /* As if begin() had been called: at its first instruction the stack is 8 bytes past a multiple of 16.
         */
        void **top = (void **)((const char *)fibre->bottom + fibre->bytes);
        *--top = NULL;
        *--top = (void *)begin;
        for (int i = 0; i < KEPT_REGISTERS; i++)
            *--top = NULL;
        fibre->stack_pointer = top;
        return;
    }
#endif
    getcontext(fibre->context);
    fibre->context->uc_stack.ss_sp = (void *)fibre->bottom;
    fibre->context->uc_stack.ss_size = fibre->bytes;
    fibre->context->uc_link = NULL;
    makecontext(fibre->context, begin, 0);
}

static void *map(size_t bytes)
{
    void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return at == MAP_FAILED ? NULL : at;
}

/* STACKS_AT_ONCE more fibres for the pool. */
static int grow(enum fl_emu_switching switching)
{
    static size_t made;
    size_t records = STACKS_AT_ONCE * (sizeof(struct fl_fibre) + sizeof(ucontext_t));
    char *memory = map(records);
    char *stacks = map(STACKS_AT_ONCE * STACK_BYTES);
    if (!memory || !stacks)
        return 0;
    fl_tsan_private_memory(stacks, STACKS_AT_ONCE * STACK_BYTES);
    ucontext_t *contexts = (ucontext_t *)memory;
    struct fl_fibre *fibres = (struct fl_fibre *)(contexts + STACKS_AT_ONCE);
    for (size_t i = 0; i < STACKS_AT_ONCE; i++) {
        struct fl_fibre *fibre = &fibres[i];
        char *stack = stacks + i * STACK_BYTES;
        if (mprotect(stack, GUARD_BYTES, PROT_NONE))
            return 0;
        fibre->switching = switching;
        fibre->context = &contexts[i];
        fibre->bottom = stack + GUARD_BYTES;
        fibre->bytes = STACK_BYTES - GUARD_BYTES - made++ * SPREAD_STEP % SPREAD_BYTES;
        prepare(fibre);
        fl_fibre_put(fibre);
    }
    return 1;
}

struct fl_fibre *fl_fibre_take(enum fl_emu_switching switching, fl_fibre_body_fn body)
{
    first_body = body;
    if (!pools[switching] && !grow(switching))
        return NULL;
    struct fl_fibre *fibre = pools[switching];
    pools[switching] = fibre->next;
    return fibre;
}

void fl_fibre_put(struct fl_fibre *fibre)
{
    fibre->next = pools[fibre->switching];
    pools[fibre->switching] = fibre;
}

struct fl_fibre *fl_fibre_host(enum fl_emu_switching switching)
{
    struct fl_fibre *host = &hosts[switching];
    host->switching = switching;
    host->context = &host_context;
    return host;
}

void fl_fibre_switch(struct fl_fibre *from, struct fl_fibre *to)
{
    left = from;
    reached = to;
    fl_asan_leave(&from->fake_stack, to->bottom, to->bytes);
#ifdef __x86_64__
    if (from->switching == FL_EMU_X86_64)
        fl_fibre_swap(&from->stack_pointer, to->stack_pointer);
    else
#endif
        swapcontext(from->context, to->context);
    arrive();
}
