#include "codec/model_hash.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DIGEST_SIZE = 32, SUM_SIZE = (MODEL_HASH_TEXT - 3) / 2, READ_SIZE = 64 * 1024 };

/* A sum of digests, big-endian; 8 bytes more than a digest hold more files than a folder can have. */
struct sum {
    uint8_t bytes[SUM_SIZE];
};

static void sum_add(struct sum *sum, const uint8_t digest[DIGEST_SIZE])
{
    unsigned carry = 0;

    for (size_t i = 0; i < SUM_SIZE; i++) {
        unsigned digit = sum->bytes[SUM_SIZE - 1 - i] + carry;

        digit += i < DIGEST_SIZE ? digest[DIGEST_SIZE - 1 - i] : 0U;
        sum->bytes[SUM_SIZE - 1 - i] = (uint8_t)digit;
        carry = digit >> 8;
    }
}

static void sum_print(const struct sum *sum, char text[MODEL_HASH_TEXT])
{
    char digits[2 * SUM_SIZE + 1];
    size_t zeros;

    for (size_t i = 0; i < SUM_SIZE; i++)
        snprintf(digits + 2 * i, 3, "%02x", sum->bytes[i]);
    zeros = strspn(digits, "0");
    if (zeros == 2 * SUM_SIZE)
        zeros--; /* the sum of no file: 0x0 */
    snprintf(text, MODEL_HASH_TEXT, "0x%s", digits + zeros);
}

static int digest_fd(int fd, EVP_MD_CTX *context, uint8_t digest[DIGEST_SIZE])
{
    uint8_t buffer[READ_SIZE];
    ssize_t n;

    if (!EVP_DigestInit_ex(context, EVP_sha256(), NULL))
        return -1;
    while ((n = read(fd, buffer, sizeof buffer)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 || !EVP_DigestUpdate(context, buffer, (size_t)n))
            return -1;
    }
    return EVP_DigestFinal_ex(context, digest, NULL) ? 0 : -1;
}

/* Adds one entry of the folder if it is a regular file (also through a symbolic link, as Flotilla's isfile). */
static int add_entry(int folder_fd, const char *folder, const char *name, EVP_MD_CTX *context, struct sum *sum,
                     struct error *err)
{
    uint8_t digest[DIGEST_SIZE];
    struct stat info;
    int fd, status = OK;

    if (fstatat(folder_fd, name, &info, 0) ? errno == ENOENT : !S_ISREG(info.st_mode))
        return OK; /* ENOENT: a symbolic link to nothing */
    fd = openat(folder_fd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return FAIL(err, ERR_IO, "cannot read %s/%s: %s", folder, name, strerror(errno));
    if (digest_fd(fd, context, digest) == 0)
        sum_add(sum, digest);
    else
        status = FAIL(err, ERR_IO, "cannot hash %s/%s", folder, name);
    close(fd);
    return status;
}

static int sum_folder(DIR *dir, const char *folder, struct sum *sum, struct error *err)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    struct dirent *entry;
    int status = OK;

    if (!context)
        return FAIL(err, ERR_MEMORY, "out of memory to hash %s", folder);
    errno = 0;
    while (!status && (entry = readdir(dir))) {
        status = add_entry(dirfd(dir), folder, entry->d_name, context, sum, err);
        errno = 0;
    }
    if (!status && errno)
        status = FAIL(err, ERR_IO, "cannot list %s: %s", folder, strerror(errno));
    EVP_MD_CTX_free(context);
    return status;
}

int model_hash(const char *folder, char text[MODEL_HASH_TEXT], struct error *err)
{
    DIR *dir = opendir(folder);
    struct sum sum = {{0}};
    int status;

    if (!dir)
        return FAIL(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "cannot open model folder %s: %s", folder,
                    strerror(errno));
    status = sum_folder(dir, folder, &sum, err);
    closedir(dir);
    if (!status)
        sum_print(&sum, text);
    return status;
}
