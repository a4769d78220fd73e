/* Topologies as text and as SVG.  What repeats is said once: of many parts alike under one part the first few are shown. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "partitioner/topology/topology_tree.h"

enum { MOST_CLASSES = 64, MOST_PAIRED = 256, SHOWN_ALIKE = 2, TEXT_ROOM = 160 };

/* ---- numbers ---------------------------------------------------------------------------------------------------------- */

static void rate_print(double rate, struct weir_text *text)
{
    if (isfinite(rate))
        weir_text_append(text, "%.3g GB/s", rate / 1e9);
    else
        weir_text_append(text, "no limit");
}

static int index_of_device(const struct weir_topology *t, int part)
{
    for (int i = 0; i < t->n_devices; i++)
        if (t->devices[i].part == part)
            return i;
    return -1;
}

/* ---- parts alike ------------------------------------------------------------------------------------------------------ */

static int end_of(const struct weir_topology *t, int part)
{
    int i = part + 1;
    while (i < t->n_parts && t->parts[i].above >= part)
        i++;
    return i;
}

/* Below and with the part: the same kinds and links in the same places, whatever the names. */
static bool is_alike(const struct weir_topology *t, int a, int b)
{
    int end = end_of(t, a);
    for (int i = a; i < end; i++) {
        int j = b + i - a;
        if (j >= t->n_parts || t->parts[i].kind != t->parts[j].kind || t->parts[i].bandwidth != t->parts[j].bandwidth ||
            t->parts[i].network != t->parts[j].network || t->parts[i].fabric != t->parts[j].fabric ||
            (i > a && t->parts[i].above - a != t->parts[j].above - b))
            return false;
    }
    return end_of(t, b) - b == end - a;
}

/* ---- text ------------------------------------------------------------------------------------------------------------- */

static void part_print(const struct weir_topology *t, int part, int depth, struct weir_text *text)
{
    const struct weir_topology_part *p = &t->parts[part];
    weir_text_append(text, "%*s", 2 * depth, "");
    weir_text_append_name(text, p->name);
    if (p->above >= 0) {
        weir_text_append(text, ": ");
        rate_print(p->bandwidth, text);
        weir_text_append(text, " to ");
        weir_text_append_name(text, t->parts[p->above].name);
    }
    if (p->kind == WEIR_TOPOLOGY_CARD)
        weir_text_append(text, ", network %.3g GB/s", p->network / 1e9);
    if (p->fabric > 0)
        weir_text_append(text, ", direct links %.3g GB/s to a switch", p->fabric / 1e9);
    int device = p->kind == WEIR_TOPOLOGY_DEVICE ? index_of_device(t, part) : -1;
    if (device >= 0 && t->devices[device].memory > 0)
        weir_text_append(text, ", %.1f GiB", t->devices[device].memory / 0x1p30);
    if (device >= 0 && t->devices[device].speed != 1)
        weir_text_append(text, ", speed %.3g", t->devices[device].speed);
    weir_text_append(text, "\n");
}

static void tree_print(const struct weir_topology *t, int part, int depth, struct weir_text *text)
{
    int alike = 0, before = -1, end = end_of(t, part);
    part_print(t, part, depth, text);
    for (int i = part + 1; i < end; i = end_of(t, i)) {
        alike = before >= 0 && is_alike(t, before, i) ? alike + 1 : 0;
        before = i;
        if (alike < SHOWN_ALIKE)
            tree_print(t, i, depth + 1, text);
        else if (end_of(t, i) == end || !is_alike(t, i, end_of(t, i)))
            weir_text_append(text, "%*s... and %d more alike\n", 2 * depth + 2, "", alike + 1 - SHOWN_ALIKE);
    }
}

/* Ways of one kind: how many pairs, and the first of them. */
struct way {
    struct weir_topology_path path;
    int64_t n;
    int from, to;
};

static void way_count(const struct weir_topology *t, int a, int b, struct way *ways, int *n_ways)
{
    struct weir_topology_path path = weir_topology_path(t, a, b);
    int i = 0;
    while (i < *n_ways && (ways[i].path.bandwidth != path.bandwidth || ways[i].path.crosses != path.crosses ||
                           fabs(ways[i].path.latency - path.latency) > 1e-12))
        i++;
    if (i == MOST_CLASSES)
        return;
    if (i == *n_ways)
        ways[(*n_ways)++] = (struct way){path, 0, a, b};
    ways[i].n++;
}

static void ways_print(const struct weir_topology *t, struct weir_text *text)
{
    struct way ways[MOST_CLASSES];
    int n = 0, most = t->n_devices < MOST_PAIRED ? t->n_devices : 1; /* of very many, those from the first */
    for (int a = 0; a < most; a++)
        for (int b = a + 1; b < t->n_devices; b++)
            way_count(t, a, b, ways, &n);
    for (int i = 1; i < n; i++)
        for (int j = i; j > 0 && ways[j].path.bandwidth > ways[j - 1].path.bandwidth; j--) {
            struct way other = ways[j];
            ways[j] = ways[j - 1];
            ways[j - 1] = other;
        }
    for (int i = 0; i < n; i++) {
        weir_text_append(text, "%8lld pair%s  %8.3g GB/s %6.3g us  by %s, as ", (long long)ways[i].n, ways[i].n == 1 ? " " : "s",
                         ways[i].path.bandwidth / 1e9, ways[i].path.latency * 1e6,
                         ways[i].path.crosses == WEIR_TOPOLOGY_DEVICE ? "direct link" : weir_topology_kind_names[ways[i].path.crosses]);
        weir_text_append_name(text, t->parts[t->devices[ways[i].from].part].name);
        weir_text_append(text, " - ");
        weir_text_append_name(text, t->parts[t->devices[ways[i].to].part].name);
        weir_text_append(text, "\n");
    }
    if (most < t->n_devices)
        weir_text_append(text, "(from the first device)\n");
}

void weir_topology_print(const struct weir_topology *t, struct weir_text *text)
{
    weir_text_append_name(text, t->source);
    weir_text_append(text, " (%s): %d %s%s on %d node%s%s\n", t->form, t->n_devices, t->has_gpus ? "device" : "core",
                     t->n_devices == 1 ? "" : "s", t->n_nodes, t->n_nodes == 1 ? "" : "s",
                     t->is_assumed ? "; rates by the kind of link, assumed where the file has none" : "");
    tree_print(t, 0, 0, text);
    ways_print(t, text);
}

/* ---- SVG -------------------------------------------------------------------------------------------------------------- */

enum { LEAF_WIDTH = 88, LEAF_HEIGHT = 40, GAP = 8, TITLE = 30, MOST_DRAWN = 2048 };

/* Where a part is; width 0: not drawn. */
struct box {
    double x, y, width, height;
    int left_out; /* children */
};

struct drawing {
    const struct weir_topology *topology;
    struct box boxes[MOST_DRAWN];
    struct weir_text *text;
};

static bool is_leaf(const struct weir_topology *t, int part)
{
    return t->parts[part].kind == WEIR_TOPOLOGY_DEVICE || t->parts[part].kind == WEIR_TOPOLOGY_CARD;
}

/* Leaves stand in rows of up to eight; other parts beside each other.  Returns the size. */
static struct box place(struct drawing *d, int part, double x, double y)
{
    const struct weir_topology *t = d->topology;
    struct box own = {x, y, LEAF_WIDTH, LEAF_HEIGHT, 0};
    if (part >= MOST_DRAWN)
        return (struct box){0};
    double at_x = x + GAP, at_y = y + TITLE, right = x + LEAF_WIDTH, bottom = y + TITLE;
    int alike = 0, before = -1, n_leaves = 0, end = end_of(t, part);
    for (int i = part + 1; i < end; i = end_of(t, i)) {
        bool leaf = is_leaf(t, i);
        alike = !leaf && before >= 0 && is_alike(t, before, i) ? alike + 1 : 0;
        before = i;
        if (alike >= SHOWN_ALIKE || i >= MOST_DRAWN) {
            own.left_out++;
            continue;
        }
        if (leaf && n_leaves++ % 8 == 0 && n_leaves > 1)
            at_x = x + GAP, at_y = bottom;
        struct box child = place(d, i, at_x, at_y);
        at_x += child.width + GAP;
        right = fmax(right, at_x);
        bottom = fmax(bottom, at_y + child.height + GAP);
    }
    if (!is_leaf(t, part))
        own = (struct box){x, y, right - x, fmax(bottom + (own.left_out ? TITLE / 2 : 0), y + LEAF_HEIGHT) - y, own.left_out};
    d->boxes[part] = own;
    return own;
}

static void escaped_append(const char *name, struct weir_text *text)
{
    for (; *name; name++)
        if (*name == '<' || *name == '>' || *name == '&' || *name == '"')
            weir_text_append(text, "&#%d;", *name);
        else if ((unsigned char)*name >= ' ' && (unsigned char)*name < 127)
            weir_text_append(text, "%c", *name);
}

static void box_draw(const struct drawing *d, int part)
{
    const struct weir_topology_part *p = &d->topology->parts[part];
    const struct box *b = &d->boxes[part];
    weir_text_append(d->text, "<rect class=\"%s\" x=\"%.0f\" y=\"%.0f\" width=\"%.0f\" height=\"%.0f\" rx=\"4\"/>\n",
                     weir_topology_kind_names[p->kind], b->x, b->y, b->width, b->height);
    weir_text_append(d->text, "<text x=\"%.0f\" y=\"%.0f\">", b->x + 5, b->y + 13);
    escaped_append(p->name, d->text);
    weir_text_append(d->text, "</text>\n");
    if (p->above >= 0 && isfinite(p->bandwidth))
        weir_text_append(d->text, "<text class=\"rate\" x=\"%.0f\" y=\"%.0f\">%.3g GB/s up</text>\n", b->x + 5, b->y + 25, p->bandwidth / 1e9);
    if (p->network > 0 || p->fabric > 0)
        weir_text_append(d->text, "<text class=\"rate\" x=\"%.0f\" y=\"%.0f\">%s %.3g GB/s</text>\n", b->x + 5, b->y + 36,
                         p->network > 0 ? "network" : "direct", (p->network > 0 ? p->network : p->fabric) / 1e9);
    if (b->left_out)
        weir_text_append(d->text, "<text class=\"rate\" x=\"%.0f\" y=\"%.0f\">... and %d more alike</text>\n", b->x + 5, b->y + b->height - 5,
                         b->left_out);
}

static void links_draw(const struct drawing *d)
{
    for (int i = 0; i < d->topology->n_links; i++) {
        int a = d->topology->links[i].a, b = d->topology->links[i].b;
        if (a >= MOST_DRAWN || b >= MOST_DRAWN || d->boxes[a].width <= 0 || d->boxes[b].width <= 0)
            continue;
        double ax = d->boxes[a].x + LEAF_WIDTH / 2.0, bx = d->boxes[b].x + LEAF_WIDTH / 2.0;
        double ay = d->boxes[a].y + LEAF_HEIGHT, by = d->boxes[b].y + LEAF_HEIGHT;
        weir_text_append(d->text, "<path class=\"link\" d=\"M%.0f %.0fC%.0f %.0f %.0f %.0f %.0f %.0f\"><title>%.3g GB/s</title></path>\n", ax, ay,
                         ax, ay + 24, bx, by + 24, bx, by, d->topology->links[i].bandwidth / 1e9);
    }
}

void weir_topology_svg(const struct weir_topology *t, struct weir_text *text)
{
    struct drawing d = {.topology = t, .text = text};
    struct box all = place(&d, 0, GAP, GAP);
    weir_text_append(text,
                     "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" viewBox=\"0 0 %.0f %.0f\">\n<style>"
                     "rect{fill:#fff;stroke:#888}.node{fill:#eef3f8}.cpu{fill:#f7f7e8}.switch{fill:#f3eef8}.device{fill:#d8ecd8}"
                     ".card{fill:#f6dfc8}text{font:11px sans-serif}.rate{font-size:9px;fill:#444}.link{fill:none;stroke:#3a7;opacity:.6}"
                     "</style>\n",
                     all.width + 2 * GAP, all.height + 2 * GAP, all.width + 2 * GAP, all.height + 2 * GAP);
    for (int i = 0; i < t->n_parts && i < MOST_DRAWN; i++)
        if (d.boxes[i].width > 0)
            box_draw(&d, i);
    links_draw(&d);
    weir_text_append(text, "</svg>\n");
}
