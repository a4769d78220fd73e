#include "engine/run/transfer.h"

#include <string.h>

static bool is_direct(const struct weir_rank *rank)
{
    return weir_build_is_on_host(rank->machine->build);
}

static weir_status mirror_open(struct weir_rank *rank, enum weir_memory_kind kind)
{
    size_t bytes = weir_rank_program(rank)->bytes[kind];
    return bytes ? rank->machine->kind->host_alloc(rank->device, bytes, (void **)(void *)&rank->mirrors[kind]) : WEIR_OK;
}

weir_status weir_transfer_open(struct weir_rank *rank)
{
    if (is_direct(rank))
        return WEIR_OK;
    weir_status status = mirror_open(rank, WEIR_MEMORY_DATA);
    if (!status)
        status = mirror_open(rank, WEIR_MEMORY_STEP);
    if (!status)
        status = rank->machine->kind->host_alloc(rank->device, WEIR_TRANSFER_BYTES, (void **)(void *)&rank->chunk);
    return status;
}

void weir_transfer_close(struct weir_rank *rank)
{
    const struct weir_device_kind *device = rank->machine->kind;
    for (int k = 0; k < WEIR_MEMORY_KINDS; k++)
        if (rank->mirrors[k])
            device->host_free(rank->device, rank->mirrors[k]);
    if (rank->chunk)
        device->host_free(rank->device, rank->chunk);
}

weir_status weir_push(struct weir_rank *rank, enum weir_memory_kind kind, size_t offset, const void *data, size_t bytes)
{
    char *block = rank->blocks[kind] + offset;
    if (is_direct(rank)) {
        memcpy(block, data, bytes);
        return WEIR_OK;
    }
    memcpy(rank->mirrors[kind] + offset, data, bytes);
    return rank->machine->kind->copy(rank->stream, block, rank->mirrors[kind] + offset, bytes);
}

weir_status weir_push_bf16(struct weir_rank *rank, enum weir_memory_kind kind, size_t offset, const float *values, int64_t n)
{
    char *block = rank->blocks[kind] + offset, *host = is_direct(rank) ? block : rank->mirrors[kind] + offset;
    weir_status status = weir_vector_cpu.to_bf16(n, values, host, NULL);
    if (status || is_direct(rank))
        return status;
    return rank->machine->kind->copy(rank->stream, block, host, (size_t)n * weir_dtype_bytes(WEIR_DTYPE_BF16));
}

weir_status weir_pull(struct weir_rank *rank, enum weir_memory_kind kind, size_t offset, size_t bytes)
{
    if (is_direct(rank))
        return WEIR_OK;
    return rank->machine->kind->copy(rank->stream, rank->mirrors[kind] + offset, rank->blocks[kind] + offset, bytes);
}

const void *weir_pulled(const struct weir_rank *rank, enum weir_memory_kind kind, size_t offset)
{
    return (is_direct(rank) ? rank->blocks[kind] : rank->mirrors[kind]) + offset;
}

static weir_status copy_now(struct weir_rank *rank, void *to, const void *from, size_t bytes)
{
    weir_status status = rank->machine->kind->copy(rank->stream, to, from, bytes);
    return status ? status : rank->machine->kind->stream_sync(rank->stream, -1);
}

float *weir_write_room(struct weir_rank *rank, enum weir_memory_kind kind, size_t offset, int64_t *n)
{
    const int64_t most = WEIR_TRANSFER_BYTES / (int64_t)sizeof(float);
    if (is_direct(rank))
        return weir_block_at(rank, kind, offset);
    *n = *n < most ? *n : most;
    return (float *)(void *)rank->chunk;
}

weir_status weir_write(struct weir_rank *rank, enum weir_memory_kind kind, size_t offset, const void *data, size_t bytes)
{
    char *block = rank->blocks[kind] + offset;
    weir_status status = WEIR_OK;
    if (is_direct(rank)) {
        if (data != block)
            memcpy(block, data, bytes);
        return WEIR_OK;
    }
    for (size_t at = 0, n; at < bytes && !status; at += n) {
        n = bytes - at < WEIR_TRANSFER_BYTES ? bytes - at : WEIR_TRANSFER_BYTES;
        memmove(rank->chunk, (const char *)data + at, n);
        status = copy_now(rank, block + at, rank->chunk, n);
    }
    return status;
}

weir_status weir_read(struct weir_rank *rank, enum weir_memory_kind kind, size_t offset, void *data_out, size_t bytes)
{
    const char *block = rank->blocks[kind] + offset;
    weir_status status = WEIR_OK;
    if (is_direct(rank)) {
        memcpy(data_out, block, bytes);
        return WEIR_OK;
    }
    for (size_t at = 0, n; at < bytes && !status; at += n) {
        n = bytes - at < WEIR_TRANSFER_BYTES ? bytes - at : WEIR_TRANSFER_BYTES;
        status = copy_now(rank, rank->chunk, block + at, n);
        if (!status)
            memcpy((char *)data_out + at, rank->chunk, n);
    }
    return status;
}
