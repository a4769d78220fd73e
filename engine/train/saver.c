/* Writing checkpoints of an engine, by all processes together.
 *
 *     IDLE ── save ──▶ PARTS ── all parts are on the disk ──▶ MANIFEST ── it is too ──▶ IDLE
 *
 * save       process 0 makes the folder.  In the background: every process copies what it writes (runner_state.h) between two
 *            steps and starts a writer thread; else it writes out of the blocks, here and now.
 * PARTS      the writer writes the part, process 0's the program's own bytes.
 * MANIFEST   process 0 has got what the others wrote, as text; its writer writes the manifest and then removes old checkpoints.
 *
 * Processes move on together, in poll and wait.  When one has failed the others hear of it there, process 0 removes what was
 * begun, unless its manifest is on the disk, and all are IDLE.
 *
 * Threads: the writer has a lower priority than the ranks'.  It touches `job` alone, and only between its start and its join; nothing that the steps use. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>

#include "base/alloc.h"
#include "base/log.h"
#include "engine/checkpoint/manifest.h"
#include "engine/checkpoint/runner_state.h"
#include "engine/train/saver.h"
#include "weir_libraries.h"

enum phase { IDLE, PARTS, MANIFEST };

/* What is being written. */
struct job {
    struct weir_arena arena;
    const char *dir;
    bool leads; /* process 0 */
    struct weir_part part;
    struct weir_checkpoint_info written; /* of this process; process 0: in MANIFEST of all */
    const void *extra;
    size_t extra_bytes;
    int keep;
    bool keep_best;
    weir_status status;
    char message[WEIR_ERROR_MAX];
};

struct weir_saver {
    struct weir_runner *runner;
    struct weir_arena arena; /* of the spans */
    struct weir_spans spans;
    char *snapshot;          /* [spans.bytes]; NULL: nothing was saved in the background */
    enum phase phase;
    bool background;
    struct job job;
    weir_status (*work)(struct job *job);
    pthread_t thread;
    _Atomic bool ended; /* the work is done; the thread is still to be joined */
    bool joinable;
    int32_t *notes;     /* [n_processes]: of all_ended() */
};

static const struct weir_world *world_of(const struct weir_saver *saver)
{
    return &saver->runner->world;
}

static int process_of(const struct weir_saver *saver, int *n_out)
{
    const struct weir_transport_info *info = world_of(saver)->info;
    *n_out = info ? info->n_ranks : 1;
    return info ? info->rank : 0;
}

/* ---- work ---------------------------------------------------------------------------------------------------------- */

static weir_status parts_work(struct job *job)
{
    struct weir_checkpoint_info part = {0};
    weir_status status = job->part.n_tensors ? weir_part_write(&job->part, &job->arena, &part) : WEIR_OK;
    job->written.folder = job->part.folder;
    job->written.files = part.files;
    job->written.n_files = part.n_files;
    job->written.tensors = part.tensors;
    job->written.n_tensors = part.n_tensors;
    if (!status && job->leads && job->extra)
        status = weir_part_extra_write(job->part.folder, job->extra, job->extra_bytes, &job->arena, &job->written);
    return status;
}

/* That an old one could not be removed is no failure of the new one. */
static weir_status manifest_work(struct job *job)
{
    weir_status status = weir_part_manifest_write(&job->written, &job->arena);
    if (!status && weir_checkpoint_prune(job->dir, job->written.step, job->keep, job->keep_best))
        weir_log(WEIR_LOG_WARN, "old checkpoints stay: %s", weir_last_error());
    return status;
}

static void work_do(struct weir_saver *saver)
{
    struct job *job = &saver->job;
    job->status = saver->work(job);
    if (job->status)
        weir_error_take(job->message);
    atomic_store(&saver->ended, true);
}

enum { LESS_URGENT = 19 };

/* Where every core has a rank that computes, writing takes 1/69 of one at most, and all of one while the ranks wait for it.  The
 * number is the thread's own, whatever POSIX says. */
static void priority_lower(void)
{
    errno = 0;
    int now = getpriority(PRIO_PROCESS, 0);
    if (!errno)
        (void)setpriority(PRIO_PROCESS, 0, now + LESS_URGENT);
}

static void *thread_run(void *argument)
{
    priority_lower();
    work_do(argument);
    return NULL;
}

/* A writer for which there is no thread writes here. */
static void work_start(struct weir_saver *saver, enum phase phase, weir_status (*work)(struct job *job))
{
    saver->phase = phase;
    saver->work = work;
    atomic_store(&saver->ended, false);
    saver->joinable = saver->background && pthread_create(&saver->thread, NULL, thread_run, saver) == 0;
    if (!saver->joinable)
        work_do(saver);
}

static void work_join(struct weir_saver *saver)
{
    if (saver->joinable)
        pthread_join(saver->thread, NULL);
    saver->joinable = false;
}

/* The job's status, with its message as this thread's. */
static weir_status work_status(struct weir_saver *saver)
{
    work_join(saver);
    if (saver->job.status)
        weir_error_put(saver->job.message);
    return saver->job.status;
}

/* ---- parts come together -------------------------------------------------------------------------------------------- */

/* Process `from` has `text`; all get it, in the job's arena. */
static weir_status text_share(struct weir_saver *saver, int from, const char **text)
{
    const struct weir_world *world = world_of(saver);
    int n_processes;
    bool mine = process_of(saver, &n_processes) == from;
    uint64_t bytes = mine ? strlen(*text) + 1 : 0;
    char *copy = (char *)(uintptr_t)*text;
    weir_status status = world->transport->broadcast(world->handle, from, &bytes, sizeof bytes);
    if (!status && !mine)
        status = weir_arena_alloc(&saver->job.arena, bytes, 1, &copy);
    status = status ? status : world->transport->broadcast(world->handle, from, copy, bytes);
    *text = copy;
    return status;
}

/* Every process writes what it wrote as text; what all of them wrote is process 0's. */
static weir_status parts_gather(struct weir_saver *saver)
{
    struct job *job = &saver->job;
    struct weir_checkpoint_info all = job->written;
    const char *mine;
    int n = 1, me = process_of(saver, &n), extra = job->written.extra;
    all.n_files = all.n_tensors = 0;
    weir_status status = weir_world_agree(world_of(saver), weir_manifest_part_print(&job->written, &job->arena, &mine));
    for (int process = 0; process < n && !status; process++) {
        const char *text = mine;
        if (n > 1)
            status = text_share(saver, process, &text);
        if (!status && me == 0)
            status = weir_manifest_part_add("a part", text, &job->arena, &all);
    }
    all.extra = extra; /* process 0's files come first */
    job->written = all;
    return weir_world_agree(world_of(saver), status);
}

static void job_end(struct weir_saver *saver)
{
    saver->phase = IDLE;
    weir_arena_release(&saver->job.arena);
    saver->job = (struct job){0};
}

/* What was begun goes; without a manifest it is no checkpoint anyway.  With one it is whole, and older ones are gone for it: it stays,
 * even if the others have not come to hear of it. */
static weir_status job_fail(struct weir_saver *saver, weir_status status)
{
    char message[WEIR_ERROR_MAX];
    bool is_whole = saver->phase == MANIFEST && !saver->job.status;
    weir_error_take(message);
    if (saver->job.leads && !is_whole && saver->job.part.folder && weir_checkpoint_remove(saver->job.part.folder))
        weir_log(WEIR_LOG_WARN, "%s", weir_last_error());
    job_end(saver);
    weir_error_put(message);
    return status;
}

/* The work of this phase is done, by all. */
static weir_status phase_end(struct weir_saver *saver)
{
    weir_status status = weir_world_agree(world_of(saver), work_status(saver));
    if (status)
        return job_fail(saver, status);
    if (saver->phase == MANIFEST) {
        job_end(saver);
        return WEIR_OK;
    }
    status = parts_gather(saver);
    if (status)
        return job_fail(saver, status);
    if (saver->job.leads)
        work_start(saver, MANIFEST, manifest_work);
    saver->phase = MANIFEST;
    return WEIR_OK;
}

static weir_status all_ended(struct weir_saver *saver, bool *ended_out)
{
    int n;
    int32_t mine = atomic_load(&saver->ended);
    process_of(saver, &n);
    *ended_out = mine;
    weir_status status = weir_world_exchange(world_of(saver), &mine, sizeof mine, saver->notes);
    for (int i = 0; i < n && !status && n > 1; i++)
        *ended_out = *ended_out && saver->notes[i];
    return status;
}

/* ---- beginning ------------------------------------------------------------------------------------------------------ */

weir_status weir_saver_open(struct weir_runner *runner, struct weir_saver **saver_out)
{
    struct weir_saver *saver;
    int n;
    weir_status status = weir_alloc(1, sizeof *saver, &saver);
    if (status)
        return status;
    saver->runner = runner;
    process_of(saver, &n);
    status = weir_runner_spans(runner, &saver->arena, &saver->spans);
    if (!status)
        status = weir_arena_alloc(&saver->arena, (size_t)n, sizeof *saver->notes, &saver->notes);
    if (!status && runner->build.config.snapshots)
        status = weir_alloc(saver->spans.bytes, 1, &saver->snapshot);
    if (status)
        weir_saver_close(saver);
    else
        *saver_out = saver;
    return status;
}

void weir_saver_close(struct weir_saver *saver)
{
    if (!saver)
        return;
    work_join(saver);
    weir_arena_release(&saver->job.arena);
    weir_arena_release(&saver->arena);
    weir_free(saver->snapshot);
    weir_free(saver);
}

static weir_status layout_print(const struct weir_saver *saver, struct weir_arena *arena, const char **text_out)
{
    const struct weir_build *build = &saver->runner->build;
    const struct weir_program *program = build->program;
    int n_processes;
    process_of(saver, &n_processes);
    return weir_arena_printf(arena, text_out,
                             "{\"stages\": %d, \"ranks\": %d, \"replicas\": %d, \"zero\": %d, \"microbatches\": %d, "
                             "\"microbatch_size\": %lld, \"processes\": %d, \"device\": \"%s\", \"dtype\": \"%s\", "
                             "\"threads_per_rank\": %d}",
                             program->n_stages, program->n_ranks, program->n_replicas, program->zero, weir_program_whole_microbatches(program),
                             (long long)build->graph->microbatch_size, n_processes, build->kind->name,
                             ((const char *const[]){"f32", "tf32", "bf16"})[build->config.dtype],
                             build->config.threads_per_rank);
}

static weir_status copy_text(struct weir_arena *arena, const char *text, const char **copy_out)
{
    *copy_out = NULL;
    return text ? weir_arena_strdup(arena, text, copy_out) : WEIR_OK;
}

/* The caller's bytes are copied when they may be gone before they are written. */
static weir_status extra_take(struct job *job, const struct weir_save *save)
{
    char *copy;
    if (!save->extra || !job->leads)
        return WEIR_OK;
    weir_status status = weir_arena_alloc(&job->arena, save->extra_bytes, 1, &copy);
    if (status)
        return status;
    if (save->extra_bytes)
        memcpy(copy, save->extra, save->extra_bytes);
    job->extra = copy;
    job->extra_bytes = save->extra_bytes;
    return WEIR_OK;
}

static weir_status about_fill(struct weir_saver *saver, const struct weir_save *save, int64_t step)
{
    struct job *job = &saver->job;
    const struct weir_engine_config *config = &saver->runner->build.config;
    const struct weir_graph *graph = saver->runner->build.graph;
    struct weir_checkpoint_info *info = &job->written;
    *info = (struct weir_checkpoint_info){.version = WEIR_VERSION,
                                          .step = step,
                                          .sample = save->sample,
                                          .seconds = save->seconds,
                                          .val_loss = save->val_loss,
                                          .has_seed = !save->weights_only,
                                          .seed = config->seed,
                                          .optimizer = config->optimizer == WEIR_OPTIMIZER_ADAMW ? "adamw" : "sgd",
                                          .extra = -1};
    if (save->weights_only)
        info->optimizer = "none";
    weir_status status = copy_text(&job->arena, graph->name, &info->model);
    if (!status)
        status = copy_text(&job->arena, graph->hf_config, &info->hf_config);
    if (!status)
        status = copy_text(&job->arena, save->config, &info->config);
    if (!status)
        status = copy_text(&job->arena, save->dir, &job->dir);
    if (!status && !save->weights_only)
        status = layout_print(saver, &job->arena, &info->layout);
    return status ? status : extra_take(job, save);
}

static weir_status folder_name(struct weir_saver *saver)
{
    struct job *job = &saver->job;
    weir_status status = job->leads ? weir_part_folder_make(job->dir, job->written.step, &job->arena, &job->part.folder)
                                    : weir_arena_printf(&job->arena, &job->part.folder, "%s/step-%06lld", job->dir,
                                                        (long long)job->written.step);
    return weir_world_agree(world_of(saver), status);
}

/* Parameters come first. */
static int n_tensors_of(const struct weir_spans *spans, bool weights_only)
{
    int n = weights_only ? 0 : spans->n_tensors;
    while (n < spans->n_tensors && spans->tensors[n].kind == WEIR_CHECKPOINT_PARAMETER)
        n++;
    return n;
}

static weir_status job_begin(struct weir_saver *saver, const struct weir_save *save, int64_t step)
{
    struct job *job = &saver->job;
    int n, me = process_of(saver, &n);
    *job = (struct job){.leads = me == 0, .keep = save->keep, .keep_best = save->keep_best};
    saver->background = save->background;
    saver->spans.copy = save->background ? saver->snapshot : NULL;
    weir_status status = about_fill(saver, save, step);
    if (!status && save->background)
        status = weir_spans_copy(&saver->spans);
    status = weir_world_agree(world_of(saver), status);
    if (!status)
        status = folder_name(saver);
    if (status) {
        job->part.folder = NULL; /* not ours to remove */
        return job_fail(saver, status);
    }
    job->part.index = me;
    job->part.n_tensors = n_tensors_of(&saver->spans, save->weights_only);
    job->part.tensors = saver->spans.tensors;
    job->part.read = weir_spans_read;
    job->part.context = &saver->spans;
    return WEIR_OK;
}

weir_status weir_saver_save(struct weir_saver *saver, const struct weir_save *save, int64_t step)
{
    weir_status status = job_begin(saver, save, step);
    if (status)
        return status;
    work_start(saver, PARTS, parts_work);
    return save->background ? WEIR_OK : weir_saver_wait(saver);
}

weir_status weir_saver_poll(struct weir_saver *saver, bool *busy_out)
{
    bool ended = false;
    weir_status status = saver->phase == IDLE ? WEIR_OK : all_ended(saver, &ended);
    if (!status && ended)
        status = phase_end(saver);
    *busy_out = saver->phase != IDLE;
    return status;
}

weir_status weir_saver_wait(struct weir_saver *saver)
{
    weir_status status = WEIR_OK;
    while (!status && saver->phase != IDLE) {
        work_join(saver);
        status = phase_end(saver);
    }
    return status;
}
