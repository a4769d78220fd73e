/* The files and folders that a command reads and writes, known before it writes anything.
 *
 *     struct paths paths = {0};
 *     paths_read_data(&paths, "--data", "book.txt");
 *     paths_read_model(&paths, "--init-from", "gpt2/");      config.json, the weights, the files of the tokenizer
 *     paths_write_metrics(&paths, "--metrics", "gpt2/model.safetensors");
 *     paths_write_model(&paths, "--export", "tuned/");
 *     status = paths_check(&paths, false);                   '--metrics' would write a file of '--init-from': refused
 *     paths_release(&paths);
 *
 * A file is known by device and inode; one that is still to come by device and inode of the last folder on its way, and the
 * names that follow:
 *
 *     gpt2/config.json      is there       device, inode of config.json      ""
 *     tuned/new/m.jsonl     is to come     device, inode of tuned            "new/m.jsonl"
 *
 * so that links, "./" and mounts hide nothing.  Pipes and devices are nobody's.  Standard output and standard error count
 * as outputs when they are files.  Functions do nothing after a failure, and with a path that is NULL; paths_check() has the
 * status. */
#ifndef WEIR_CMD_PATHS_H
#define WEIR_CMD_PATHS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/status.h"

enum paths_kind {
    PATHS_READ,
    PATHS_READ_MODEL,    /* a file of a model */
    PATHS_WRITE,         /* replaced without asking */
    PATHS_WRITE_METRICS, /* replaced when it is a metrics file, or with --force */
    PATHS_WRITE_MODEL,   /* a file of an export */
    PATHS_STREAM,        /* standard output or standard error */
};

struct paths_entry {
    enum paths_kind kind;
    const char *label;  /* "--metrics": what names it */
    const char *path;
    const char *folder; /* of which it is a file that the command uses; NULL: the label names the file itself */
    dev_t device;
    ino_t inode;
    const char *rest;   /* "": it is there */
};

struct paths {
    weir_status status;
    struct weir_arena arena;
    struct paths_entry *entries;
    size_t n, room;
};

void paths_read(struct paths *paths, const char *label, const char *path); /* "-": standard input */
void paths_write(struct paths *paths, const char *label, const char *path); /* "-": standard output */
void paths_write_metrics(struct paths *paths, const char *label, const char *path);

/* Files as weir_data_paths() takes them, or a folder with images. */
void paths_read_data(struct paths *paths, const char *label, const char *text);

/* A folder of a model with all that a model may have, or a file.  What is not there is somebody else's to refuse. */
void paths_read_model(struct paths *paths, const char *label, const char *path);
void paths_read_model_name(struct paths *paths, const char *label, const char *name); /* or the name of a built-in one */
bool model_is_built_in(const char *name);
void paths_read_tokenizer(struct paths *paths, const char *label, const char *path); /* or "bytes" */
void paths_write_model(struct paths *paths, const char *label, const char *folder);

/* WEIR_ERR_USAGE: an output is an input, or another output; an export replaces a model that is read, and `force` is not set.
 * The message names both. */
weir_status paths_check(struct paths *paths, bool force);

/* What is there and is replaced: WEIR_ERR_USAGE when that takes --force.  For the process that writes. */
weir_status paths_check_replaced(const struct paths *paths);

void paths_release(struct paths *paths);

#endif
