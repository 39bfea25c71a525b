/* Runs a fuzz target over the files of the folders given, where libFuzzer is not there. */
#include <dirent.h>
#include <string.h>

#include "fuzz.h"

/* The input lies in a block of its exact size, so that AddressSanitizer sees a read too far. */
static int replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END))
        return -1;
    long size = ftell(file);
    rewind(file);
    uint8_t *data = malloc(size > 0 ? (size_t)size : 1);
    if (!data || size < 0 || fread(data, 1, (size_t)size, file) != (size_t)size)
        return -1;
    fclose(file);
    LLVMFuzzerTestOneInput(data, (size_t)size);
    free(data);
    return 0;
}

static int replay_folder(const char *folder, size_t *count)
{
    struct dirent **entries = NULL;
    int found = scandir(folder, &entries, NULL, alphasort);
    if (found < 0)
        return -1;
    int result = 0;
    for (int i = 0; i < found; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.') {
            if (replay_file(path)) {
                fprintf(stderr, "cannot read %s\n", path);
                result = -1;
            }
            ++*count;
        }
        free(entries[i]);
    }
    free(entries);
    return result;
}

int main(int argc, char **argv)
{
    size_t count = 0;
    for (int i = 1; i < argc; i++) {
        if (replay_folder(argv[i], &count))
            return 1;
    }
    printf("%zu inputs\n", count);
    return count ? 0 : 1;
}
