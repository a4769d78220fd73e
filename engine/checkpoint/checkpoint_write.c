/* A checkpoint out of tensors that somebody hands over, in one file. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/checkpoint/manifest.h"
#include "engine/checkpoint/part_file.h"
#include "weir_libraries.h"

static weir_status source_read(void *context, int tensor, int64_t first, int64_t most, float *room, const float **values_out,
                               int64_t *n_out)
{
    const struct weir_checkpoint_source *source = &((const struct weir_checkpoint_source *)context)[tensor];
    *values_out = room;
    *n_out = most;
    return source->read(source->context, first, most, room);
}

static weir_status tensors_make(int n, const struct weir_checkpoint_source *sources, struct weir_arena *arena,
                                struct weir_part_tensor **tensors_out)
{
    struct weir_part_tensor *tensors;
    weir_status status = weir_arena_alloc(arena, (size_t)n, sizeof *tensors, &tensors);
    for (int i = 0; i < n && !status; i++) {
        const struct weir_checkpoint_source *s = &sources[i];
        int64_t elements = 1;
        for (int d = 0; d < s->n_dims; d++)
            if (s->dims[d] < 0 || __builtin_mul_overflow(elements, s->dims[d], &elements))
                return WEIR_FAIL(WEIR_ERR_INVALID, "the shape of tensor '%s' makes no sense", s->name);
        tensors[i] = (struct weir_part_tensor){s->name, s->kind, s->n_dims, s->dims, elements, 0, elements};
    }
    if (!status)
        *tensors_out = tensors;
    return status;
}

/* The part's lists are in the order in which they were given; the manifest's are sorted. */
static weir_status files_write(struct weir_part *part, const struct weir_checkpoint_info *about, const void *extra,
                               size_t extra_bytes, struct weir_arena *arena)
{
    struct weir_checkpoint_info written, info = *about;
    const char *text;
    weir_status status = weir_part_write(part, arena, &written);
    if (!status)
        status = weir_manifest_part_print(&written, arena, &text);
    info.folder = part->folder;
    info.version = WEIR_VERSION;
    info.extra = -1;
    info.n_files = info.n_tensors = 0;
    if (!status)
        status = weir_manifest_part_add("part 0", text, arena, &info);
    if (!status && extra)
        status = weir_part_extra_write(part->folder, extra, extra_bytes, arena, &info);
    return status ? status : weir_part_manifest_write(&info, arena);
}

weir_status weir_checkpoint_write(const char *dir, const struct weir_checkpoint_info *about, int n_tensors,
                                  const struct weir_checkpoint_source *sources, const void *extra, size_t extra_bytes)
{
    struct weir_arena arena = {0};
    struct weir_part_tensor *tensors = NULL;
    char message[WEIR_ERROR_MAX];
    struct weir_part part = {.n_tensors = n_tensors, .read = source_read, .context = (void *)(uintptr_t)sources};
    weir_status status = tensors_make(n_tensors, sources, &arena, &tensors);
    if (!status)
        status = weir_part_folder_make(dir, about->step, &arena, &part.folder);
    if (!status) {
        part.tensors = tensors;
        status = files_write(&part, about, extra, extra_bytes, &arena);
        if (status) {
            weir_error_take(message);
            weir_checkpoint_remove(part.folder);
            weir_error_put(message);
        }
    }
    weir_arena_release(&arena);
    return status;
}
