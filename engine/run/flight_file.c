#include "engine/run/flight_file.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "engine/program/deps.h"
#include "engine/run/flight_write.h"

enum { ENTRIES = 64, DIGITS = 9 };

/* A record under way. */
struct writer {
    struct weir_runner *runner;
    int64_t now_ns;
};

static uint32_t n_entries(const struct weir_flight *flight)
{
    return atomic_load_explicit(&((struct weir_flight *)(uintptr_t)flight)->n, memory_order_acquire);
}

static const struct weir_run *run_of(const struct writer *writer, const struct weir_flight_entry *entry)
{
    return entry->is_guest ? &writer->runner->guest : &writer->runner->main;
}

static const char *instr_name(const struct writer *writer, int rank, const struct weir_flight_entry *entry)
{
    return weir_run_exec_at(run_of(writer, entry), rank, entry->instr)->name;
}

static json_t *seconds_json(const struct writer *writer, int64_t at_ns)
{
    return at_ns ? json_real((double)(at_ns - writer->now_ns) * 1e-9) : json_null();
}

/* ---- what a rank is at ------------------------------------------------------------------------------------------------- */

enum state { NOT_BEGUN, WAITS, RUNS, BETWEEN };
static const char *const states[] = {"has not begun", "waits", "runs", "is between steps"};

struct doing {
    enum state state;
    struct weir_flight_entry entry; /* of what it waits in or runs; else of the last one */
    int64_t since_ns;
};

/* After an instruction comes the next one of the list, and the rank waits in it already. */
static struct doing doing_of(const struct writer *writer, int rank)
{
    const struct weir_flight *flight = weir_pulse_flight(&writer->runner->world.pulse, rank);
    uint32_t n = n_entries(flight);
    if (!n)
        return (struct doing){.state = NOT_BEGUN};
    struct doing doing = {.entry = weir_flight_entry_read(flight, n - 1)};
    struct weir_flight_entry *entry = &doing.entry;
    const struct weir_program *program = run_of(writer, entry)->program;
    int n_instrs = program->workers[rank % program->n_ranks].n;
    doing.state = !entry->start_ns ? WAITS : !entry->end_ns ? RUNS : entry->instr + 1 < n_instrs ? WAITS : BETWEEN;
    doing.since_ns = entry->end_ns ? entry->end_ns : entry->start_ns ? entry->start_ns : entry->awaits_ns;
    entry->instr += entry->end_ns && doing.state == WAITS;
    return doing;
}

static json_t *waits_json(const struct writer *writer, int r, const struct weir_flight_entry *entry)
{
    const struct weir_run *run = run_of(writer, entry);
    const struct weir_exec *at = weir_run_exec_at(run, r, entry->instr);
    json_t *waits = json_array();
    for (int k = 0; k < at->instr->n_deps; k++) {
        const struct weir_dep *dep = &run->program->deps[at->instr->first_dep + k];
        for (int replica = 0; replica < run->program->n_replicas; replica++) {
            const struct weir_rank *peer = weir_rank_at(&writer->runner->machine, replica, dep->from_rank);
            const struct weir_exec *from = &run->execs[peer->number][dep->from_instr];
            if ((replica == at->rank->replica) != (dep->replicas == WEIR_DEP_OWN) ||
                weir_flight_has_ended(weir_pulse_flight(&writer->runner->world.pulse, peer->worker), from->position,
                                      entry->is_guest, entry->step))
                continue;
            json_array_append_new(waits, json_pack("{s:i, s:o, s:s}", "rank", peer->worker, "instruction",
                                                   weir_json_utf8(from->name), "why", weir_dep_why_str(dep->why)));
        }
    }
    return waits;
}

static json_t *entries_json(const struct writer *writer, int rank)
{
    const struct weir_flight *flight = weir_pulse_flight(&writer->runner->world.pulse, rank);
    uint32_t n = n_entries(flight), first = n > ENTRIES ? n - ENTRIES : 0;
    json_t *entries = json_array();
    for (uint32_t k = first; k < n; k++) {
        const struct weir_flight_entry entry = weir_flight_entry_read(flight, k);
        json_array_append_new(entries, json_pack("{s:o, s:I, s:b, s:o, s:o, s:o}", "instruction",
                                                 weir_json_utf8(instr_name(writer, rank, &entry)), "step",
                                                 (json_int_t)entry.step + 1, "evaluates", (int)entry.is_guest, "awaits_s",
                                                 seconds_json(writer, entry.awaits_ns), "start_s",
                                                 seconds_json(writer, entry.start_ns), "end_s",
                                                 seconds_json(writer, entry.end_ns)));
    }
    return entries;
}

static json_t *rank_json(const struct writer *writer, int r)
{
    const struct weir_flight *flight = weir_pulse_flight(&writer->runner->world.pulse, r);
    struct doing doing = doing_of(writer, r);
    json_t *rank = json_pack("{s:i, s:i, s:o, s:s}", "rank", r, "process", (int)flight->pid, "host",
                             weir_json_utf8(flight->host), "state", states[doing.state]);
    if (doing.state != NOT_BEGUN) {
        json_object_set_new(rank, "instruction", weir_json_utf8(instr_name(writer, r, &doing.entry)));
        json_object_set_new(rank, "step", json_integer((json_int_t)doing.entry.step + 1));
        json_object_set_new(rank, "for_s", json_real((double)(writer->now_ns - doing.since_ns) * 1e-9));
    }
    if (doing.state == WAITS)
        json_object_set_new(rank, "waits", waits_json(writer, r, &doing.entry));
    json_object_set_new(rank, "entries", entries_json(writer, r));
    return rank;
}

/* ---- writing ----------------------------------------------------------------------------------------------------------- */

void weir_flight_path(const struct weir_runner *runner, char *path, size_t room)
{
    const char *given = runner->flight.path, *dot = strrchr(given, '.');
    int host = runner->world.info ? runner->world.info->host : 0;
    if (host && dot && !strchr(dot, '/'))
        snprintf(path, room, "%.*s.h%d%s", (int)(dot - given), given, host, dot);
    else
        snprintf(path, room, "%s", given);
}

static weir_status record_write(struct weir_runner *runner, const char *why)
{
    struct writer writer = {runner, weir_clock_ns()};
    struct weir_text text = {0};
    char path[4096];
    json_t *root = json_pack("{s:i, s:o}", "weir_flight", 1, "why", weir_json_utf8(why)), *ranks = json_array();
    for (int r = 0; r < runner->machine.n_workers; r++)
        if (weir_pulse_flight(&runner->world.pulse, r)) /* of this host, or heard of */
            json_array_append_new(ranks, rank_json(&writer, r));
    json_object_set_new(root, "ranks", ranks);
    weir_json_append(&text, root, DIGITS);
    weir_flight_path(runner, path, sizeof path);
    return weir_flight_write(path, &text);
}

static bool has_names(const struct weir_runner *runner)
{
    return atomic_load_explicit(&((struct weir_runner *)(uintptr_t)runner)->world.pulse.describe_context, memory_order_acquire);
}

/* Before the first step there is nothing to tell. */
static bool has_begun(const struct weir_runner *runner)
{
    bool begun = false;
    for (int r = 0; r < runner->machine.n_workers; r++)
        begun |= runner->world.pulse.flights[r] && n_entries(runner->world.pulse.flights[r]);
    return begun;
}

/* The first rank of this host; its flight says who writes. */
static int first_of_host(const struct weir_runner *runner)
{
    int r = 0;
    while (!runner->world.pulse.flights[r])
        r++;
    return r;
}

static void wanted_write(void *context)
{
    struct weir_runner *runner = context;
    char path[4096];
    struct weir_flight *first = runner->world.pulse.flights[first_of_host(runner)];
    if (first_of_host(runner) != runner->world.first_here) {
        atomic_fetch_add(&first->n_asked, 1); /* whose process writes */
        return;
    }
    if (!has_names(runner) || !runner->flight.path || atomic_load(&first->is_recorded)) /* the one of the failure stays */
        return;
    weir_flight_path(runner, path, sizeof path);
    if (record_write(runner, "it was asked for"))
        weir_log(WEIR_LOG_WARN, "no flight record: %s", weir_last_error());
    else
        weir_log(WEIR_LOG_WARN, "what every rank does is in '%s'", path);
}

void weir_flight_to(struct weir_runner *runner, const char *path, const volatile int *wanted)
{
    runner->flight.path = path;
    weir_pulse_wanted(&runner->world.pulse, wanted, wanted_write, runner);
}

/* What ranks were at explains these; a bad file or option explains itself. */
static bool is_explained(weir_status status)
{
    return status == WEIR_ERR_PEER || status == WEIR_ERR_TIMEOUT || status == WEIR_ERR_DEVICE || status == WEIR_ERR_INTERNAL;
}

void weir_flight_failed(struct weir_runner *runner, weir_status status)
{
    char message[WEIR_ERROR_MAX], words[WEIR_ERROR_MAX];
    uint32_t none = 0;
    if (!runner->flight.path || !is_explained(status) || !has_names(runner) || !has_begun(runner))
        return;
    struct weir_flight *first = runner->world.pulse.flights[first_of_host(runner)];
    if (!atomic_compare_exchange_strong(&first->is_recorded, &none, 1))
        return;
    snprintf(words, sizeof words, "%s", weir_last_error());
    weir_error_take(message);
    if (record_write(runner, words))
        weir_log(WEIR_LOG_WARN, "no flight record: %s", weir_last_error());
    else
        runner->flight.is_written = true;
    weir_error_put(message);
}

void weir_flight_again(struct weir_runner *runner)
{
    runner->flight.is_written = false;
    atomic_store(&runner->world.pulse.flights[first_of_host(runner)]->is_recorded, 0);
}
