#include "files.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <lzma.h>
#include <zlib.h>

#include "test.h"

static char folder[256];
static char paths[8][512];
static unsigned next_path;

static char *take_path(const char *dir, const char *name)
{
    char *path = paths[next_path++ % 8];
    snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
    return path;
}

int files_setup(void **state)
{
    const char *tmp = getenv("TMPDIR");
    (void)state;
    snprintf(folder, sizeof(folder), "%s/fl-data-XXXXXX", tmp ? tmp : "/tmp");
    return mkdtemp(folder) ? 0 : -1;
}

int files_teardown(void **state)
{
    struct dirent *entry;
    DIR *dir = opendir(folder);
    (void)state;
    while (dir && (entry = readdir(dir)))
        if (entry->d_name[0] != '.')
            unlink(take_path(folder, entry->d_name));
    if (dir)
        closedir(dir);
    return rmdir(folder);
}

size_t files_pack(enum pack pack, const void *data, size_t size, void *ret, size_t capacity)
{
    if (pack == XZ) {
        size_t at = 0;
        assert_int_equal(lzma_easy_buffer_encode(1, LZMA_CHECK_CRC64, NULL, data, size, ret, &at, capacity),
                         LZMA_OK);
        return at;
    }
    if (pack == GZIP) {
        z_stream z = {.next_in = (z_const Bytef *)data,
                      .avail_in = (uInt)size,
                      .next_out = ret,
                      .avail_out = (uInt)capacity};
        assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
        assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
        size_t packed = z.total_out;
        deflateEnd(&z);
        return packed;
    }
    assert_true(size <= capacity);
    memcpy(ret, data, size);
    return size;
}

const char *files_write(const char *name, const void *data, size_t size, enum pack pack)
{
    size_t capacity = size + size / 8 + 4096;
    void *packed = malloc(capacity);
    char *path = take_path(folder, name);
    assert_non_null(packed);
    size = files_pack(pack, data, size, packed, capacity);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(packed, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
    free(packed);
    return path;
}

const char *files_write_text(const char *name, const char *text)
{
    return files_write(name, text, strlen(text), PLAIN);
}

const char *files_real(const char *name)
{
    const char *dir = getenv("FL_DATA");
    char *path = dir ? take_path(dir, name) : NULL;
    return path && access(path, R_OK) == 0 ? path : NULL;
}
