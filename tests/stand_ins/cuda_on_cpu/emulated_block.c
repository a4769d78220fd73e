/* Blocks of fibers: runs the threads of a block from one barrier to the next, and says what is wrong with them. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "emulation.h"
#include "fiber.h"

enum { MOST_THREADS = 1024, STACK_BYTES = 128 << 10, FAULT_TEXT = 400 };

enum state { READY, WAITING, ENDED };

struct thread {
    struct weir_fiber fiber;
    struct weir_emulated_place place;
    enum state state;
    enum weir_emulated_wait wait; /* what for, when WAITING */
    const char *file;
    int line;
    unsigned mask, source;
    bool say;
    uint64_t value, result;
};

/* Memory of a shared array. */
struct kept {
    struct kept *next;
    void **slot;
    uint64_t bytes[]; /* aligned for whatever an array holds */
};

struct machine {
    struct weir_fiber main;
    struct kept *kept;
    const struct weir_emulated_call *call;
    enum weir_emulated_order order;
    uint64_t clock; /* numbers of blocks and intervals */
    unsigned n_threads, n_fibers;
    bool any_said, faulty;
    char fault[FAULT_TEXT];
    struct thread threads[MOST_THREADS]; /* the first n_fibers have a stack */
};

WEIR_EMULATED_LOCAL struct weir_emulated_place *weir_emulated_now;
static WEIR_EMULATED_LOCAL struct machine *machine;

static const char *const wait_names[] = {"", "__syncthreads", "__syncwarp", "a shuffle", "a vote"};

static weir_status machine_open(void)
{
    if (!machine)
        machine = calloc(1, sizeof *machine);
    return machine ? WEIR_OK : WEIR_FAIL(WEIR_ERR_NOMEM, "no memory for the threads of a block");
}

static void fibers_close(void)
{
    for (unsigned i = 0; i < machine->n_fibers; i++)
        weir_fiber_close(&machine->threads[i].fiber);
    machine->n_fibers = 0;
}

void *weir_emulated_keep(void **slot, size_t bytes)
{
    struct kept *kept = calloc(1, sizeof *kept + bytes);
    if (!kept)
        weir_emulated_fault("no memory for a shared array of %zu bytes", bytes);
    kept->next = machine->kept;
    kept->slot = slot;
    machine->kept = kept;
    return *slot = kept->bytes;
}

static void kept_release(void)
{
    while (machine->kept) {
        struct kept *kept = machine->kept;
        machine->kept = kept->next;
        *kept->slot = NULL;
        free(kept);
    }
}

void weir_emulated_release(void)
{
    if (!machine)
        return;
    kept_release();
    fibers_close();
    free(machine);
    machine = NULL;
}

void weir_emulated_set_order(enum weir_emulated_order order)
{
    if (!machine_open())
        machine->order = order;
}

/* ---- the side of the threads --------------------------------------------------------------------------------------- */

static struct thread *self(void)
{
    return &machine->threads[weir_emulated_now->index];
}

/* A fiber runs one thread after another. */
static void threads_run(void *argument)
{
    struct thread *thread = argument;
    for (;;) {
        machine->call->run(machine->call->closure);
        thread->state = ENDED;
        weir_fiber_switch(&thread->fiber, &machine->main);
    }
}

static void pause_here(enum weir_emulated_wait wait, const char *file, int line)
{
    struct thread *thread = self();
    const char *slash = strrchr(file, '/');
    thread->state = WAITING;
    thread->wait = wait;
    thread->file = slash ? slash + 1 : file;
    thread->line = line;
    weir_fiber_switch(&thread->fiber, &machine->main);
}

bool weir_emulated_barrier(bool say, const char *file, int line)
{
    self()->say = say;
    pause_here(WEIR_WAIT_BARRIER, file, line);
    return machine->any_said;
}

uint64_t weir_emulated_exchange(enum weir_emulated_wait what, unsigned mask, uint64_t value, unsigned source,
                                const char *file, int line)
{
    struct thread *thread = self();
    if (!(mask >> weir_emulated_now->lane & 1))
        weir_emulated_fault("thread %u calls %s at line %d with the mask %#x, which leaves itself out",
                            thread->place.index, wait_names[what], line, mask);
    thread->mask = mask;
    thread->value = value;
    thread->source = source % WEIR_EMULATED_WARP;
    pause_here(what, file, line);
    return thread->result;
}

/* The first mistake counts. */
static void fault_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void fault_note(const char *format, ...)
{
    if (machine->faulty)
        return;
    machine->faulty = true;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(machine->fault, sizeof machine->fault, format, arguments);
    va_end(arguments);
}

void weir_emulated_fault(const char *format, ...)
{
    if (!machine->faulty) {
        machine->faulty = true;
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(machine->fault, sizeof machine->fault, format, arguments);
        va_end(arguments);
    }
    for (;;)
        pause_here(WEIR_WAIT_NONE, "", 0);
}

static void race(const struct weir_emulated_place *now, unsigned other, size_t index)
{
    weir_emulated_fault("threads %u and %u use element %zu of a shared array with no barrier between, one of them writing",
                        now->index < other ? now->index : other, now->index < other ? other : now->index, index);
}

/* Whether nothing orders an access of another thread, in a past (interval, warp_interval), before one of now. */
static bool unordered(const struct weir_emulated_place *now, uint64_t interval, uint64_t warp_interval, unsigned thread)
{
    if (interval != now->interval || thread == now->index)
        return false;
    return thread / WEIR_EMULATED_WARP != now->warp || warp_interval == now->warp_interval;
}

static void read_note(const struct weir_emulated_place *now, struct weir_emulated_log *log)
{
    if (log->read != now->interval) {
        log->other_warps = log->other_threads = false;
    } else if (log->reader / WEIR_EMULATED_WARP != now->warp) {
        log->other_warps = true;
        log->other_threads = false;
    } else {
        log->other_threads = log->read_warp == now->warp_interval && (log->other_threads || log->reader != now->index);
    }
    log->read = now->interval;
    log->read_warp = now->warp_interval;
    log->reader = (uint16_t)now->index;
}

void weir_emulated_access(struct weir_emulated_log *log, size_t index, bool write)
{
    const struct weir_emulated_place *now = weir_emulated_now;
    if (unordered(now, log->written, log->written_warp, log->writer))
        race(now, log->writer, index);
    if (!write) {
        read_note(now, log);
        return;
    }
    bool mine = log->read == now->interval && log->reader == now->index;
    bool others = log->read == now->interval &&
                  (log->other_warps || (log->other_threads && log->read_warp == now->warp_interval));
    if (others || (!mine && unordered(now, log->read, log->read_warp, log->reader)))
        race(now, log->reader, index);
    log->written = now->interval;
    log->written_warp = now->warp_interval;
    log->writer = (uint16_t)now->index;
}

/* ---- the side of the scheduler ------------------------------------------------------------------------------------- */

static void thread_run(struct thread *thread)
{
    weir_emulated_now = &thread->place;
    weir_fiber_switch(&machine->main, &thread->fiber);
}

static unsigned warp_size(unsigned warp)
{
    unsigned left = machine->n_threads - warp * WEIR_EMULATED_WARP;
    return left < WEIR_EMULATED_WARP ? left : WEIR_EMULATED_WARP;
}

/* Every lane that `lane` waits for is there and asks for the same. */
static bool group_is_whole(const struct thread *lanes, unsigned n, unsigned lane)
{
    const struct thread *first = &lanes[lane];
    if (n < WEIR_EMULATED_WARP && first->mask >> n)
        return false;
    for (unsigned i = 0; i < n; i++)
        if ((first->mask >> i & 1) && (lanes[i].state != WAITING || lanes[i].wait != first->wait ||
                                       lanes[i].mask != first->mask || lanes[i].line != first->line))
            return false;
    return true;
}

static void group_release(struct thread *lanes, unsigned n, unsigned mask, enum weir_emulated_wait wait)
{
    uint64_t votes = 0, interval = ++machine->clock;
    for (unsigned i = 0; i < n; i++)
        votes |= (uint64_t)((mask >> i & 1) && lanes[i].value) << i;
    for (unsigned i = 0; i < n; i++) {
        if (!(mask >> i & 1))
            continue;
        if (wait == WEIR_WAIT_SHUFFLE && !(mask >> lanes[i].source & 1))
            fault_note("thread %u reads lane %u in a shuffle at line %d, which the mask %#x leaves out",
                       lanes[i].place.index, lanes[i].source, lanes[i].line, mask);
        lanes[i].result = wait == WEIR_WAIT_VOTE ? votes : lanes[lanes[i].source % n].value;
        if (wait == WEIR_WAIT_SYNCWARP && mask == 0xffffffffu)
            lanes[i].place.warp_interval = interval;
    }
    for (unsigned i = 0; i < n; i++)
        if (mask >> i & 1)
            lanes[i].state = READY;
}

/* Run a warp until all its lanes have ended or wait for something outside of it. */
static void warp_run(unsigned warp)
{
    struct thread *lanes = &machine->threads[warp * WEIR_EMULATED_WARP];
    unsigned n = warp_size(warp);
    for (bool moved = true; moved && !machine->faulty;) {
        moved = false;
        for (unsigned i = 0; i < n && !machine->faulty; i++) {
            unsigned lane = machine->order == WEIR_EMULATED_DESCENDING ? n - 1 - i : i;
            if (lanes[lane].state == READY)
                thread_run(&lanes[lane]);
        }
        for (unsigned i = 0; i < n && !machine->faulty; i++)
            if (lanes[i].state == WAITING && lanes[i].wait != WEIR_WAIT_BARRIER && group_is_whole(lanes, n, i)) {
                group_release(lanes, n, lanes[i].mask, lanes[i].wait);
                moved = true;
            }
    }
}

/* No thread can go on.  All of them must wait at one barrier; else say which do not. */
static bool barrier_is_whole(void)
{
    const struct thread *first = NULL;
    for (unsigned i = 0; i < machine->n_threads; i++)
        if (machine->threads[i].state == WAITING && (!first || machine->threads[i].wait != WEIR_WAIT_BARRIER))
            first = &machine->threads[i];
    for (unsigned i = 0; i < machine->n_threads; i++) {
        const struct thread *other = &machine->threads[i];
        if (first->wait != WEIR_WAIT_BARRIER)
            fault_note("thread %u waits in %s at %s:%d for lanes of the mask %#x that do not come",
                       first->place.index, wait_names[first->wait], first->file, first->line, first->mask);
        else if (other->state == ENDED)
            fault_note("thread %u waits in __syncthreads at %s:%d and thread %u has ended", first->place.index,
                       first->file, first->line, i);
        else if (other->line != first->line || strcmp(other->file, first->file) != 0)
            fault_note("thread %u waits in __syncthreads at %s:%d and thread %u at %s:%d", first->place.index,
                       first->file, first->line, i, other->file, other->line);
    }
    return !machine->faulty;
}

static void barrier_release(void)
{
    uint64_t interval = ++machine->clock;
    machine->any_said = false;
    for (unsigned i = 0; i < machine->n_threads; i++)
        machine->any_said = machine->any_said || machine->threads[i].say;
    for (unsigned i = 0; i < machine->n_threads; i++) {
        struct thread *thread = &machine->threads[i];
        thread->place.interval = thread->place.warp_interval = interval;
        thread->state = READY;
    }
}

static bool all_ended(void)
{
    for (unsigned i = 0; i < machine->n_threads; i++)
        if (machine->threads[i].state != ENDED)
            return false;
    return true;
}

static void block_begin(const struct weir_emulated_index *block)
{
    const unsigned *size = machine->call->block, *grid = machine->call->grid;
    uint64_t serial = ++machine->clock;
    for (unsigned i = 0; i < machine->n_threads; i++) {
        machine->threads[i].place = (struct weir_emulated_place){
            .thread = {i % size[0], i / size[0] % size[1], i / size[0] / size[1]},
            .block = *block,
            .block_size = {size[0], size[1], size[2]},
            .grid = {grid[0], grid[1], grid[2]},
            .index = i,
            .warp = i / WEIR_EMULATED_WARP,
            .lane = i % WEIR_EMULATED_WARP,
            .block_serial = serial,
            .interval = serial,
            .warp_interval = serial,
        };
        machine->threads[i].state = READY;
    }
}

static void block_run(const struct weir_emulated_index *block)
{
    unsigned n_warps = (machine->n_threads + WEIR_EMULATED_WARP - 1) / WEIR_EMULATED_WARP;
    block_begin(block);
    while (!machine->faulty) {
        for (unsigned w = 0; w < n_warps && !machine->faulty; w++)
            warp_run(machine->order == WEIR_EMULATED_DESCENDING ? n_warps - 1 - w : w);
        if (machine->faulty || all_ended() || !barrier_is_whole())
            return;
        barrier_release();
    }
}

/* What a device would refuse as an invalid configuration. */
static weir_status call_check(const struct weir_emulated_call *call)
{
    uint64_t threads = (uint64_t)call->block[0] * call->block[1] * call->block[2];
    if (threads < 1 || threads > MOST_THREADS || call->block[2] > 64)
        return WEIR_FAIL(WEIR_ERR_INTERNAL, "kernel '%s' is started with %u x %u x %u threads in a block, which no "
                         "device has", call->name, call->block[0], call->block[1], call->block[2]);
    if (call->grid[0] < 1 || call->grid[0] > 0x7fffffff || call->grid[1] < 1 || call->grid[1] > 65535 ||
        call->grid[2] < 1 || call->grid[2] > 65535)
        return WEIR_FAIL(WEIR_ERR_INTERNAL, "kernel '%s' is started with %u x %u x %u blocks, which no device has",
                         call->name, call->grid[0], call->grid[1], call->grid[2]);
    return WEIR_OK;
}

static weir_status fibers_open(unsigned n)
{
    for (; machine->n_fibers < n; machine->n_fibers++) {
        struct thread *thread = &machine->threads[machine->n_fibers];
        if (!weir_fiber_open(&thread->fiber, STACK_BYTES, threads_run, thread))
            return WEIR_FAIL(WEIR_ERR_NOMEM, "no memory for %u stacks of %d bytes", n, (int)STACK_BYTES);
    }
    return WEIR_OK;
}

static weir_status blocks_run(void)
{
    const unsigned *grid = machine->call->grid;
    uint64_t n = (uint64_t)grid[0] * grid[1] * grid[2];
    for (uint64_t i = 0; i < n; i++) {
        uint64_t at = machine->order == WEIR_EMULATED_DESCENDING ? n - 1 - i : i;
        const struct weir_emulated_index block = {(unsigned)(at % grid[0]), (unsigned)(at / grid[0] % grid[1]),
                                                  (unsigned)(at / grid[0] / grid[1])};
        block_run(&block);
        if (machine->faulty) {
            fibers_close(); /* some stand in the middle of a kernel */
            return WEIR_FAIL(WEIR_ERR_INTERNAL, "kernel '%s', block (%u, %u, %u): %s", machine->call->name, block.x,
                             block.y, block.z, machine->fault);
        }
    }
    return WEIR_OK;
}

weir_status weir_emulated_run(const struct weir_emulated_call *call)
{
    weir_status status = call_check(call);
    if (!status)
        status = machine_open();
    if (status)
        return status;
    machine->call = call;
    machine->faulty = false;
    machine->n_threads = call->block[0] * call->block[1] * call->block[2];
    weir_fiber_init(&machine->main);
    status = fibers_open(machine->n_threads);
    return status ? status : blocks_run();
}

__attribute__((weak)) weir_status weir_emulated_launch(void *stream, const struct weir_emulated_call *call)
{
    (void)stream;
    return weir_emulated_run(call);
}
