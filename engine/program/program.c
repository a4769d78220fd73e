/* Questions to a program. */
#include "engine/program/deps.h"
#include "engine/program/program.h"

size_t weir_program_rank_bytes(const struct weir_program *program, int rank)
{
    size_t bytes = 0;
    for (int k = 0; k < WEIR_MEMORY_KINDS; k++)
        bytes += program->ranks[rank].bytes[k];
    return bytes;
}

size_t weir_program_packed_bytes(const struct weir_program *program)
{
    size_t bytes = 0;
    for (int r = 0; r < program->n_ranks; r++)
        bytes += program->ranks[r].bytes[WEIR_MEMORY_PACKED];
    return bytes;
}

size_t weir_program_worker_block(const struct weir_program *program, int worker, enum weir_memory_kind kind)
{
    size_t bytes = 0;
    for (int copy = 0; copy < program->n_copies; copy++) {
        size_t own = program->ranks[weir_program_worker(program, copy, worker)].bytes[kind];
        bytes = !weir_memory_is_workers(kind) ? bytes + own : own > bytes ? own : bytes;
    }
    return bytes;
}

size_t weir_program_worker_bytes(const struct weir_program *program, int worker)
{
    size_t bytes = 0;
    for (int k = 0; k < WEIR_MEMORY_KINDS; k++)
        bytes += weir_program_worker_block(program, worker, (enum weir_memory_kind)k);
    return bytes;
}

weir_status weir_program_boundaries(const struct weir_program *program, struct weir_arena *arena,
                                    const struct weir_schedule_boundary **boundaries_out, int *n_out)
{
    struct weir_schedule_boundary *list;
    weir_status status = weir_arena_alloc(arena, (size_t)program->n_boundaries, sizeof *list, &list);
    if (status)
        return status;
    for (int b = 0; b < program->n_boundaries; b++)
        list[b] = (struct weir_schedule_boundary){program->boundaries[b].from, program->boundaries[b].to};
    *boundaries_out = list;
    *n_out = program->n_boundaries;
    return WEIR_OK;
}

const char *weir_memory_kind_str(enum weir_memory_kind kind)
{
    static const char *const names[] = {"params",      "param copies",   "grads",   "optimizer", "activations",
                                        "input slots", "gradient slots", "scratch", "data",      "step",  "cache",     "packed weights"};
    return kind < WEIR_MEMORY_KINDS ? names[kind] : "unknown";
}

static const char *part_str(const struct weir_instr *instr, int n_calls)
{
    if (instr->n_calls == n_calls)
        return "";
    return !instr->first_call ? " (start)" : instr->first_call + instr->n_calls == n_calls ? " (end)" : " (part)";
}

const char *weir_instr_str(const struct weir_program *program, const struct weir_instr *instr, int copy, char *text)
{
    static const char *const words[] = {"", "tied gradients", "reduce", "gather", "gradient norm", "update",
                                        "gather parameters", "tied parameters"};
    static const char types[] = "FIWB";
    if (instr->kind == WEIR_INSTR_ACTION) {
        const struct weir_call_list *list = &program->stages[instr->stage].lists[instr->list];
        snprintf(text, WEIR_ACTION_TEXT, "%d%c%d%s", instr->stage, types[instr->list],
                 copy * program->n_microbatches + instr->mb, part_str(instr, list->n_calls));
    } else if (instr->bucket >= 0) {
        snprintf(text, WEIR_ACTION_TEXT, "%s %d", words[instr->kind], instr->bucket);
    } else {
        snprintf(text, WEIR_ACTION_TEXT, "%s", words[instr->kind]);
    }
    return text;
}

const char *weir_dep_why_str(enum weir_dep_why why)
{
    static const char *const words[] = {"input",  "gradient", "input slot", "gradient slot", "tied gradient",
                                        "bucket", "sum",      "norm",       "update",        "tied parameter"};
    return why < WEIR_DEP_WHYS ? words[why] : "unknown";
}
