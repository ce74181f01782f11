/* The header of a GGUF file: read piece by piece, as far as it goes, and checked for its structure on the way. */
#include <string.h>

#include "core/base/memory.h"
#include "core/io/gguf.h"
#include "core/io/json.h"

#define FIRST_PIECE ((size_t)1 << 16)
#define MOST_HEADER ((size_t)1 << 30)
#define MOST_ENTRIES ((uint64_t)1 << 20) /* keys or tensors */
#define MOST_NAME 65535                  /* bytes, as the format says */
#define LEAST_KEY 13                     /* bytes of a key with an empty name */
#define LEAST_TENSOR 24                  /* and of a tensor's description */

/* The header as far as it has been read: bytes[0, there); `at` is where the check stands. */
typedef struct Header {
  GptEnv *env;
  GptMappedFile *file;
  char *bytes;
  size_t there, room, at;
} Header;

static bool grow(Header *header, size_t end) {
  size_t room = header->room > 0 ? header->room : FIRST_PIECE;
  while (room < end) room *= 2;
  if (room > header->file->size) room = header->file->size;
  if (room <= header->room) return true;
  char *bytes = gpt_realloc(header->env, header->bytes, room);
  if (bytes == NULL) return false;
  header->bytes = bytes;
  header->room = room;
  return true;
}

static bool read_up_to(Header *header, size_t end) {
  if (end <= header->there) return true;
  if (!grow(header, end)) return false;
  if (!gpt_mapped_file_read(header->file, header->there, header->bytes + header->there, header->room - header->there))
    return false;
  header->there = header->room;
  return true;
}

/* Steps over `count` bytes, which are there afterwards. */
static bool take(Header *header, uint64_t count, const char *what) {
  size_t left = header->file->size - header->at;
  if (count > left)
    return gpt_fail(header->env, "cut short: %s would take %llu bytes from byte %zu on, %zu are there", what,
                    (unsigned long long)count, header->at, left);
  if (count > MOST_HEADER - header->at)
    return gpt_fail(header->env, "%s goes past byte %zu, where no header ends", what, MOST_HEADER);
  if (!read_up_to(header, header->at + (size_t)count)) return false;
  header->at += (size_t)count;
  return true;
}

static bool take_u32(Header *header, uint32_t *value, const char *what) {
  if (!take(header, sizeof *value, what)) return false;
  memcpy(value, header->bytes + header->at - sizeof *value, sizeof *value);
  return true;
}

static bool take_u64(Header *header, uint64_t *value, const char *what) {
  if (!take(header, sizeof *value, what)) return false;
  memcpy(value, header->bytes + header->at - sizeof *value, sizeof *value);
  return true;
}

/* How many of something follow; each takes at least `least` bytes. */
static bool take_count(Header *header, uint64_t *count, size_t least, const char *what) {
  if (!take_u64(header, count, "a count")) return false;
  if (*count <= (header->file->size - header->at) / least) return true;
  return gpt_fail(header->env, "cut short: %llu %s from byte %zu on, the file ends at %zu", (unsigned long long)*count,
                  what, header->at, header->file->size);
}

static bool scan_string(Header *header) {
  uint64_t length;
  return take_u64(header, &length, "a string's length") && take(header, length, "a string");
}

static bool scan_truths(Header *header, uint64_t count) {
  if (!take(header, count, "a truth value")) return false;
  const char *bytes = header->bytes + header->at - count;
  for (uint64_t i = 0; i < count; i++)
    if ((uint8_t)bytes[i] > 1)
      return gpt_fail(header->env, "a truth value is 0 or 1, not %d", (uint8_t)bytes[i]);
  return true;
}

static bool scan_values(Header *header, uint32_t type, uint64_t count, int depth);

static bool scan_array(Header *header, int depth) {
  uint32_t item;
  uint64_t count;
  if (depth >= GPT_GGUF_MAX_DEPTH)
    return gpt_fail(header->env, "arrays lie more than %d deep in each other", GPT_GGUF_MAX_DEPTH);
  if (!take_u32(header, &item, "an array's type")) return false;
  size_t size = item == GPT_GGUF_STRING ? 8 : item == GPT_GGUF_ARRAY ? 12 : gpt_gguf_type_size(item);
  if (!take_count(header, &count, size > 0 ? size : 1, "elements")) return false;
  return scan_values(header, item, count, depth + 1);
}

/* `count` values of that type, one after the other; numbers are fewer than the file has bytes. */
static bool scan_values(Header *header, uint32_t type, uint64_t count, int depth) {
  if (type >= GPT_GGUF_TYPES) return gpt_fail(header->env, "the format has no values of type %u", type);
  if (type == GPT_GGUF_BOOL) return scan_truths(header, count);
  if (type != GPT_GGUF_STRING && type != GPT_GGUF_ARRAY)
    return take(header, count * gpt_gguf_type_size(type), count == 1 ? "a number" : "numbers");
  for (uint64_t i = 0; i < count; i++)
    if (!(type == GPT_GGUF_STRING ? scan_string(header) : scan_array(header, depth))) return false;
  return true;
}

/* A key's or tensor's name, which messages show from there on: quoted into `name`. */
static bool scan_name(Header *header, char *name) {
  uint64_t length;
  if (!take_u64(header, &length, "a name's length")) return false;
  if (length > MOST_NAME)
    return gpt_fail(header->env, "a name of %llu bytes; at most %d are allowed", (unsigned long long)length, MOST_NAME);
  if (!take(header, length, "a name")) return false;
  gpt_quote(header->bytes + header->at - length, (size_t)length, name);
  return true;
}

static bool scan_key(Header *header, uint64_t number, uint64_t count) {
  uint32_t type;
  char name[GPT_QUOTE_SIZE];
  if (!scan_name(header, name))
    return gpt_fail_at(header->env, "key %llu of %llu", (unsigned long long)number, (unsigned long long)count);
  bool good = take_u32(header, &type, "a value's type") && scan_values(header, type, 1, 0);
  return good || gpt_fail_at(header->env, "key %s", name);
}

static bool scan_shape(Header *header) {
  uint32_t ndim;
  if (!take_u32(header, &ndim, "a number of dimensions")) return false;
  if (ndim > GPT_GGUF_MAX_DIMS)
    return gpt_fail(header->env, "%u dimensions; the format has at most %d", ndim, GPT_GGUF_MAX_DIMS);
  return take(header, (uint64_t)ndim * 8, "a shape");
}

static bool scan_tensor(Header *header, uint64_t number, uint64_t count) {
  char name[GPT_QUOTE_SIZE];
  if (!scan_name(header, name))
    return gpt_fail_at(header->env, "tensor %llu of %llu", (unsigned long long)number, (unsigned long long)count);
  bool good = scan_shape(header) && take(header, 12, "a tensor's type and position");
  return good || gpt_fail_at(header->env, "tensor %s", name);
}

static bool scan_magic(Header *header) {
  char quoted[GPT_QUOTE_SIZE];
  if (header->file->size < 4)
    return gpt_fail(header->env, "not a GGUF file: it has %zu bytes", header->file->size);
  if (!take(header, 4, "the format's name")) return false;
  if (memcmp(header->bytes, "GGUF", 4) == 0) return true;
  return gpt_fail(header->env, "not a GGUF file: it begins with %s", gpt_quote(header->bytes, 4, quoted));
}

static bool scan_version(Header *header) {
  uint32_t version;
  if (!take_u32(header, &version, "the version")) return false;
  if ((version & 0xffff) == 0 && version != 0)
    return gpt_fail(header->env, "a GGUF file of a big-endian machine, which is not supported; "
                                 "the gguf package's gguf-convert-endian makes it a little-endian one");
  return version == 2 || version == 3 || gpt_fail(header->env, "GGUF version %u; what can be read is 2 and 3", version);
}

/* A count of keys or tensors. */
static bool take_entries(Header *header, uint64_t *count, size_t least, const char *what) {
  if (!take_u64(header, count, "a count")) return false;
  if (*count > MOST_ENTRIES)
    return gpt_fail(header->env, "%llu %s; at most %llu are allowed", (unsigned long long)*count, what,
                    (unsigned long long)MOST_ENTRIES);
  if (*count <= (header->file->size - header->at) / least) return true;
  return gpt_fail(header->env, "cut short: %llu %s do not fit into %zu bytes", (unsigned long long)*count, what,
                  header->file->size);
}

static bool scan_header(Header *header) {
  uint64_t tensors, keys;
  if (!scan_magic(header) || !scan_version(header)) return false;
  if (!take_entries(header, &tensors, LEAST_TENSOR, "tensors")) return false;
  if (!take_entries(header, &keys, LEAST_KEY, "keys")) return false;
  for (uint64_t i = 1; i <= keys; i++)
    if (!scan_key(header, i, keys)) return false;
  for (uint64_t i = 1; i <= tensors; i++)
    if (!scan_tensor(header, i, tensors)) return false;
  return true;
}

char *gpt_gguf_read_header(GptEnv *env, GptMappedFile *file, size_t *size) {
  Header header = {.env = env, .file = file};
  if (!scan_header(&header)) {
    gpt_free(env, header.bytes);
    return NULL;
  }
  *size = header.at;
  return header.bytes;
}
