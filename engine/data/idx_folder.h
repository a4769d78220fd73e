/* Which IDX files of a folder belong together.
 *
 *     mnist/train-images-idx3-ubyte.gz    train-labels-idx1-ubyte.gz    the training set
 *     mnist/t10k-images-idx3-ubyte.gz     t10k-labels-idx1-ubyte.gz     the test set
 *     mnist/README, train.zip, ...                                      are passed over
 *
 * Files are found by content.  Images and labels whose names differ in "images" and "labels" (and idx3, idx1) alone are a pair;
 * of several pairs the training set has "train" in its name, the test set "t10k" or "test".  One file of images and one of
 * labels are a pair under any name. */
#ifndef WEIR_ENGINE_DATA_IDX_FOLDER_H
#define WEIR_ENGINE_DATA_IDX_FOLDER_H

#include <stdbool.h>

#include "base/status.h"

struct weir_idx_pair {
    char *images, *labels; /* paths, to be freed with weir_free; NULL: there is no such set */
};

/* The training set, or the only set there is; with `test` the test set beside it.
 *
 * WEIR_ERR_IO: the folder cannot be read.  WEIR_ERR_INVALID: no images or no labels, or several of them of which none is
 * the right one by name and content.  WEIR_ERR_NOMEM. */
weir_status weir_idx_folder_find(const char *directory, bool test, struct weir_idx_pair *pair_out);

#endif
