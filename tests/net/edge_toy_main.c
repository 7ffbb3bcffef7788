/* The toy server as a process of its own: edge_toy_main [PORT]. Prints its port; ends with its standard input. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/net/edge_toy_server.h"

static void *watch_input(void *loop)
{
    char buffer[64];

    while (read(STDIN_FILENO, buffer, sizeof buffer) > 0)
        ;
    loop_stop(loop);
    return NULL;
}

int main(int argc, char **argv)
{
    struct error err = ERROR_INIT;
    struct toy_server toy;
    struct loop *loop;
    pthread_t watcher;

    if (loop_new(&loop, &clock_system, &err) || toy_server_init(&toy, loop, argc > 1 ? atoi(argv[1]) : 0, 0, &err)) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    printf("%d\n", edge_server_port(toy.server));
    fflush(stdout);
    if (pthread_create(&watcher, NULL, watch_input, loop))
        return 1;
    loop_run(loop);
    pthread_join(watcher, NULL);
    toy_server_fini(&toy);
    loop_free(loop);
    return 0;
}
