/* The program as text: memory table and instruction lists. */
#include <stdio.h>
#include <string.h>

#include "engine/program/deps.h"
#include "engine/program/program.h"

void weir_program_dump_memory(const struct weir_program *program, FILE *out)
{
    fprintf(out, "# rank kind offset bytes lifetime name\n");
    for (int i = 0; i < program->n_rows; i++) {
        const struct weir_memory_row *row = &program->rows[i];
        fprintf(out, "%d %-14s %12zu %12zu ", row->rank, weir_memory_kind_str(row->kind), row->offset, row->bytes);
        if (row->last < row->first)
            fprintf(out, "%-11s", "run");
        else
            fprintf(out, "%5d-%-5d", row->first, row->last);
        fprintf(out, " %s\n", row->name);
    }
    fprintf(out, "# totals per rank in bytes\n");
    for (int r = 0; r < program->n_ranks; r++) {
        fprintf(out, "rank %d:", r);
        for (int k = 0; k < WEIR_MEMORY_KINDS; k++)
            fprintf(out, " %s %zu,", weir_memory_kind_str((enum weir_memory_kind)k), program->ranks[r].bytes[k]);
        fprintf(out, " all %zu\n", weir_program_rank_bytes(program, r));
    }
}

/* ---- what an instruction comes after and before -------------------------------------------------------------------- */

/* Dependencies that differ in the rank of their other end only are printed as one: "update of rank 0,1,3 (norm)". */
struct group {
    FILE *out;
    const char *word; /* before the first */
    char name[WEIR_ACTION_TEXT];
    const struct weir_dep *dep; /* the last one printed, NULL: none */
};

static void group_end(struct group *group)
{
    if (group->dep)
        fprintf(group->out, "%s (%s)", group->dep->replicas == WEIR_DEP_OTHERS ? " of the other replicas" : "",
                weir_dep_why_str(group->dep->why));
}

static void group_add(struct group *group, const struct weir_dep *dep, const char *name, int rank)
{
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
static void awaited_print(const struct weir_program *program, const struct weir_instr *instr, FILE *out)
{
    struct group group = {.out = out, .word = "  after "};
    char name[WEIR_ACTION_TEXT];
    for (int replicas = WEIR_DEP_OWN; replicas <= WEIR_DEP_OTHERS; replicas++)
        for (int k = 0; k < instr->n_deps; k++) {
            const struct weir_dep *dep = &program->deps[instr->first_dep + k];
            const struct weir_instr *from = &program->ranks[dep->from_rank].instrs[dep->from_instr];
            if ((int)dep->replicas == replicas)
                group_add(&group, dep, weir_instr_str(program, from, name), dep->from_rank);
        }
    group_end(&group);
}

static void leaving_print(const struct weir_program *program, const struct weir_instr *instr, FILE *out)
{
    struct group group = {.out = out, .word = "  before "};
    char name[WEIR_ACTION_TEXT];
    for (int replicas = WEIR_DEP_OWN; replicas <= WEIR_DEP_OTHERS; replicas++)
        for (int k = 0; k < instr->n_leaving; k++) {
            const struct weir_dep *dep = weir_dep_leaving(program, instr, k);
            const struct weir_instr *to = &program->ranks[dep->to_rank].instrs[dep->to_instr];
            if ((int)dep->replicas == replicas)
                group_add(&group, dep, weir_instr_str(program, to, name), dep->to_rank);
        }
    group_end(&group);
}

void weir_program_dump(const struct weir_program *program, FILE *out)
{
    char text[WEIR_ACTION_TEXT];
    for (int r = 0; r < program->n_ranks; r++) {
        fprintf(out, "# rank %d: instruction, kernel calls, what it comes after and before on other ranks (why)\n", r);
        for (int i = 0; i < program->ranks[r].n_instrs; i++) {
            const struct weir_instr *instr = &program->ranks[r].instrs[i];
            fprintf(out, "%d %4d  %-18s calls %3d", r, i, weir_instr_str(program, instr, text), instr->n_calls);
            awaited_print(program, instr, out);
            leaving_print(program, instr, out);
            fprintf(out, "\n");
        }
    }
}
