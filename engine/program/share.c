/* Sharing: a forward-only program of the same graph, partition and slots runs between the steps of another, in its memory.
 *
 * PARAMS and DATA are laid out alike by both.  SLOTS too, because both have the same number of slots; the forward-only
 * program frees them sooner.  It keeps nothing for a backward, and its SCRATCH lies where the other has ACTIVATIONS, which
 * are dead between steps. */
#include <assert.h>
#include <string.h>

#include "engine/program/program.h"

static weir_status rows_extend(struct weir_program *program, const struct weir_program *guest, struct weir_arena *arena)
{
    struct weir_memory_row *rows;
    size_t room = (size_t)program->n_rows + (size_t)program->n_ranks;
    weir_status status = weir_arena_alloc(arena, room, sizeof *rows, &rows);
    if (status)
        return status;
    memcpy(rows, program->rows, sizeof *rows * (size_t)program->n_rows);
    program->rows = rows;
    for (int r = 0; r < program->n_ranks; r++) {
        size_t bytes = guest->ranks[r].bytes[WEIR_MEMORY_SCRATCH];
        if (bytes)
            rows[program->n_rows++] = (struct weir_memory_row){
                r, WEIR_MEMORY_ACTIVATIONS, "evaluation, between steps: largest action", 0, bytes, 0, -1};
    }
    return WEIR_OK;
}

weir_status weir_program_share(struct weir_program *program, const struct weir_program *guest, struct weir_arena *arena)
{
    for (int r = 0; r < program->n_ranks; r++) {
        size_t *bytes = program->ranks[r].bytes;
        const size_t *wanted = guest->ranks[r].bytes;
        assert(bytes[WEIR_MEMORY_PARAMS] == wanted[WEIR_MEMORY_PARAMS]);
        assert(bytes[WEIR_MEMORY_DATA] == wanted[WEIR_MEMORY_DATA]);
        assert(bytes[WEIR_MEMORY_SLOTS] == wanted[WEIR_MEMORY_SLOTS]);
        assert(!wanted[WEIR_MEMORY_ACTIVATIONS]);
        if (bytes[WEIR_MEMORY_ACTIVATIONS] < wanted[WEIR_MEMORY_SCRATCH])
            bytes[WEIR_MEMORY_ACTIVATIONS] = wanted[WEIR_MEMORY_SCRATCH];
    }
    return rows_extend(program, guest, arena);
}
