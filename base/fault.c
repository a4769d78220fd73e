#include "base/fault.h"

#ifdef WEIR_FAULTS

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const names[WEIR_FAULT_OPS] = {"alloc", "open", "read",   "write",  "allocate", "truncate", "fsync",
                                                  "close", "link", "rename", "unlink", "mkdir",    "rmdir"};

static const struct {
    const char *name;
    int number;
} reasons[] = {{"EIO", EIO},       {"ENOSPC", ENOSPC}, {"EINTR", EINTR},   {"EMFILE", EMFILE},
               {"EACCES", EACCES}, {"ENOMEM", ENOMEM}, {"EINVAL", EINVAL}, {"short", 0}};

/* What kills instead of failing: numbers behind those of the operations. */
enum { NONE = -1, KILL_CALL = WEIR_FAULT_OPS, KILL_INSTR };

/* Read once, before the first call that counts. */
static struct {
    int op;       /* an operation, or one of the above */
    long number;  /* from 1 */
    bool onwards;
    int reason; /* 0: half of the bytes */
    int log;    /* -1: none */
} plan = {.op = NONE, .log = -1};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static atomic_long counts[WEIR_FAULT_OPS], calls, instrs;

static _Noreturn void refuse(const char *text)
{
    fprintf(stderr, "WEIR_FAULT='%s' is none of base/fault.h\n", text);
    _exit(2);
}

static int reason_of(const char *name, const char *text)
{
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
        if (!strcmp(reasons[i].name, name))
            return reasons[i].number;
    refuse(text);
}

static int op_of(const char *name)
{
    int op = 0;
    while (op < WEIR_FAULT_OPS && strcmp(names[op], name) != 0)
        op++;
    return op < WEIR_FAULT_OPS ? op : NONE;
}

static int kill_of(const char *name)
{
    return !strcmp(name, "call") ? KILL_CALL : !strcmp(name, "instr") ? KILL_INSTR : NONE;
}

static void plan_read(const char *text)
{
    char op[16] = "", reason[16] = "EIO", *end;
    bool kills = !strncmp(text, "kill:", 5);
    const char *rest = text + (kills ? 5 : 0);
    if (sscanf(rest, "%15[a-z]", op) != 1 || rest[strlen(op)] != ':')
        refuse(text);
    plan.number = strtol(rest + strlen(op) + 1, &end, 10);
    plan.onwards = *end == '+';
    end += plan.onwards;
    if (plan.number < 1 || (*end && (*end != ':' || sscanf(end + 1, "%15s", reason) != 1)))
        refuse(text);
    plan.reason = reason_of(reason, text);
    plan.op = kills ? kill_of(op) : op_of(op);
    if (plan.op == NONE)
        refuse(text);
}

static void counts_write(void)
{
    dprintf(plan.log, "allocations %ld\ninstructions %ld\n", atomic_load(&counts[WEIR_FAULT_ALLOC]), atomic_load(&instrs));
}

static void *json_malloc(size_t bytes)
{
    return weir_fault(WEIR_FAULT_ALLOC) ? NULL : malloc(bytes);
}

static void start(void)
{
    const char *text = getenv("WEIR_FAULT"), *log = getenv("WEIR_FAULT_LOG");
    if (text && *text)
        plan_read(text);
    if (log && *log)
        plan.log = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (plan.log >= 0)
        atexit(counts_write);
}

/* jansson's hook counts the first allocation that it makes, so it stands before main. */
__attribute__((constructor)) static void hook(void)
{
    json_set_alloc_funcs(json_malloc, free);
}

static bool is_due(long count)
{
    return plan.onwards ? count >= plan.number : count == plan.number;
}

static void count_or_die(atomic_long *counted, int op)
{
    long count = atomic_fetch_add(counted, 1) + 1;
    if (plan.op == op && is_due(count))
        raise(SIGKILL);
}

void weir_fault_instr(void)
{
    pthread_once(&once, start);
    count_or_die(&instrs, KILL_INSTR);
}

bool weir_fault(enum weir_fault_op op)
{
    pthread_once(&once, start);
    if (op != WEIR_FAULT_ALLOC)
        count_or_die(&calls, KILL_CALL);
    if (!is_due(atomic_fetch_add(&counts[op], 1) + 1) || plan.op != (int)op || !plan.reason)
        return false;
    errno = op == WEIR_FAULT_ALLOC ? ENOMEM : plan.reason;
    return true;
}

bool weir_fault_part(enum weir_fault_op op, size_t *bytes)
{
    if (weir_fault(op))
        return true;
    if (plan.op == (int)op && !plan.reason && is_due(atomic_load(&counts[op])) && *bytes > 1)
        *bytes /= 2;
    return false;
}

/* One write per line: other threads and processes append to the same file. */
long weir_fault_note(enum weir_fault_op op, int fd, const char *path, const char *to, long result)
{
    int kept = errno;
    char number[16] = "";
    if (plan.log < 0)
        return result;
    if (fd >= 0)
        snprintf(number, sizeof number, " %d", fd);
    dprintf(plan.log, "%s%s%s%s%s%s%s%s = %ld\n", names[op], number, path ? " \"" : "", path ? path : "", path ? "\"" : "",
            to ? " \"" : "", to ? to : "", to ? "\"" : "", result);
    errno = kept;
    return result;
}

#else
typedef int weir_fault_has_no_code_here; /* a file of C has at least one declaration */
#endif
