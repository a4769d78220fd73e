/* Sharing: a forward-only program runs between the steps of another, in its memory.
 *
 * Of two programs over the same graph, partition and sequences PARAMS, COPIES and CACHE are laid out alike.  All other
 * blocks, and CACHE where sequences are cut into slices, hold nothing from one step to the next, so the guest takes what is there and what it lacks is added.  Where the
 * program keeps activations for a backward, the guest, which keeps none, has its SCRATCH in their place. */
#include <assert.h>
#include <string.h>

#include "engine/program/program.h"

static bool has_activations(const struct weir_program *program)
{
    for (int r = 0; r < program->n_ranks; r++)
        if (program->ranks[r].bytes[WEIR_MEMORY_ACTIVATIONS])
            return true;
    return false;
}

/* Lines for the guest's memory; those of PARAMS and CACHE stand there already. */
static weir_status rows_extend(struct weir_program *program, const struct weir_program *guest, const char *name,
                               enum weir_memory_kind scratch, struct weir_arena *arena)
{
    static const enum weir_memory_kind kinds[] = {WEIR_MEMORY_SLOTS, WEIR_MEMORY_SCRATCH, WEIR_MEMORY_DATA};
    enum { KINDS = sizeof kinds / sizeof kinds[0] };
    struct weir_memory_row *rows;
    size_t room = (size_t)program->n_rows + (size_t)program->n_ranks * KINDS;
    weir_status status = weir_arena_alloc(arena, room, sizeof *rows, &rows);
    if (status)
        return status;
    memcpy(rows, program->rows, sizeof *rows * (size_t)program->n_rows);
    program->rows = rows;
    for (int r = 0; r < program->n_ranks; r++)
        for (int k = 0; k < KINDS; k++) {
            enum weir_memory_kind kind = kinds[k] == WEIR_MEMORY_SCRATCH ? scratch : kinds[k];
            if (guest->ranks[r].bytes[kinds[k]])
                rows[program->n_rows++] =
                    (struct weir_memory_row){r, kind, name, 0, guest->ranks[r].bytes[kinds[k]], 0, -1};
        }
    return WEIR_OK;
}

weir_status weir_program_share(struct weir_program *program, const struct weir_program *guest, const char *name,
                               struct weir_arena *arena, enum weir_memory_kind *scratch_out)
{
    enum weir_memory_kind scratch = has_activations(program) ? WEIR_MEMORY_ACTIVATIONS : WEIR_MEMORY_SCRATCH;
    for (int r = 0; r < program->n_ranks; r++) {
        size_t *bytes = program->ranks[r].bytes;
        const size_t *wanted = guest->ranks[r].bytes;
        assert(bytes[WEIR_MEMORY_PARAMS] == wanted[WEIR_MEMORY_PARAMS]);
        assert(bytes[WEIR_MEMORY_COPIES] == wanted[WEIR_MEMORY_COPIES]);
        assert(program->n_slices > 1 || bytes[WEIR_MEMORY_CACHE] == wanted[WEIR_MEMORY_CACHE]);
        assert(!wanted[WEIR_MEMORY_ACTIVATIONS]);
        for (int k = 0; k < WEIR_MEMORY_KINDS; k++) {
            int at = k == WEIR_MEMORY_SCRATCH ? (int)scratch : k;
            bytes[at] = bytes[at] < wanted[k] ? wanted[k] : bytes[at];
        }
    }
    *scratch_out = scratch;
    return rows_extend(program, guest, name, scratch, arena);
}
