#include "mosquitto_fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct sockaddr_in loopback(int port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((unsigned short)port)};
}

int free_port(void)
{
    struct sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), port = 0;

    if (fd < 0)
        return 0;
    if (!bind(fd, (struct sockaddr *)&address, size) && !getsockname(fd, (struct sockaddr *)&address, &size))
        port = ntohs(address.sin_port);
    close(fd);
    return port;
}

static int write_config(const struct mosquitto *broker, const char *more)
{
    char path[128];

    snprintf(path, sizeof path, "%s/mosquitto.conf", broker->dir);
    FILE *file = fopen(path, "w");
    if (!file)
        return -1;
    fprintf(file,
            "listener %d 127.0.0.1\n"
            "allow_anonymous true\n"
            "max_queued_messages 0\n"
            "max_inflight_messages 0\n"
            "persistence false\n"
            "user root\n"
            "%s",
            broker->port, more ? more : "");
    return fclose(file);
}

static void run_broker(const struct mosquitto *broker)
{
    char config[128], log[128];

    snprintf(config, sizeof config, "%s/mosquitto.conf", broker->dir);
    snprintf(log, sizeof log, "%s/log", broker->dir);
    int fd = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    dup2(fd, STDOUT_FILENO);
    dup2(fd, STDERR_FILENO);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    execl("/usr/sbin/mosquitto", "mosquitto", "-c", config, (char *)NULL);
    execlp("mosquitto", "mosquitto", "-c", config, (char *)NULL);
    _exit(127);
}

static bool answers(int port)
{
    struct sockaddr_in address = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool connected = fd >= 0 && !connect(fd, (struct sockaddr *)&address, sizeof address);

    if (fd >= 0)
        close(fd);
    return connected;
}

/* Its own log says so: whether somebody answers on the port does not tell who, when several tests pick free ports. */
static bool says_running(const struct mosquitto *broker)
{
    char path[128], text[4096];

    snprintf(path, sizeof path, "%s/log", broker->dir);
    FILE *file = fopen(path, "r");
    size_t size = file ? fread(text, 1, sizeof text - 1, file) : 0;
    if (file)
        fclose(file);
    text[size] = '\0';
    return strstr(text, " running") != NULL;
}

/* Until it answers; false when it has ended, or after 20 s. */
static bool wait_until_ready(struct mosquitto *broker)
{
    const struct timespec pause = {0, 2000000};

    for (int i = 0; i < 10000; i++) {
        if (says_running(broker) && answers(broker->port))
            return true;
        if (waitpid(broker->pid, NULL, WNOHANG) == broker->pid) {
            broker->pid = 0;
            return false;
        }
        nanosleep(&pause, NULL);
    }
    return false;
}

static void remove_files(const struct mosquitto *broker)
{
    char path[128];

    snprintf(path, sizeof path, "%s/mosquitto.conf", broker->dir);
    unlink(path);
    snprintf(path, sizeof path, "%s/log", broker->dir);
    unlink(path);
    rmdir(broker->dir);
}

static void end(struct mosquitto *broker, int signal)
{
    if (broker->pid > 0) {
        kill(broker->pid, signal);
        waitpid(broker->pid, NULL, 0);
    }
    broker->pid = 0;
    if (broker->dir[0])
        remove_files(broker);
    broker->dir[0] = '\0';
}

static int start_once(struct mosquitto *broker, int port, const char *more, struct error *err)
{
    *broker = (struct mosquitto){.port = port ? port : free_port(), .dir = "/tmp/flosim-mosquitto-XXXXXX"};
    if (!mkdtemp(broker->dir)) {
        broker->dir[0] = '\0';
        return FAIL(err, ERR_IO, "cannot make a folder for mosquitto: %s", strerror(errno));
    }
    if (write_config(broker, more))
        return FAIL(err, ERR_IO, "cannot write %s/mosquitto.conf", broker->dir);
    broker->pid = fork();
    if (broker->pid == 0)
        run_broker(broker);
    if (broker->pid < 0 || !wait_until_ready(broker))
        return FAIL(err, ERR_SETUP, "mosquitto does not start on port %d; its log: %s/log", broker->port, broker->dir);
    return OK;
}

int mosquitto_start(struct mosquitto *broker, int port, const char *more, struct error *err)
{
    int status = start_once(broker, port, more, err);

    /* Somebody else may have taken the free port meanwhile. */
    for (int i = 0; status && !port && i < 4; i++) {
        end(broker, SIGKILL);
        status = start_once(broker, port, more, err);
    }
    return status;
}

void mosquitto_stop(struct mosquitto *broker)
{
    end(broker, SIGTERM);
}

void mosquitto_kill(struct mosquitto *broker)
{
    end(broker, SIGKILL);
}
