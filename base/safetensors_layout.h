/* The layout of a safetensors file to be written. */
#ifndef WEIR_BASE_SAFETENSORS_LAYOUT_H
#define WEIR_BASE_SAFETENSORS_LAYOUT_H

#include "base/safetensors.h"
#include "base/text.h"

struct weir_safetensors_place {
    const struct weir_safetensors_decl *decl; /* the spec's: only while the header is made */
    int index;
    uint64_t begin, bytes; /* within the data */
};

struct weir_safetensors_layout {
    struct weir_safetensors_place *places; /* [n_tensors], as the spec has them */
    struct weir_text header;               /* padded: the data starts at a multiple of 64 bytes */
    uint64_t data_bytes;
};

/* Fill `layout`, which is all zero bits; release it in any case.  Statuses as weir_safetensors_create. */
weir_status weir_safetensors_layout_make(const struct weir_safetensors_spec *spec, struct weir_safetensors_layout *layout);
void weir_safetensors_layout_release(struct weir_safetensors_layout *layout);

#endif
