/* Judges a folder of answers to the vectors of involution, without Python and without a library.
 *
 *   cc -std=c99 -O2 verify.c -o verify -lm
 *   ./verify VECTORS ANSWERS [DTYPE=ARITHMETIC ...] [--partial]
 *
 * VECTORS is the folder that this file lies in, ANSWERS one with a safetensors file of results for
 * each request, under the same name. An arithmetic is one of index.json, "float32" for float16,
 * bfloat16 and float32 where none is given, "float64" for float64. With --partial, requests without
 * an answer are taken to be not claimed. Ends with status 0 if all is right, 1 if something is
 * wrong, 3 if answers are missing, 2 if it cannot be told. For little-endian machines. It computes
 * no truth: what is due, and how far from it a result may be, is read.
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct { char *bytes; size_t size; const char *header, *data; } Blob;
typedef struct { const char *dtype; long rank, shape[8], count; const char *at; } Tensor;

static const char *arithmetic[][2] = {
  {"float16", "float32"}, {"bfloat16", "float32"}, {"float32", "float32"}, {"float64", "float64"}};

/* ---- JSON: only what headers need. Each function takes and gives a place in the text. ---- */

static const char *blank(const char *at) { while (*at && strchr(" \t\r\n", *at)) at++; return at; }

static const char *past_string(const char *at) {
  for (at++; *at && *at != '"'; at++) if (*at == '\\' && at[1]) at++;
  return *at ? at + 1 : at;
}

static const char *past_value(const char *at) {
  int depth = 0;
  at = blank(at);
  do {
    if (*at == '"') at = past_string(at);
    else {
      depth += (*at == '{' || *at == '[') - (*at == '}' || *at == ']');
      at++;
    }
    if (!depth && (at[-1] == '"' || at[-1] == '}' || at[-1] == ']')) return at;
  } while (*at && (depth || !strchr(",}]", *at)));
  return at;
}

/* The value of a key of the object that begins here; NULL if there is none. */
static const char *field(const char *object, const char *key) {
  const char *at = object ? blank(object) : "";
  if (*at != '{') return NULL;
  for (at = blank(at + 1); *at == '"';) {
    const char *end = past_string(at), *value = blank(end);
    if (*value != ':') return NULL;
    value = blank(value + 1);
    if ((size_t)(end - at) == strlen(key) + 2 && !strncmp(at + 1, key, strlen(key))) return value;
    at = blank(past_value(value));
    if (*at == ',') at = blank(at + 1);
  }
  return NULL;
}

/* A string, into a buffer; empty if it is none. */
static const char *text(const char *value, char *into, size_t room) {
  size_t n = 0;
  if (value && *value == '"') n = (size_t)(past_string(value) - value - 2);
  if (n >= room) n = room - 1;
  if (n) memcpy(into, value + 1, n);
  into[n] = 0;
  return into;
}

static int is(const char *value, const char *wanted) {
  char found[64];
  return !strcmp(text(value, found, sizeof found), wanted);
}

static int integers(const char *at, long *into, int room) {
  int n = 0;
  if (!at || *at != '[') return -1;
  for (at = blank(at + 1); *at && *at != ']'; at = blank(*at == ',' ? at + 1 : at)) {
    char *end;
    long number = strtol(at, &end, 10);
    if (end == at || n == room) return -1;
    into[n++] = number;
    at = blank(end);
  }
  return n;
}

/* ---- safetensors ---- */

static Blob read_blob(const char *folder, const char *name) {
  char path[4096];
  Blob b = {NULL, 0, NULL, NULL};
  snprintf(path, sizeof path, "%s/%s", folder, name);
  FILE *file = fopen(path, "rb");
  if (!file) return b;
  size_t room = 1 << 16, n;
  b.bytes = malloc(room + 1);
  while (b.bytes && (n = fread(b.bytes + b.size, 1, room - b.size, file)) > 0)
    if ((b.size += n) == room) b.bytes = realloc(b.bytes, (room *= 2) + 1);
  fclose(file);
  if (!b.bytes) { fputs("no memory\n", stderr); exit(2); }
  b.bytes[b.size] = 0;
  return b;
}

/* Finds header and data; the header is copied, so that it ends. */
static int opened(Blob *b) {
  uint64_t n = 0;
  if (b->size >= 8) memcpy(&n, b->bytes, 8);
  if (b->size < 8 || n > b->size - 8) return 0;
  char *header = calloc((size_t)n + 1, 1);
  if (!header) { fputs("no memory\n", stderr); exit(2); }
  memcpy(header, b->bytes + 8, (size_t)n);
  b->header = header;
  b->data = b->bytes + 8 + n;
  return *blank(header) == '{';
}

static void closed(Blob *b) { free(b->bytes); free((char *)b->header); }

static int width(const char *dtype) {
  if (is(dtype, "F64")) return 8;
  if (is(dtype, "F32")) return 4;
  return is(dtype, "F16") || is(dtype, "BF16") ? 2 : 0;
}

/* 1 if there is such a tensor, 0 if there is none, -1 if it is not within the file. */
static int tensor(const Blob *b, const char *name, Tensor *t) {
  const char *entry = field(b->header, name);
  long bounds[2];
  if (!entry) return 0;
  t->dtype = field(entry, "dtype");
  t->rank = integers(field(entry, "shape"), t->shape, 8);
  if (t->rank < 0 || integers(field(entry, "data_offsets"), bounds, 2) != 2) return -1;
  t->count = 1;
  for (int i = 0; i < t->rank; i++) {
    if (t->shape[i] < 0 || t->shape[i] > (1 << 28) || t->count > (1 << 28)) return -1;
    t->count *= t->shape[i];
  }
  t->at = b->data + bounds[0];
  int each = width(t->dtype);
  long size = (long)(b->bytes + b->size - b->data);
  if (bounds[0] < 0 || bounds[1] > size || bounds[0] > bounds[1]) return -1;
  return each && bounds[1] - bounds[0] != t->count * each ? -1 : 1;
}

static double half(uint16_t bits) {
  int exponent = bits >> 10 & 31, fraction = bits & 1023;
  double size = exponent == 31 ? (fraction ? NAN : INFINITY)
              : exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24);
  return bits >> 15 ? -size : size;
}

static double value(const Tensor *t, long i) {
  double d; float f; uint16_t h; uint32_t w;
  if (is(t->dtype, "F64")) { memcpy(&d, t->at + 8 * i, 8); return d; }
  if (is(t->dtype, "F32")) { memcpy(&f, t->at + 4 * i, 4); return f; }
  memcpy(&h, t->at + 2 * i, 2);
  if (is(t->dtype, "F16")) return half(h);
  w = (uint32_t)h << 16;
  memcpy(&f, &w, 4);
  return f;
}

/* ---- the judgement ---- */

/* The smallest number that rounds to infinity. */
static double overflow(const char *dtype) {
  if (is(dtype, "F16")) return 65520;
  if (is(dtype, "BF16")) return ldexp(511, 119);
  if (is(dtype, "F32")) return ldexp(33554431, 103);
  return INFINITY;
}

static int right(double got, double due, double bound, double most) {
  if (got == due || (isnan(got) && isnan(due)) || (isinf(bound) && bound > 0)) return 1;
  if (!isfinite(due)) return 0;
  if (fabs(got - due) <= bound) return 1;
  return isinf(got) && fabs(due) + bound >= most && (got > 0) == (due > 0) && due != 0;
}

static void fails(int n, const char *meta, const char *kind, const char *words, const char *what) {
  char key[64], clause[64];
  snprintf(key, sizeof key, "clause.%s", kind);
  printf("%04d FAILS %s: %s%s\n", n, text(field(meta, key), clause, sizeof clause), what, words);
}

/* The first wrong element, with the clause that it breaks: of three, by what was got and is due. */
static int compared(int n, const char *meta, const char *name, const char *kind, const Tensor *got,
                    const Tensor *due, const Tensor *bound) {
  char key[64], clauses[128], *clause;
  double most = overflow(got->dtype);
  for (long i = 0; i < due->count; i++) {
    double a = value(got, i), b = value(due, i), e = bound ? value(bound, i) : 0;
    if (right(a, b, e, most)) continue;
    snprintf(key, sizeof key, "clause.%s", name);
    text(field(meta, key), clauses, sizeof clauses);
    int which = isfinite(a) && isfinite(b) ? 0 : isinf(b) ? 1 : 2;
    for (clause = strtok(clauses, " "); clause && which--;) clause = strtok(NULL, " ");
    printf("%04d FAILS %s: %s[", n, clause ? clause : "", name);
    long rest = due->count, flat = i;
    for (int axis = 0; axis < due->rank; axis++) {
      rest /= due->shape[axis];
      printf("%s%ld", axis ? ", " : "", flat / rest);
      flat %= rest;
    }
    printf("]: got %.17g, due %.17g, error bound %.9g (%s)\n", a, b, e, kind);
    return 0;
  }
  return 1;
}

static int result_is_right(int n, const char *meta, const char *name, const char *kind,
                           const Blob *answer, const Blob *due) {
  char stored[128];
  Tensor got, expected, bound;
  if (tensor(due, name, &expected) != 1) { fprintf(stderr, "%04d: no %s is due\n", n, name); exit(2); }
  int found = tensor(answer, name, &got);
  if (found < 0) return fails(n, meta, "answer", " is not within the file", name), 0;
  if (!found) return fails(n, meta, "shape", " is missing", name), 0;
  int alike = got.rank == expected.rank;
  for (int i = 0; alike && i < got.rank; i++) alike = got.shape[i] == expected.shape[i];
  if (!alike) return fails(n, meta, "shape", " has another shape", name), 0;
  char dtype[16];
  if (!is(got.dtype, text(field(meta, "dtype"), dtype, sizeof dtype)))
    return fails(n, meta, "dtype", " has another dtype", name), 0;
  snprintf(stored, sizeof stored, "%s.bound.%s", name, kind);
  int own = tensor(due, stored, &bound);
  snprintf(stored, sizeof stored, "%s.bound", name);
  if (!own) own = tensor(due, stored, &bound);
  return compared(n, meta, name, kind, &got, &expected, own ? &bound : NULL);
}

static int judged(int n, Blob *answer, const Blob *due) {
  const char *meta = field(due->header, "__metadata__"), *kind = "";
  char results[64], operands[32];
  if (!opened(answer)) return fails(n, meta, "answer", "the answer is no safetensors file", ""), 0;
  int error = is(field(field(answer->header, "__metadata__"), "reply"), "error");
  if (is(field(meta, "expects"), "error"))
    return error ? 1 : (fails(n, meta, "answer", "what must be refused was answered", ""), 0);
  if (error) return fails(n, meta, "answer", "refused", ""), 0;
  text(field(meta, "operands"), operands, sizeof operands);
  for (int i = 0; i < 4; i++) if (!strcmp(arithmetic[i][0], operands)) kind = arithmetic[i][1];
  text(field(meta, "results"), results, sizeof results);
  char *second = strchr(results, ' ');
  if (second) *second++ = 0;
  if (!result_is_right(n, meta, results, kind, answer, due)) return 0;
  return !second || result_is_right(n, meta, second, kind, answer, due);
}

static int set(const char *argument, const char *index) {
  for (int i = 0; i < 4; i++) {
    size_t n = strlen(arithmetic[i][0]);
    if (strncmp(argument, arithmetic[i][0], n) || argument[n] != '=') continue;
    arithmetic[i][1] = argument + n + 1;
    return field(field(field(index, "arithmetics"), arithmetic[i][0]), argument + n + 1) != NULL;
  }
  return 0;
}

int main(int count, char **arguments) {
  int partial = 0, correct = 0, wrong = 0, missing = 0;
  if (count < 3) { fputs("usage: verify VECTORS ANSWERS [DTYPE=ARITHMETIC ...] [--partial]\n", stderr); return 2; }
  Blob index = read_blob(arguments[1], "index.json");
  const char *number = index.bytes ? field(index.bytes, "numberOfTests") : NULL;
  if (!number) { fprintf(stderr, "%s has no index.json of vectors\n", arguments[1]); return 2; }
  for (int i = 3; i < count; i++) {
    if (!strcmp(arguments[i], "--partial")) partial = 1;
    else if (!set(arguments[i], index.bytes)) {
      fprintf(stderr, "%s: no DTYPE=ARITHMETIC of index.json\n", arguments[i]);
      return 2;
    }
  }
  for (int n = 1; n <= atoi(number); n++) {
    char name[64];
    snprintf(name, sizeof name, "due/%04d.safetensors", n);
    Blob due = read_blob(arguments[1], name), answer = read_blob(arguments[2], name + 4);
    if (!due.bytes || !opened(&due)) { fprintf(stderr, "%s cannot be read\n", name); return 2; }
    if (!answer.bytes) missing++;
    else if (judged(n, &answer, &due)) correct++;
    else wrong++;
    closed(&answer);
    closed(&due);
  }
  int lacking = missing && !partial;
  const char *verdict = wrong ? "FAILS" : lacking || !correct ? "INCOMPLETE" : "CONFORMS";
  printf("%s: %d of %d vectors right, %d wrong, %d not answered\n", verdict, correct,
         atoi(number), wrong, missing);
  free(index.bytes);
  return wrong ? 1 : lacking || !correct ? 3 : 0;
}
