/* Two groups of one MPI program's processes train side by side with different learning rates, and the program picks the better.
 *
 *     mpicc groups.c $(pkg-config --cflags --libs weir) -o groups && mpirun -np 4 ./groups */
#include <float.h>
#include <stdio.h>
#include <weir/mpi.h>

enum { POSITIONS = 16, MICROBATCHES = 4, STEPS = 20 };

static weir_status step_run(weir_engine *engine, double rate, struct weir_step_report *report)
{
    int32_t tokens[POSITIONS + 1];
    weir_status status = WEIR_OK;
    for (int mb = 0; mb < MICROBATCHES && !status; mb++) {
        for (int i = 0; i <= POSITIONS; i++)
            tokens[i] = 'a' + (mb + i) % 4; /* letters that go round */
        status = weir_engine_feed(engine, "tokens", mb, tokens);
        status = status ? status : weir_engine_feed(engine, "targets", mb, tokens + 1);
    }
    return status ? status : weir_engine_step(engine, rate, report);
}
/* All processes of `comm` call it: as many stages as there are processes. */
static weir_status train(MPI_Comm comm, double rate, double *loss_out)
{
    const struct weir_model_params params = {.microbatch_size = 1, .seq_len = POSITIONS};
    const struct weir_model_kind *kind;
    struct weir_arena arena = {0};
    struct weir_schedule schedule;
    struct weir_engine_config config;
    struct weir_step_report report = {.loss = DBL_MAX};
    weir_engine *engine = NULL;
    int n_stages;
    MPI_Comm_size(comm, &n_stages);
    weir_engine_config_init(&config, sizeof config);
    weir_status status = weir_model_find("gpt2-tiny", &kind);
    status = status ? status : weir_model_build(kind, &params, &arena, &config.graph);
    status = status ? status : weir_pipeline_schedule("1f1b", n_stages, 0, MICROBATCHES, &arena, &schedule);
    config.schedule = &schedule;
    config.transport = "mpi";
    status = status ? status : weir_mpi_communicator_give(&config, comm);
    status = status ? status : weir_engine_open(&config, &engine);
    for (int step = 0; step < STEPS && !status; step++)
        status = step_run(engine, rate, &report);
    if (!status)
        *loss_out = report.loss;
    else
        fprintf(stderr, "%s\n", weir_last_error());
    weir_engine_close(engine);
    weir_arena_release(&arena);
    return status;
}
int main(int argc, char **argv)
{
    static const double rates[] = {1e-4, 1e-3};
    struct {
        double loss;
        int group;
    } mine = {DBL_MAX, 0}, best;
    MPI_Comm comm;
    int level, rank, n;
    MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &level);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &n);
    mine.group = n > 1 && rank >= n / 2;
    MPI_Comm_split(MPI_COMM_WORLD, mine.group, rank, &comm);
    weir_status status = train(comm, rates[mine.group], &mine.loss);
    MPI_Allreduce(&mine, &best, 1, MPI_DOUBLE_INT, MPI_MINLOC, MPI_COMM_WORLD); /* a group that has failed comes here too */
    if (rank == 0)
        printf("learning rate %g: last loss %.4f\n", rates[best.group], best.loss);
    MPI_Comm_free(&comm);
    MPI_Finalize();
    return status != WEIR_OK;
}
