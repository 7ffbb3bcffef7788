/* One data file, told by its head and ending. */
#include "data/data_file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "data/cifar.h"
#include "data/folder.h"
#include "data/idx.h"
#include "data/npz.h"
#include "data/tensor_file.h"

static const char damaged[] = "check the file, or copy it again";

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);

    return n >= m && strcmp(text + n - m, end) == 0;
}

static bool is_torch(const unsigned char *head, size_t size)
{
    return size >= 2 && ((head[0] == 'P' && head[1] == 'K') || (head[0] == 0x80 && head[1] <= 5));
}

static bool is_text(const char *path)
{
    static const char *const endings[] = {".txt", ".txt.gz", ".tsv", ".tsv.gz", ".json", ".json.gz", ".tokens"};

    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (ends_with(path, endings[i]))
            return true;
    return false;
}

/* CIFAR's records have no head, so the name decides before any head is believed. */
enum data_format data_format_of(const char *path, const unsigned char *head, size_t size)
{
    if (ends_with(path, ".pth") || ends_with(path, ".pt") || ends_with(path, ".pkl"))
        return DATA_FORMAT_TORCH;
    if ((ends_with(path, ".bin") || ends_with(path, ".bin.gz")) && !strstr(path, "idx"))
        return is_torch(head, size) ? DATA_FORMAT_TORCH : DATA_FORMAT_CIFAR;
    if (ends_with(path, ".csv") || ends_with(path, ".csv.gz"))
        return DATA_FORMAT_CSV;
    if (is_text(path))
        return DATA_FORMAT_TEXT;
    if (ends_with(path, ".safetensors") || (size > 8 && head[8] == '{' && head[7] == 0))
        return DATA_FORMAT_SAFETENSORS;
    if (size >= 2 && ((head[0] == 0 && head[1] == 0) || (head[0] == 0x1f && head[1] == 0x8b)))
        return DATA_FORMAT_IDX;
    if (ends_with(path, ".npz") || (size >= 6 && memcmp(head, "\x93NUMPY", 6) == 0))
        return DATA_FORMAT_NPZ;
    return is_torch(head, size) ? DATA_FORMAT_TORCH : DATA_FORMAT_UNKNOWN;
}

static void refuse_torch(const char *path, struct diags *diags)
{
    diag_error(diags, (struct diag_place){path, 0, 0},
               "a PyTorch file is a pickle, a program, and is not read; convert it once where you trust it: "
               "python3 -c 'import torch; from safetensors.torch import save_file; d = torch.load(\"%s\"); "
               "save_file({\"x\": torch.stack([i[0] for i in d]), \"y\": torch.tensor([int(i[1]) for i in d])}, "
               "\"data.safetensors\")', then set data_filename: data.safetensors",
               path);
}

static int read_head(const char *path, unsigned char *head, size_t *size, struct diags *diags)
{
    FILE *file = fopen(path, "rb");

    if (!file) {
        diag_error(diags, (struct diag_place){path, 0, 0}, "cannot be opened: %s", strerror(errno));
        return ERR_NOT_FOUND;
    }
    *size = fread(head, 1, *size, file);
    fclose(file);
    return OK;
}

/* CIFAR files have no head: the name says that it is one, size and name which. */
static int read_cifar(const char *path, struct dataset *out, struct diags *diags)
{
    struct error err = ERROR_INIT;
    enum cifar_kind kind;
    uint64_t size;

    if (cifar_size_of(path, &size, &err)) {
        diag_error(diags, (struct diag_place){path, 0, 0}, "%s; %s", err.message, damaged);
        return ERR_CORRUPT;
    }
    if (cifar_kind_of(path, size, &kind))
        return cifar_load(kind, &path, 1, damaged, out, diags);
    diag_error(diags, (struct diag_place){path, 0, 0},
               "not a whole number of CIFAR-10 records (3073 bytes) or CIFAR-100 records (3074 bytes); %s", damaged);
    return ERR_CORRUPT;
}

/* What the session says of the file goes into `values`; what means nothing for it is told. */
static void apply_loader(const struct data_file_args *args, const struct param_table *table, void *values,
                         const char *path, struct diags *diags)
{
    char ignored[LOADER_ARGS_TEXT] = "";

    if (args->loader)
        loader_args_apply(args->loader, table, values, ignored);
    if (ignored[0])
        diag_warning(diags, (struct diag_place){path, 0, 0},
                     "the session's custom_loader_args (%s) mean nothing for this file and are ignored", ignored);
}

static int read_text(const char *path, const struct data_file_args *args, struct dataset *out, struct diags *diags)
{
    struct text_args text = args->text ? *args->text : (struct text_args){.unit = TEXT_BYTES, .length = 80};

    apply_loader(args, &text_args_table, &text, path, diags);
    return text_load_file(&text, path, out, diags);
}

static int read_csv(const char *path, const struct data_file_args *args, struct dataset *out, struct diags *diags)
{
    struct csv_args csv = args->csv ? *args->csv : (struct csv_args){.lookback = 5, .forecast = 2};
    const struct csv_split split = {.held_out = 0.0, .measured = args->measured > 0 ? args->measured : 1.0};
    struct dataset none;

    apply_loader(args, &csv_args_table, &csv, path, diags);
    return csv_load(&csv, args->transform, path, NULL, &split, out, &none, diags);
}

static int read_as(enum data_format format, const char *path, const struct data_file_args *args, struct dataset *out,
                   bool *has_transform, struct diags *diags)
{
    switch (format) {
    case DATA_FORMAT_SAFETENSORS:
        return tensor_file_load(path, out, has_transform, diags);
    case DATA_FORMAT_IDX:
        return idx_load(path, NULL, args->idx, damaged, out, diags);
    case DATA_FORMAT_CIFAR:
        return read_cifar(path, out, diags);
    case DATA_FORMAT_NPZ:
        return npz_load(path, out, diags);
    case DATA_FORMAT_TEXT:
        *has_transform = true;
        return read_text(path, args, out, diags);
    case DATA_FORMAT_CSV:
        *has_transform = true;
        return read_csv(path, args, out, diags);
    case DATA_FORMAT_TORCH:
        refuse_torch(path, diags);
        return ERR_UNIMPLEMENTED;
    case DATA_FORMAT_UNKNOWN:
        break;
    }
    diag_error(diags, (struct diag_place){path, 0, 0},
               "byte 0: neither IDX (.gz or plain) nor safetensors, nor, by its name, .npz, .npy, CIFAR (.bin, "
               ".bin.gz), .csv or text "
               "(.txt, .tsv, .json)");
    return ERR_INVALID;
}

int data_file_read(const char *path, const struct data_file_args *args, struct dataset *out, struct diags *diags)
{
    unsigned char head[64];
    size_t size = sizeof head;
    bool has_transform = false;

    memset(out, 0, sizeof *out);
    int status = read_head(path, head, &size, diags);
    enum data_format format = status ? DATA_FORMAT_UNKNOWN : data_format_of(path, head, size);
    if (!status)
        status = read_as(format, path, args, out, &has_transform, diags);
    if (!status && format != DATA_FORMAT_TEXT && format != DATA_FORMAT_CSV)
        apply_loader(args, NULL, NULL, path, diags);
    if (!status && !has_transform)
        status = transform_apply(out, args->transform, path, diags);
    return status;
}

int data_file_load(const char *path, struct dataset *out, struct diags *diags)
{
    const char *slash = strrchr(path, '/');
    int status = data_file_read(path, &(struct data_file_args){0}, out, diags);

    if (!status)
        snprintf(out->name, sizeof out->name, "%.63s", slash ? slash + 1 : path);
    return status;
}
