/* One data file, told by its head and ending. */
#include "data/data_file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "data/folder.h"
#include "data/idx.h"
#include "data/tensor_file.h"

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);

    return n >= m && strcmp(text + n - m, end) == 0;
}

enum data_format data_format_of(const char *path, const unsigned char *head, size_t size)
{
    if (ends_with(path, ".pth") || ends_with(path, ".pt") || ends_with(path, ".pkl"))
        return DATA_FORMAT_TORCH;
    if (ends_with(path, ".safetensors") || (size > 8 && head[8] == '{' && head[7] == 0))
        return DATA_FORMAT_SAFETENSORS;
    if (size >= 2 && ((head[0] == 0 && head[1] == 0) || (head[0] == 0x1f && head[1] == 0x8b)))
        return DATA_FORMAT_IDX;
    if (size >= 2 && ((head[0] == 'P' && head[1] == 'K') || (head[0] == 0x80 && head[1] <= 5)))
        return DATA_FORMAT_TORCH;
    return DATA_FORMAT_UNKNOWN;
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

int data_file_read(const char *path, struct dataset *out, bool *has_transform, struct diags *diags)
{
    unsigned char head[16];
    size_t size = sizeof head;

    memset(out, 0, sizeof *out);
    *has_transform = false;
    int status = read_head(path, head, &size, diags);
    if (status)
        return status;
    switch (data_format_of(path, head, size)) {
    case DATA_FORMAT_SAFETENSORS:
        return tensor_file_load(path, out, has_transform, diags);
    case DATA_FORMAT_IDX:
        return idx_load(path, NULL, "check the file, or copy it again", out, diags);
    case DATA_FORMAT_TORCH:
        refuse_torch(path, diags);
        return ERR_UNIMPLEMENTED;
    case DATA_FORMAT_UNKNOWN:
        break;
    }
    diag_error(diags, (struct diag_place){path, 0, 0},
               "byte 0: neither IDX (.gz or plain) nor safetensors; data files of these kinds are read");
    return ERR_INVALID;
}

int data_file_load(const char *path, struct dataset *out, struct diags *diags)
{
    const struct transform_args none = {.std = 1.0};
    const char *slash = strrchr(path, '/');
    bool has_transform;
    int status = data_file_read(path, out, &has_transform, diags);

    if (status)
        return status;
    if (!has_transform)
        out->transform = transform_from_args(&none, out->type);
    snprintf(out->name, sizeof out->name, "%.63s", slash ? slash + 1 : path);
    return OK;
}
