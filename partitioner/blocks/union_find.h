/* Union-find with path halving; the smaller index stays the root, so that results do not depend on history. */
#ifndef WEIR_PARTITIONER_BLOCKS_UNION_FIND_H
#define WEIR_PARTITIONER_BLOCKS_UNION_FIND_H

static inline int weir_union_root(int *parent, int v)
{
    while (parent[v] != v)
        v = parent[v] = parent[parent[v]];
    return v;
}

static inline void weir_union_join(int *parent, int a, int b)
{
    a = weir_union_root(parent, a);
    b = weir_union_root(parent, b);
    if (a < b)
        parent[b] = a;
    else
        parent[a] = b;
}

#endif
