/* One reader and one writer.  Files and tensors of a process have the same form as those of a whole checkpoint: a part is a
 * manifest without state, and a manifest is made of parts. */
#include "engine/checkpoint/manifest.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"

const char weir_manifest_name[] = "manifest.json", weir_extra_name[] = "extra.bin";

enum { FORMAT = 1, DIGITS = 16, MOST_DIMS = 32 };

static const char zeros[] = "{\"xxh3\":\"0000000000000000\"";
enum { DIGITS_AT = 9 };

static const char *const kind_names[WEIR_CHECKPOINT_KINDS] = {"parameter", "exp_avg", "exp_avg_sq"};

const char *weir_checkpoint_kind_str(enum weir_checkpoint_kind kind)
{
    return (unsigned)kind < WEIR_CHECKPOINT_KINDS ? kind_names[kind] : "?";
}

static json_t *hash_json(uint64_t hash)
{
    return json_sprintf("%016" PRIx64, hash);
}

/* ---- writing ------------------------------------------------------------------------------------------------------- */

static json_t *files_json(const struct weir_checkpoint_info *info)
{
    json_t *array = json_array();
    for (int i = 0; i < info->n_files; i++)
        weir_json_push(&array, json_pack("{s:s, s:I, s:o}", "name", info->files[i].name, "bytes",
                                         (json_int_t)info->files[i].bytes, "xxh3", hash_json(info->files[i].hash)));
    return array;
}

static json_t *tensor_json(const struct weir_checkpoint_tensor *tensor)
{
    json_t *shape = json_array(), *pieces = json_array();
    for (int i = 0; i < tensor->n_dims; i++)
        weir_json_push(&shape, json_integer(tensor->dims[i]));
    for (int i = 0; i < tensor->n_pieces; i++) {
        const struct weir_checkpoint_piece *p = &tensor->pieces[i];
        weir_json_push(&pieces, json_pack("{s:I, s:I, s:i, s:s, s:o}", "first", (json_int_t)p->first, "n", (json_int_t)p->n,
                                          "file", p->file, "tensor", p->tensor, "xxh3", hash_json(p->hash)));
    }
    return json_pack("{s:s, s:s, s:o, s:o}", "name", tensor->name, "kind", kind_names[tensor->kind], "shape", shape, "pieces",
                     pieces);
}

static json_t *tensors_json(const struct weir_checkpoint_info *info)
{
    json_t *array = json_array();
    for (int i = 0; i < info->n_tensors; i++)
        weir_json_push(&array, tensor_json(&info->tensors[i]));
    return array;
}

/* A text that must be a JSON object; NULL is null. */
static weir_status object_set(json_t **root, const char *key, const char *text)
{
    json_t *object = json_null();
    weir_status status = text ? weir_json_parse(text, strlen(text), key, &object) : WEIR_OK;
    if (!status && text && !json_is_object(object))
        status = WEIR_FAIL(WEIR_ERR_INVALID, "'%s' of a checkpoint must be a JSON object", key);
    if (status && text && object != json_null())
        json_decref(object);
    if (!status)
        weir_json_set(root, key, object);
    return status;
}

static json_t *text_json(const char *text)
{
    return text ? json_string(text) : json_null();
}

static weir_status state_set(const struct weir_checkpoint_info *info, json_t **root)
{
    weir_json_set(root, "weir_checkpoint", json_integer(FORMAT));
    weir_json_set(root, "weir", text_json(info->version));
    weir_json_set(root, "step", json_integer(info->step));
    weir_json_set(root, "sample", json_integer(info->sample));
    weir_json_set(root, "seconds", json_real(isfinite(info->seconds) ? info->seconds : 0));
    weir_json_set(root, "val_loss", isfinite(info->val_loss) ? json_real(info->val_loss) : json_null());
    weir_json_set(root, "seed", info->has_seed ? json_sprintf("%" PRIu64, info->seed) : json_null());
    weir_json_set(root, "model", weir_json_utf8(info->model));
    weir_json_set(root, "optimizer", json_string(info->optimizer));
    weir_json_set(root, "hf_config", text_json(info->hf_config));
    weir_json_set(root, "extra", json_integer(info->extra));
    weir_status status = object_set(root, "layout", info->layout);
    return status ? status : object_set(root, "config", info->config);
}

/* Numbers, sorted, say where a tensor has a hole. */
static weir_status pieces_check(const char *where, const struct weir_checkpoint_tensor *tensor)
{
    int64_t at = 0;
    int joined = 0;
    for (; joined < tensor->n_pieces && tensor->pieces[joined].first == at; joined++)
        at += tensor->pieces[joined].n;
    if (at == tensor->n_elements && joined == tensor->n_pieces)
        return WEIR_OK;
    return WEIR_FAIL(WEIR_ERR_INVALID, "%s: the pieces of %s '%s' have no element %" PRId64 ", or have it twice", where,
                     kind_names[tensor->kind], tensor->name, at);
}

static weir_status all_pieces_check(const char *where, const struct weir_checkpoint_info *info)
{
    weir_status status = WEIR_OK;
    for (int i = 0; i < info->n_tensors && !status; i++)
        status = pieces_check(where, &info->tensors[i]);
    return status;
}

static void lists_set(const struct weir_checkpoint_info *info, json_t **root)
{
    weir_json_set(root, "files", files_json(info));
    weir_json_set(root, "tensors", tensors_json(info));
}

weir_status weir_manifest_print(const struct weir_checkpoint_info *info, struct weir_arena *arena, const char **text_out)
{
    char digits[DIGITS + 1];
    const char *text;
    json_t *root = json_pack("{s:s}", "xxh3", "0000000000000000");
    weir_status status = all_pieces_check("manifest", info);
    if (!status)
        status = state_set(info, &root);
    lists_set(info, &root);
    if (!status)
        status = weir_json_print(json_incref(root), 0, arena, &text);
    json_decref(root);
    if (!status)
        status = weir_arena_printf(arena, &text, "%s\n", text);
    if (status)
        return status;
    snprintf(digits, sizeof digits, "%016" PRIx64, weir_hash64(text, strlen(text), 0));
    memcpy((char *)(uintptr_t)text + DIGITS_AT, digits, DIGITS);
    *text_out = text;
    return WEIR_OK;
}

weir_status weir_manifest_part_print(const struct weir_checkpoint_info *part, struct weir_arena *arena, const char **text_out)
{
    json_t *root = json_object();
    lists_set(part, &root);
    return weir_json_print(root, 0, arena, text_out);
}

/* ---- reading ------------------------------------------------------------------------------------------------------- */

/* A document that is being read. */
struct reader {
    const char *where;
    struct weir_arena *arena;
    int n_files_before; /* of the parts before this one */
};

static weir_status invalid(const struct reader *r, const char *what)
{
    return WEIR_FAIL(WEIR_ERR_INVALID, "%s: %s", r->where, what);
}

static weir_status text_read(const struct reader *r, const json_t *object, const char *key, bool needed, const char **text_out)
{
    const json_t *value = json_object_get(object, key);
    if (json_is_string(value))
        return weir_arena_strdup(r->arena, json_string_value(value), text_out);
    *text_out = NULL;
    return needed || !json_is_null(value) ? WEIR_FAIL(WEIR_ERR_INVALID, "%s: '%s' is no text", r->where, key) : WEIR_OK;
}

static weir_status count_read(const struct reader *r, const json_t *object, const char *key, int64_t least, int64_t *value_out)
{
    weir_status status = weir_json_integer(object, r->where, key, value_out);
    if (!status && *value_out < least)
        status = WEIR_FAIL(WEIR_ERR_INVALID, "%s: '%s' is %" PRId64 ", at least %" PRId64 " makes sense", r->where, key, *value_out,
                           least);
    return status;
}

static weir_status hash_read(const struct reader *r, const json_t *object, uint64_t *hash_out)
{
    const char *text = json_string_value(json_object_get(object, "xxh3"));
    size_t n = text ? strspn(text, "0123456789abcdef") : 0;
    if (n != DIGITS || text[n])
        return invalid(r, "an 'xxh3' is not 16 hexadecimal digits");
    *hash_out = strtoull(text, NULL, 16);
    return WEIR_OK;
}

/* The name of a file beside the manifest. */
static bool is_plain_name(const char *name)
{
    return *name && *name != '.' && !strchr(name, '/') && strlen(name) < 128;
}

static weir_status file_read(const struct reader *r, const json_t *entry, struct weir_checkpoint_file *file)
{
    int64_t bytes = 0;
    weir_status status = text_read(r, entry, "name", true, &file->name);
    if (!status && !is_plain_name(file->name))
        status = invalid(r, "the name of a file leads elsewhere");
    if (!status)
        status = count_read(r, entry, "bytes", 0, &bytes);
    file->bytes = (uint64_t)bytes;
    return status ? status : hash_read(r, entry, &file->hash);
}

static weir_status array_get(const struct reader *r, const json_t *object, const char *key, json_t **array_out, int *n_out)
{
    json_t *array = json_object_get(object, key);
    if (!json_is_array(array) || json_array_size(array) > INT32_MAX / 2)
        return WEIR_FAIL(WEIR_ERR_INVALID, "%s: '%s' is no list", r->where, key);
    *array_out = array;
    *n_out = (int)json_array_size(array);
    return WEIR_OK;
}

static weir_status piece_read(const struct reader *r, const json_t *entry, int n_files, struct weir_checkpoint_piece *piece)
{
    int64_t file = 0;
    weir_status status = count_read(r, entry, "first", 0, &piece->first);
    if (!status)
        status = count_read(r, entry, "n", 0, &piece->n);
    if (!status)
        status = count_read(r, entry, "file", 0, &file);
    if (!status && file >= n_files)
        status = invalid(r, "a piece is in a file that is not listed");
    piece->file = r->n_files_before + (int)file;
    if (!status)
        status = text_read(r, entry, "tensor", true, &piece->tensor);
    return status ? status : hash_read(r, entry, &piece->hash);
}

static int by_first(const void *a, const void *b)
{
    const struct weir_checkpoint_piece *x = a, *y = b;
    int first = (x->first > y->first) - (x->first < y->first);
    return first ? first : (x->n > y->n) - (x->n < y->n);
}

static weir_status pieces_read(const struct reader *r, const json_t *entry, int n_files, struct weir_checkpoint_tensor *tensor)
{
    struct weir_checkpoint_piece *pieces;
    json_t *array = NULL;
    weir_status status = array_get(r, entry, "pieces", &array, &tensor->n_pieces);
    if (!status)
        status = weir_arena_alloc(r->arena, (size_t)tensor->n_pieces, sizeof *pieces, &pieces);
    for (int i = 0; i < tensor->n_pieces && !status; i++)
        status = piece_read(r, json_array_get(array, (size_t)i), n_files, &pieces[i]);
    for (int i = 0; i < tensor->n_pieces && !status; i++)
        if (pieces[i].n > tensor->n_elements - pieces[i].first)
            status = WEIR_FAIL(WEIR_ERR_INVALID, "%s: a piece of '%s' is longer than it", r->where, tensor->name);
    if (status)
        return status;
    qsort(pieces, (size_t)tensor->n_pieces, sizeof *pieces, by_first);
    tensor->pieces = pieces;
    return WEIR_OK;
}

static weir_status shape_read(const struct reader *r, const json_t *entry, struct weir_checkpoint_tensor *tensor)
{
    int64_t *dims;
    json_t *array = NULL;
    weir_status status = array_get(r, entry, "shape", &array, &tensor->n_dims);
    if (!status && tensor->n_dims > MOST_DIMS)
        status = invalid(r, "a shape has too many dimensions");
    if (!status)
        status = weir_arena_alloc(r->arena, (size_t)tensor->n_dims, sizeof *dims, &dims);
    tensor->n_elements = 1;
    for (int i = 0; i < tensor->n_dims && !status; i++) {
        const json_t *dim = json_array_get(array, (size_t)i);
        dims[i] = json_integer_value(dim);
        if (!json_is_integer(dim) || dims[i] < 0 || __builtin_mul_overflow(tensor->n_elements, dims[i], &tensor->n_elements) ||
            tensor->n_elements > INT64_MAX / 8)
            status = WEIR_FAIL(WEIR_ERR_INVALID, "%s: the shape of '%s' makes no sense", r->where, tensor->name);
    }
    if (!status)
        tensor->dims = dims;
    return status;
}

static weir_status kind_read(const struct reader *r, const json_t *entry, enum weir_checkpoint_kind *kind_out)
{
    const char *name = json_string_value(json_object_get(entry, "kind"));
    for (int k = 0; name && k < WEIR_CHECKPOINT_KINDS; k++)
        if (!strcmp(name, kind_names[k])) {
            *kind_out = (enum weir_checkpoint_kind)k;
            return WEIR_OK;
        }
    return WEIR_FAIL(WEIR_ERR_INVALID, "%s: a tensor is of kind '%s', which this version does not know", r->where,
                     name ? name : "");
}

static weir_status tensor_read(const struct reader *r, const json_t *entry, int n_files, struct weir_checkpoint_tensor *tensor)
{
    weir_status status = text_read(r, entry, "name", true, &tensor->name);
    if (!status)
        status = kind_read(r, entry, &tensor->kind);
    if (!status)
        status = shape_read(r, entry, tensor);
    return status ? status : pieces_read(r, entry, n_files, tensor);
}

static int by_kind_and_name(const void *a, const void *b)
{
    const struct weir_checkpoint_tensor *x = a, *y = b;
    return x->kind != y->kind ? (int)x->kind - (int)y->kind : strcmp(x->name, y->name);
}

/* The files and tensors of a document, into `info`. */
static weir_status lists_read(const struct reader *r, const json_t *root, struct weir_checkpoint_info *info)
{
    struct weir_checkpoint_file *files;
    struct weir_checkpoint_tensor *tensors;
    json_t *file_array = NULL, *tensor_array = NULL;
    weir_status status = array_get(r, root, "files", &file_array, &info->n_files);
    if (!status)
        status = array_get(r, root, "tensors", &tensor_array, &info->n_tensors);
    if (!status)
        status = weir_arena_alloc(r->arena, (size_t)info->n_files, sizeof *files, &files);
    if (!status)
        status = weir_arena_alloc(r->arena, (size_t)info->n_tensors, sizeof *tensors, &tensors);
    for (int i = 0; i < info->n_files && !status; i++)
        status = file_read(r, json_array_get(file_array, (size_t)i), &files[i]);
    for (int i = 0; i < info->n_tensors && !status; i++)
        status = tensor_read(r, json_array_get(tensor_array, (size_t)i), info->n_files, &tensors[i]);
    if (status)
        return status;
    qsort(tensors, (size_t)info->n_tensors, sizeof *tensors, by_kind_and_name);
    info->files = files;
    info->tensors = tensors;
    for (int i = 1; i < info->n_tensors; i++)
        if (!by_kind_and_name(&tensors[i - 1], &tensors[i]))
            return WEIR_FAIL(WEIR_ERR_INVALID, "%s: %s '%s' is listed twice", r->where, kind_names[tensors[i].kind],
                             tensors[i].name);
    return WEIR_OK;
}

/* ---- state --------------------------------------------------------------------------------------------------------- */

static weir_status object_read(const struct reader *r, const json_t *root, const char *key, const char **text_out)
{
    json_t *value = json_object_get(root, key);
    *text_out = NULL;
    if (json_is_null(value))
        return WEIR_OK;
    return json_is_object(value) ? weir_json_print(json_incref(value), 0, r->arena, text_out)
                                 : WEIR_FAIL(WEIR_ERR_INVALID, "%s: '%s' is no object", r->where, key);
}

static weir_status seed_read(const struct reader *r, const json_t *root, struct weir_checkpoint_info *info)
{
    const json_t *value = json_object_get(root, "seed");
    const char *text = json_string_value(value);
    char *end = NULL;
    info->has_seed = text;
    if (json_is_null(value))
        return WEIR_OK;
    info->seed = text && *text >= '0' && *text <= '9' ? strtoull(text, &end, 10) : 0;
    return end && !*end ? WEIR_OK : invalid(r, "'seed' is no number");
}

static weir_status numbers_read(const struct reader *r, const json_t *root, struct weir_checkpoint_info *info)
{
    int64_t extra = -1;
    info->val_loss = NAN;
    weir_status status = count_read(r, root, "step", 0, &info->step);
    if (!status)
        status = count_read(r, root, "sample", 0, &info->sample);
    if (!status)
        status = weir_json_number(root, r->where, "seconds", &info->seconds);
    if (!status && !json_is_null(json_object_get(root, "val_loss")))
        status = weir_json_number(root, r->where, "val_loss", &info->val_loss);
    if (!status)
        status = count_read(r, root, "extra", -1, &extra);
    if (!status && extra >= info->n_files)
        status = invalid(r, "'extra' is no file");
    info->extra = (int)extra;
    return status ? status : seed_read(r, root, info);
}

static weir_status state_read(const struct reader *r, const json_t *root, struct weir_checkpoint_info *info)
{
    weir_status status = numbers_read(r, root, info);
    if (!status)
        status = text_read(r, root, "weir", true, &info->version);
    if (!status)
        status = text_read(r, root, "model", true, &info->model);
    if (!status)
        status = text_read(r, root, "optimizer", true, &info->optimizer);
    if (!status)
        status = text_read(r, root, "hf_config", false, &info->hf_config);
    if (!status)
        status = object_read(r, root, "layout", &info->layout);
    return status ? status : object_read(r, root, "config", &info->config);
}

static weir_status version_check(const struct reader *r, const json_t *root)
{
    int64_t version;
    weir_status status = count_read(r, root, "weir_checkpoint", 1, &version);
    if (status || version == FORMAT)
        return status;
    return WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "%s is of format %" PRId64 ", this version of Weir reads format %d: use the one that wrote it",
                     r->where, version, FORMAT);
}

/* The hash covers the whole text, with zeros where its own digits stand. */
static weir_status hash_check(const struct reader *r, const char *text, size_t bytes)
{
    char digits[DIGITS + 1];
    weir_hasher *hasher;
    if (bytes < sizeof zeros || memcmp(text, zeros, DIGITS_AT) != 0)
        return invalid(r, "it does not begin with its hash");
    weir_status status = weir_hasher_open(&hasher);
    if (status)
        return status;
    weir_hasher_add(hasher, zeros, DIGITS_AT + DIGITS);
    weir_hasher_add(hasher, text + DIGITS_AT + DIGITS, bytes - DIGITS_AT - DIGITS);
    snprintf(digits, sizeof digits, "%016" PRIx64, weir_hasher_value(hasher));
    weir_hasher_close(hasher);
    return memcmp(text + DIGITS_AT, digits, DIGITS) ? invalid(r, "its content does not have the hash that it gives: it is damaged")
                                                    : WEIR_OK;
}

/* What has its own hash is not damaged: what makes no sense in it was written so, by another program or version. */
static weir_status content_read(const struct reader *r, const char *path, const char *text, size_t bytes,
                                struct weir_checkpoint_info *info)
{
    json_t *root = NULL;
    weir_status status = weir_json_parse(text, bytes, path, &root);
    if (!status)
        status = version_check(r, root);
    if (!status)
        status = lists_read(r, root, info);
    if (!status)
        status = state_read(r, root, info);
    json_decref(root);
    if (!status)
        status = all_pieces_check(r->where, info);
    return status == WEIR_ERR_INVALID ? weir_error_prefix(WEIR_ERR_UNSUPPORTED, "no manifest that this version of Weir reads: ") : status;
}

weir_status weir_manifest_parse(const char *folder, const char *text, size_t bytes, struct weir_arena *arena,
                                struct weir_checkpoint_info *info_out)
{
    struct reader r = {.arena = arena};
    struct weir_checkpoint_info info = {0};
    const char *path = NULL;
    weir_status status = weir_arena_printf(arena, &path, "%s/%s", folder, weir_manifest_name);
    if (!status)
        status = weir_arena_printf(arena, &r.where, "'%s'", path);
    if (!status)
        status = weir_arena_strdup(arena, folder, &info.folder);
    if (!status)
        status = hash_check(&r, text, bytes);
    if (!status)
        status = content_read(&r, path, text, bytes, &info);
    if (!status)
        *info_out = info;
    return status;
}

/* ---- parts --------------------------------------------------------------------------------------------------------- */

static weir_status files_join(struct weir_arena *arena, const struct weir_checkpoint_info *part,
                              struct weir_checkpoint_info *info)
{
    struct weir_checkpoint_file *files;
    weir_status status = weir_arena_alloc(arena, (size_t)(info->n_files + part->n_files), sizeof *files, &files);
    if (status)
        return status;
    for (int i = 0; i < info->n_files; i++)
        files[i] = info->files[i];
    for (int i = 0; i < part->n_files; i++)
        files[info->n_files + i] = part->files[i];
    info->files = files;
    info->n_files += part->n_files;
    return WEIR_OK;
}

static weir_status pieces_join(struct weir_arena *arena, struct weir_checkpoint_tensor *to,
                               const struct weir_checkpoint_tensor *from)
{
    struct weir_checkpoint_piece *pieces;
    weir_status status = weir_arena_alloc(arena, (size_t)(to->n_pieces + from->n_pieces), sizeof *pieces, &pieces);
    if (status)
        return status;
    for (int i = 0; i < to->n_pieces; i++)
        pieces[i] = to->pieces[i];
    for (int i = 0; i < from->n_pieces; i++)
        pieces[to->n_pieces + i] = from->pieces[i];
    to->pieces = pieces;
    to->n_pieces += from->n_pieces;
    qsort(pieces, (size_t)to->n_pieces, sizeof *pieces, by_first);
    return WEIR_OK;
}

/* Both lists are sorted: merge them. */
static weir_status tensors_join(const char *where, struct weir_arena *arena, const struct weir_checkpoint_info *part,
                                struct weir_checkpoint_info *info)
{
    struct weir_checkpoint_tensor *tensors;
    int n = 0, a = 0, b = 0;
    weir_status status = weir_arena_alloc(arena, (size_t)(info->n_tensors + part->n_tensors), sizeof *tensors, &tensors);
    while (!status && (a < info->n_tensors || b < part->n_tensors)) {
        int order = a == info->n_tensors   ? 1
                    : b == part->n_tensors ? -1
                                           : by_kind_and_name(&info->tensors[a], &part->tensors[b]);
        tensors[n] = order <= 0 ? info->tensors[a++] : part->tensors[b++];
        if (!order && tensors[n].n_elements != part->tensors[b].n_elements)
            return WEIR_FAIL(WEIR_ERR_INTERNAL, "%s: '%s' has another size in another part", where, tensors[n].name);
        if (!order)
            status = pieces_join(arena, &tensors[n], &part->tensors[b++]);
        n++;
    }
    if (status)
        return status;
    info->tensors = tensors;
    info->n_tensors = n;
    return WEIR_OK;
}

weir_status weir_manifest_part_add(const char *where, const char *text, struct weir_arena *arena,
                                   struct weir_checkpoint_info *info)
{
    struct reader r = {where, arena, info->n_files};
    struct weir_checkpoint_info part = {0};
    json_t *root = NULL;
    weir_status status = weir_json_parse(text, strlen(text), where, &root);
    if (!status)
        status = lists_read(&r, root, &part);
    json_decref(root);
    if (!status)
        status = files_join(arena, &part, info);
    return status ? status : tensors_join(where, arena, &part, info);
}
