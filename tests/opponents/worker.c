/* The operator in C, judged through the protocol of docs/protocol.md: float32 and float64.
 *
 * A page of C reads and writes the messages; the loops below are the specification's sums, in index
 * order, in double. `--fault=NAME` plants a fault, for the tests of the judge. Build it with
 * `cc -O2 worker.c -o worker`, or with `-DSUMS` and a file that has other sums (docs/guides/c.md).
 * It refuses to be fast.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct { int rank; long shape[6], count; int wide; double *values; } Tensor;
typedef struct { long s[2], d[2], before[2]; int blocked; } Options;

static const char *fault = "";

static int is(const char *name) { return strcmp(fault, name) == 0; }

static void *allocate(size_t size) {
  void *memory = calloc(size ? size : 1, 1);
  if (!memory) { fputs("no memory\n", stderr); exit(3); }
  return memory;
}

/* The text after "key": in a flat JSON object; the judge writes no spaces around the colon. */
static const char *after(const char *json, const char *key) {
  char quoted[64];
  snprintf(quoted, sizeof quoted, "\"%s\":", key);
  const char *found = strstr(json, quoted);
  return found ? found + strlen(quoted) : NULL;
}

/* Up to n integers of an array, of arrays in it, or one alone; returns how many there are. */
static int integers(const char *text, long *into, int n) {
  int count = 0, depth = 0;
  if (*text == '"') text++;
  do {
    char *end = NULL;
    if ((*text == '-' || (*text >= '0' && *text <= '9')) && count < n)
      into[count++] = strtol(text, &end, 10);
    depth += (*text == '[') - (*text == ']');
    text = end ? end : text + 1;
  } while (depth > 0 && *text);
  return count;
}

static int read_tensor(const char *json, const char *data, const char *name, Tensor *t) {
  const char *entry = after(json, name);
  if (!entry) return 0;
  long bounds[2];
  t->wide = strncmp(after(entry, "dtype"), "\"F64\"", 5) == 0;
  if (!t->wide && strncmp(after(entry, "dtype"), "\"F32\"", 5)) return 0;
  t->rank = integers(after(entry, "shape"), t->shape, 6);
  integers(after(entry, "data_offsets"), bounds, 2);
  t->count = 1;
  for (int i = 0; i < t->rank; i++) t->count *= t->shape[i];
  t->values = allocate(sizeof(double) * t->count);
  for (long i = 0; i < t->count; i++) {
    if (t->wide) memcpy(&t->values[i], data + bounds[0] + 8 * i, 8);
    else { float f; memcpy(&f, data + bounds[0] + 4 * i, 4); t->values[i] = f; }
  }
  return 1;
}

static void send(const char *header, const char *data, size_t size) {
  uint64_t length = strlen(header), total = 8 + length + size;
  fwrite(&total, 8, 1, stdout);
  fwrite(&length, 8, 1, stdout);
  fwrite(header, 1, length, stdout);
  fwrite(data, 1, size, stdout);
  fflush(stdout);
}

static void send_error(const char *kind, const char *message) {
  char header[256];
  snprintf(header, sizeof header,
           "{\"__metadata__\":{\"reply\":\"error\",\"kind\":\"%s\",\"message\":\"%s\"}}", kind, message);
  send(header, "", 0);
}

static void send_results(int n, const char **names, Tensor *results) {
  char header[1024] = "{\"__metadata__\":{\"reply\":\"results\"}", *end = header + strlen(header);
  size_t size = 0, width = results[0].wide ? 8 : 4;
  for (int k = 0; k < n; k++) {
    end += sprintf(end, ",\"%s\":{\"dtype\":\"%s\",\"shape\":[", names[k], width == 8 ? "F64" : "F32");
    for (int i = 0; i < results[k].rank; i++)
      end += sprintf(end, "%s%ld", i ? "," : "", results[k].shape[i]);
    end += sprintf(end, "],\"data_offsets\":[%zu,", size);
    size += width * results[k].count;
    end += sprintf(end, "%zu]}", size);
  }
  strcpy(end, "}");
  char *data = allocate(size), *at = data;
  for (int k = 0; k < n; k++)
    for (long i = 0; i < results[k].count; i++, at += width) {
      float narrow = (float)results[k].values[i];
      memcpy(at, width == 8 ? (void *)&results[k].values[i] : (void *)&narrow, width);
    }
  send(header, data, size);
  free(data);
}

/* An integer for both axes, or a pair (GEO-2); 1 where it is left out (GEO-11). */
static void read_pair(const char *json, const char *name, long *pair) {
  const char *text = after(json, name);
  int given = text ? integers(text, pair, 2) : 0;
  if (given < 1) pair[0] = 1;
  if (given < 2) pair[1] = pair[0];
}

/* Options (GEO-4 to GEO-7): x (B, H, W, C), kernel (B, Ho, Wo, Kh, Kw, G). */
static void read_options(const char *json, const Tensor *x, const Tensor *kernel, Options *o) {
  const char *padding = after(json, "padding"), *layout = after(json, "group_layout");
  long sides[4];
  int given = padding ? integers(padding, sides, 4) : 0;
  int same = !padding || strncmp(padding + 1, "\\\"same", 6) == 0;
  read_pair(json, "stride", o->s);
  read_pair(json, "dilation", o->d);
  o->blocked = !layout || strncmp(layout + 1, "\\\"blocked", 9) == 0;
  for (int a = 0; a < 2; a++) {
    long n = x->shape[1 + a], k = kernel->shape[3 + a], outputs = (n + o->s[a] - 1) / o->s[a];
    long missing = (outputs - 1) * o->s[a] + (k - 1) * o->d[a] + 1 - n;
    if (same)
      o->before[a] = missing > 0 ? (missing + is("odd-pixel-before")) / 2 : 0;
    else
      o->before[a] = given == 4 ? sides[2 * a] : given == 1 ? sides[0] : 0;
  }
}

/* Every product of one result: y += k * x, dx += k * dy, or dkernel += x * dy. */
#ifdef SUMS
void sums(char result, const Tensor *x, const Tensor *kernel, const Tensor *dy, const Options *o,
          Tensor *r);
#else
static void sums(char result, const Tensor *x, const Tensor *kernel, const Tensor *dy,
                 const Options *o, Tensor *r) {
  const long *n = kernel->shape, H = x->shape[1], W = x->shape[2], C = x->shape[3];
  const long G = n[5], M = C / G;
  for (long b = 0; b < n[0]; b++) for (long i = 0; i < n[1]; i++) for (long j = 0; j < n[2]; j++)
    for (long u = 0; u < n[3]; u++) for (long v = 0; v < n[4]; v++) {
      long h = i * o->s[0] + u * o->d[0] - o->before[0];
      long w = j * o->s[is("one-stride") ? 0 : 1] + v * o->d[1] - o->before[1];
      if (h < 0 || h >= H || w < 0 || w >= W) continue;
      for (long c = 0; c < C; c++) {
        long g = o->blocked ? c / M : c % G;
        long at_x = ((b * H + h) * W + w) * C + c, at_y = ((b * n[1] + i) * n[2] + j) * C + c;
        long at_k = ((((b * n[1] + i) * n[2] + j) * n[3] + u) * n[4] + v) * G + g;
        if (result == 'y') r->values[at_y] += kernel->values[at_k] * x->values[at_x];
        else if (result == 'x') r->values[at_x] += kernel->values[at_k] * dy->values[at_y];
        else r->values[at_k] += x->values[at_x] * dy->values[at_y] / (is("mean") ? M : 1);
      }
    }
}
#endif

static Tensor like(const Tensor *t) {
  Tensor made = *t;
  made.values = allocate(sizeof(double) * t->count);
  return made;
}

static void answer(const char *json, const char *data) {
  Tensor x, kernel, dy = {0}, results[2];
  Options o;
  int backward = strncmp(after(json, "request"), "\"backward\"", 10) == 0;
  if (!read_tensor(json, data, "x", &x) || !read_tensor(json, data, "kernel", &kernel) ||
      (backward && !read_tensor(json, data, "dy", &dy))) {
    send_error("TypeError", "operands must be float32 or float64");
    return;
  }
  if (is("crash") && x.shape[1] > 6) abort();
  while (is("hang") && x.shape[1] > 6) ;
  read_options(json, &x, &kernel, &o);
  if (backward) {
    const char *names[] = {"dx", "dkernel"};
    results[0] = like(&x);
    results[1] = like(&kernel);
    sums('x', &x, &kernel, &dy, &o, &results[0]);
    sums('k', &x, &kernel, &dy, &o, &results[1]);
    send_results(2, names, results);
    free(results[1].values);
    free(dy.values);
  } else {
    const char *names[] = {"y"};
    Tensor shape = {4, {x.shape[0], kernel.shape[1], kernel.shape[2], x.shape[3]}, 0, x.wide, NULL};
    shape.count = shape.shape[0] * shape.shape[1] * shape.shape[2] * shape.shape[3];
    results[0] = like(&shape);
    sums('y', &x, &kernel, NULL, &o, &results[0]);
    send_results(1, names, results);
  }
  free(results[0].values);
  free(x.values);
  free(kernel.values);
}

int main(int count, char **arguments) {
  for (int i = 1; i < count; i++)
    if (strncmp(arguments[i], "--fault=", 8) == 0) fault = arguments[i] + 8;
  uint64_t total, length;
  while (fread(&total, 8, 1, stdin) == 1) {
    char *blob = allocate(total + 1);
    if (fread(blob, 1, total, stdin) != total) return 2;
    memcpy(&length, blob, total < 8 ? total : 8);
    if (total < 8 || length > total - 8) { send_error("Malformed", "no header"); free(blob); continue; }
    char *json = allocate(length + 1), *data = blob + 8 + length;
    memcpy(json, blob + 8, length);
    const char *request = after(json, "request");
    if (!request) send_error("Malformed", "no request");
    else if (strncmp(request, "\"hello\"", 7) == 0)
      send("{\"__metadata__\":{\"reply\":\"hello\",\"protocol\":\"1\",\"name\":\"worker.c\","
           "\"environment\":\"C, sums in double\",\"capabilities\":"
           "\"{\\\"dtypes\\\":[\\\"float32\\\",\\\"float64\\\"],\\\"validates\\\":false}\"}}", "", 0);
    else if (strncmp(request, "\"goodbye\"", 9) == 0) return 0;
    else if (strncmp(request, "\"forward\"", 9) && strncmp(request, "\"backward\"", 10))
      send_error("UnknownRequest", "there are hello, forward, backward and goodbye");
    else answer(json, data);
    free(json);
    free(blob);
  }
  return 0;
}
