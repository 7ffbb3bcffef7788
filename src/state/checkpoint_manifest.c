#include "state/checkpoint_manifest.h"

#include <openssl/evp.h>
#include <stdio.h>

void sha256_text(const unsigned char digest[32], char text[SHA256_TEXT])
{
    for (int i = 0; i < 32; i++)
        snprintf(text + 2 * i, 3, "%02x", digest[i]);
}

int sha256_of(struct span bytes, char text[SHA256_TEXT], struct error *err)
{
    unsigned char digest[32];

    if (!EVP_Digest(bytes.data, bytes.size, digest, NULL, EVP_sha256(), NULL))
        return FAIL(err, ERR_INTERNAL, "cannot hash");
    sha256_text(digest, text);
    return OK;
}

int manifest_sum(struct span manifest, char text[MANIFEST_SUM_TEXT], struct error *err)
{
    char hash[SHA256_TEXT];
    int status = sha256_of(manifest, hash, err);

    if (status == OK)
        snprintf(text, MANIFEST_SUM_TEXT, "%s  " MANIFEST_NAME "\n", hash);
    return status;
}

void entry_name(char name[ENTRY_NAME_MAX], enum store_name store, const char *id)
{
    snprintf(name, ENTRY_NAME_MAX, "%s_%s", store_names[store], id);
}
