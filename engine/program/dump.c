/* The program as text: memory table and instruction lists. */
#include <stdio.h>
#include <string.h>

#include "base/text_stream.h"
#include "engine/program/deps.h"
#include "engine/program/program.h"

static void row_dump(const struct weir_program *program, const struct weir_memory_row *row, int copy, FILE *out)
{
    int worker = weir_program_worker(program, copy, row->rank);
    fprintf(out, "%d %-14s %12zu %12zu ", worker, weir_memory_kind_str(row->kind), row->offset, row->bytes);
    if (row->last < row->first)
        fprintf(out, "%-11s", "run");
    else
        fprintf(out, "%5d-%-5d", row->first, row->last);
    if (program->n_copies > 1)
        fprintf(out, " copy %d:", copy);
    fprintf(out, " %s\n", row->name);
}

void weir_program_dump_memory(const struct weir_program *program, FILE *out)
{
    fprintf(out, "# rank kind offset bytes lifetime name\n");
    for (int copy = 0; copy < program->n_copies; copy++)
        for (int i = 0; i < program->n_rows; i++)
            row_dump(program, &program->rows[i], copy, out);
    fprintf(out, "# totals per rank in bytes\n");
    for (int w = 0; w < program->n_ranks; w++) {
        fprintf(out, "rank %d:", w);
        for (int k = 0; k < WEIR_MEMORY_KINDS; k++)
            fprintf(out, " %s %zu,", weir_memory_kind_str((enum weir_memory_kind)k),
                    weir_program_worker_block(program, w, (enum weir_memory_kind)k));
        fprintf(out, " all %zu\n", weir_program_worker_bytes(program, w));
    }
}

/* With two copies of the weights a rank has most instructions without a micro-batch twice. */
static const char *name_of(const struct weir_program *program, const struct weir_instr *instr, int copy, char *text)
{
    weir_instr_str(program, instr, copy, text);
    size_t n = strlen(text);
    if (program->n_copies > 1 && instr->kind != WEIR_INSTR_ACTION)
        snprintf(text + n, WEIR_ACTION_TEXT - n, " of copy %d", copy);
    return text;
}

/* ---- what an instruction comes after and before -------------------------------------------------------------------- */

/* Dependencies that differ in the rank of their other end only are printed as one: "update of rank 0,1,3 (norm)". */
struct group {
    const struct weir_program *program;
    int copy; /* of the weights: the instruction's */
    FILE *out;
    const char *word; /* before the first */
    char name[WEIR_ACTION_TEXT];
    const struct weir_dep *dep; /* the last one printed, NULL: none */
};

static void group_end(struct group *group)
{
    const struct weir_program *program = group->program;
    bool several = program->n_replicas > program->n_copies;
    const char *others = program->n_copies == 1 ? " of the other replicas" : several ? " and of the other replicas" : "";
    if (group->dep)
        fprintf(group->out, "%s (%s)", group->dep->replicas == WEIR_DEP_OTHERS ? others : "",
                weir_dep_why_str(group->dep->why));
}

/* The copy of the weights whose instruction is at the other end: of others the one that is named is that of the same replica. */
static int other_copy(const struct group *group, const struct weir_dep *dep)
{
    return dep->replicas == WEIR_DEP_OTHERS && group->program->n_copies > 1 ? 1 - group->copy : group->copy;
}

static void group_add(struct group *group, const struct weir_dep *dep, int other_rank, const struct weir_instr *other)
{
    char name[WEIR_ACTION_TEXT];
    int copy = other_copy(group, dep), rank = weir_program_worker(group->program, copy, other_rank);
    name_of(group->program, other, copy, name);
    bool same = group->dep && group->dep->why == dep->why && group->dep->replicas == dep->replicas &&
                !strcmp(group->name, name);
    if (!same) {
        group_end(group);
        fprintf(group->out, "%s%s of rank %d", group->dep ? ", " : group->word, name, rank);
    } else {
        fprintf(group->out, ",%d", rank);
    }
    strcpy(group->name, name);
    group->dep = dep;
}

/* Those of the own replica first. */
static void awaited_print(const struct weir_program *program, const struct weir_instr *instr, int copy, FILE *out)
{
    struct group group = {.program = program, .copy = copy, .out = out, .word = "  after "};
    for (int replicas = WEIR_DEP_OWN; replicas <= WEIR_DEP_OTHERS; replicas++)
        for (int k = 0; k < instr->n_deps; k++) {
            const struct weir_dep *dep = &program->deps[instr->first_dep + k];
            const struct weir_instr *from = &program->ranks[dep->from_rank].instrs[dep->from_instr];
            if ((int)dep->replicas == replicas)
                group_add(&group, dep, dep->from_rank, from);
        }
    group_end(&group);
}

static void leaving_print(const struct weir_program *program, const struct weir_instr *instr, int copy, FILE *out)
{
    struct group group = {.program = program, .copy = copy, .out = out, .word = "  before "};
    for (int replicas = WEIR_DEP_OWN; replicas <= WEIR_DEP_OTHERS; replicas++)
        for (int k = 0; k < instr->n_leaving; k++) {
            const struct weir_dep *dep = weir_dep_leaving(program, instr, k);
            const struct weir_instr *to = &program->ranks[dep->to_rank].instrs[dep->to_instr];
            if ((int)dep->replicas == replicas)
                group_add(&group, dep, dep->to_rank, to);
        }
    group_end(&group);
}

void weir_program_dump(const struct weir_program *program, FILE *out)
{
    char text[WEIR_ACTION_TEXT];
    for (int w = 0; w < program->n_ranks; w++) {
        fprintf(out, "# rank %d: instruction, kernel calls, what it comes after and before on other ranks (why)\n", w);
        for (int i = 0; i < program->workers[w].n; i++) {
            const struct weir_order_entry *entry = &program->workers[w].entries[i];
            const struct weir_instr *instr = &program->ranks[entry->rank].instrs[entry->instr];
            fprintf(out, "%d %4d  %-18s calls %3d", w, i, name_of(program, instr, entry->copy, text), instr->n_calls);
            awaited_print(program, instr, entry->copy, out);
            leaving_print(program, instr, entry->copy, out);
            fprintf(out, "\n");
        }
    }
}

weir_status weir_program_say(const struct weir_program *program, weir_text_fn say, void *context)
{
    struct weir_text_stream stream;
    weir_status status = weir_text_stream_open(&stream);
    if (status)
        return status;
    weir_program_dump(program, stream.out);
    return weir_text_stream_close(&stream, say, context);
}
