/* The program as text: memory table and instruction lists. */
#include <stdio.h>

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

void weir_program_dump(const struct weir_program *program, FILE *out)
{
    char text[WEIR_ACTION_TEXT];
    for (int r = 0; r < program->n_ranks; r++) {
        fprintf(out, "# rank %d: instruction, kernel calls, awaited events, signalled event\n", r);
        for (int i = 0; i < program->ranks[r].n_instrs; i++) {
            const struct weir_instr *instr = &program->ranks[r].instrs[i];
            fprintf(out, "%d %4d  %-18s calls %3d", r, i, weir_instr_str(program, instr, text), instr->n_calls);
            for (int k = 0; k < instr->n_waits; k++)
                fprintf(out, "%s%d", k ? "," : "  waits ", instr->waits[k]);
            for (int k = 0; k < instr->n_peer_waits; k++)
                fprintf(out, "%s%d", k ? "," : "  waits of the other replicas ", instr->peer_waits[k]);
            if (instr->signal >= 0)
                fprintf(out, "  signals %d", instr->signal);
            fprintf(out, "\n");
        }
    }
}
