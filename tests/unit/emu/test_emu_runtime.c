/* kernels/emu: the runtime's calls: what is queued and when it runs, what is refused, what fails on request.
 */
#include "schedules.h"

#include "count_band.h"
#include "kernels/emu/include/cuda_runtime_api.h"

#define N     100
#define BYTES (N * sizeof(unsigned))

#define assert_cuda(expression)           assert_string_equal(cudaGetErrorName(expression), "cudaSuccess")
#define assert_refused(expression, error) assert_string_equal(cudaGetErrorName(expression), #error)

/* What most tests work with. */
struct memory {
    unsigned pageable[N];
    unsigned *pinned, *device;
    cudaStream_t stream;
};

static void set_up(struct memory *m)
{
    assert_cuda(cudaMalloc((void **)&m->device, BYTES));
    assert_cuda(cudaHostAlloc((void **)&m->pinned, BYTES, cudaHostAllocDefault));
    assert_cuda(cudaStreamCreateWithFlags(&m->stream, cudaStreamNonBlocking));
    assert_cuda(cudaMemset(m->device, 0, BYTES));
    assert_cuda(cudaDeviceSynchronize());
    memset(m->pinned, 0, BYTES);
    memset(m->pageable, 0, BYTES);
}

static void tear_down(struct memory *m)
{
    assert_cuda(cudaStreamDestroy(m->stream));
    assert_cuda(cudaFree(m->device));
    assert_cuda(cudaFreeHost(m->pinned));
    cudaGetLastError();
}

static unsigned on_device(const struct memory *m)
{
    unsigned first;
    assert_cuda(cudaMemcpy(&first, m->device, sizeof first, cudaMemcpyDeviceToHost));
    return first;
}

static void check_copies(void *context)
{
    struct memory m;
    (void)context;
    set_up(&m);
    m.pageable[0] = 1; /* taken at once, put there later */
    assert_cuda(cudaMemcpyAsync(m.device, m.pageable, BYTES, cudaMemcpyHostToDevice, m.stream));
    m.pageable[0] = 2;
    assert_cuda(cudaStreamSynchronize(m.stream));
    assert_int_equal(on_device(&m), 1);

    m.pinned[0] = 3; /* taken when its turn comes */
    assert_cuda(cudaMemcpyAsync(m.device, m.pinned, BYTES, cudaMemcpyHostToDevice, m.stream));
    m.pinned[0] = 4;
    assert_cuda(cudaStreamSynchronize(m.stream));
    assert_int_equal(on_device(&m), 4);

    assert_cuda(cudaMemcpyAsync(m.pageable, m.device, BYTES, cudaMemcpyDeviceToHost, m.stream));
    assert_int_equal(m.pageable[0], 4); /* there when the call returns */

    m.pinned[0] = 5;
    assert_cuda(cudaMemcpyAsync(m.pinned, m.device, BYTES, cudaMemcpyDeviceToHost, m.stream));
    assert_int_equal(m.pinned[0], 5);
    assert_cuda(cudaStreamSynchronize(m.stream));
    assert_int_equal(m.pinned[0], 4);
    tear_down(&m);
}

static void test_copies_wait_as_cuda_says(void **state)
{
    (void)state;
    fl_schedules_each(check_copies, NULL);
}

static void check_default_stream(void *context)
{
    struct memory m;
    cudaStream_t blocking;
    (void)context;
    set_up(&m);
    assert_cuda(cudaStreamCreate(&blocking));
    for (int i = 0; i < 3; i++) { /* each later one must win */
        assert_cuda(cudaMemsetAsync(m.device, 1, BYTES, blocking));
        assert_cuda(cudaMemsetAsync(m.device, 2, BYTES, NULL));
        assert_cuda(cudaMemsetAsync(m.device, 3, BYTES, blocking));
    }
    assert_int_equal(on_device(&m), 0x03030303);
    assert_cuda(cudaStreamDestroy(blocking));
    tear_down(&m);
}

static void test_the_default_stream_is_ordered_with_blocking_ones(void **state)
{
    (void)state;
    fl_schedules_each(check_default_stream, NULL);
}

/* Which of two writes on streams that do not know of each other is the last? context: a bit for each answer.
 */
static void check_unordered(void *context)
{
    struct memory m;
    int *answers = context;
    cudaStream_t other;
    set_up(&m);
    assert_cuda(cudaStreamCreateWithFlags(&other, cudaStreamNonBlocking));
    assert_cuda(cudaMemsetAsync(m.device, 0, BYTES, m.stream));
    assert_cuda(cudaMemsetAsync(m.device, 1, BYTES, other));
    assert_cuda(cudaDeviceSynchronize());
    *answers |= on_device(&m) ? 2 : 1;
    assert_cuda(cudaStreamDestroy(other));
    tear_down(&m);
}

static void test_other_streams_run_in_any_order(void **state)
{
    int answers = 0;
    (void)state;
    fl_schedules_each(check_unordered, &answers);
    assert_int_equal(answers, 3);
}

static void check_events(void *context)
{
    struct memory m;
    cudaStream_t other;
    cudaEvent_t event, end;
    float ms;
    (void)context;
    set_up(&m);
    assert_cuda(cudaStreamCreateWithFlags(&other, cudaStreamNonBlocking));
    assert_cuda(cudaEventCreate(&event));
    assert_cuda(cudaEventCreate(&end));
    assert_cuda(cudaEventSynchronize(event)); /* never recorded: there is nothing to wait for */
    assert_cuda(cudaStreamWaitEvent(other, event, 0));
    assert_refused(cudaEventElapsedTime(&ms, event, end), cudaErrorInvalidResourceHandle);

    assert_cuda(cudaMemsetAsync(m.device, 1, BYTES, m.stream));
    assert_cuda(cudaEventRecord(event, m.stream));
    assert_cuda(cudaStreamWaitEvent(other, event, 0));
    assert_cuda(cudaMemsetAsync(m.device, 2, BYTES, other));
    assert_cuda(cudaEventRecord(end, other));
    assert_cuda(cudaEventSynchronize(end));
    assert_int_equal(on_device(&m), 0x02020202);
    assert_cuda(cudaEventElapsedTime(&ms, event, end));
    assert_true(ms >= 0);

    assert_cuda(cudaMemsetAsync(m.device, 3, BYTES, m.stream));
    assert_cuda(cudaEventRecord(event, m.stream));
    assert_refused(cudaEventQuery(event), cudaErrorNotReady);
    assert_int_equal(cudaGetLastError(),
                     cudaErrorInvalidResourceHandle); /* the one from above, not "not ready" */
    while (cudaEventQuery(event) == cudaErrorNotReady)
        ;
    assert_int_equal(on_device(&m), 0x03030303);

    assert_cuda(cudaEventRecord(event, m.stream));
    assert_cuda(cudaEventDestroy(event)); /* what was queued with it stays right */
    assert_cuda(cudaEventDestroy(end));
    assert_cuda(cudaStreamSynchronize(m.stream));
    assert_cuda(cudaStreamDestroy(other));
    tear_down(&m);
}

static void test_events(void **state)
{
    (void)state;
    fl_schedules_each(check_events, NULL);
}

static void test_more_is_queued_than_there_is_room_for(void **state)
{
    struct memory m;
    (void)state;
    set_up(&m);
    for (unsigned i = 0; i < 10000; i++)
        assert_cuda(cudaMemcpyAsync(m.device, &i, sizeof i, cudaMemcpyHostToDevice, m.stream));
    assert_cuda(cudaStreamSynchronize(m.stream));
    assert_int_equal(on_device(&m), 9999);
    tear_down(&m);
}

static void test_copies_are_checked(void **state)
{
    struct memory m;
    (void)state;
    set_up(&m);
    const struct {
        void *to;
        const void *from;
        size_t bytes;
        enum cudaMemcpyKind kind;
        cudaError_t expected;
    } cases[] = {
        {m.device, m.pageable, BYTES, cudaMemcpyHostToDevice, cudaSuccess},
        {m.device, m.pageable, BYTES, cudaMemcpyDefault, cudaSuccess},
        {m.device, m.device, BYTES, cudaMemcpyDeviceToDevice, cudaSuccess},
        {m.pinned, m.pageable, BYTES, cudaMemcpyHostToHost, cudaSuccess},
        {m.device + N, m.pageable, 0, cudaMemcpyHostToDevice, cudaSuccess},
        {m.device, m.pageable, BYTES, cudaMemcpyDeviceToHost, cudaErrorInvalidValue},
        {m.device, m.device, BYTES, cudaMemcpyHostToDevice, cudaErrorInvalidValue},
        {m.pageable, m.device, BYTES, cudaMemcpyHostToHost, cudaErrorInvalidValue},
        {m.pinned, m.device, BYTES, cudaMemcpyDeviceToDevice, cudaErrorInvalidValue},
        {m.device + 1, m.pageable, BYTES, cudaMemcpyHostToDevice, cudaErrorInvalidValue},
        {m.pinned, m.device + 1, BYTES, cudaMemcpyDeviceToHost, cudaErrorInvalidValue},
        {m.device, m.pageable, BYTES, 7, cudaErrorInvalidMemcpyDirection},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        print_message("    case %zu\n", i);
        assert_int_equal(cudaMemcpy(cases[i].to, cases[i].from, cases[i].bytes, cases[i].kind),
                         cases[i].expected);
        assert_int_equal(cudaGetLastError(), cases[i].expected);
        assert_int_equal(cudaGetLastError(), cudaSuccess);
    }
    assert_refused(cudaMemset(m.device + 1, 0, BYTES), cudaErrorInvalidValue);
    assert_refused(cudaMemset(m.pageable, 0, BYTES), cudaErrorInvalidValue);
    assert_refused(cudaFree(m.device + 1), cudaErrorInvalidValue);
    assert_refused(cudaFree(m.pinned), cudaErrorInvalidValue);
    assert_refused(cudaFreeHost(m.device), cudaErrorInvalidValue);
    assert_cuda(cudaFree(NULL));
    tear_down(&m);
    assert_refused(cudaMemset(m.device, 0, BYTES), cudaErrorInvalidValue);
    assert_refused(cudaStreamSynchronize(m.stream), cudaErrorInvalidResourceHandle);
    assert_refused(cudaMemcpyAsync(m.device, m.pageable, 4, cudaMemcpyHostToDevice, m.stream),
                   cudaErrorInvalidResourceHandle);
    cudaGetLastError();
}

static void test_launches_are_checked(void **state)
{
    float x = 1, *d_x;
    unsigned *d_count, count;
    (void)state;
    assert_cuda(cudaMalloc((void **)&d_x, sizeof x));
    assert_cuda(cudaMalloc((void **)&d_count, sizeof count));
    assert_cuda(cudaMemcpy(d_x, &x, sizeof x, cudaMemcpyHostToDevice));
    assert_cuda(cudaMemset(d_count, 0, sizeof count));
    count_band(d_x, 1, 0, 2, d_count, 0, NULL); /* no blocks */
    assert_refused(cudaGetLastError(), cudaErrorInvalidConfiguration);
    fl_emu_fail_launch(2);
    count_band(d_x, 1, 0, 2, d_count, 1, NULL);
    assert_cuda(cudaGetLastError());
    count_band(d_x, 1, 0, 2, d_count, 1, NULL);
    assert_refused(cudaPeekAtLastError(), cudaErrorLaunchOutOfResources);
    assert_refused(cudaGetLastError(), cudaErrorLaunchOutOfResources);
    count_band(d_x, 1, 0, 2, d_count, 1, NULL);
    assert_cuda(cudaGetLastError());
    assert_cuda(cudaMemcpy(&count, d_count, sizeof count, cudaMemcpyDeviceToHost));
    assert_int_equal(count, 2);
    assert_cuda(cudaFree(d_x));
    assert_cuda(cudaFree(d_count));
}

static void test_memory_ends_where_it_is_told_to(void **state)
{
    struct fl_emu_options options = fl_emu_defaults();
    const struct fl_emu_counts before = fl_emu_read_counts();
    size_t free_bytes, total;
    void *a, *b = NULL;
    (void)state;
    options.memory_bytes = 1000;
    fl_emu_configure(&options);
    assert_cuda(cudaMalloc(&a, 600));
    assert_cuda(cudaMemGetInfo(&free_bytes, &total));
    assert_true(free_bytes == 400 && total == 1000);
    assert_refused(cudaMalloc(&b, 401), cudaErrorMemoryAllocation);
    assert_null(b);
    assert_refused(cudaGetLastError(), cudaErrorMemoryAllocation);
    assert_cuda(cudaHostAlloc(&b, 5000, cudaHostAllocDefault)); /* the host's */
    assert_true(fl_emu_read_counts().device_bytes == 600 && fl_emu_read_counts().pinned_bytes == 5000);
    assert_cuda(cudaFreeHost(b));
    assert_cuda(cudaFree(a));

    fl_emu_fail_allocation(2);
    assert_cuda(cudaMalloc(&a, 600));
    assert_refused(cudaHostAlloc(&b, 10, cudaHostAllocDefault), cudaErrorMemoryAllocation);
    assert_cuda(cudaMalloc(&b, 10));
    assert_cuda(cudaFree(b));
    assert_cuda(cudaFree(a));
    cudaGetLastError();

    const struct fl_emu_counts after = fl_emu_read_counts();
    assert_true(after.allocations == before.allocations + 4); /* those that came about */
    assert_true(after.device_bytes == 0 && after.pinned_bytes == 0);
    options = fl_emu_defaults();
    fl_emu_configure(&options);
}

static void test_what_goes_over_the_bus_is_counted(void **state)
{
    struct memory m;
    (void)state;
    set_up(&m);
    const struct fl_emu_counts before = fl_emu_read_counts();
    assert_cuda(cudaMemcpyAsync(m.device, m.pinned, BYTES, cudaMemcpyHostToDevice, m.stream));
    assert_cuda(cudaMemcpyAsync(m.device, m.device, BYTES, cudaMemcpyDeviceToDevice, m.stream));
    assert_cuda(cudaMemcpyAsync(m.pinned, m.device, 12, cudaMemcpyDeviceToHost, m.stream));
    assert_cuda(cudaStreamSynchronize(m.stream));
    const struct fl_emu_counts after = fl_emu_read_counts();
    assert_int_equal(after.bytes_to_device - before.bytes_to_device, BYTES);
    assert_int_equal(after.bytes_to_host - before.bytes_to_host, 12);
    assert_int_equal(after.synchronisations - before.synchronisations, 1);
    tear_down(&m);
}

static void test_devices(void **state)
{
    struct fl_emu_options options = fl_emu_defaults();
    struct cudaDeviceProp properties;
    int count = -1, value;
    void *memory;
    cudaStream_t stream;
    (void)state;
    assert_cuda(cudaGetDeviceCount(&count));
    assert_int_equal(count, 1);
    assert_cuda(cudaSetDevice(0));
    assert_refused(cudaSetDevice(1), cudaErrorInvalidDevice);
    assert_cuda(cudaGetDeviceProperties(&properties, 0));
    assert_string_equal(properties.name, "emulator");
    assert_cuda(cudaDeviceGetAttribute(&value, cudaDevAttrWarpSize, 0));
    assert_int_equal(value, 32);

    options.devices = 0;
    fl_emu_configure(&options);
    assert_refused(cudaGetDeviceCount(&count), cudaErrorNoDevice);
    assert_int_equal(count, 0);
    assert_refused(cudaSetDevice(0), cudaErrorNoDevice);
    assert_refused(cudaMalloc(&memory, 1), cudaErrorNoDevice);
    assert_refused(cudaStreamCreate(&stream), cudaErrorNoDevice);
    options = fl_emu_defaults();
    fl_emu_configure(&options);
    cudaGetLastError();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_copies_wait_as_cuda_says),
        cmocka_unit_test(test_the_default_stream_is_ordered_with_blocking_ones),
        cmocka_unit_test(test_other_streams_run_in_any_order),
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_more_is_queued_than_there_is_room_for),
        cmocka_unit_test(test_copies_are_checked),
        cmocka_unit_test(test_launches_are_checked),
        cmocka_unit_test(test_memory_ends_where_it_is_told_to),
        cmocka_unit_test(test_what_goes_over_the_bus_is_counted),
        cmocka_unit_test(test_devices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
