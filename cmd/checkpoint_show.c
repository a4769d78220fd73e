/* weir checkpoint list, show, verify: what is there, and whether it is whole. */
#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/alloc.h"
#include "base/json.h"
#include "base/printable.h"
#include "cmd/checkpoint_forms.h"

#define FIELD(field) offsetof(struct checkpoint_options, field)

static const struct option_row json_rows[] = {
    {"json", 0, OPTION_FLAG, FIELD(json), NULL, "print one JSON object", 0, 0},
    {0},
};
static const struct option_row show_rows[] = {
    {"tensors", 't', OPTION_FLAG, FIELD(tensors), NULL, "every tensor, with its shape and where it lies", 0, 0},
    {"json", 0, OPTION_FLAG, FIELD(json), NULL, "print the manifest", 0, 0},
    {0},
};

const struct option_table checkpoint_list_table = {"checkpoint list", "D", "the checkpoints of a folder, torn ones too",
                                                   "weir checkpoint list D", json_rows, NULL};
const struct option_table checkpoint_show_table = {"checkpoint show", "CHECKPOINT",
                                                   "what a checkpoint holds; of a folder of them, the newest",
                                                   "weir checkpoint show D/step-000120 --tensors", show_rows, NULL};
const struct option_table checkpoint_verify_table = {
    "checkpoint verify", "CHECKPOINT...", "read all bytes and compare them with their hashes; status 1: damage",
    "weir checkpoint verify D", json_rows, NULL};

static weir_status json_out(json_t *root)
{
    enum { DIGITS = 17 };
    struct weir_text text = {0};
    weir_json_append(&text, root, DIGITS);
    if (!text.status)
        printf("%s\n", text.data);
    weir_status status = text.status;
    weir_text_release(&text);
    return status;
}

static const char *shown(const char *text)
{
    static char out[4 * WEIR_ERROR_MAX];
    return weir_printable(text, out, sizeof out);
}

/* ---- list ---------------------------------------------------------------------------------------------------------- */

static void entry_print(const struct weir_checkpoint_entry *e)
{
    char bytes[32], when[32] = "-", loss[32] = "-";
    const char *name = strrchr(e->folder, '/');
    time_t written = (time_t)e->when;
    struct tm local;
    if (e->flaw) {
        printf("%-14s %s: %s\n", name + 1, e->damaged ? "not whole" : "not readable", shown(e->flaw));
        return;
    }
    if (localtime_r(&written, &local))
        strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", &local);
    if (!isnan(e->val_loss))
        snprintf(loss, sizeof loss, "%.4f", e->val_loss);
    printf("%-14s %-19s %12s %9s\n", name + 1, when, checkpoint_bytes(e->bytes, bytes), loss);
}

static json_t *entry_json(const struct weir_checkpoint_entry *e)
{
    json_t *root = json_pack("{s:o, s:I}", "folder", weir_json_utf8(e->folder), "step", (json_int_t)e->step);
    if (e->flaw) {
        weir_json_set(&root, "flaw", weir_json_utf8(e->flaw));
        return root;
    }
    weir_json_set(&root, "written", json_integer(e->when));
    weir_json_set(&root, "bytes", json_integer((json_int_t)e->bytes));
    weir_json_set(&root, "val_loss", isnan(e->val_loss) ? json_null() : json_real(e->val_loss));
    return root;
}

static weir_status entries_show(const struct checkpoint_options *o, const char *dir, const struct weir_checkpoint_entry *entries,
                                int n)
{
    json_t *array = o->json ? json_array() : NULL;
    for (int i = 0; i < n && o->json; i++)
        weir_json_push(&array, entry_json(&entries[i]));
    if (o->json)
        return json_out(json_pack("{s:o, s:o}", "folder", weir_json_utf8(dir), "checkpoints", array));
    if (!n)
        printf("no checkpoints in '%s'\n", shown(dir));
    else
        printf("%-14s %-19s %12s %9s\n", "checkpoint", "written", "size", "val loss");
    for (int i = 0; i < n; i++)
        entry_print(&entries[i]);
    return WEIR_OK;
}

weir_status checkpoint_list(const struct checkpoint_options *o, int n_paths, const char *const *paths, int *outcome_out)
{
    struct weir_arena arena = {0};
    struct weir_checkpoint_entry *entries;
    struct stat info;
    int n;
    (void)n_paths;
    *outcome_out = 0;
    if (stat(paths[0], &info) != 0 || !S_ISDIR(info.st_mode))
        return WEIR_FAIL(WEIR_ERR_IO, "'%s' is no folder", paths[0]);
    weir_status status = weir_checkpoint_list(paths[0], &arena, &entries, &n);
    if (!status)
        status = entries_show(o, paths[0], entries, n);
    weir_arena_release(&arena);
    return status;
}

/* ---- show ---------------------------------------------------------------------------------------------------------- */

static weir_status manifest_print(const char *folder)
{
    struct weir_text path = {0};
    char *text = NULL;
    size_t bytes;
    weir_text_append(&path, "%s/manifest.json", folder);
    weir_status status = path.status ? path.status : weir_file_read(path.data, (size_t)1 << 30, &text, &bytes);
    if (!status)
        fwrite(text, 1, bytes, stdout);
    if (!status)
        weir_free(text);
    weir_text_release(&path);
    return status;
}

/* "stages 2, ranks 2": the members of an object; as options, "--stages 2 --ranks 2". */
static void members_print(const char *label, const json_t *object, bool as_options)
{
    const char *key, *between = "";
    json_t *value;
    if (!json_object_size(object))
        return;
    printf("%-11s", label);
    json_object_foreach((json_t *)(uintptr_t)object, key, value) {
        char *text = json_is_true(value) || json_is_string(value) ? NULL : json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
        printf("%s%s%s", between, as_options ? "--" : "", shown(key));
        if (json_is_string(value) || text)
            printf(" %s", shown(text ? text : json_string_value(value)));
        between = as_options ? " " : ", ";
        free(text);
    }
    printf("\n");
}

static void object_print(const char *label, const char *text, const char *member)
{
    json_t *root = NULL;
    if (!text || weir_json_parse(text, strlen(text), label, &root))
        return;
    members_print(label, member ? json_object_get(root, member) : root, member != NULL);
    json_decref(root);
}

static void tensors_count_print(const struct weir_checkpoint_info *info)
{
    const char *before = "tensors    ";
    for (int kind = 0; kind < WEIR_CHECKPOINT_KINDS; kind++) {
        int n = 0, n_pieces = 0;
        int64_t elements = 0;
        for (int i = 0; i < info->n_tensors; i++)
            if ((int)info->tensors[i].kind == kind) {
                n++;
                n_pieces += info->tensors[i].n_pieces;
                elements += info->tensors[i].n_elements;
            }
        if (n)
            printf("%s%-10s %d of %" PRId64 " elements, in %d pieces\n", before,
                   weir_checkpoint_kind_str((enum weir_checkpoint_kind)kind), n, elements, n_pieces);
        before = n ? "           " : before;
    }
}

static void tensor_print(const struct weir_checkpoint_info *info, const struct weir_checkpoint_tensor *t)
{
    printf("%-10s %s [", weir_checkpoint_kind_str(t->kind), shown(t->name));
    for (int d = 0; d < t->n_dims; d++)
        printf("%s%" PRId64, d ? ", " : "", t->dims[d]);
    printf("]");
    for (int i = 0; i < t->n_pieces; i++) {
        printf("%s %s", i ? "," : "", shown(info->files[t->pieces[i].file].name));
        if (t->n_pieces > 1)
            printf(" %" PRId64 "..%" PRId64, t->pieces[i].first, t->pieces[i].first + t->pieces[i].n - 1);
    }
    printf("\n");
}

static void info_print(const struct weir_checkpoint_info *info, bool tensors)
{
    char bytes[32];
    printf("%s\n%-11s%" PRId64 ", samples read %" PRId64 ", trained for %.1f s\n", shown(info->folder), "step", info->step,
           info->sample, info->seconds);
    printf("%-11s%s%s\n", "model", shown(info->model), info->hf_config ? "" : " (has no Hugging Face form)");
    printf("%-11s%s\n", "optimizer", shown(info->optimizer));
    if (info->has_seed)
        printf("%-11s%" PRIu64 "\n", "seed", info->seed);
    if (!isnan(info->val_loss))
        printf("%-11s%.6f\n", "val loss", info->val_loss);
    printf("%-11sweir %s\n", "written by", shown(info->version));
    object_print("layout", info->layout, NULL);
    object_print("options", info->config, "options");
    for (int i = 0; i < info->n_files; i++)
        printf("%-11s%s, %s%s\n", i ? "" : "files", shown(info->files[i].name), checkpoint_bytes(info->files[i].bytes, bytes),
               i == info->extra ? ", of the program's own" : "");
    tensors_count_print(info);
    for (int i = 0; i < info->n_tensors && tensors; i++)
        tensor_print(info, &info->tensors[i]);
}

weir_status checkpoint_show(const struct checkpoint_options *o, int n_paths, const char *const *paths, int *outcome_out)
{
    weir_checkpoint *c;
    (void)n_paths;
    *outcome_out = 0;
    weir_status status = checkpoint_open(paths[0], &c);
    if (status)
        return status;
    const struct weir_checkpoint_info *info = weir_checkpoint_info(c);
    if (o->json)
        status = manifest_print(info->folder);
    else
        info_print(info, o->tensors);
    weir_checkpoint_close(c);
    return status;
}

/* ---- verify -------------------------------------------------------------------------------------------------------- */

struct verdict {
    char flaw[WEIR_ERROR_MAX]; /* "": none */
    bool damaged;              /* the flaw is that it is not whole, not that it cannot be read */
    int n_tensors;
    uint64_t bytes;
};

/* A flaw is an answer; only memory that is short is a failure. */
static weir_status verdict_find(const char *folder, struct verdict *v)
{
    weir_checkpoint *c = NULL;
    weir_status status = weir_checkpoint_open(folder, &c);
    *v = (struct verdict){.n_tensors = c ? weir_checkpoint_info(c)->n_tensors : 0};
    for (int i = 0; c && i < weir_checkpoint_info(c)->n_files; i++)
        v->bytes += weir_checkpoint_info(c)->files[i].bytes;
    if (!status)
        status = weir_checkpoint_verify(c);
    weir_checkpoint_close(c);
    if (!status || status == WEIR_ERR_NOMEM)
        return status;
    v->damaged = status == WEIR_ERR_INVALID;
    weir_error_take(v->flaw);
    return WEIR_OK;
}

static void verdict_print(const char *folder, const struct verdict *v)
{
    char bytes[32];
    printf("%s: ", shown(folder));
    if (*v->flaw)
        printf("%s: %s\n", v->damaged ? "not whole" : "not readable", shown(v->flaw));
    else
        printf("whole, %d tensors, %s\n", v->n_tensors, checkpoint_bytes(v->bytes, bytes));
    fflush(stdout);
}

static weir_status one_verify(const struct checkpoint_options *o, const char *folder, json_t **array, int *outcome)
{
    struct verdict v;
    weir_status status = verdict_find(folder, &v);
    if (status)
        return status;
    *outcome = *v.flaw ? 1 : *outcome;
    if (o->json)
        weir_json_push(array, json_pack("{s:o, s:o}", "folder", weir_json_utf8(folder), "flaw",
                                        *v.flaw ? weir_json_utf8(v.flaw) : json_null()));
    else
        verdict_print(folder, &v);
    return WEIR_OK;
}

weir_status checkpoint_verify(const struct checkpoint_options *o, int n_paths, const char *const *paths, int *outcome_out)
{
    struct weir_arena arena = {0};
    const char **folders = NULL;
    size_t room = 0;
    int n = 0;
    weir_status status = WEIR_OK;
    json_t *array = json_array();
    *outcome_out = 0;
    for (int i = 0; i < n_paths && !status; i++)
        status = checkpoint_folders(paths[i], &arena, &folders, &room, &n);
    for (int i = 0; i < n && !status; i++)
        status = one_verify(o, folders[i], &array, outcome_out);
    if (!status && o->json)
        status = json_out(json_pack("{s:O}", "checkpoints", array));
    json_decref(array);
    weir_arena_release(&arena);
    return status;
}
