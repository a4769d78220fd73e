#!/bin/bash
# Programs and libraries whose headers differ: every struct that may grow has grown in one of the two.
#
#     old programs       $WEIR_BINARY_DIR/libweir.so, and one made from grown headers
#     grown programs     the same
#
# include/weir/common.h says which structs keep their size.  The grown library is compiled neither optimised nor with optional
# libraries, so that it is soon done.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
programs=(embed go_on planned reader)

die() {
    printf 'growth test: %s\n' "$*" >&2
    exit 1
}

quiet() {
    "$@" >"$work/log" 2>&1 </dev/null || {
        tail -n 40 "$work/log" >&2
        die "'$*' failed"
    }
}

# The names behind "These keep their size" in common.h, as a regular expression.
frozen() {
    sed -n '/These keep their size/,/\./p' "$WEIR_SOURCE_DIR/include/weir/common.h" | grep -o 'weir_[a-z_]*' | paste -sd '|'
}

# A field more at the end of every other struct.  What rows read by functions is moved, too.
grow() { # <header>...
    local header
    for header in "$@"; do
        awk -v frozen="^($(frozen))\$" '
            /^struct weir_[a-z_]+ [{]$/ { name = $2 }
            /^};/ && name != "" && name !~ frozen { print "    char grown_by[" 40 + length(name) % 3 * 8 "];" }
            /^};/ { name = "" }
            { print }
            /^struct weir_op_(call|shapes) [{]$/ { print "    char moved_by[24];" }' "$header" >"$header.new"
        mv "$header.new" "$header"
    done
}

grown_library() {
    mkdir "$work/sources" "$work/user"
    cp -r "$WEIR_SOURCE_DIR"/{CMakeLists.txt,cmake,include,base,schedules,partitioner,models,kernels,engine} "$work/sources/"
    grow $(find "$work/sources/include/weir" -name '*.h' ! -name schedule.h ! -name simulate.h)
    [ "$(cat "$work"/sources/include/weir/*.h | grep -c grown_by)" -gt 15 ] || die "hardly a struct has grown"
    cat >"$work/user/CMakeLists.txt" <<END
cmake_minimum_required(VERSION 3.25)
project(user C)
set(BUILD_SHARED_LIBS ON)
foreach(part IN ITEMS ONEDNN CUDA MPI HWLOC)
  set(WEIR_\${part} OFF)
endforeach()
add_subdirectory($work/sources weir)
END
    quiet cmake -S "$work/user" -B "$work/grown" -G Ninja -DCMAKE_BUILD_TYPE= -DCMAKE_C_FLAGS=-O0
    quiet cmake --build "$work/grown" --target libweir_shared
}

# What the examples do not read: arrays, whose entries the program and the library may see with different sizes.
reader_write() {
    cat >"$work/reader.c" <<'END'
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir/auto.h>
#include <weir/draw.h>
#include <weir/generate.h>
#include <weir/metrics.h>
#include <weir/partition.h>
#include <weir/topology.h>
#include <weir/trace.h>

static void check(weir_status status, int line)
{
    if (status) {
        fprintf(stderr, "line %d: %s\n", line, weir_last_error());
        exit(1);
    }
}
#define CHECK(status) check((status), __LINE__)
#define HOLDS(what) ((what) ? (void)0 : (fprintf(stderr, "line %d: not %s\n", __LINE__, #what), exit(1)))

enum { EVENTS = 200 };

static void graph_read(const struct weir_graph *graph)
{
    struct weir_node_info node;
    struct weir_param param;
    struct weir_layer layer;
    struct weir_graph_input input;
    CHECK(weir_graph_node_get(graph, graph->n_nodes - 1, &node));
    HOLDS(!strcmp(node.op, "cross_entropy") && node.n_inputs == 2 && node.inputs[0] == graph->n_nodes - 2 && node.output->n_dims == 1);
    CHECK(weir_graph_param_get(graph, 1, &param));
    HOLDS(!strcmp(param.name, "wpe.weight") && param.shape.n_dims == 2 && param.n_uses == 1);
    CHECK(weir_graph_layer_get(graph, graph->n_layers - 1, &layer));
    HOLDS(layer.first_node + layer.n_nodes == graph->n_nodes && layer.n_crossing == 1);
    CHECK(weir_graph_input_get(graph, 1, &input));
    HOLDS(!strcmp(input.name, "targets") && input.shape.dims[1] == 16);
    HOLDS(weir_graph_input_get(graph, 2, &input) == WEIR_ERR_INVALID);
}

static void engine_read(const struct weir_model_kind *kind)
{
    static int32_t tokens[2 * 16];
    static struct weir_step_event events[EVENTS];
    static struct weir_step_wait waits[EVENTS];
    static struct weir_op_time times[EVENTS];
    struct weir_arena arena = {0};
    struct weir_model_params params = {.microbatch_size = 2, .seq_len = 16};
    struct weir_schedule schedule;
    struct weir_engine_config config;
    struct weir_step_report report;
    weir_engine *engine;
    weir_engine_config_init(&config, sizeof config);
    CHECK(weir_model_build(kind, &params, &arena, &config.graph));
    graph_read(config.graph);
    CHECK(weir_pipeline_schedule("1f1b", 2, 0, 2, &arena, &schedule));
    config.schedule = &schedule;
    CHECK(weir_engine_open(&config, &engine));
    for (int mb = 0; mb < 2; mb++) {
        CHECK(weir_engine_feed(engine, "tokens", mb, tokens));
        CHECK(weir_engine_feed(engine, "targets", mb, tokens));
    }
    CHECK(weir_engine_step(engine, 1e-3, &report));
    HOLDS(report.n_ranks == 2 && report.loss > 1 && report.compute_ns[1] > 0);
    size_t n = weir_engine_events(engine, events, EVENTS);
    HOLDS(n > 8 && n < EVENTS);
    for (size_t i = 0; i < n; i++)
        HOLDS(events[i].name[0] && (events[i].rank == 0 || events[i].rank == 1) && events[i].start_ns <= events[i].end_ns);
    n = weir_engine_waits(engine, waits, EVENTS);
    for (size_t i = 0; i < n && i < EVENTS; i++)
        HOLDS((waits[i].rank == 0 || waits[i].rank == 1) && waits[i].start_ns <= waits[i].end_ns);
    n = weir_engine_op_times(engine, times, EVENTS);
    HOLDS(n > 8 && n < EVENTS);
    for (size_t i = 0; i < n; i++)
        HOLDS(times[i].op[0] && !strncmp(times[i].pass, times[i].pass[0] == 'f' ? "forward" : "backward_", 7) && times[i].calls > 0);
    CHECK(weir_engine_export(engine, &(struct weir_export){.dir = "exported", .shard_bytes = 1 << 20}));
    HOLDS(fopen("exported/model.safetensors.index.json", "r")); /* more bytes than a shard takes */
    weir_engine_close(engine);
    weir_arena_release(&arena);
}

static void generator_read(const struct weir_model_kind *kind)
{
    static const int32_t prompt[5] = {1, 2, 3, 4, 5};
    struct weir_arena arena = {0};
    struct weir_model_params params = {.microbatch_size = 1, .seq_len = 8, .context = 32};
    struct weir_generator_config config;
    weir_generator *generator;
    weir_generator_config_init(&config, sizeof config);
    CHECK(weir_model_build(kind, &params, &arena, &config.prompt));
    params.seq_len = 1;
    CHECK(weir_model_build(kind, &params, &arena, &config.token));
    config.n_stages = 2;
    CHECK(weir_generator_open(&config, &generator));
    CHECK(weir_generator_prompt(generator, prompt, 5));
    HOLDS(weir_generator_context(generator) == 32 && weir_generator_logits(generator, 0));
    const struct weir_sampling sampling = {.temperature = 1, .top_k = 1};
    int64_t n = weir_generator_vocabulary(generator);
    const float *logits = weir_generator_logits(generator, 0);
    int32_t token;
    CHECK(weir_token_sample(&sampling, logits, n, 0, 5, calloc((size_t)n, sizeof(float)), &token));
    for (int64_t i = 0; i < n; i++)
        HOLDS(logits[i] <= logits[token]);
    weir_generator_close(generator);
    weir_arena_release(&arena);
}

static void said(void *context, const char *text, size_t bytes)
{
    *(size_t *)context += bytes;
    HOLDS(text);
}

/* Structs that a program makes for functions without an engine, and those that it gets from them. */
static void tools_read(void)
{
    static const char line[] = "{\"format\": \"weir-cost-graph\", \"version\": 1, \"nodes\": [{\"id\": \"a\", \"forward\": 3}, "
                               "{\"id\": \"b\", \"forward\": 4}], \"edges\": []}";
    static const int64_t peaks[1] = {7};
    static const int64_t times[1] = {1};
    struct weir_arena arena = {0};
    struct weir_schedule_costs costs = {1, 1, 1, 1, 1, .overlap_gain = 1};
    struct weir_auto_request request = {.n_ranks = 2, .n_microbatches = 4, .costs = &costs};
    struct weir_auto_result made;
    struct weir_simulation simulation;
    struct weir_simulation_options kept = {.keep_times = true};
    const struct weir_timeline *timeline;
    struct weir_draw_options options = {.width = 100};
    const struct weir_topology *topology;
    struct weir_topology_device_info device;
    struct weir_split_request split_request;
    struct weir_split_info info;
    struct weir_split_part part;
    struct weir_cost_node_info node;
    struct weir_metrics_step step = {.step = 1, .peak_bytes = peaks};
    struct weir_straggler slow;
    weir_cost_graph *graph;
    weir_split *split;
    weir_metrics *metrics;
    weir_stragglers *stragglers;
    size_t bytes = 0;
    CHECK(weir_schedule_auto(&request, &arena, &made));
    HOLDS(made.n_tried > 1 && made.schedule.n_ranks == 2);
    CHECK(weir_schedule_simulate(&made.schedule, &costs, &kept, &arena, &simulation));
    CHECK(weir_timeline_of_simulation(&simulation, &costs, "made", "", &arena, &timeline));
    CHECK(weir_timelines_draw(&timeline, 1, WEIR_DRAW_TEXT, &options, said, &bytes));
    HOLDS(bytes > 100);
    CHECK(weir_topology_open("1 node x 2, 10GB/s, 1GB/s", &arena, &topology));
    CHECK(weir_topology_device_get(topology, 1, &device));
    HOLDS(device.speed == 1 && device.name[0]);
    CHECK(weir_cost_graph_open_text(line, sizeof line - 1, "line", NULL, 0, &graph));
    CHECK(weir_cost_graph_node_get(graph, 1, &node));
    HOLDS(node.forward == 4 && !strcmp(node.id, "b"));
    weir_split_request_init(&split_request, sizeof split_request);
    split_request.n_devices = 2;
    CHECK(weir_split_find(graph, &split_request, &split));
    weir_split_info(split, &info);
    HOLDS(info.objective == 4 && info.n_parts == 2);
    CHECK(weir_split_part_get(split, 0, &part));
    HOLDS(part.n_nodes == 1 && part.load > 0);
    weir_split_close(split);
    weir_cost_graph_close(graph);
    CHECK(weir_metrics_open("growth.jsonl", 1, &metrics));
    CHECK(weir_metrics_write(metrics, &step));
    weir_metrics_close(metrics);
    remove("growth.jsonl");
    CHECK(weir_stragglers_open(1, NULL, &stragglers));
    HOLDS(!weir_stragglers_look(stragglers, times, 1, &slow));
    weir_stragglers_close(stragglers);
    weir_arena_release(&arena);
}

int main(void)
{
    const struct weir_model_kind *kind;
    CHECK(weir_model_find("gpt2-tiny", &kind));
    tools_read();
    engine_read(kind);
    generator_read(kind);
    return 0;
}
END
}

programs_make() { # <old|grown> <folder of headers> <library>
    local name source
    for name in "${programs[@]}"; do
        source=$WEIR_SOURCE_DIR/examples/$name.c
        [ -e "$source" ] || source=$work/$name.c
        quiet "${CC:-cc}" -std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror -I"$2" -o "$work/$1-$name" "$source" "$3" -lm
    done
}

programs_run() { # <old|grown> <library>
    local name
    mkdir "$work/libs" && cp "$2" "$work/libs/libweir.so.0"
    for name in "${programs[@]}"; do
        (cd "$work" && quiet env LD_LIBRARY_PATH="$work/libs" timeout 120 "./$1-$name")
        printf '%s program %s ran with %s\n' "$1" "$name" "${2#"$work"/}"
    done
    rm -r "$work/libs" "$work"/go_on.checkpoints "$work"/exported
}

own=$WEIR_BINARY_DIR/libweir.so
reader_write
grown_library
grown=$(find "$work/grown" -name libweir.so)
programs_make old "$WEIR_SOURCE_DIR/include" "$own"
programs_make grown "$work/sources/include" "$grown"
for kind in old grown; do
    programs_run $kind "$own"
    programs_run $kind "$grown"
done
