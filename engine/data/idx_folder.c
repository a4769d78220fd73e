#include "engine/data/idx_folder.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/text.h"
#include "engine/data/idx_file.h"

struct entry {
    char *path;
    uint32_t magic;
    char key[NAME_MAX + 1]; /* of the name: the same for images and labels that belong together */
};

struct entries {
    struct entry *items;
    size_t n, room;
    weir_status failure; /* of the first file that could not be looked at */
    char message[WEIR_ERROR_MAX];
};

struct pair {
    const struct entry *images, *labels;
};

/* ---- names --------------------------------------------------------------------------------------------------------- */

static const char *word_of(const char *at, const char **in_key)
{
    static const struct {
        const char *word, *key;
    } words[] = {{"images", "*"}, {"labels", "*"}, {"image", "*"}, {"label", "*"}, {"idx3", "idx"}, {"idx1", "idx"}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (!strncmp(at, words[i].word, strlen(words[i].word))) {
            *in_key = words[i].key;
            return words[i].word;
        }
    return NULL;
}

/* "Train-Images-idx3-ubyte.gz" as "train-*-idx-ubyte". */
static void key_make(const char *name, char key[NAME_MAX + 1])
{
    char small[NAME_MAX + 1];
    size_t n = 0, to = 0;
    for (; name[n] && n < NAME_MAX; n++)
        small[n] = (char)tolower((unsigned char)name[n]);
    n -= n > 3 && !strncmp(small + n - 3, ".gz", 3) ? 3 : 0;
    small[n] = 0;
    for (size_t at = 0; at < n;) {
        const char *in_key = NULL, *word = word_of(small + at, &in_key);
        if (!word) {
            key[to++] = small[at++];
            continue;
        }
        memcpy(key + to, in_key, strlen(in_key));
        to += strlen(in_key);
        at += strlen(word);
    }
    key[to] = 0;
}

/* ---- files --------------------------------------------------------------------------------------------------------- */

static void failure_keep(struct entries *entries, weir_status status)
{
    if (!entries->failure)
        weir_error_take(entries->message);
    else
        weir_error_clear();
    entries->failure = entries->failure ? entries->failure : status;
}

/* Keep the file if it is one; one that cannot be looked at may be nobody's concern. */
static weir_status entry_look(struct entries *entries, const char *path, const char *name)
{
    struct stat info;
    uint32_t magic = 0;
    if (stat(path, &info) != 0 || !S_ISREG(info.st_mode))
        return WEIR_OK;
    weir_status status = weir_idx_magic(path, &magic);
    if (status == WEIR_ERR_NOMEM)
        return status;
    if (status)
        failure_keep(entries, status);
    if (status || (magic != WEIR_IDX_IMAGES && magic != WEIR_IDX_LABELS))
        return WEIR_OK;
    status = weir_grow(&entries->items, &entries->room, entries->n + 1, sizeof *entries->items);
    if (status)
        return status;
    struct entry *entry = &entries->items[entries->n];
    *entry = (struct entry){.magic = magic};
    key_make(name, entry->key);
    status = weir_strdup(path, &entry->path);
    entries->n += !status;
    return status;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct entry *)a)->path, ((const struct entry *)b)->path);
}

static weir_status entries_find(const char *directory, struct entries *entries)
{
    weir_status status = WEIR_OK;
    DIR *folder = opendir(directory);
    if (!folder)
        return WEIR_FAIL(errno == ENOTDIR ? WEIR_ERR_INVALID : WEIR_ERR_IO,
                         "'%s' must be a directory with IDX images and labels: %s", directory, strerror(errno));
    for (const struct dirent *entry; !status && (entry = readdir(folder));) {
        struct weir_text path = {0};
        weir_text_append(&path, "%s/%s", directory, entry->d_name);
        status = path.status ? path.status : entry_look(entries, path.data, entry->d_name);
        weir_text_release(&path);
    }
    closedir(folder);
    if (entries->n)
        qsort(entries->items, entries->n, sizeof *entries->items, by_path); /* "a" before "a.gz" */
    return status;
}

static void entries_release(struct entries *entries)
{
    for (size_t i = 0; i < entries->n; i++)
        weir_free(entries->items[i].path);
    weir_free(entries->items);
}

/* ---- pairs --------------------------------------------------------------------------------------------------------- */

static const struct entry *partner_find(const struct entries *entries, const struct entry *images)
{
    for (size_t i = 0; i < entries->n; i++)
        if (entries->items[i].magic == WEIR_IDX_LABELS && !strcmp(entries->items[i].key, images->key))
            return &entries->items[i];
    return NULL;
}

static bool has_role(const struct pair *pair, bool test)
{
    const char *key = pair->images->key;
    bool trains = strstr(key, "train");
    return test ? !trains && (strstr(key, "t10k") || strstr(key, "test")) : trains;
}

/* The pair of a role among those that belong together by name; *n_out: how many belong together. */
static weir_status named_find(const char *directory, const struct entries *entries, bool test, struct pair *pair, int *n_out)
{
    struct pair only = {0};
    const char *last = NULL;
    for (size_t i = 0; i < entries->n; i++) {
        const struct entry *e = &entries->items[i];
        struct pair found = {e, e->magic == WEIR_IDX_IMAGES ? partner_find(entries, e) : NULL};
        if (!found.labels || (last && !strcmp(last, e->key))) /* or the same once more, packed */
            continue;
        last = e->key;
        only = found;
        ++*n_out;
        if (has_role(&found, test) && pair->images)
            return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' has several %s sets, of '%s' and '%s': leave one of them in the directory",
                             directory, test ? "test" : "training", pair->images->path, e->path);
        if (has_role(&found, test))
            *pair = found;
    }
    if (*n_out == 1) /* it is the one to train on, whatever it is called */
        *pair = test ? (struct pair){0} : only;
    if (*n_out > 1 && !test && !pair->images)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' has %d sets of images and labels, none of them called train: leave one of them in the "
                         "directory", directory, *n_out);
    return WEIR_OK;
}

/* The only file of a kind, or the only one that is whole. */
static weir_status only_find(const char *directory, struct entries *entries, uint32_t magic, const char *what,
                             const struct entry **found)
{
    size_t n = 0;
    for (size_t i = 0; i < entries->n; i++)
        n += entries->items[i].magic == magic;
    for (size_t i = 0; i < entries->n; i++) {
        const struct entry *e = &entries->items[i];
        struct weir_idx idx = {0};
        if (e->magic != magic)
            continue;
        weir_status status = n > 1 ? weir_idx_read(e->path, magic, &idx) : WEIR_OK;
        weir_free(idx.elements);
        if (status == WEIR_ERR_NOMEM)
            return status;
        if (status)
            failure_keep(entries, status);
        else if (*found)
            return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' and '%s' are both IDX %s files: leave one of them in the directory",
                             (*found)->path, e->path, what);
        else
            *found = e;
    }
    if (*found)
        return WEIR_OK;
    if (!entries->failure)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' holds no IDX %s file (one that starts with 0x%08x, plain or gzip)", directory, what,
                         (unsigned)magic);
    weir_error_put(entries->message);
    return entries->failure;
}

static weir_status pair_find(const char *directory, struct entries *entries, bool test, struct pair *pair)
{
    int n_named = 0;
    weir_status status = named_find(directory, entries, test, pair, &n_named);
    if (status || n_named || test)
        return status;
    status = only_find(directory, entries, WEIR_IDX_IMAGES, "image", &pair->images);
    return status ? status : only_find(directory, entries, WEIR_IDX_LABELS, "label", &pair->labels);
}

weir_status weir_idx_folder_find(const char *directory, bool test, struct weir_idx_pair *pair_out)
{
    struct entries entries = {0};
    struct weir_idx_pair paths = {0};
    struct pair pair = {0};
    weir_status status = entries_find(directory, &entries);
    if (!status)
        status = pair_find(directory, &entries, test, &pair);
    if (!status && pair.images)
        status = weir_strdup(pair.images->path, &paths.images);
    if (!status && pair.images)
        status = weir_strdup(pair.labels->path, &paths.labels);
    entries_release(&entries);
    if (status)
        weir_free(paths.images);
    else
        *pair_out = paths;
    return status;
}
